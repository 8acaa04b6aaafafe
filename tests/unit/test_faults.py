"""Faults: every system call of a small workload fails once, in every way, and nothing is the worse for it.

After each failure the kernel shows what the books say, every cursor stands where it stood, and the same call works.
"""

import contextlib
import errno
import itertools
import mmap
import os
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final, Literal

import pytest
from typing_extensions import override

from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager, WindowCursor
from support import (
    GRANULE,
    SYSTEM_CALLS,
    Fault,
    assert_books_match_kernel,
    descriptors_of,
    mapped_bytes_of,
    write_pattern,
)

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

SIZE: Final = 8 * GRANULE
SCARCE: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}

ReaderName = Literal["mmap", "pread"]


class World:
    """A manager with four handles, two files, cursors by path and by descriptor, and what is to be done with them."""

    def __init__(self, folder: Path, reader: ReaderName) -> None:
        self.reader: Final = reader
        self.paths: Final = (folder / "first", folder / "second")
        self.contents: Final = [path.read_bytes() for path in self.paths]
        self.manager: Final = SlidingWindowMapManager(GRANULE, max_open_handles=4, reader=reader)
        self.descriptor: Final = os.open(self.paths[0], os.O_RDONLY)
        self.by_path: Final = self.manager.make_cursor(self.paths[0])
        self.by_descriptor: Final = self.manager.make_cursor(self.descriptor)
        self.second: Final = self.manager.make_cursor(self.paths[1])
        self.buffer: Final = SlidingWindowMapBuffer()
        self.views: Final[list[memoryview]] = []

    def steps(self) -> Iterator[Callable[[], None]]:
        """What is done, in order. Each may be done again, and checks the bytes that it gets."""
        yield lambda: self.use(self.by_path, 0, 0)
        yield lambda: self.use(self.by_descriptor, 0, GRANULE)
        yield self.take_view
        yield lambda: self.use(self.by_path, 0, 5 * GRANULE)
        yield lambda: self.use(self.second, 1, GRANULE)
        yield self.second.unuse_region
        yield lambda: self.use(self.by_descriptor, 0, 6 * GRANULE)
        yield self.views.clear
        yield self.read
        yield self.prefetch
        yield self.bind
        yield self.slice
        yield self.collect

    def use(self, cursor: WindowCursor, number: int, offset: int) -> None:
        """Move a cursor."""
        assert bytes(cursor.use_region(offset, 9).buffer()) == self.contents[number][offset : offset + 9]

    def take_view(self) -> None:
        """Keep a view of a window that no cursor is on."""
        self.views[:] = [self.by_descriptor.view(3 * GRANULE, 9)]
        assert bytes(self.views[0]) == self.contents[0][3 * GRANULE : 3 * GRANULE + 9]

    def read(self) -> None:
        """Read across windows."""
        assert self.second.read(5, SIZE) == self.contents[1][5:]

    def prefetch(self) -> None:
        """Ask for pages."""
        self.second.prefetch(5, SIZE)

    def bind(self) -> None:
        """Give the buffer its file."""
        assert self.buffer.begin_access(self.second, 7)

    def slice(self) -> None:
        """Slice across windows."""
        assert self.buffer[GRANULE : 4 * GRANULE] == self.contents[1][GRANULE + 7 : 4 * GRANULE + 7]

    def collect(self) -> None:
        """Unmap what is idle."""
        self.manager.collect()

    def positions(self) -> list[tuple[bool, int, int]]:
        """Where every cursor stands."""
        cursors = (self.by_path, self.by_descriptor, self.second)
        return [(cursor.is_valid(), cursor.is_valid() and cursor.ofs_begin(), cursor.size()) for cursor in cursors]

    def check(self, maps: "list[weakref.ref[mmap.mmap]]") -> None:
        """The books equal what is open, as the kernel and the maps themselves tell."""
        alive = [mapping for reference in maps if (mapping := reference()) is not None and not mapping.closed]
        stats = self.manager.stats()
        assert stats.maps - stats.unmaps == stats.handles == len(alive) == self.manager.num_file_handles()
        assert (stats.in_flight, stats.hits + stats.misses) == (0, stats.acquisitions)
        assert self.manager.mapped_memory_size() == sum(len(mapping) for mapping in alive)
        del alive
        if self.reader == "mmap":
            assert_books_match_kernel(self.manager, *self.paths, own_descriptors=1)
        else:
            assert [descriptors_of(path) for path in self.paths] == [1, 0]
            assert [mapped_bytes_of(path) for path in self.paths] == [0, 0]

    def end(self, maps: "list[weakref.ref[mmap.mmap]]") -> None:
        """Let everything go; nothing may be left."""
        for cursor in (self.by_path, self.by_descriptor, self.second):
            cursor.close()
        self.buffer.end_access()
        self.views.clear()
        self.manager.collect()
        self.check(maps)
        assert self.manager.num_file_handles() == 0
        os.close(self.descriptor)
        assert [descriptors_of(path) for path in self.paths] == [0, 0]


