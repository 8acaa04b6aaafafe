"""Reads evict nothing: at the limits they go by a descriptor, and are counted as detached."""

import mmap
import sys
from pathlib import Path

import pytest

from kinds_of_reads import PLACE, SIZE, WINDOW, Kind, ready
from smmap_typed import SlidingWindowMapManager
from smmap_typed.testing import check_invariants
from support import GRANULE, Fault, assert_books_match_kernel, mapped_ranges_of, pattern, write_pattern

# The kernel's maps are in /proc.
assert sys.platform != "win32"


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """The file that is read."""
    path = tmp_path / "read"
    write_pattern(path, SIZE)
    return path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The file whose windows fill the limits."""
    path = tmp_path / "other"
    write_pattern(path, 8 * WINDOW, 7)
    return path


@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize("limit", ["memory", "strict memory", "handles"])
def test_full_limits_are_no_error_and_unmap_nothing(
    kind: Kind, limit: str, pinned: bool, slow: Path, other: Path
) -> None:
    """Whether what fills them is idle or pinned: all of it stays mapped, and nothing of the file that is read."""
    with SlidingWindowMapManager(
        WINDOW,
        0 if limit == "handles" else 4 * WINDOW,
        5 if limit == "handles" else 64,
        strict_memory=limit == "strict memory",
    ) as manager:
        act = ready(kind, manager, slow, mapped=False)
        # What a buffer has mapped for itself goes here, as far as it may.
        cursors = [manager.make_cursor(other) for _ in range(5)]
        room = 5 - manager.num_file_handles() if limit == "handles" else 4 - manager.num_file_handles()
        for number, cursor in enumerate(cursors[:room]):
            cursor.use_region(number * WINDOW, 16)
        if not pinned:
            for cursor in cursors:
                cursor.unuse_region()
        before = (mapped_ranges_of(other), mapped_ranges_of(slow))
        manager.reset_stats()
        assert act() == kind.wanted
        assert (mapped_ranges_of(other), mapped_ranges_of(slow)) == before
        stats = manager.stats()
        assert (stats.evictions, stats.unmaps, stats.misses) == (0, 0, 0)
        assert stats.detached_reads > 0
        check_invariants(manager)
        assert_books_match_kernel(manager, slow, other)


def test_a_window_is_mapped_if_there_is_room(slow: Path) -> None:
    """One for each read, until the limit; then the kernel shows no more, and the reads go on."""
    with SlidingWindowMapManager(WINDOW, 3 * WINDOW) as manager:
        cursor = manager.make_cursor(slow)
        mapped: list[int] = []
        for number in range(6):
            assert cursor.read(number * WINDOW + 9, 64) == pattern(64, 0, number * WINDOW + 9)
            mapped.append(sum(size for _, size in mapped_ranges_of(slow)) // WINDOW)
            assert_books_match_kernel(manager, slow)
        assert mapped == [1, 2, 3, 3, 3, 3]
        stats = manager.stats()
        assert (stats.detached_reads, stats.detached_bytes, stats.maps, stats.evictions) == (6, 6 * 64, 3, 0)
        # Known bytes are copied from the windows that are there; others are not.
        for number in range(6):
            assert cursor.read(number * WINDOW + 9, 64) == pattern(64, 0, number * WINDOW + 9)
        assert manager.stats().detached_reads == 9
        # A cursor that goes there maps, and evicts, as ever.
        assert bytes(cursor.use_region(5 * WINDOW, 16).buffer()) == pattern(16, 0, 5 * WINDOW)
        assert manager.stats().evictions == 1


def test_a_read_moves_no_cursor_and_pins_nothing(slow: Path) -> None:
    """Also if it maps: the window is idle afterwards."""
    with SlidingWindowMapManager(WINDOW) as manager:
        cursor = manager.make_cursor(slow).use_region(3, 16)
        region = cursor.region()
        assert cursor.read(PLACE, GRANULE) == pattern(GRANULE, 0, PLACE)
        assert (cursor.region(), cursor.ofs_begin(), cursor.size()) == (region, 3, 16)
        stats = manager.stats()
        assert (stats.handles, stats.idle_regions, stats.pinned_regions) == (2, 1, 1)
        assert manager.collect() == 1


def test_a_region_that_is_read_is_passed_over_once(slow: Path) -> None:
    """Reads pin nothing; but the window is in use, so a second chance is due, and one only."""
    with SlidingWindowMapManager(WINDOW, 3 * WINDOW) as manager:
        cursor = manager.make_cursor(slow)
        for number in (0, 2, 4):
            cursor.use_region(number * WINDOW, 1)
        cursor.unuse_region()

        def turns() -> list[int]:
            """The windows in the order of their eviction."""
            return [
                region.window.offset // WINDOW
                for region in sorted(manager.regions(), key=lambda region: -1 if region.turn is None else region.turn)
            ]

        assert turns() == [0, 2, 4]
        cursor.read(9, 64)
        cursor.read(9, 64)
        assert turns() == [2, 4, 0]
        order = turns()
        for number in (6, 8):
            # A second cursor, so that nothing stays pinned.
            with manager.make_cursor(slow) as mover:
                mover.use_region(number * WINDOW, 1)
            gone = order.pop(0)
            assert gone not in turns()
            check_invariants(manager)
        assert turns() == [0, 6, 8]
        # Nobody has read it since.
        with manager.make_cursor(slow) as mover:
            mover.use_region(10 * WINDOW, 1)
        assert turns() == [6, 8, 10]


def test_if_all_were_read_the_first_goes(slow: Path) -> None:
    """And each of the others has lost its mark."""
    with SlidingWindowMapManager(WINDOW, 2 * WINDOW) as manager:
        cursor = manager.make_cursor(slow)
        for number in (0, 2):
            cursor.use_region(number * WINDOW, 1)
        cursor.unuse_region()
        for number in (2, 0):
            for _ in range(2):
                cursor.read(number * WINDOW, 64)
        cursor.use_region(4 * WINDOW, 1)
        assert sorted(region.window.offset // WINDOW for region in manager.regions()) == [2, 4]
        assert not any(frame.referenced for frame in manager._pool.tables.frames.values())


def test_an_exception_of_a_handler_is_not_taken_for_a_lack_of_room(slow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it is an OSError. The next read maps the window."""
    with SlidingWindowMapManager(WINDOW) as manager:
        cursor = manager.make_cursor(slow)
        with monkeypatch.context() as patch:
            patch.setattr(mmap, "mmap", Fault(mmap.mmap, TimeoutError("of a handler"), at=1))
            with pytest.raises(TimeoutError, match="of a handler"):
                cursor.read(PLACE, 16)
        assert cursor.read(PLACE, 16) == pattern(16, offset=PLACE)
        assert manager.stats().maps == 1
        check_invariants(manager)
