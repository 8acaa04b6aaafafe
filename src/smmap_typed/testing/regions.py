"""The lower half of the reference model: which windows are mapped, what uses them, and which is evicted next.

It uses plain lists, and prefers obvious code to fast code: to find the users of a region, it checks each cursor.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from mmap import PAGESIZE
from typing import Final, NamedTuple, final

from smmap_typed import ALLOCATIONGRANULARITY, FileChangedError, HandleLimitError, ManagerClosedError, MemoryLimitError
from smmap_typed._pool import MOST_COPIED
from smmap_typed.testing.disk import Disk, Inode, Source

__all__ = ["Cursor", "Refusal", "Region", "Regions", "Seen", "View"]


@final
class Refusal(Exception):  # noqa: N818 - a prediction, not an error
    """The prediction that the call raises ``error``."""

    def __init__(self, error: type[Exception]) -> None:
        super().__init__(error.__name__)
        self.error = error


class Seen(NamedTuple):
    """A file as a cursor first saw it: an inode in one state. Cursors that saw the same share its regions."""

    inode: Inode
    name: str
    """The path, or the path that the system knows of the descriptor."""
    size: int
    mtime: int
    """Modification time, in nanoseconds."""
    ctime: int
    """Time of the last change of the inode, in nanoseconds."""
    links: int
    """Names that the inode has."""


@final
@dataclass(eq=False)
class Region:
    """A window that is mapped."""

    seen: Seen
    begin: int
    size: int
    content: bytearray
    """The content of the file that the map shows. After a copy-up that is no longer the inode's content."""
    copied: bytes | None
    """The bytes at the time when the window was read, for readers that copy; otherwise None."""
    resident: set[int] = field(default_factory=set[int])
    """The numbers of the pages of the file that are known to be in memory."""
    referenced: bool = False
    """Whether it was read without a cursor on it since an eviction passed it."""

    @property
    def end(self) -> int:
        """One past the last byte."""
        return self.begin + self.size

    def includes(self, begin: int, end: int) -> bool:
        """Whether the region has all bytes from ``begin`` to ``end``."""
        return self.begin <= begin and end <= self.end

    def is_resident(self, begin: int, end: int) -> bool:
        """Whether a read copies the bytes from the region: they are not too many, and known to be in memory."""
        return self.copied is not None or (end - begin <= MOST_COPIED and _pages(begin, end) <= self.resident)

    def mark(self, begin: int, end: int) -> None:
        """Note that the bytes are in memory."""
        self.resident |= _pages(begin, end)

    def bytes_of(self, begin: int, end: int) -> bytes:
        """The bytes of the file from ``begin`` to ``end``, as far as they can be read."""
        if self.copied is not None:
            return self.copied[begin - self.begin : end - self.begin]
        return bytes(self.content[begin:end])


