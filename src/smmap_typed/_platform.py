"""Platform: all that differs between operating systems, word sizes and versions of the interpreter."""

import contextlib
import mmap
import os
import sys
import threading
from mmap import ALLOCATIONGRANULARITY
from typing import Final

from smmap_typed._types import Advice

__all__ = [
    "ALLOCATIONGRANULARITY",
    "CAN_TELL_VIEWS",
    "DEFAULT_MEMORY_SIZE",
    "DEFAULT_WINDOW_SIZE",
    "IS_WINDOWS",
    "MIB",
    "NOT_WAITING",
    "OPEN_FLAGS",
    "PATH_FLAGS",
    "PREAD_WINDOW_SIZE",
    "WRITING_FLAGS",
    "advise",
    "align_to_mmap",
    "has_views",
    "is_64_bit",
    "is_cached",
    "is_faked",
    "map_file",
    "read_ahead",
    "read_at",
]

MIB: Final = 1024 * 1024


def align_to_mmap(num: int, round_up: bool) -> int:  # noqa: FBT001 - smmap's signature
    """Round ``num`` bytes to a multiple of ``ALLOCATIONGRANULARITY``, down or up.

    >>> align_to_mmap(1, False), align_to_mmap(1, True) == ALLOCATIONGRANULARITY
    (0, True)
    """
    down = num // ALLOCATIONGRANULARITY * ALLOCATIONGRANULARITY
    return down + ALLOCATIONGRANULARITY if round_up and down != num else down


def is_64_bit() -> bool:
    """Whether this interpreter has 64-bit addresses."""
    return sys.maxsize > (1 << 32) - 1


# The defaults are those of smmap: windows of 1 GiB and 8 GiB of memory where there are 64-bit addresses.
DEFAULT_WINDOW_SIZE: Final = 1024 * MIB if is_64_bit() else 64 * MIB
DEFAULT_MEMORY_SIZE: Final = 8192 * MIB if is_64_bit() else 1024 * MIB
# Reading a window into memory should take about a millisecond, not a second.
PREAD_WINDOW_SIZE: Final = MIB

IS_WINDOWS: Final = os.name == "nt"

# In a tuple, since what fakes a file system replaces functions wherever it finds them under a name.
_REAL: Final = (os.fstat,)


def is_faked(descriptor: int, status: os.stat_result) -> bool:
    """Whether ``status``, which ``os.fstat`` has told of ``descriptor``, is not what the system says of that number.

    pyfakefs replaces ``os.open`` and ``os.fstat``, but neither ``os.pread`` nor ``mmap.mmap``: these would read
    whichever file has that number. If ``os.fstat`` is not replaced, there is nothing to ask.
    """
    fstat = _REAL[0]
    if os.fstat is fstat:
        return False
    try:
        real = fstat(descriptor)
    except OSError:
        return True
    return (real.st_dev, real.st_ino) != (status.st_dev, status.st_ino)


# Without this flag, opening a FIFO that has no writer would block for ever.
NOT_WAITING: Final[int] = getattr(os, "O_NONBLOCK", 0)
OPEN_FLAGS: Final[int] = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | NOT_WAITING
# With this flag, Linux gives a descriptor to look at without opening the file, so it does not wait, even for a FIFO.
PATH_FLAGS: Final[int] = getattr(os, "O_PATH", 0)
# The library only reads, so it refuses flags that would allow writing.
WRITING_FLAGS: Final[int] = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


if sys.platform != "win32" and sys.version_info >= (3, 13):  # pragma: no cover - newer than what measures

    def map_file(descriptor: int, size: int, offset: int) -> mmap.mmap:
        """Map ``size`` bytes at ``offset``, read-only, without keeping a duplicate of the descriptor."""
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ, offset=offset, trackfd=False)

else:

    def map_file(descriptor: int, size: int, offset: int) -> mmap.mmap:
        """Map ``size`` bytes at ``offset``, read-only; the map keeps a duplicate of the descriptor."""
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ, offset=offset)


if sys.platform != "win32":

    def read_at(descriptor: int, size: int, offset: int) -> bytes:
        """Read up to ``size`` bytes at ``offset`` without moving the descriptor's position."""
        return os.pread(descriptor, size, offset)

else:  # pragma: no cover - Linux measures
    # Windows has no pread. Threads that read windows of a file share its descriptor, which has only one position.
    _one_position: Final = threading.Lock()

    def read_at(descriptor: int, size: int, offset: int) -> bytes:
        """Read up to ``size`` bytes at ``offset``, moving the descriptor's position."""
        with _one_position:
            os.lseek(descriptor, offset, os.SEEK_SET)
            return os.read(descriptor, size)


if sys.platform != "win32":

    def advise(mapping: mmap.mmap, advice: Advice) -> None:
        """Advise the kernel how ``mapping`` will be read. Errors, and advice that the system lacks, are ignored."""
        with contextlib.suppress(OSError, AttributeError):
            mapping.madvise(getattr(mmap, f"MADV_{advice.upper()}"))

else:  # pragma: no cover - Linux measures

    def advise(mapping: mmap.mmap, advice: Advice) -> None:
        """Do nothing: this system has no ``madvise``."""


if sys.platform == "linux":

    def is_cached(descriptor: int, offset: int) -> bool:
        """Whether the byte at ``offset`` is in the page cache; False if the kernel cannot tell without waiting."""
        try:
            return os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) == 1
        except (OSError, AttributeError, NotImplementedError):
            # Python lacks these names where the C library lacks them.
            return False

    def read_ahead(descriptor: int, size: int, offset: int) -> None:
        """Ask the kernel to bring ``size`` bytes at ``offset`` into the page cache, without waiting for them."""
        os.posix_fadvise(descriptor, offset, size, os.POSIX_FADV_WILLNEED)

else:  # pragma: no cover - Linux measures

    def is_cached(descriptor: int, offset: int) -> bool:  # noqa: ARG001 - the signature is the same as on Linux
        """Return False: this system cannot be asked."""
        return False

    def read_ahead(descriptor: int, size: int, offset: int) -> None:
        """Do nothing: only Linux is asked."""


CAN_TELL_VIEWS: Final = hasattr(mmap.mmap, "resize")
"""Whether ``has_views`` can tell."""


def has_views(mapping: mmap.mmap) -> bool:
    """Whether a memoryview of ``mapping`` is alive. Changes nothing.

    Calls ``resize(-1)``, which always fails, because -1 is not a size. CPython looks for views of the map before it
    checks anything else, so the kind of error is the answer. Where maps have no ``resize`` the answer is False, and
    only ``close`` can tell.
    """
    resize = getattr(mapping, "resize", None)
    if resize is None:
        return False
    try:
        resize(-1)
    except BufferError:
        return True
    except (TypeError, ValueError, SystemError):
        return False
    return False  # pragma: no cover - the call always fails
