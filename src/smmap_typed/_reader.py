"""Readers: every system call of the library, made with names looked up at call time.

A reader identifies a file, opens it after checking that it still is the file that the cursor saw, and brings one
window of it into memory. It knows nothing of limits, pins or threads, and is safe in all of them.
"""

import errno
import mmap
import os
import stat
from typing import ClassVar, final

from smmap_typed import _platform
from smmap_typed._file import Identity, Source
from smmap_typed._platform import MIB, OPEN_FLAGS
from smmap_typed._types import Target
from smmap_typed.exceptions import FileChangedError

__all__ = ["MmapReader", "PreadReader", "is_cached", "read_ahead"]


class _FileReader:
    """What both readers do alike: find out which file it is."""

    copies: ClassVar[bool]

    def identify(self, source: Source) -> Identity:
        """See readers.Reader."""
        target = source.target
        try:
            status = os.fstat(target) if isinstance(target, int) else os.stat(target)
        except OverflowError:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), target) from None
        identity = self._identity(status, target)
        source.check(identity)
        return identity

    def open(self, source: Source, seen: Identity, flags: int) -> int:
        """See readers.Reader."""
        target = source.target
        # The user's descriptor is duplicated first: another thread may close it, and its number be given to another
        # file, between fstat and mmap.
        descriptor = os.dup(target) if isinstance(target, int) else os.open(target, OPEN_FLAGS | flags)
        try:
            status = os.fstat(descriptor)
            # The usual case without making another identity to compare with.
            if (
                status.st_ino != seen.inode
                or status.st_dev != seen.device
                or status.st_size != seen.size
                or self.copies
            ):
                seen.check(self._identity(status, target), target)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _identity(self, status: os.stat_result, target: Target) -> Identity:
        """The identity in ``status``; OSError for whatever is no regular file, since that has no size to cut."""
        if not stat.S_ISREG(status.st_mode):
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
            raise OSError(errno.EINVAL, "not a regular file, so it has no windows", target)
        stamp = status.st_mtime_ns if self.copies else 0
        # Not by its constructor, a Python function that costs as much as the rest of this one: a cursor that is used
        # once is half as dear as its look at the file.
        values = (status.st_dev, status.st_ino, status.st_size, stamp)
        return tuple.__new__(Identity, values)  # pyright: ignore[reportUnknownMemberType] - a default is untyped


@final
class MmapReader(_FileReader):
    """Maps windows: no copy, and bytes that change in the file change in the window."""

    copies: ClassVar[bool] = False

    def load(self, descriptor: int, source: Source, seen: Identity, offset: int, size: int) -> mmap.mmap:
        """See readers.Reader."""
        try:
            return _platform.map_file(descriptor, size, offset)
        except ValueError:
            # Usually the file has shrunk since fstat.
            seen.check(self._identity(os.fstat(descriptor), source.target), source.target)
            raise


@final
class PreadReader(_FileReader):
    """Reads windows into anonymous memory: works on what cannot be mapped, and a truncated file is never a signal.

    The memory is an anonymous map rather than ``bytes``, because only a map can tell that a view of it is alive.
    """

    copies: ClassVar[bool] = True

    def load(self, descriptor: int, source: Source, seen: Identity, offset: int, size: int) -> mmap.mmap:
        """See readers.Reader."""
        memory = mmap.mmap(-1, size)
        try:
            done = 0
            while done < size:
                # Pieces of a MiB, so that the copy out of the short-lived bytes stays in the cache.
                piece = _platform.read_at(descriptor, min(size - done, MIB), offset + done)
                if not piece:
                    raise FileChangedError(source.target, f"it ends at {offset + done} bytes, inside a window")
                memory[done : done + len(piece)] = piece
                done += len(piece)
            # It may have been rewritten meanwhile, and a window holds one state of the file.
            seen.check(self._identity(os.fstat(descriptor), source.target), source.target)
        except BaseException:
            memory.close()
            raise
        return memory


def read_ahead(descriptor: int, size: int, offset: int) -> None:
    """Ask the kernel for ``size`` bytes at ``offset``, as far as this system can be asked."""
    _platform.read_ahead(descriptor, size, offset)


def is_cached(descriptor: int, offset: int) -> bool:
    """Whether the byte at ``offset`` is in the page cache, as far as this system can be asked without waiting."""
    return _platform.is_cached(descriptor, offset)
