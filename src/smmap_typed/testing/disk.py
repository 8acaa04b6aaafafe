"""A disk with a few files that change, and a copy of their content for the reference model.

Each operation changes the real files and, in the same step, plain byte arrays.
"""

import mmap
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias, final

from smmap_typed import ALLOCATIONGRANULARITY
from smmap_typed.testing import kernel
from smmap_typed.testing.content import pattern

__all__ = ["Disk", "Inode", "Overlay", "Source"]

Overlay: TypeAlias = Callable[[Path, Mapping[str, bytes]], AbstractContextManager[Path]]
"""Mounts an overlay inside an empty directory, with files of these names and contents in its lower layer, and returns
the merged directory."""

_LARGEST: Final = 20
"""The largest size of a file, in units."""


@final
@dataclass(eq=False)
class Inode:
    """One file, independent of its names."""

    descriptor: int
    """Our own, for writing. It stays open, so that the system does not give the inode's number to another file. As
    long as the file is in the lower layer, it is for reading."""
    number: int
    content: bytearray
    """What the name shows. A copy-up replaces it: maps and descriptors from before show the old object for ever."""
    is_lower: bool = False
    """Whether the file is still in the lower layer of an overlay."""


@final
@dataclass(frozen=True)
class Source:
    """The path or the descriptor from which a cursor is made, by its number on the disk."""

    slot: int
    made_on: Inode | None
    """The inode behind a descriptor when the cursor was made; None for a path."""


