"""What differs between operating systems, word sizes, interpreter versions, and the two builds."""

import contextlib
import mmap
import os
import sys
from collections.abc import Callable
from mmap import ALLOCATIONGRANULARITY
from typing import TYPE_CHECKING, Final

from smmap_typed._types import Advice

__all__ = [
    "ALLOCATIONGRANULARITY",
    "DEFAULT_MEMORY_SIZE",
    "DEFAULT_WINDOW_SIZE",
    "IS_WINDOWS",
    "MIB",
    "OPEN_FLAGS",
    "PREAD_WINDOW_SIZE",
    "WRITING_FLAGS",
    "advise",
    "align_to_mmap",
    "has_views",
    "is_64_bit",
    "is_cached",
    "map_file",
    "mypyc_attr",
    "read_ahead",
    "read_at",
]

MIB: Final = 1024 * 1024


if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**_settings: bool) -> Callable[[type], type]:
        """What mypyc is to do with a class. Nothing to the interpreter."""
        return lambda definition: definition


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


# The defaults are smmap's: one GiB of window and eight of memory where addresses are plenty.
DEFAULT_WINDOW_SIZE: Final = 1024 * MIB if is_64_bit() else 64 * MIB
DEFAULT_MEMORY_SIZE: Final = 8192 * MIB if is_64_bit() else 1024 * MIB
# A window that is read whole should cost about a millisecond, not a second.
PREAD_WINDOW_SIZE: Final = MIB

IS_WINDOWS: Final = os.name == "nt"

# O_NONBLOCK: opening a FIFO without a writer would block for ever; it means nothing to a regular file.
OPEN_FLAGS: Final[int] = (
    os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
)
# A library that only reads refuses to open in any way that could write.
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

    def read_at(descriptor: int, size: int, offset: int) -> bytes:
        """Read up to ``size`` bytes at ``offset``; Windows has no pread, so the position moves."""
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, size)


if sys.platform != "win32":

    def advise(mapping: mmap.mmap, advice: Advice) -> None:
        """Tell the kernel how ``mapping`` will be read. It is an advice: no error matters, nor a system without it."""
        with contextlib.suppress(OSError, AttributeError):
            mapping.madvise(getattr(mmap, f"MADV_{advice.upper()}"))

else:  # pragma: no cover - Linux measures

    def advise(mapping: mmap.mmap, advice: Advice) -> None:
        """Nothing to tell: this system has no ``madvise``."""


if sys.platform == "linux":

    def is_cached(descriptor: int, offset: int) -> bool:
        """Whether the byte at ``offset`` is in the page cache; False if it cannot be told without waiting."""
        try:
            return os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) == 1
        except (OSError, AttributeError, NotImplementedError):
            # What the C library lacks, Python has not.
            return False

    def read_ahead(descriptor: int, size: int, offset: int) -> None:
        """Ask the kernel to bring ``size`` bytes at ``offset`` into the page cache, and do not wait."""
        os.posix_fadvise(descriptor, offset, size, os.POSIX_FADV_WILLNEED)

else:  # pragma: no cover - Linux measures

    def is_cached(descriptor: int, offset: int) -> bool:  # noqa: ARG001 - as where there is something to ask
        """False: this system cannot be asked."""
        return False

    def read_ahead(descriptor: int, size: int, offset: int) -> None:
        """Nothing to ask for: this system has no ``posix_fadvise``."""


def has_views(mapping: mmap.mmap) -> bool:
    """Whether somebody holds a memoryview of ``mapping``, without changing anything.

    CPython looks at the exports of a map before it looks at anything else that could keep ``resize`` from working,
    and -1 is no size, so the call always fails and the kind of error is the answer. Where ``resize`` is missing the
    answer is no, and only ``close`` can tell.
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
