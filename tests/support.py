"""What all tests share: content that tells where a byte came from, and the kernel as the judge."""

import copy
import errno
import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, ClassVar, Final, Generic, ParamSpec, Protocol, TypeVar

import pytest
from typing_extensions import override

from smmap_typed.readers import FileState, MmapReader, Source
from smmap_typed.testing.content import pattern, write_pattern
from smmap_typed.testing.kernel import DESCRIPTORS_PER_REGION
from smmap_typed.values import ManagerStats

if TYPE_CHECKING:
    from _typeshed import TraceFunction

__all__ = [
    "DESCRIPTORS_PER_REGION",
    "GRANULE",
    "SECONDS",
    "SYSTEM_CALLS",
    "CutsOneWindow",
    "Fault",
    "ObservedMap",
    "WindowReader",
    "assert_books_match_kernel",
    "close_proc",
    "descriptors_of",
    "forget_the_page_cache",
    "mapped_bytes_of",
    "mapped_ranges_of",
    "opcodes_of",
    "open_descriptor",
    "pattern",
    "release_descriptors",
    "run_python",
    "write_pattern",
]

P = ParamSpec("P")
T = TypeVar("T")

GRANULE: Final = mmap.ALLOCATIONGRANULARITY
"""Bytes: what windows are aligned to."""
SECONDS: Final = 300
"""When a wait for another thread or process is given up: far more than it takes on the busiest machine, since no test's
success depends on speed."""

SYSTEM_CALLS: Final[list[tuple[ModuleType, str]]] = [
    (os, "open"),
    (os, "stat"),
    (os, "fstat"),
    (os, "dup"),
    (os, "close"),
    (os, "pread"),
    (os, "preadv"),
    (os, "posix_fadvise"),
    (mmap, "mmap"),
]
"""The functions by which the library makes its system calls, but for ``mmap.close``: where each is, and its name."""


def forget_the_page_cache(patch: pytest.MonkeyPatch) -> None:
    """Let nobody find anything in it, so that ``prefetch`` asks the kernel each time."""
    if sys.platform != "win32":
        real = os.preadv

        def find_nothing(
            descriptor: int, buffers: Sequence[bytearray | memoryview], offset: int, flags: int = 0
        ) -> int:
            if not flags:
                return real(descriptor, buffers, offset)
            raise BlockingIOError(errno.EAGAIN, "not in the page cache")

        patch.setattr(os, "preadv", find_nothing)


