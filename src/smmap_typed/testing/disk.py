"""A disk of a few files that change, and what the reference model may know of them.

Everything is done to real files and, in the same step, to plain byte arrays.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from smmap_typed import ALLOCATIONGRANULARITY
from smmap_typed.testing.content import pattern

__all__ = ["Disk", "Inode", "Source"]

_LARGEST: Final = 20
"""Units: no file grows beyond that."""


@final
@dataclass(eq=False)
class Inode:
    """One file, whatever names it has."""

    descriptor: int
    """Ours, for writing. Open to the end, so that the system gives the inode's number to no other file."""
    number: int
    content: bytearray
    stamp: int = 0
    """Modification time, nanoseconds."""


@final
@dataclass(frozen=True)
class Source:
    """What a cursor is made from: a path or a descriptor, by its number on the disk."""

    slot: int
    made_on: Inode | None
    """The inode behind a descriptor when the cursor was made; None for a path."""


@final
class Disk:
    """Files in a temporary directory, each with a path and a descriptor that a user has open.

    Files have at most 20 ``unit``s of bytes; whatever would make one larger is cut there.
    """

    def __init__(self, sizes: list[int], unit: int = ALLOCATIONGRANULARITY) -> None:
        self.largest: Final = _LARGEST * unit
        """Bytes: no file grows beyond that."""
        self.directory: Final = Path(tempfile.mkdtemp(prefix="smmap-stateful-"))
        self.device: Final = self.directory.stat().st_dev
        self.inodes: Final[list[Inode]] = []
        self.paths: Final[list[Inode | None]] = []
        """By slot: what is at the path now."""
        self.opened: Final[list[Inode]] = []
        """By slot: what is behind the descriptor now."""
        self.descriptors: Final[list[int]] = []
        """By slot: the descriptor's number, which never changes."""
        self._clock = 0
        self._versions = 0
        for slot, size in enumerate(sizes):
            self.paths.append(self._create(slot, size))
            self.descriptors.append(os.open(self.path(slot), os.O_RDONLY))
            self.opened.append(self.inodes[-1])

    def close(self) -> None:
        """Remove everything."""
        for descriptor in [*self.descriptors, *(inode.descriptor for inode in self.inodes)]:
            os.close(descriptor)
        shutil.rmtree(self.directory)

    def path(self, slot: int) -> Path:
        """Where the file of a slot is, if it is."""
        return self.directory / f"file-{slot}"

    def path_source(self, slot: int) -> Source:
        """The path of a slot, as what a cursor is made from."""
        return Source(slot, None)

    def descriptor_source(self, slot: int) -> Source:
        """The descriptor of a slot, likewise."""
        return Source(slot, self.opened[slot])

    def named_by(self, source: Source) -> Inode | None:
        """The file that a path names now, or that a descriptor stands for."""
        return self.paths[source.slot] if source.made_on is None else self.opened[source.slot]

    def replace(self, slot: int, size: int) -> None:
        """Put a new file at the path, in one step."""
        self.paths[slot] = self._create(slot, size)

    def remove(self, slot: int) -> None:
        """Unlink what is at the path."""
        if self.paths[slot] is not None:
            self.path(slot).unlink()
            self.paths[slot] = None

    def append(self, inode: Inode, size: int) -> None:
        """Write ``size`` bytes more at the end."""
        self._versions += 1
        end = len(inode.content)
        added = pattern(max(min(size, self.largest - end), 0), self._versions, end)
        os.lseek(inode.descriptor, end, os.SEEK_SET)
        os.write(inode.descriptor, added)
        inode.content += added
        self.touch(inode)

    def truncate(self, inode: Inode, size: int) -> None:
        """Cut the file to ``size`` bytes, if it has more."""
        del inode.content[size:]
        os.ftruncate(inode.descriptor, len(inode.content))
        self.touch(inode)

    def touch(self, inode: Inode) -> None:
        """Give the file a modification time that it never had: the system's own clock is too coarse to tell."""
        self._clock += 1
        inode.stamp = self._clock
        os.utime(inode.descriptor, ns=(inode.stamp, inode.stamp))

    def redirect(self, slot: int) -> None:
        """Let the number of a descriptor stand for whatever is at the path now, as after close and open."""
        inode = self.paths[slot]
        if inode is not None:
            # Not through dup2 of the descriptor for writing, which would pass on its access mode.
            fresh = os.open(self.path(slot), os.O_RDONLY)
            os.dup2(fresh, self.descriptors[slot], inheritable=False)
            os.close(fresh)
            self.opened[slot] = inode

    def _create(self, slot: int, size: int) -> Inode:
        fresh = self.directory / "fresh"
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        inode = Inode(descriptor, os.fstat(descriptor).st_ino, bytearray())
        self.inodes.append(inode)
        self.append(inode, size)
        os.replace(fresh, self.path(slot))
        return inode
