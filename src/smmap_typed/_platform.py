"""Platform: all that differs between operating systems, word sizes and versions of the interpreter."""

import contextlib
import io
import mmap
import operator
import os
import sys
import threading
from mmap import ALLOCATIONGRANULARITY
from typing import Final, SupportsIndex

from smmap_typed._types import Advice

if sys.platform != "win32":  # pragma: no branch - Linux measures
    import resource

__all__ = [
    "ALLOCATIONGRANULARITY",
    "AUTO_WINDOW_SIZE",
    "CAN_TELL_VIEWS",
    "DEFAULT_MEMORY_SIZE",
    "DEFAULT_WINDOW_SIZE",
    "IS_WINDOWS",
    "MIB",
    "NOT_WAITING",
    "OPEN_FLAGS",
    "PAST_CACHE_FLAGS",
    "PATH_FLAGS",
    "PREAD_WINDOW_SIZE",
    "WRITING_FLAGS",
    "advise",
    "align_to_mmap",
    "default_handle_limit",
    "descriptor_limit",
    "file_system",
    "has_views",
    "is_64_bit",
    "is_cached",
    "is_faked",
    "keeps_pages",
    "major_faults",
    "map_file",
    "read_ahead",
    "read_at",
    "read_into",
]

MIB: Final = 1024 * 1024


def align_to_mmap(num: SupportsIndex, round_up: bool) -> int:  # noqa: FBT001 - smmap's signature
    """Round ``num`` bytes to a multiple of ``ALLOCATIONGRANULARITY``, down or up.

    :raises TypeError: if ``num`` is not an integer.

    >>> align_to_mmap(1, False), align_to_mmap(1, True) == ALLOCATIONGRANULARITY
    (0, True)
    """
    nbytes = operator.index(num)
    down = nbytes // ALLOCATIONGRANULARITY * ALLOCATIONGRANULARITY
    return down + ALLOCATIONGRANULARITY if round_up and down != nbytes else down


def is_64_bit() -> bool:
    """Whether this interpreter has 64-bit addresses."""
    return sys.maxsize > (1 << 32) - 1


# The defaults are those of smmap: windows of 1 GiB and 8 GiB of memory where there are 64-bit addresses.
DEFAULT_WINDOW_SIZE: Final = 1024 * MIB if is_64_bit() else 64 * MIB
DEFAULT_MEMORY_SIZE: Final = 8192 * MIB if is_64_bit() else 1024 * MIB
# Reading a window into memory should take about a millisecond, not a second.
PREAD_WINDOW_SIZE: Final = MIB
# A map costs the same whatever its size, but a copy does not. This size suits a reader that may make either.
AUTO_WINDOW_SIZE: Final = 16 * MIB

IS_WINDOWS: Final = os.name == "nt"

# In a tuple, since pyfakefs replaces functions wherever it finds them under a name.
_REAL: Final = (os.fstat,)


def is_faked(descriptor: int, status: os.stat_result) -> bool:
    """Whether ``status``, the result of ``os.fstat`` for ``descriptor``, differs from what the system says of it.

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
# With this flag, a read past the page cache needs aligned memory, offset and size. It means nothing for a map.
PAST_CACHE_FLAGS: Final[int] = getattr(os, "O_DIRECT", 0)
# The library only reads, so it refuses flags that would allow writing.
WRITING_FLAGS: Final[int] = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


# From CPython 3.13 on, a map need not keep a duplicate of the descriptor.
MAPS_HOLD_DESCRIPTORS: Final = sys.platform == "win32" or sys.version_info < (3, 13)

_MAP_COUNT: Final = "/proc/sys/vm/max_map_count"

if sys.platform != "win32":

    def descriptor_limit() -> int:
        """Return how many descriptors the system allows this process now, or ``sys.maxsize`` if any number."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return sys.maxsize if limit == resource.RLIM_INFINITY else limit

else:  # pragma: no cover - Linux measures

    def descriptor_limit() -> int:
        """Return ``sys.maxsize``: on this system a map takes a handle, of which a process may have millions."""
        return sys.maxsize


def map_limit() -> int:
    """Return how many maps the system allows a process, or ``sys.maxsize`` if it reports no number; only Linux does."""
    try:
        # Not by the builtin ``open``: see ``_type_of``.
        with io.FileIO(_MAP_COUNT) as file:
            return int(file.readall())
    except (OSError, ValueError):
        return sys.maxsize