def attempt(step: Callable[[], None], error: BaseException) -> bool:
    """Do ``step``; whether it raised ``error``. Any other error is the test's."""
    try:
        step()
    except BaseException as caught:
        if caught is not error:
            raise
        return True
    finally:
        # Raised or retried: the frames that it passed hold views.
        error.with_traceback(None)
    return False


def strike(folder: Path, reader: ReaderName, owner: ModuleType, name: str, error: BaseException, at: int) -> bool:
    """Run the workload with the call number ``at`` of one function failing; False if there are fewer calls."""
    world = World(folder, reader)
    maps: list[weakref.ref[mmap.mmap]] = []
    real_map = mmap.mmap

    def noted(descriptor: int, size: int, **rest: bool) -> mmap.mmap:  # as narrow as the narrowest of its options
        mapping = real_map(descriptor, size, **rest)
        maps.append(weakref.ref(mapping))
        return mapping

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmap, "mmap", noted)
        fault: Fault[..., object] = Fault(getattr(owner, name), error, at, after=name == "close")
        for step in world.steps():
            before, calls = world.positions(), fault.calls
            # Only here, since the judges make system calls too.
            with pytest.MonkeyPatch.context() as only_here:
                only_here.setattr(owner, name, fault)
                raised = attempt(step, error)
            if calls < at <= fault.calls:
                assert raised or (isinstance(error, OSError) and error.errno in SCARCE)
                world.check(maps)
            if raised:
                after = world.positions()
                # At the handle limit a move may have given up its own cursor's window.
                assert all(new in (old, (False, False, 0)) for new, old in zip(after, before, strict=True))
                assert sum(new != old for new, old in zip(after, before, strict=True)) <= 1
                step()
                world.check(maps)
        world.end(maps)
    return fault.calls >= at


ERRORS: Final[list[Callable[[], BaseException]]] = [
    *(lambda code=code: OSError(code, os.strerror(code)) for code in sorted(SCARCE)),
    lambda: OSError(errno.EIO, os.strerror(errno.EIO)),
    lambda: PermissionError(errno.EACCES, os.strerror(errno.EACCES)),
    lambda: InterruptedError(errno.EINTR, os.strerror(errno.EINTR)),
    MemoryError,
    KeyboardInterrupt,
]


def error_name(make: Callable[[], BaseException]) -> str:
    """For the names of the tests."""
    error = make()
    return errno.errorcode[error.errno] if isinstance(error, OSError) and error.errno else type(error).__name__


@pytest.mark.parametrize("reader", ["mmap", "pread"])
@pytest.mark.parametrize("make_error", ERRORS, ids=error_name)
@pytest.mark.parametrize(("owner", "name"), SYSTEM_CALLS, ids=[name for _, name in SYSTEM_CALLS])
def test_a_system_call_that_fails_once_leaves_everything_right(
    tmp_path: Path, reader: ReaderName, owner: ModuleType, name: str, make_error: Callable[[], BaseException]
) -> None:
    """Whichever of the workload's calls it is: the error or a retry, true books, no leak, and the call works again."""
    for seed, file in enumerate(("first", "second")):
        write_pattern(tmp_path / file, SIZE, seed)

    def strike_at(number: int) -> bool:
        return strike(tmp_path, reader, owner, name, make_error(), number)

    struck = len(list(itertools.takewhile(strike_at, itertools.count(1))))
    assert struck > 0 or (reader, name) == ("mmap", "pread")