def _pages(begin: int, end: int) -> set[int]:
    return set(range(begin // PAGESIZE, -(-end // PAGESIZE)))


@final
@dataclass(eq=False)
class Cursor:
    """A cursor: its file, its region and its place."""

    source: Source | None
    seen: Seen | None = None
    region: Region | None = None
    begin: int = 0
    end: int = 0
    kept: Region | None = None
    """The region that it keeps mapped after its manager was closed, until its next call."""


@final
@dataclass(eq=False)
class View:
    """A memoryview that a user has, over a region or over a copy."""

    region: Region | None
    begin: int
    end: int
    copy: bytes = b""

    def expected(self) -> bytes:
        """The bytes that the view must show, as far as they can be read."""
        return self.copy if self.region is None else self.region.bytes_of(self.begin, self.end)


class Regions:
    """The windows of one manager, and the cursors and views that use them."""

    def __init__(
        self,
        disk: Disk,
        window: int,
        memory: int,
        handles: int,
        *,
        strict: bool,
        copies: bool,
        positional: bool = True,
        copies_from_maps: bool = True,
    ) -> None:
        self.disk: Final = disk
        self.window: Final = window
        """Bytes, in whole granules; 0 for whole files."""
        self.memory: int = memory
        self.handles: int = handles
        self.strict: Final = strict
        self.copies: Final = copies
        self.positional: Final = positional
        """Whether the reader reads at an offset without a window."""
        self.copies_from_maps: Final = copies_from_maps or copies
        """Whether reads may copy from windows."""
        self.closed: bool = False
        self.regions: Final[list[Region]] = []
        self.left: Final[list[Region]] = []
        """Regions in the order in which their last cursor left; some may be in use again."""
        self.cursors: Final[list[Cursor]] = []
        """Includes the cursors of buffers."""
        self.views: Final[list[View]] = []
        self.kept: Final[dict[Seen, bytearray]] = {}
        """The files whose descriptor is kept, least recently used first, with the content that it maps."""
        self.acquisitions: int = 0
        self.misses: int = 0
        self.maps: int = 0
        self.unmaps: int = 0
        self.evictions: int = 0
        self.detached_reads: int = 0
        self.detached_bytes: int = 0
        self.forgotten: int = 0
        self.mapped_past_limit: bool = False

    # Queries.

    def mapped(self) -> int:
        """The bytes of all regions."""
        return sum(region.size for region in self.regions)

    def cursors_on(self, region: Region) -> int:
        """The number of cursors on the region."""
        return sum(cursor.region is region for cursor in self.cursors)

    def is_viewed(self, region: Region) -> bool:
        """Whether a user has a view of the region."""
        return any(view.region is region for view in self.views)

    def is_used(self, region: Region) -> bool:
        """Whether the region must stay mapped."""
        return self.cursors_on(region) > 0 or self.is_viewed(region)

    def uses(self) -> Counter[str]:
        """Count the regions that are pinned by cursors, kept only by views, or idle. After ``close`` all are kept."""
        return Counter(
            "pinned" if self.cursors_on(region) else "viewed" if self.closed or self.is_viewed(region) else "idle"
            for region in self.regions
        )

    def pages(self) -> Counter[tuple[int, int]]:
        """Count how often each page of each inode is mapped."""
        pages: Counter[tuple[int, int]] = Counter()
        for region in self.regions:
            pages.update(
                (region.seen.inode.number, page) for page in range(region.begin, region.end, ALLOCATIONGRANULARITY)
            )
        return pages

    # Changes.

    def set_limits(self, memory: int, handles: int) -> None:
        """Set limits; the caller has already made room for them."""
        self.memory, self.handles = memory, handles

    def shut(self) -> None:
        """Map no more regions from now on."""
        self.closed = True

    def note_acquired(self, region: Region | None) -> None:
        """Count one acquisition, if there is a region."""
        self.acquisitions += region is not None

    def note_detached(self, nbytes: int) -> None:
        """Count a read by a descriptor."""
        self.detached_reads += 1
        self.detached_bytes += nbytes

    def reset_stats(self) -> None:
        """Clear the counters."""
        self.maps = len(self.regions)
        self.acquisitions = self.misses = self.unmaps = self.evictions = 0
        self.detached_reads = self.detached_bytes = self.forgotten = 0

    def forget(self) -> None:
        """Forget which pages are in memory."""
        for region in self.regions:
            region.resident.clear()
        self.forgotten += 1

    # Files.

    def look(self, source: Source) -> Seen:
        """Return the file as it is now; raise a Refusal if there is no such file."""
        inode = self.disk.named_by(source)
        if inode is None:
            raise Refusal(FileNotFoundError)
        if source.made_on not in {None, inode}:
            raise Refusal(FileChangedError)
        status = os.fstat(inode.descriptor)
        name, size = self.disk.name_of(source), len(inode.content)
        return Seen(inode, name, size, status.st_mtime_ns, status.st_ctime_ns, status.st_nlink)

    def check_unchanged(self, source: Source, seen: Seen) -> None:
        """Raise a Refusal unless the file can still serve a cursor that saw it as ``seen``."""
        inode = self.disk.named_by(source)
        if inode is None:
            raise Refusal(FileNotFoundError)
        if inode is not seen.inode or len(inode.content) < seen.size:
            raise Refusal(FileChangedError)
        self.check_copied(seen)

    def is_changed(self, seen: Seen) -> bool:
        """Whether the file is in another state than ``seen``."""
        status = os.fstat(seen.inode.descriptor)
        now = status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_nlink
        return now != (seen.size, seen.mtime, seen.ctime, seen.links)

    def check_copied(self, seen: Seen) -> None:
        """Raise a Refusal if a window that is read now would hold another state than those that were read before."""
        inode = seen.inode
        status = os.fstat(inode.descriptor)
        rewritten = len(inode.content) == seen.size and (
            status.st_mtime_ns != seen.mtime
            # A rename or an unlink changes ctime, too, and no byte.
            or (status.st_ctime_ns != seen.ctime and status.st_nlink == seen.links)
        )
        if self.copies and (len(inode.content) < seen.size or rewritten):
            raise Refusal(FileChangedError)

    # Windows.

    def wanted_end(self, seen: Seen, offset: int, size: int) -> int:
        """Return the end of the bytes that the edge of a window must not cut."""
        if not self.window and not size:
            return seen.size
        return min(offset + (size or self.window // 2), seen.size)

    def window_begin(self, offset: int, end: int) -> int:
        """Return where the window begins: even and odd windows alternate, and the even one is chosen if it fits."""
        if not self.window:
            return 0
        half = max(self.window // 2 // ALLOCATIONGRANULARITY, 1) * ALLOCATIONGRANULARITY
        even = max(begin for begin in range(0, offset + 1, half) if begin // half % 2 == 0)
        odd = even + half
        return even if end <= even + self.window or offset < odd else odd

    def acquire(self, source: Source, seen: Seen, offset: int, end: int, *, newest: bool) -> Region:
        """Return the region that serves a request; map it if necessary.

        ``newest`` says that the file was looked at just now, for a new cursor.
        """
        self.check_open()
        begin = self.window_begin(offset, end)
        found = [region for region in self.regions if region.seen == seen and region.begin == begin]
        region = found[0] if found else self.map(source, seen, begin, newest=newest)
        self.note_acquired(region)
        return region

    def window_size(self, seen: Seen, begin: int) -> int:
        """The bytes of the window at ``begin``."""
        return min(self.window or seen.size, seen.size - begin)

    def map(self, source: Source, seen: Seen, begin: int, *, newest: bool) -> Region:
        """Make room, and map a new region."""
        size = self.window_size(seen, begin)
        inode = seen.inode
        kept = self.kept.pop(seen, None)
        # A descriptor from before a copy-up maps the lower file. Where none is kept, the name is opened again, and that
        # is the upper file, which the contract allows: it is the same inode.
        content = inode.content if kept is None else kept
        if kept is not None:
            self.kept[seen] = kept
        if self.strict and size > self.memory:
            # No eviction can help, so there is none.
            raise Refusal(MemoryLimitError)
        if len(self.regions) < self.handles and self.mapped() + size <= self.memory:
            self.release_descriptors(self.handles - 1)
        if newest:
            self.unmap_older(seen)
        if kept is None:
            self.check_unchanged(source, seen)
        self.make_room(size)
        self.release_descriptors(self.handles - 1)
        # By a kept descriptor the file is opened no more, so only the call that maps or reads can find it changed.
        # It shows the size of the upper file, and what is read by it is in the upper file, too.
        if begin + size > len(inode.content):
            raise Refusal(FileChangedError)
        self.check_copied(seen)
        copied = bytes(inode.content[begin : begin + size]) if self.copies else None
        region = Region(seen, begin, size, content, copied)
        self.regions.append(region)
        self.maps += 1
        self.misses += 1
        self.mapped_past_limit |= self.mapped() > self.memory
        self.keep(seen, content)
        return region

    def keep(self, seen: Seen, content: bytearray) -> None:
        """Keep a descriptor that was opened, if regions leave a handle; the one that was used least recently may go."""
        if seen in self.kept or self.closed:
            return
        if self.kept and len(self.regions) + len(self.kept) >= self.handles:
            del self.kept[next(iter(self.kept))]
        if len(self.regions) + len(self.kept) < self.handles:
            self.kept[seen] = content

    def register(self, seen: Seen) -> None:
        """Keep a descriptor of a file that was looked at, and that nothing is known of yet, if a handle is free."""
        if seen not in self.kept and not any(region.seen == seen for region in self.regions):
            # It is opened first, so the windows of older states count.
            self.keep(seen, seen.inode.content)
            self.unmap_older(seen)

    def release_descriptors(self, handles: int) -> None:
        """Keep no more descriptors than there are ``handles`` for regions and descriptors together."""
        while self.kept and len(self.regions) + len(self.kept) > handles:
            del self.kept[next(iter(self.kept))]

    def unmap_older(self, seen: Seen) -> None:
        """Unmap the idle regions of what the name led to before."""
        older = [region for region in self.regions if region.seen.name == seen.name and region.seen != seen]
        for region in older:
            if not self.is_used(region):
                self.unmap(region)

    def make_room(self, size: int) -> None:
        """Evict just enough, least recently used first. Exceed a soft limit only if nothing idle is left."""
        while len(self.regions) >= self.handles or self.mapped() + size > self.memory:
            if not self.evict():
                break
        if len(self.regions) >= self.handles:
            raise Refusal(HandleLimitError)
        if self.strict and self.mapped() + size > self.memory:
            raise Refusal(MemoryLimitError)

    def trim(self) -> None:
        """After a call that exceeded the soft limit, evict: the regions that the call has left may be idle now."""
        if self.mapped_past_limit:
            while self.mapped() > self.memory and self.evict():
                pass
        self.mapped_past_limit = False

    def evict(self) -> bool:
        """Unmap the idle region whose last cursor left longest ago, except that what was read has a second chance."""
        refused: list[Region] = []
        while (region := self._victim(refused)) is not None:
            if not self.is_viewed(region):
                self.unmap(region)
                self.evictions += 1
                return True
            refused.append(region)
        return False

    def _victim(self, refused: list[Region]) -> Region | None:
        """Return the region to evict next; those that were read and are passed over are then the last."""
        passed: list[Region] = []
        found: Region | None = None
        for region in self.left:
            if region in refused or self.cursors_on(region):
                continue
            if not region.referenced:
                found = region
                break
            passed.append(region)
        for region in passed:
            region.referenced = False
            self.left.remove(region)
            self.left.append(region)
        return passed[0] if found is None and passed else found

    def note_left(self, region: Region) -> None:
        """Note that a cursor has left the region. If it was the last one, the region is now the most recently used."""
        if not self.cursors_on(region) and region in self.regions:
            self.left[:] = [*(other for other in self.left if other is not region), region]

    def unmap(self, region: Region) -> None:
        """Unmap the region."""
        self.regions.remove(region)
        if region in self.left:
            self.left.remove(region)
        self.unmaps += 1

    def let_go_of_closed(self) -> None:
        """After ``close``, unmap the regions that no cursor and no view keeps any more."""
        if self.closed:
            kept = [cursor.kept for cursor in self.cursors] + [view.region for view in self.views]
            for region in [region for region in self.regions if region not in kept]:
                self.unmap(region)

    def check_open(self) -> None:
        """Raise a Refusal after ``close``."""
        if self.closed:
            raise Refusal(ManagerClosedError)