@final
class Disk:
    """Files in a temporary directory, each with a path and with a descriptor that a user has open.

    A file has at most 20 ``unit``s of bytes; operations that would make it larger stop there.

    With ``overlay``, the first files are in the lower layer of an overlay. The first operation that writes to such a
    file copies it up: path, device and inode number stay, and maps from before show the lower file for ever.
    """

    def __init__(self, sizes: list[int], unit: int = ALLOCATIONGRANULARITY, *, overlay: Overlay | None = None) -> None:
        self.largest: Final = _LARGEST * unit
        """The largest size of a file, in bytes."""
        self._at_the_end: Final = ExitStack()
        base = Path(tempfile.mkdtemp(prefix="smmap-stateful-"))
        self._at_the_end.callback(shutil.rmtree, base)
        lower: list[bytes] = []
        if overlay is not None:
            # Numbers that no other file's pattern has: those count from 1.
            lower = [pattern(min(size, self.largest), -slot - 1) for slot, size in enumerate(sizes)]
            contents = {f"file-{slot}": content for slot, content in enumerate(lower)}
            base = self._at_the_end.enter_context(overlay(base, contents))
        self.is_overlay: Final = overlay is not None
        self.directory: Final = base
        self.device: Final = self.directory.stat().st_dev
        self.inodes: Final[list[Inode]] = []
        self.paths: Final[list[Inode | None]] = []
        """By slot: the file at the path now."""
        self.opened: Final[list[Inode]] = []
        """By slot: the file behind the descriptor now."""
        self.descriptors: Final[list[int]] = []
        """By slot: the descriptor's number, which never changes."""
        self.maps_tell_numbers: bool = True
        """Whether the kernel shows the maps of a file under its inode number. Older kernels show those of a file that
        was copied up under the number that it has in the upper layer."""
        self._clock = 0
        self._versions = 0
        for slot, size in enumerate(sizes):
            self.paths.append(self._find(slot, lower[slot]) if lower else self._create(slot, size))
            self.descriptors.append(os.open(self.path(slot), os.O_RDONLY))
            self.opened.append(self.inodes[-1])

    def close(self) -> None:
        """Remove everything."""
        for descriptor in [*self.descriptors, *(inode.descriptor for inode in self.inodes)]:
            os.close(descriptor)
        self._at_the_end.close()

    def path(self, slot: int) -> Path:
        """The path of a slot, whether or not there is a file."""
        return self.directory / f"file-{slot}"

    def path_source(self, slot: int) -> Source:
        """The path of a slot, as the source of a cursor."""
        return Source(slot, None)

    def descriptor_source(self, slot: int) -> Source:
        """The descriptor of a slot, as the source of a cursor."""
        return Source(slot, self.opened[slot])

    def named_by(self, source: Source) -> Inode | None:
        """Return the file to which the path or the descriptor leads now."""
        return self.paths[source.slot] if source.made_on is None else self.opened[source.slot]

    def name_of(self, source: Source) -> str:
        """The path, or what the system knows of the descriptor: its path, perhaps with a note that it is deleted."""
        if source.made_on is None:
            return str(self.path(source.slot))
        try:
            return os.readlink(f"/proc/self/fd/{self.descriptors[source.slot]}")
        except OSError:
            return str(self.descriptors[source.slot])

    def replace(self, slot: int, size: int) -> None:
        """Put a new file at the path, in one step."""
        self.paths[slot] = self._create(slot, size)

    def remove(self, slot: int) -> None:
        """Unlink the file at the path, if there is one."""
        if self.paths[slot] is not None:
            self.path(slot).unlink()
            self.paths[slot] = None

    def append(self, inode: Inode, size: int) -> None:
        """Append ``size`` bytes."""
        if not self._copy_up(inode):
            return
        self._versions += 1
        end = len(inode.content)
        added = pattern(max(min(size, self.largest - end), 0), self._versions, end)
        os.lseek(inode.descriptor, end, os.SEEK_SET)
        os.write(inode.descriptor, added)
        inode.content += added
        self.touch(inode)

    def truncate(self, inode: Inode, size: int) -> None:
        """Truncate the file to ``size`` bytes, if it has more."""
        if not self._copy_up(inode):
            return
        del inode.content[size:]
        os.ftruncate(inode.descriptor, len(inode.content))
        self.touch(inode)

    def touch(self, inode: Inode) -> None:
        """Give the file a new modification time: the system's clock is too coarse for a difference at each step."""
        if not self._copy_up(inode):
            return
        self._clock += 1
        os.utime(inode.descriptor, ns=(self._clock, self._clock))

    def rewrite(self, inode: Inode) -> None:
        """Write other bytes in place, and set the times back, as ``cp -p`` and rsync do: only ctime tells."""
        # Before the copy-up, which sets ctime.
        before = os.fstat(inode.descriptor)
        if not self._copy_up(inode):
            return
        self._versions += 1
        inode.content[:] = pattern(len(inode.content), self._versions)
        os.lseek(inode.descriptor, 0, os.SEEK_SET)
        os.write(inode.descriptor, inode.content)
        # Until the system's clock, by which it sets ctime, has ticked.
        while True:
            os.utime(inode.descriptor, ns=(before.st_atime_ns, before.st_mtime_ns))
            if os.fstat(inode.descriptor).st_ctime_ns != before.st_ctime_ns:  # pragma: no branch - usually it has
                break

    def drop_pages(self, inode: Inode) -> None:
        """Have the kernel drop the pages of the file from memory, as far as no map shows them."""
        if sys.platform == "linux":  # pragma: no branch - Linux measures
            os.fsync(inode.descriptor)
            os.posix_fadvise(inode.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def redirect(self, slot: int) -> None:
        """Make the number of a descriptor refer to the file at the path now, as close and open could do."""
        inode = self.paths[slot]
        if inode is not None:
            # Do not use dup2 on the descriptor for writing: the duplicate would have its access mode.
            fresh = os.open(self.path(slot), os.O_RDONLY)
            os.dup2(fresh, self.descriptors[slot], inheritable=False)
            os.close(fresh)
            self.opened[slot] = inode

    def _copy_up(self, inode: Inode) -> bool:
        """Prepare to write: copy the file up if it is in the lower layer; False if it has lost its name there.

        The system copies up what is opened for writing, and it can do so only by name.
        """
        if inode.is_lower:
            if inode not in self.paths:
                return False
            upper = os.open(self.path(self.paths.index(inode)), os.O_RDWR)
            os.dup2(upper, inode.descriptor, inheritable=False)
            os.close(upper)
            inode.content = bytearray(inode.content)
            inode.is_lower = False
            self.maps_tell_numbers &= kernel.IS_HEARD and self._is_told_by_maps(inode)
        return True

    def _is_told_by_maps(self, inode: Inode) -> bool:
        """Whether the kernel shows a map that is made of the file now under its inode number."""
        first = inode.number, 0
        before = kernel.mapped_pages(self.directory)[first]
        with mmap.mmap(inode.descriptor, 1, access=mmap.ACCESS_READ):
            return kernel.mapped_pages(self.directory)[first] == before + 1

    def _find(self, slot: int, content: bytes) -> Inode:
        """Open the file that is at the path, in the lower layer."""
        descriptor = os.open(self.path(slot), os.O_RDONLY)
        inode = Inode(descriptor, os.fstat(descriptor).st_ino, bytearray(content), is_lower=True)
        self.inodes.append(inode)
        return inode

    def _create(self, slot: int, size: int) -> Inode:
        fresh = self.directory / "fresh"
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        inode = Inode(descriptor, os.fstat(descriptor).st_ino, bytearray())
        self.inodes.append(inode)
        self.append(inode, size)
        os.replace(fresh, self.path(slot))
        return inode
