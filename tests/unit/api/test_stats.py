"""Statistics: what is counted, what is a gauge, and the equations that always hold."""

from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from smmap_typed import FileStats, ManagerStats, SlidingWindowMapBuffer, SlidingWindowMapManager
from support import GRANULE, release_descriptors, write_pattern


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of eight granules."""
    path = tmp_path / "file"
    write_pattern(path, 8 * GRANULE)
    return path


@pytest.fixture
def manager() -> Iterator[SlidingWindowMapManager]:
    """Windows of one granule, three of them."""
    with SlidingWindowMapManager(GRANULE, max_open_handles=3) as manager:
        yield manager


def assert_consistent(manager: SlidingWindowMapManager) -> ManagerStats:
    """The equations between the fields and with the manager's queries; return the statistics."""
    stats = manager.stats()
    assert stats.maps - stats.unmaps == stats.handles
    assert manager.num_file_handles() == stats.handles + stats.in_flight
    assert manager.mapped_memory_size() == stats.mapped_bytes
    assert manager.num_open_files() == stats.open_files == len(stats.files)
    assert stats.hits + stats.misses == stats.acquisitions
    assert stats.idle_regions + stats.pinned_regions + stats.view_pinned_regions == stats.handles
    assert stats.evictions <= stats.unmaps
    assert stats.peak_handles >= stats.handles
    assert stats.peak_mapped_bytes >= stats.mapped_bytes
    assert stats.handles + stats.in_flight + stats.kept_descriptors <= manager.max_file_handles()
    for gauge in ("mapped_bytes", "handles", "idle_regions", "pinned_regions", "view_pinned_regions"):
        assert sum(getattr(file, gauge) for file in stats.files) == getattr(stats, gauge)
    return stats


def test_a_new_manager_has_counted_nothing(manager: SlidingWindowMapManager) -> None:
    """All zero."""
    stats = assert_consistent(manager)
    assert (stats.acquisitions, stats.misses, stats.maps, stats.handles, stats.files) == (0, 0, 0, 0, ())
    assert stats.kept_descriptors == 0


def test_staying_in_a_window_is_no_acquisition(path: Path, manager: SlidingWindowMapManager) -> None:
    """A first use is a miss, a move to a mapped window a hit, and the rest is free."""
    cursor = manager.make_cursor(path)
    for offset in (0, 5, 9):
        cursor.use_region(offset, 8)
    stats = assert_consistent(manager)
    assert (stats.acquisitions, stats.misses, stats.hits) == (1, 1, 0)
    for offset in (GRANULE, 0, GRANULE, 0):
        cursor.use_region(offset, 8)
    stats = assert_consistent(manager)
    assert (stats.acquisitions, stats.misses, stats.hits) == (5, 2, 3)


def test_evictions_are_unmaps_for_room(path: Path, manager: SlidingWindowMapManager) -> None:
    """``collect`` unmaps too, and evicts nothing."""
    cursor = manager.make_cursor(path)
    for offset in range(0, 5 * GRANULE, GRANULE):
        cursor.use_region(offset)
        assert_consistent(manager)
    cursor.close()
    manager.collect()
    stats = assert_consistent(manager)
    assert (stats.maps, stats.unmaps, stats.evictions) == (5, 5, 2)
    assert (stats.peak_handles, stats.peak_mapped_bytes) == (3, 3 * GRANULE)
    assert stats.map_seconds > 0


def test_the_uses_of_regions_are_told_apart(path: Path, manager: SlidingWindowMapManager) -> None:
    """Idle, pinned by cursors, kept by views alone: each region is one of them, per file too."""
    pinned = manager.make_cursor(path).use_region(0)
    view = manager.make_cursor(path).use_region(GRANULE).buffer()
    manager.make_cursor(path).use_region(2 * GRANULE)
    stats = assert_consistent(manager)
    assert (stats.idle_regions, stats.pinned_regions, stats.view_pinned_regions) == (1, 1, 1)
    assert stats.files == (FileStats(str(path), 8 * GRANULE, 3 * GRANULE, 3, 1, 1, 1),)
    del pinned, view
    assert assert_consistent(manager).idle_regions == 3


