"""Descriptors that a manager keeps of its files: they save system calls, count as handles, and are the first to go."""

import os
import resource
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from isolated import in_a_child
from rewriting import SIZE, ReaderName, assert_reads
from smmap_typed import SlidingWindowMapManager, WindowCursor
from support import (
    DESCRIPTORS_PER_REGION,
    GRANULE,
    Fault,
    descriptors_of,
    mapped_bytes_of,
    open_descriptor,
    pattern,
    write_pattern,
)

# Who judges is Linux; the type checkers pass over the rest elsewhere.
assert sys.platform == "linux"

FILES = 10


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Ten files of four granules."""
    paths = [tmp_path / f"file {seed}" for seed in range(FILES)]
    for seed, path in enumerate(paths):
        write_pattern(path, SIZE, seed)
    return paths


def descriptors_kept(manager: SlidingWindowMapManager, reader: ReaderName, paths: Sequence[Path]) -> int:
    """What the kernel shows of ``paths`` beyond what their maps cost."""
    for_maps = manager.num_file_handles() * DESCRIPTORS_PER_REGION if reader == "mmap" else 0
    return sum(map(descriptors_of, paths)) - for_maps


@pytest.mark.pure
@pytest.mark.parametrize("by_descriptor", [False, True])
def test_a_miss_neither_opens_nor_closes(
    paths: list[Path], reader: ReaderName, by_descriptor: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its first use a cursor maps with no more than the kept descriptor.

    ``reader="pread"`` may look at it, to see that its copies are of one state.
    """
    names = ["open", "close", "dup", "stat", *(["fstat"] if reader == "mmap" else [])]
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager, open_descriptor(paths[1]) as number:
        cursor = manager.make_cursor(number if by_descriptor else paths[1]).use_region(0, 16)
        faults = {name: Fault(getattr(os, name)) for name in names}
        with monkeypatch.context() as patch:
            for name, fault in faults.items():
                patch.setattr(os, name, fault)
            for offset in range(GRANULE, SIZE, GRANULE):
                assert bytes(cursor.use_region(offset, 16).buffer()) == pattern(16, 1, offset)
        assert {name: fault.calls for name, fault in faults.items()} == dict.fromkeys(names, 0)
        assert manager.num_file_handles() == SIZE // GRANULE