def default_handle_limit() -> int:
    """Return half of the maps that this process may have, and half of the descriptors where a map costs one.

    The other half is for the rest of the program. ``sys.maxsize`` where the system has no such limits.
    """
    allowed = min(map_limit(), descriptor_limit()) if MAPS_HOLD_DESCRIPTORS else map_limit()
    return sys.maxsize if allowed == sys.maxsize else max(allowed // 2, 1)


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


if sys.platform not in {"win32", "darwin"}:

    def read_into(descriptor: int, target: memoryview, offset: int) -> int:
        """Read at ``offset`` into ``target``, without moving the descriptor's position; return how many bytes came."""
        return os.preadv(descriptor, (target,), offset)

else:  # pragma: no cover - Linux measures

    def read_into(descriptor: int, target: memoryview, offset: int) -> int:
        """Read at ``offset`` into ``target``, and return how many bytes came. Older systems have no ``preadv``."""
        data = read_at(descriptor, len(target), offset)
        target[: len(data)] = data
        return len(data)


if sys.platform != "win32":

    def major_faults() -> int:
        """Return how many page faults of this process have read from storage."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_majflt

else:  # pragma: no cover - Linux measures

    def major_faults() -> int:
        """Return 0: this system does not report them."""
        return 0


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

    _file_systems: Final[dict[tuple[int, ...], str]] = {}
    """The types of file systems, by what identifies each. Any thread adds to it."""

    def file_system(descriptor: int, device: int) -> str:
        """Return the type of the file system that has the file, such as "overlay"; "" if nothing reveals it.

        ``device`` is the number of its device. Asking takes a fraction of a millisecond for the first file of a file
        system and 1 microsecond for others. A block device says nothing: the driver of NTFS can be a FUSE server.
        """
        try:
            # The number of a device that is no block device is given to another file system after an unmount.
            system = os.statvfs(descriptor)
        except OSError:
            # Some FUSE servers have no answer.
            return _type_of(descriptor)
        key = (device, system.f_fsid, system.f_blocks, system.f_bsize, system.f_namemax)
        known = _file_systems.get(key)
        if known is None:
            _file_systems[key] = known = _type_of(descriptor)
        return known

    def _type_of(descriptor: int) -> str:
        try:
            # Not by the builtin ``open``, which a finaliser does not find any more while the interpreter exits.
            with io.FileIO(f"/proc/self/fdinfo/{descriptor}") as info, io.FileIO("/proc/self/mountinfo") as mounts:
                mount = next(line.split()[1] for line in info.readall().splitlines() if line.startswith(b"mnt_id:"))
                line = next(line for line in mounts.readall().splitlines() if line.split(b" ", 1)[0] == mount)
            # The type of a mount comes right after the separator.
            return line.partition(b" - ")[2].partition(b" ")[0].decode("ascii", "replace")
        except (OSError, StopIteration):
            # Where /proc is not mounted.
            return ""

    def read_ahead(descriptor: int, size: int, offset: int) -> None:
        """Ask the kernel to bring ``size`` bytes at ``offset`` into the page cache, without waiting for them."""
        os.posix_fadvise(descriptor, offset, size, os.POSIX_FADV_WILLNEED)

else:  # pragma: no cover - Linux measures

    def is_cached(descriptor: int, offset: int) -> bool:  # noqa: ARG001 - the signature is the same as on Linux
        """Return False: this system cannot be asked."""
        return False

    def file_system(descriptor: int, device: int) -> str:  # noqa: ARG001 - the signature is the same as on Linux
        """Return "": only Linux has the file systems that need a treatment of their own."""
        return ""

    def read_ahead(descriptor: int, size: int, offset: int) -> None:
        """Do nothing: only Linux is asked."""


# On these, a read need not leave its bytes where a map finds them. It may go past the page cache: FUSE with direct I/O,
# whose files can be mapped since Linux 6.6; 9p without a cache; SMB and Ceph without a lease. And the kernel drops the
# pages of most FUSE files when another program opens them. Nothing tells in which of these ways a file is served.
_FORGETFUL: Final = ("fuse", "virtiofs", "9p", "cifs", "smb3", "ceph")


def keeps_pages(kind: str) -> bool:
    """Whether a file system of this type leaves what was read in the page cache, where maps find it."""
    return not kind.startswith(_FORGETFUL)


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
