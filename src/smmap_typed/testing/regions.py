"""The lower half of the reference model: which windows are mapped, who uses them, and which goes next.

In plain lists, and as slow as it is obvious: who stands on a region is found by asking every cursor.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from smmap_typed import ALLOCATIONGRANULARITY, FileChangedError, HandleLimitError, ManagerClosedError, MemoryLimitError
from smmap_typed.testing.disk import Disk, Inode, Source

__all__ = ["Cursor", "Refusal", "Region", "Regions", "Seen", "View"]


@final
class Refusal(Exception):  # noqa: N818 - a prediction, not an error
    """The prediction that the call raises ``error``."""

    def __init__(self, error: type[Exception]) -> None:
        super().__init__(error.__name__)
        self.error = error


class Seen(NamedTuple):
    """A file as a cursor saw it first: an inode at one size."""

    inode: Inode
    size: int
    stamp: int
    """0 where windows show the file itself, so that its modification time does not matter."""


@final
@dataclass(eq=False)
class Region:
    """A window that is mapped."""

    seen: Seen
    begin: int
    size: int
    copied: bytes | None
    """What was in the file when the window was read, for the reader that copies."""

    @property
    def end(self) -> int:
        """One past the last byte."""
        return self.begin + self.size

    def includes(self, begin: int, end: int) -> bool:
        """Whether all bytes from ``begin`` to ``end`` lie inside."""
        return self.begin <= begin and end <= self.end

    def bytes_of(self, begin: int, end: int) -> bytes:
        """What its memory shows of the file from ``begin`` to ``end``, as far as that may be read at all."""
        if self.copied is not None:
            return self.copied[begin - self.begin : end - self.begin]
        return bytes(self.seen.inode.content[begin:end])


@final
@dataclass(eq=False)
class Cursor:
    """Where a cursor stands."""

    source: Source | None
    seen: Seen | None = None
    region: Region | None = None
    begin: int = 0
    end: int = 0
    kept: Region | None = None
    """What it still keeps mapped after its manager was closed, until its next call."""


@final
@dataclass(eq=False)
class View:
    """A memoryview that a user has, over a region or over a copy."""

    region: Region | None
    begin: int
    end: int
    copy: bytes = b""

    def expected(self) -> bytes:
        """What it must show, as far as that may be read at all."""
        return self.copy if self.region is None else self.region.bytes_of(self.begin, self.end)


class Regions:
    """The windows of one manager, and everybody who uses them."""

    def __init__(self, disk: Disk, window: int, memory: int, handles: int, *, strict: bool, copies: bool) -> None:
        self.disk: Final = disk
        self.window: Final = window
        """Bytes, whole granules; 0 for whole files."""
        self.memory: int = memory
        self.handles: int = handles
        self.strict: Final = strict
        self.copies: Final = copies
        self.closed: bool = False
        self.regions: Final[list[Region]] = []
        self.left: Final[list[Region]] = []
        """Regions in the order in which their last cursor left; some may be in use again."""
        self.cursors: Final[list[Cursor]] = []
        """Buffers' own ones too."""
        self.views: Final[list[View]] = []
        self.acquisitions: int = 0
        self.misses: int = 0
        self.maps: int = 0
        self.unmaps: int = 0
        self.evictions: int = 0
        self.mapped_past_limit: bool = False

    # What there is.

    def mapped(self) -> int:
        """Bytes, of all regions."""
        return sum(region.size for region in self.regions)

    def cursors_on(self, region: Region) -> int:
        """How many cursors stand on it."""
        return sum(cursor.region is region for cursor in self.cursors)

    def is_viewed(self, region: Region) -> bool:
        """Whether a user has a view of it."""
        return any(view.region is region for view in self.views)

    def is_used(self, region: Region) -> bool:
        """Whether it must stay mapped."""
        return self.cursors_on(region) > 0 or self.is_viewed(region)

    def uses(self) -> Counter[str]:
        """How many regions are pinned by a cursor, kept by a view alone, or idle. Closed, none is but kept."""
        return Counter(
            "pinned" if self.cursors_on(region) else "viewed" if self.closed or self.is_viewed(region) else "idle"
            for region in self.regions
        )

    def pages(self) -> Counter[tuple[int, int]]:
        """How often each page of each inode is mapped."""
        pages: Counter[tuple[int, int]] = Counter()
        for region in self.regions:
            pages.update(
                (region.seen.inode.number, page) for page in range(region.begin, region.end, ALLOCATIONGRANULARITY)
            )
        return pages

    # What changes of it.

    def set_limits(self, memory: int, handles: int) -> None:
        """New limits, which are kept already."""
        self.memory, self.handles = memory, handles

    def shut(self) -> None:
        """No more regions from now on."""
        self.closed = True

    def note_acquired(self, region: Region | None) -> None:
        """One use of a region more, if there is one."""
        self.acquisitions += region is not None

    def reset_stats(self) -> None:
        """Clear the counters."""
        self.maps = len(self.regions)
        self.acquisitions = self.misses = self.unmaps = self.evictions = 0

    # Files.

    def look(self, source: Source) -> Seen:
        """The file as it is now; a Refusal if there is none."""
        inode = self.disk.named_by(source)
        if inode is None:
            raise Refusal(FileNotFoundError)
        if source.made_on not in {None, inode}:
            raise Refusal(FileChangedError)
        return Seen(inode, len(inode.content), inode.stamp if self.copies else 0)

    def check_unchanged(self, source: Source, seen: Seen) -> None:
        """A Refusal unless the file can still serve who saw it as ``seen``."""
        inode = self.disk.named_by(source)
        if inode is None:
            raise Refusal(FileNotFoundError)
        if inode is not seen.inode or len(inode.content) < seen.size:
            raise Refusal(FileChangedError)
        if self.copies and len(inode.content) == seen.size and inode.stamp != seen.stamp:
            raise Refusal(FileChangedError)

    # Windows.

    def wanted_end(self, seen: Seen, offset: int, size: int) -> int:
        """Where the bytes end that must not be cut by a window's edge."""
        if not self.window and not size:
            return seen.size
        return min(offset + (size or self.window // 2), seen.size)

    def window_begin(self, offset: int, end: int) -> int:
        """Even and odd windows in turn: the even one, unless the request fits only the odd one."""
        if not self.window:
            return 0
        half = max(self.window // 2 // ALLOCATIONGRANULARITY, 1) * ALLOCATIONGRANULARITY
        even = max(begin for begin in range(0, offset + 1, half) if begin // half % 2 == 0)
        odd = even + half
        return even if end <= even + self.window or offset < odd else odd

    def acquire(self, source: Source, seen: Seen, offset: int, end: int) -> Region:
        """The region that serves a request, mapped if it must be."""
        self.check_open()
        begin = self.window_begin(offset, end)
        found = [region for region in self.regions if region.seen == seen and region.begin == begin]
        region = found[0] if found else self.map(source, seen, begin)
        self.note_acquired(region)
        return region

    def window_size(self, seen: Seen, begin: int) -> int:
        """Bytes of the window at ``begin``."""
        return min(self.window or seen.size, seen.size - begin)

    def map(self, source: Source, seen: Seen, begin: int) -> Region:
        """A new region, once there is room for it."""
        size = self.window_size(seen, begin)
        if self.strict and size > self.memory:
            # No eviction can help, so there is none.
            raise Refusal(MemoryLimitError)
        self.check_unchanged(source, seen)
        self.make_room(size)
        copied = bytes(seen.inode.content[begin : begin + size]) if self.copies else None
        region = Region(seen, begin, size, copied)
        self.regions.append(region)
        self.maps += 1
        self.misses += 1
        self.mapped_past_limit |= self.mapped() > self.memory
        return region

    def make_room(self, size: int) -> None:
        """Just enough, least recently used first; past a soft limit only when nothing idle is left."""
        while len(self.regions) >= self.handles or self.mapped() + size > self.memory:
            if not self.evict():
                break
        if len(self.regions) >= self.handles:
            raise Refusal(HandleLimitError)
        if self.strict and self.mapped() + size > self.memory:
            raise Refusal(MemoryLimitError)

    def trim(self) -> None:
        """At the end of a call that mapped past the soft limit: what it left may be what is too much."""
        if self.mapped_past_limit:
            while self.mapped() > self.memory and self.evict():
                pass
        self.mapped_past_limit = False

    def evict(self) -> bool:
        """Unmap the region whose last cursor left longest ago, of those that nobody uses."""
        idle = [region for region in self.left if not self.is_used(region)]
        if idle:
            self.unmap(idle[0])
            self.evictions += 1
        return bool(idle)

    def note_left(self, region: Region) -> None:
        """A cursor has left the region; if it was the last one, the region is now the most recently used."""
        if not self.cursors_on(region) and region in self.regions:
            self.left[:] = [*(other for other in self.left if other is not region), region]

    def unmap(self, region: Region) -> None:
        """The region goes."""
        self.regions.remove(region)
        if region in self.left:
            self.left.remove(region)
        self.unmaps += 1

    def let_go_of_closed(self) -> None:
        """After ``close`` a region goes with the last cursor or view that keeps it."""
        if self.closed:
            kept = [cursor.kept for cursor in self.cursors] + [view.region for view in self.views]
            for region in [region for region in self.regions if region not in kept]:
                self.unmap(region)

    def check_open(self) -> None:
        """A Refusal after ``close``."""
        if self.closed:
            raise Refusal(ManagerClosedError)
