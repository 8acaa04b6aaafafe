"""Regions: frozen, compared by identity, counted, and honest once they are unmapped."""

import gc
import mmap
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from smmap_typed import Region, RegionUnmappedError, SlidingWindowMapManager, Window, WindowCursor
from support import GRANULE, write_pattern


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of four granules and a bit."""
    path = tmp_path / "file"
    write_pattern(path, 4 * GRANULE + 100)
    return path


@pytest.fixture
def manager() -> Iterator[SlidingWindowMapManager]:
    """Windows of two granules."""
    with SlidingWindowMapManager(2 * GRANULE) as manager:
        yield manager


def region_of(cursor: WindowCursor) -> Region:
    """The region of a valid cursor."""
    region = cursor.region()
    assert region is not None
    return region


def test_it_tells_its_range_absolute(path: Path, manager: SlidingWindowMapManager) -> None:
    """The last window ends with the file."""
    region = region_of(manager.make_cursor(path).use_region(4 * GRANULE, 50))
    assert region.window == Window(region.ofs_begin(), region.size())
    assert region.ofs_begin() % GRANULE == 0
    assert region.ofs_end() == region.ofs_begin() + region.size() == 4 * GRANULE + 100
    inside = [offset for offset in range(region.ofs_begin() - 2, region.ofs_end() + 2) if region.includes_ofs(offset)]
    assert inside == list(range(region.ofs_begin(), region.ofs_end()))
    with pytest.raises(TypeError, match=r"^ofs must be an integer, got str$"):
        region.includes_ofs("5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_it_is_frozen_and_compared_by_identity(path: Path, manager: SlidingWindowMapManager) -> None:
    """Two cursors on one window have one region; another window's is another, and no field can be set."""
    first, second = (region_of(manager.make_cursor(path).use_region(offset, 1)) for offset in (0, 5))
    other = region_of(manager.make_cursor(path).use_region(3 * GRANULE, 1))
    assert first is second
    assert first == second
    assert first != other
    assert len({first, second, other}) == 2
    for name in ("anything", "size", "window"):
        # CPython 3.11 words the refusal of a name that is no field as a TypeError.
        with pytest.raises((AttributeError, TypeError)):
            setattr(first, name, 1)


def test_two_windows_of_one_range_are_two_regions(path: Path, manager: SlidingWindowMapManager) -> None:
    """Mapped again after it was unmapped, a window is another region."""
    first = region_of(manager.make_cursor(path).use_region(0, 1))
    manager.collect()
    second = region_of(manager.make_cursor(path).use_region(0, 1))
    assert first != second
    assert first.window == second.window


def test_its_bytes(path: Path, manager: SlidingWindowMapManager) -> None:
    """``buffer()`` and ``map()`` show all of the window."""
    region = region_of(manager.make_cursor(path).use_region(2 * GRANULE, 1))
    expected = path.read_bytes()[region.ofs_begin() : region.ofs_end()]
    view = region.buffer()
    assert (type(view), view.readonly, bytes(view)) == (memoryview, True, expected)
    assert type(region.map()) is mmap.mmap
    assert region.map()[:] == expected


def test_client_count_is_one_and_the_cursors(path: Path, manager: SlidingWindowMapManager) -> None:
    """Views and the region object itself are no clients."""
    cursors = [manager.make_cursor(path).use_region(0, 1) for _ in range(3)]
    region = region_of(cursors[0])
    view, second_view = cursors[0].buffer(), region.buffer()
    assert region.client_count() == 4
    cursors.pop()
    cursors[0].use_region(3 * GRANULE, 1)
    assert region.client_count() == 2
    cursors.clear()
    assert region.client_count() == 1
    view.release()
    second_view.release()
    manager.collect()
    assert region.client_count() == 0


def test_holding_a_region_pins_nothing_but_its_buffer_does(path: Path, manager: SlidingWindowMapManager) -> None:
    """``collect`` unmaps it; a view of it keeps it mapped."""
    region = region_of(manager.make_cursor(path).use_region(0, 1))
    view = region.buffer()
    assert manager.collect() == 0
    view.release()
    assert manager.collect() == 1


def test_an_unmapped_region_says_so(path: Path, manager: SlidingWindowMapManager) -> None:
    """``map`` and ``buffer`` raise RegionUnmappedError, a ValueError with the range; the range is told still."""
    region = region_of(manager.make_cursor(path).use_region(0, 1))
    manager.collect()
    for call in (region.map, region.buffer):
        with pytest.raises(RegionUnmappedError, match=f"{2 * GRANULE} bytes at 0 was unmapped"):
            call()
    assert (region.ofs_begin(), region.size(), region.client_count()) == (0, 2 * GRANULE, 0)
    assert "unmapped" in repr(region)


def test_nobody_keeps_a_region_object_alive(path: Path, manager: SlidingWindowMapManager) -> None:
    """It is made when somebody asks, and goes with its last user."""
    cursor = manager.make_cursor(path).use_region(0, 1)
    reference = weakref.ref(region_of(cursor))
    gc.collect()
    assert reference() is None
    assert cursor.is_valid()