def close_proc(patch: pytest.MonkeyPatch) -> None:
    """Let nobody open a file by the name of a descriptor, as where ``/proc`` is not mounted: then it is duplicated."""
    real = os.open

    def refuse(path: str, flags: int) -> int:
        if str(path).startswith("/proc/"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return real(path, flags)

    patch.setattr(os, "open", refuse)


@contextmanager
def open_descriptor(path: Path) -> Generator[int]:
    """A descriptor of ``path`` for reading."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def mapped_ranges_of(path: Path) -> list[tuple[int, int]]:
    """What the kernel has mapped of ``path`` in this process: (file offset, bytes), by address.

    The kernel merges neighbours, so compare bytes rather than the number of ranges. Sizes are whole pages.
    """
    inode = os.stat(path).st_ino
    ranges: list[tuple[int, int]] = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, _, offset, _, number, *_ = line.split(maxsplit=5)
        if int(number) == inode:
            low, high = (int(address, 16) for address in addresses.split("-"))
            ranges.append((int(offset, 16), high - low))
    return ranges


def mapped_bytes_of(path: Path) -> int:
    """Bytes, in whole pages, that the kernel has mapped of ``path`` in this process."""
    return sum(size for _, size in mapped_ranges_of(path))


def descriptors_of(path: Path) -> int:
    """How many descriptors this process has open on ``path``."""
    status = os.stat(path)
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            other = os.stat(f"/proc/self/fd/{name}")
        except OSError:
            continue
        count += (other.st_dev, other.st_ino) == (status.st_dev, status.st_ino)
    return count


class Limited(Protocol):
    """What has a limit of handles that can be changed."""

    def max_file_handles(self) -> int:
        """The limit."""
        ...

    def num_file_handles(self) -> int:
        """Regions."""
        ...

    def configure(self, *, max_open_handles: int) -> None:
        """Set the limit."""
        ...

    def collect(self) -> int:
        """Close what nobody uses."""
        ...


def release_descriptors(manager: Limited) -> None:
    """Have ``manager`` close what descriptors it keeps: for a moment its regions need the room. They stay."""
    limit, regions = manager.max_file_handles(), manager.num_file_handles()
    if not regions:
        manager.collect()
        return
    manager.configure(max_open_handles=regions)
    manager.configure(max_open_handles=limit)


class Books(Protocol):
    """What a manager says about itself that the kernel can confirm."""

    def mapped_memory_size(self) -> int:
        """Bytes."""
        ...

    def num_file_handles(self) -> int:
        """Regions."""
        ...

    def stats(self) -> ManagerStats:
        """With the number of descriptors that are kept."""
        ...


def assert_books_match_kernel(manager: Books, *paths: Path, own_descriptors: int = 0) -> None:
    """What ``manager`` reports is what the kernel shows of ``paths``, all the files that it has maps of.

    The sizes of the files must be multiples of ``GRANULE``; ``own_descriptors`` are those that the test has open.
    """
    mapped = sum(mapped_bytes_of(path) for path in paths)
    descriptors = sum(descriptors_of(path) for path in paths) - own_descriptors
    wanted = manager.num_file_handles() * DESCRIPTORS_PER_REGION + manager.stats().kept_descriptors
    assert (manager.mapped_memory_size(), wanted) == (mapped, descriptors)


class WindowReader:
    """A reader that maps as ``"mmap"`` does, and cannot read without a window."""

    copies: ClassVar[bool] = False

    def identify(self, source: Source) -> FileState:
        """See readers.Reader."""
        return MmapReader().identify(source)

    def open(self, source: Source, seen: FileState, flags: int) -> int:
        """See readers.Reader."""
        return MmapReader().open(source, seen, flags)

    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        """See readers.Reader."""
        return MmapReader().load(descriptor, source, seen, offset, size)


class CutsOneWindow(WindowReader):
    """A reader whose map of the window at ``offset`` is a byte too short, so that the pool rejects it."""

    def __init__(self, offset: int) -> None:
        self._offset: Final = offset

    @override
    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        """See readers.Reader."""
        return super().load(descriptor, source, seen, offset, size - (offset == self._offset))


class ObservedMap(mmap.mmap):
    """Stands in for ``mmap.mmap``: calls every one of ``observers`` before it closes."""

    observers: ClassVar[list[Callable[[], object]]] = []

    @override
    def close(self) -> None:
        for observer in ObservedMap.observers.copy():
            observer()
        super().close()


class Fault(Generic[P, T]):
    """Stands in for the function ``real``: counts its calls, and fails once, at the call with number ``at``.

    With ``after``, the call that fails does its work first, as ``close`` does. 0 is no call: then it only counts.
    """

    def __init__(
        self, real: Callable[P, T], error: BaseException | None = None, at: int = 0, *, after: bool = False
    ) -> None:
        self._real: Final = real
        self._error: Final = error
        self._at: Final = at
        self._after: Final = after
        self.calls = 0

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        self.calls += 1
        if self.calls != self._at or self._error is None:
            return self._real(*args, **kwargs)
        if self._after:
            self._real(*args, **kwargs)
        # Not the one that is kept: its traceback would keep the library's frames, and they what they refer to.
        raise copy.copy(self._error)


def opcodes_of(act: Callable[[], object]) -> int:
    """How many steps of byte code ``act`` takes in all that it calls: a cost that no other load can change."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> "TraceFunction":
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    # CPython 3.12 counts nothing unless a frame wants opcodes when tracing begins.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


def run_python(code: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run ``code`` in an interpreter of its own, which makes every warning an error."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