def test_each_file_has_its_gauges(path: Path, tmp_path: Path, manager: SlidingWindowMapManager) -> None:
    """By the name that mapped it first."""
    other = tmp_path / "other"
    write_pattern(other, 100)
    cursors = [manager.make_cursor(source).use_region(0) for source in (path, other)]
    files = {file.target: (file.file_size, file.mapped_bytes, file.handles) for file in manager.stats().files}
    assert files == {str(path): (8 * GRANULE, GRANULE, 1), str(other): (100, 100, 1)}
    assert len(cursors) == manager.stats().open_files == 2


def test_failures_are_counted(tmp_path: Path, manager: SlidingWindowMapManager, path: Path) -> None:
    """An attempt to map that the system refused; the ledger is as before."""
    cursor = manager.make_cursor(path)
    assert cursor.file_size() == 8 * GRANULE
    release_descriptors(manager)
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError):
        cursor.use_region(0)
    stats = assert_consistent(manager)
    assert (stats.map_failures, stats.maps, stats.misses, stats.acquisitions) == (1, 0, 0, 0)


def test_reset_clears_counters_and_keeps_gauges(path: Path, manager: SlidingWindowMapManager) -> None:
    """``maps`` becomes ``handles``, peaks start anew, and what was counted before is not counted again."""
    cursors = [manager.make_cursor(path).use_region(offset * GRANULE) for offset in range(2)]
    view = cursors[0].buffer()
    buffer = SlidingWindowMapBuffer(cursors[0])
    assert len(buffer[0 : 6 * GRANULE]) == 6 * GRANULE
    del cursors[0], buffer
    before = assert_consistent(manager)
    manager.reset_stats()
    stats = assert_consistent(manager)
    assert (stats.acquisitions, stats.misses, stats.unmaps, stats.evictions, stats.map_failures) == (0, 0, 0, 0, 0)
    assert stats.map_seconds == 0
    assert stats.maps == stats.handles == before.handles
    assert (stats.peak_handles, stats.peak_mapped_bytes) == (stats.handles, stats.mapped_bytes)
    assert stats.files == before.files
    cursors.clear()
    view.release()
    manager.collect()
    stats = assert_consistent(manager)
    assert (stats.acquisitions, stats.handles, stats.unmaps) == (0, 0, before.handles)


def test_statistics_are_an_immutable_value(path: Path, manager: SlidingWindowMapManager) -> None:
    """Later work does not change them, and no field can be set."""
    stats = manager.stats()
    manager.make_cursor(path).use_region(0)
    assert stats.maps == 0
    field = "maps"
    with pytest.raises(FrozenInstanceError):
        setattr(stats, field, 3)
    assert stats == SlidingWindowMapManager().stats()
    assert hash(stats) == hash(SlidingWindowMapManager().stats())


def test_figures_stay_right_through_a_mixed_workload(path: Path, manager: SlidingWindowMapManager) -> None:
    """After every step the equations hold, and the counters never fall."""
    before = manager.stats()
    cursors = [manager.make_cursor(path) for _ in range(2)]
    views: list[memoryview] = []
    for step in range(60):
        cursor = cursors[step % 2]
        cursor.use_region(step * 7 % 8 * GRANULE, 9)
        if step % 5 == 0:
            views[:] = [cursor.buffer()]
        if step % 11 == 0:
            cursor.close()
        if step % 17 == 0:
            manager.collect()
        stats = assert_consistent(manager)
        for counter in ("acquisitions", "misses", "maps", "unmaps", "evictions", "map_seconds", "peak_handles"):
            assert getattr(stats, counter) >= getattr(before, counter)
        before = stats