class StruckMap(mmap.mmap):
    """A map whose ``close`` is struck by an exception once, before or after it has done its work."""

    error: BaseException | None = None
    after = True

    @override
    def close(self) -> None:
        """Close, and raise what was left to be raised."""
        error, StruckMap.error = StruckMap.error, None
        if error is None or StruckMap.after:
            super().close()
        if error is not None:
            raise error


@pytest.mark.parametrize("act", ["evict", "collect", "configure", "close"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError()], ids=["KeyboardInterrupt", "MemoryError"])
def test_an_exception_at_an_unmapping_leaves_the_books_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, *, after: bool, error: BaseException
) -> None:
    """The map itself tells what came of it: gone and struck out, or there and counted; the next call goes on."""
    path = tmp_path / "file"
    content = write_pattern(path, SIZE)
    monkeypatch.setattr(mmap, "mmap", StruckMap)
    manager = SlidingWindowMapManager(GRANULE, max_open_handles=3)
    cursor = manager.make_cursor(path)
    for offset in range(0, 3 * GRANULE, GRANULE):
        cursor.use_region(offset)
    cursor.close()

    def do() -> None:
        if act == "evict":
            cursor.use_region(5 * GRANULE)
        elif act == "collect":
            manager.collect()
        elif act == "configure":
            manager.configure(max_open_handles=1)
        else:
            manager.close()

    monkeypatch.setattr(StruckMap, "error", error)
    monkeypatch.setattr(StruckMap, "after", after)
    assert attempt(do, error)
    assert_books_match_kernel(manager, path)
    do()
    assert_books_match_kernel(manager, path)
    if act != "close":
        assert manager.make_cursor(path).read(0, SIZE) == content
    cursor.close()
    manager.close()
    assert (manager.num_file_handles(), mapped_bytes_of(path), descriptors_of(path)) == (0, 0, 0)


def test_a_view_that_outlives_a_failed_call_shows_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults in between change nothing of what it shows."""
    path = tmp_path / "file"
    content = write_pattern(path, SIZE)
    with SlidingWindowMapManager(GRANULE, max_open_handles=2) as manager:
        view = manager.make_cursor(path).use_region(GRANULE).buffer()
        for owner, name in SYSTEM_CALLS:
            fault: Fault[..., object] = Fault(
                getattr(owner, name), OSError(errno.EIO, "fault"), 1, after=name == "close"
            )
            with monkeypatch.context() as patch, contextlib.suppress(OSError):
                patch.setattr(owner, name, fault)
                manager.make_cursor(path).read(0, SIZE)
        assert manager.make_cursor(path).read(0, SIZE) == content
        assert bytes(view) == content[GRANULE : 2 * GRANULE]


@pytest.mark.parametrize("reader", ["mmap", "pread"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "fault"), KeyboardInterrupt()], ids=["EIO", "KeyboardInterrupt"])
@pytest.mark.parametrize("name", ["open", "fstat", "close"])
def test_an_error_that_is_kept_keeps_nothing_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: ReaderName, name: str, error: BaseException
) -> None:
    """Its traceback holds the library's frames; what they mapped is closed all the same, not only forgotten."""
    path = tmp_path / "file"
    write_pattern(path, SIZE)
    maps: list[mmap.mmap] = []
    real_map = mmap.mmap

    def kept(descriptor: int, size: int, **rest: bool) -> mmap.mmap:  # as narrow as the narrowest of its options
        maps.append(real_map(descriptor, size, **rest))
        return maps[-1]

    monkeypatch.setattr(mmap, "mmap", kept)
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        cursor = manager.make_cursor(path)
        assert cursor.file_size() == SIZE
        fault: Fault[..., object] = Fault(getattr(os, name), error, 1, after=name == "close")
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fault)
            with pytest.raises(type(error)) as caught:
                cursor.use_region(0)
        assert caught.value.__traceback__ is not None
        assert all(mapping.closed for mapping in maps)
        assert (manager.num_file_handles(), manager.mapped_memory_size()) == (0, 0)
        assert (mapped_bytes_of(path), descriptors_of(path)) == (0, 0)
        assert cursor.use_region(0).is_valid()