@pytest.mark.pure
def test_a_new_cursor_looks_and_does_not_open(
    paths: list[Path], reader: ReaderName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is the same, so what is kept of it serves for its miss."""
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        manager.make_cursor(paths[1]).use_region(0, 16)
        opened, closed = Fault(os.open), Fault(os.close)
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", opened)
            patch.setattr(os, "close", closed)
            cursor = manager.make_cursor(paths[1]).use_region(GRANULE, 16)
        assert bytes(cursor.buffer()) == pattern(16, 1, GRANULE)
        assert (opened.calls, closed.calls) == (0, 0)


@pytest.mark.parametrize("max_open_handles", [1, 2, 3, 8])
def test_regions_and_what_is_kept_never_exceed_the_limit(
    paths: list[Path], reader: ReaderName, max_open_handles: int
) -> None:
    """Whether cursors stand somewhere or not; files are read in windows that come and go."""
    with SlidingWindowMapManager(GRANULE, max_open_handles=max_open_handles, reader=reader) as manager:
        cursors: list[WindowCursor] = []
        for turn in range(40):
            seed, offset = turn * 7 % FILES, turn * 3 % 4 * GRANULE
            cursor = manager.make_cursor(paths[seed])
            assert bytes(cursor.use_region(offset, 16).buffer()) == pattern(16, seed, offset)
            assert manager.num_file_handles() + descriptors_kept(manager, reader, paths) <= max_open_handles
            # The next move always finds a handle.
            cursors = [*cursors, cursor][-max_open_handles + 1 :] if max_open_handles > 1 else []
            del cursor
            assert manager.num_file_handles() + descriptors_kept(manager, reader, paths) <= max_open_handles


def test_what_is_kept_goes_before_any_region(paths: list[Path], reader: ReaderName) -> None:
    """Idle regions stay while a descriptor can go, up to the last handle."""
    with SlidingWindowMapManager(0, max_open_handles=FILES, reader=reader) as manager:
        for path in paths[: FILES // 2]:
            manager.make_cursor(path).use_region()
        assert descriptors_kept(manager, reader, paths) == FILES // 2
        cursors = [manager.make_cursor(path).use_region() for path in paths[FILES // 2 :]]
        assert (manager.num_file_handles(), descriptors_kept(manager, reader, paths)) == (FILES, 0)
        misses = manager.stats().misses
        cursors = [*(manager.make_cursor(path).use_region() for path in paths[: FILES // 2]), *cursors]
        assert [bytes(cursor.buffer()) for cursor in cursors] == [pattern(SIZE, seed) for seed in range(FILES)]
        assert (manager.stats().misses, manager.stats().evictions) == (misses, 0)


def test_a_lower_limit_closes_what_is_kept(paths: list[Path], reader: ReaderName) -> None:
    """``configure`` shrinks at once, and leaves the regions that fit."""
    with SlidingWindowMapManager(0, max_open_handles=2 * FILES, reader=reader) as manager:
        for path in paths:
            manager.make_cursor(path).use_region()
        assert descriptors_kept(manager, reader, paths) == FILES
        manager.configure(max_open_handles=FILES)
        assert (manager.num_file_handles(), descriptors_kept(manager, reader, paths)) == (FILES, 0)
        manager.configure(max_open_handles=2)
        assert manager.num_file_handles() + descriptors_kept(manager, reader, paths) <= 2


@pytest.mark.parametrize("by_descriptor", [False, True])
class TestNothingStaysOpen:
    """No descriptor of a file is left to the process, except the user's own, which are closed here."""

    def test_after_collect(self, paths: list[Path], reader: ReaderName, by_descriptor: bool) -> None:
        with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
            use(manager, paths, by_descriptor=by_descriptor)
            manager.collect()
            assert [descriptors_of(path) for path in paths] == [0] * FILES
            assert_reads(manager.make_cursor(paths[1]), pattern(SIZE, 1))

    def test_after_close(self, paths: list[Path], reader: ReaderName, by_descriptor: bool) -> None:
        with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
            cursors = use(manager, paths, by_descriptor=by_descriptor)
            view = cursors[1].view(3, 16)
        # The map of the view's window is left, and goes with the view.
        left = DESCRIPTORS_PER_REGION if reader == "mmap" else 0
        assert sum(map(descriptors_of, paths)) == left
        assert view == pattern(16, 1, 3)
        del view
        manager.collect()
        assert [descriptors_of(path) for path in paths] == [0] * FILES

    def test_after_the_last_reference(self, paths: list[Path], reader: ReaderName, by_descriptor: bool) -> None:
        manager = SlidingWindowMapManager(GRANULE, reader=reader)
        cursors = use(manager, paths, by_descriptor=by_descriptor)
        del manager
        assert_reads(cursors[1], pattern(SIZE, 1))
        del cursors
        assert [descriptors_of(path) for path in paths] == [0] * FILES
        assert [mapped_bytes_of(path) for path in paths] == [0] * FILES


def use(manager: SlidingWindowMapManager, paths: list[Path], *, by_descriptor: bool) -> list[WindowCursor]:
    """Read every file to its end, by its path or by a descriptor that is closed afterwards; return the cursors."""
    with ExitStack() as stack:
        cursors = [
            manager.make_cursor(stack.enter_context(open_descriptor(path)) if by_descriptor else path) for path in paths
        ]
        for seed, cursor in enumerate(cursors):
            assert_reads(cursor, pattern(SIZE, seed))
        return cursors


def take_descriptors(stack: ExitStack) -> None:
    """Open so many that the system gives no more."""
    while True:
        stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))


@in_a_child
def test_a_process_without_descriptors_gets_those_that_are_kept(paths: list[Path], reader: ReaderName) -> None:
    """At EMFILE they go first: the call works, and no window is unmapped for it."""
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + 3 * FILES, hard))
    with SlidingWindowMapManager(0, max_open_handles=1000, reader=reader) as manager, ExitStack() as stack:
        for path in paths[1:]:
            manager.make_cursor(path).use_region()
        with pytest.raises(OSError, match="Too many open files"):
            take_descriptors(stack)
        cursor = manager.make_cursor(paths[0]).use_region()
        assert bytes(cursor.buffer()) == pattern(SIZE, 0)
        assert (manager.num_file_handles(), manager.stats().evictions) == (FILES, 0)
        stack.close()
        for seed, path in enumerate(paths):
            assert_reads(manager.make_cursor(path), pattern(SIZE, seed))
