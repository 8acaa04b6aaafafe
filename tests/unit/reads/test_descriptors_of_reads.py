"""The descriptors by which reads go: within the limit of handles, given back when they are scarce, closed in time."""

import gc
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from forks import fork, status_of
from isolated import in_a_child
from smmap_typed import SlidingWindowMapManager
from smmap_typed.testing import check_invariants
from stops import Stop
from support import DESCRIPTORS_PER_REGION, GRANULE, descriptors_of, pattern, release_descriptors, write_pattern

# Descriptors are counted in /proc; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

import resource  # noqa: E402 - see above

FILES: Final = 8
WINDOW: Final = 2 * GRANULE
SIZE: Final = 8 * GRANULE


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Eight files of four windows."""
    paths = [tmp_path / str(number) for number in range(FILES)]
    for number, path in enumerate(paths):
        write_pattern(path, SIZE, number)
    return paths


def open_on(paths: list[Path]) -> int:
    return sum(map(descriptors_of, paths))


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 64])
def test_regions_and_descriptors_stay_within_the_limit(limit: int, paths: list[Path]) -> None:
    """After each read, as the kernel counts them."""
    with SlidingWindowMapManager(WINDOW, max_open_handles=limit) as manager:
        cursors = [manager.make_cursor(path) for path in paths]
        for step in range(40):
            number, offset = step * 3 % FILES, step * 5 % 7 * GRANULE + 9
            assert cursors[number].read(offset, 64) == pattern(64, number, offset)
            stats = manager.stats()
            assert stats.handles + stats.kept_descriptors <= limit
            assert open_on(paths) == stats.handles * DESCRIPTORS_PER_REGION + stats.kept_descriptors
            check_invariants(manager)
        assert manager.stats().evictions == 0


@in_a_child
def test_they_are_given_back_first_when_the_process_has_no_descriptors_left(paths: list[Path]) -> None:
    """No window goes, and the read of another file works."""
    with SlidingWindowMapManager(WINDOW) as manager:
        cursors = [manager.make_cursor(path) for path in paths[:4]]
        for number, cursor in enumerate(cursors):
            assert cursor.read(9, 64) == pattern(64, number, 9)
        regions = manager.stats().handles
        assert manager.stats().kept_descriptors == 4
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        # What is free below the limit.
        spare = [os.open("/dev/null", os.O_RDONLY) for _ in range(highest - len(os.listdir("/proc/self/fd")) + 2)]
        with pytest.raises(OSError, match="Too many open files"):
            os.open("/dev/null", os.O_RDONLY)
        assert manager.make_cursor(paths[5]).read(9, 64) == pattern(64, 5, 9)
        for descriptor in spare:
            os.close(descriptor)
        stats = manager.stats()
        assert (stats.evictions, stats.unmaps) == (0, 0)
        assert stats.handles >= regions
        assert stats.kept_descriptors <= 1
        check_invariants(manager)
        # And those that lost theirs are opened again.
        for number, cursor in enumerate(cursors):
            assert cursor.read(7 * GRANULE + 9, 64) == pattern(64, number, 7 * GRANULE + 9)


@pytest.mark.parametrize("how", ["collect", "close", "forced removal", "dropped", "lower limit"])
def test_they_are_closed(how: str, paths: list[Path]) -> None:
    """By whatever ends their use."""
    manager = SlidingWindowMapManager(WINDOW)
    for path in paths:
        manager.make_cursor(path).read(9, 64)
    assert manager.stats().kept_descriptors == FILES
    if how == "collect":
        manager.collect()
    elif how == "close":
        manager.close()
    elif how == "forced removal":
        manager._force_removal(str(paths[0].parent))
    elif how == "lower limit":
        release_descriptors(manager)
        assert open_on(paths) == FILES * DESCRIPTORS_PER_REGION
        manager.close()
    else:
        del manager
        gc.collect()
    assert open_on(paths) == 0


def test_forced_removal_closes_only_those_below_the_path(paths: list[Path]) -> None:
    with SlidingWindowMapManager(WINDOW, reader="pread") as manager:
        for path in paths:
            manager.make_cursor(path).read(9, 64)
        manager._force_removal(str(paths[3]))
        assert [descriptors_of(path) for path in paths] == [int(number != 3) for number in range(FILES)]
        assert manager.make_cursor(paths[3]).read(9, 64) == pattern(64, 3, 9)
        check_invariants(manager)


def test_a_child_reads_and_closes_nothing_of_its_parent(paths: list[Path]) -> None:
    """Right after a fork, by the descriptors that it has inherited; the parent's stay open."""
    with SlidingWindowMapManager(WINDOW) as manager:
        cursors = [manager.make_cursor(path) for path in paths]
        for cursor in cursors:
            cursor.read(9, 64)
        before = open_on(paths)

        def read_and_collect() -> None:
            for number, cursor in enumerate(cursors):
                assert cursor.read(5 * GRANULE + 9, 64) == pattern(64, number, 5 * GRANULE + 9)
            manager.collect()
            assert open_on(paths) == 0
            for number, cursor in enumerate(cursors):
                assert cursor.read(7 * GRANULE + 9, 64) == pattern(64, number, 7 * GRANULE + 9)
            check_invariants(manager)

        assert status_of(fork(read_and_collect)) == 0
        assert open_on(paths) == before
        for number, cursor in enumerate(cursors):
            assert cursor.read(7 * GRANULE + 9, 64) == pattern(64, number, 7 * GRANULE + 9)
        check_invariants(manager)


@pytest.mark.pure
@pytest.mark.parametrize("how", ["collect", "close", "forced removal", "configure"])
def test_none_is_closed_under_the_read_of_another_thread(
    how: str, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number must not go to another file before the read has ended; then it is closed at once."""
    path = paths[0]
    manager = SlidingWindowMapManager(WINDOW, reader="mmap", reads="pread", max_open_handles=4)
    cursor = manager.make_cursor(path)
    cursor.file_size()
    assert descriptors_of(path) == 1
    stop = Stop(monkeypatch, "pread")

    def read() -> bytes:
        stop.volunteer()
        return cursor.read(9, 64)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(read)
        assert stop.inside.wait(30)
        if how == "collect":
            manager.collect()
        elif how == "close":
            manager.close()
        elif how == "forced removal":
            manager._force_removal(str(path))
        else:
            manager.make_cursor(paths[1]).use_region(0, 1)
            release_descriptors(manager)
        assert manager.stats().kept_descriptors == 0
        # Not closed, so nobody gets its number.
        assert descriptors_of(path) == 1
        others = [os.open(paths[2], os.O_RDONLY) for _ in range(4)]
        stop.go_on.set()
        assert future.result() == pattern(64, 0, 9)
        for other in others:
            os.close(other)
    del future
    manager.close()
    assert descriptors_of(path) == 0
