"""Windows: immutable ranges, and contiguity by brute force.

The arithmetic is tried for every interesting request; a sample of it on real files.
"""

import itertools
import struct
import tempfile
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import smmap_typed
from smmap_typed import SlidingWindowMapManager, StaticWindowMapManager, Window, align_to_mmap
from smmap_typed._pool.grid import Grid
from support import GRANULE, write_pattern

GRANULES = [2, 3, 4, 5, 16]


def near_granules(upto: int) -> list[int]:
    """The numbers below ``upto`` that lie on, or one beside, a multiple of a granule."""
    near = {edge + step for edge in range(0, upto + GRANULE, GRANULE) for step in (-1, 0, 1)}
    return sorted(number for number in near if 0 <= number < upto)


@pytest.mark.parametrize("granules", GRANULES)
def test_no_request_of_up_to_half_a_window_is_cut(granules: int) -> None:
    """Contiguity: every request lies whole in the one window that serves it, and every window is in bounds."""
    window = granules * GRANULE
    grid = Grid.of(window)
    sizes = [size for size in near_granules(window // 2 + 1) if size]
    for file_size in near_granules(2 * window + 2 * GRANULE):
        offsets = near_granules(file_size)
        for offset, size in itertools.product(offsets, [0, *sizes, window // 2]):
            stop = grid.wanted_end(offset, size, file_size)
            start = grid.start(offset, stop)
            end = start + grid.size(start, file_size)
            assert stop == min(offset + (size or window // 2), file_size)
            assert start % GRANULE == 0
            assert start <= offset < stop <= end <= file_size
            assert end - start <= window
            assert end % GRANULE == 0 or end == file_size


@pytest.mark.parametrize("granules", GRANULES)
def test_one_window_serves_each_request_wherever_the_cursor_comes_from(granules: int) -> None:
    """Deterministic keys: the windows begin at multiples of half a window, and the even ones alone cover the file."""
    window = granules * GRANULE
    grid = Grid.of(window)
    half = granules // 2 * GRANULE
    for offset in near_granules(3 * window):
        even, near = grid.start(offset, offset + 1), grid.start(offset, offset + window // 2)
        assert even % (2 * half) == 0
        assert near % half == 0
        assert near - even in (0, half)


def test_a_window_of_one_granule_still_covers_every_byte() -> None:
    """One granule is too small to overlap: requests are served from their first byte to the window's end."""
    grid = Grid.of(1)
    assert grid.window_size == GRANULE
    for offset in near_granules(4 * GRANULE):
        start = grid.start(offset, offset + 1)
        assert (start, grid.size(start, 4 * GRANULE)) == (offset // GRANULE * GRANULE, GRANULE)


@st.composite
def requests(draw: st.DrawFn) -> tuple[int, int, list[tuple[int, int]]]:
    """A window, a file of up to three of them, and moves on it, many near the edges."""
    granules = draw(st.sampled_from(GRANULES))
    window = granules * GRANULE
    file_size = draw(st.integers(1, 3 * window))
    offsets = st.one_of(st.sampled_from(near_granules(file_size)), st.integers(0, file_size - 1))
    sizes = st.one_of(st.sampled_from(near_granules(window // 2 + 1)), st.integers(0, window // 2))
    return granules, file_size, draw(st.lists(st.tuples(offsets, sizes), max_size=12))


@settings(max_examples=60, deadline=None)
@given(requests())
def test_contiguity_on_real_files(  # type: ignore[misc]  # Hypothesis forgets the parameters of what it decorates
    given_requests: tuple[int, int, list[tuple[int, int]]],
) -> None:
    """Wherever a cursor was before, up to half a window comes back whole, with the right bytes."""
    granules, file_size, moves = given_requests
    window = granules * GRANULE
    with tempfile.TemporaryDirectory() as folder, SlidingWindowMapManager(window) as manager:
        path = Path(folder, "file")
        content = write_pattern(path, file_size)
        cursor = manager.make_cursor(path)
        for offset, size in moves:
            cursor.use_region(offset, size)
            region = cursor.region()
            assert region is not None
            assert region.ofs_begin() % GRANULE == 0
            assert region.size() <= window
            if size:
                assert cursor.size() == min(size, file_size - offset)
            else:
                assert cursor.size() >= min(window // 2, file_size - offset)
                assert cursor.ofs_end() == region.ofs_end()
            assert bytes(cursor.buffer()) == content[offset : offset + cursor.size()]


def test_a_cursor_stays_in_its_window_while_the_request_fits(tmp_path: Path) -> None:
    """From an odd window, a request that an even one serves too maps nothing and takes no pin."""
    path = tmp_path / "file"
    content = write_pattern(path, 8 * GRANULE)
    with SlidingWindowMapManager(4 * GRANULE) as manager:
        cursor = manager.make_cursor(path).use_region(4 * GRANULE - 1, GRANULE)
        before = manager.stats().acquisitions
        cursor.use_region(2 * GRANULE, 2 * GRANULE)
        assert manager.stats().acquisitions == before == 1
        assert bytes(cursor.buffer()) == content[2 * GRANULE : 4 * GRANULE]
        cursor.use_region(2 * GRANULE - 1, 1)
        assert manager.stats().acquisitions == 2


def test_a_request_of_more_than_half_a_window_may_be_cut_and_size_tells(tmp_path: Path) -> None:
    """Past half a window the window's end may cut: ``size()`` says so, and the bytes that came are right."""
    path = tmp_path / "file"
    content = write_pattern(path, 8 * GRANULE)
    with SlidingWindowMapManager(2 * GRANULE) as manager:
        cursor = manager.make_cursor(path).use_region(100, 6 * GRANULE)
        assert GRANULE <= cursor.size() < 2 * GRANULE
        assert bytes(cursor.buffer()) == content[100 : 100 + cursor.size()]


@pytest.mark.parametrize("offset", [0, 1, GRANULE, 3 * GRANULE - 1])
def test_whole_files_are_one_window(tmp_path: Path, offset: int) -> None:
    """The static manager: one region from 0 to the end of the file, whatever is asked for."""
    path = tmp_path / "file"
    content = write_pattern(path, 3 * GRANULE)
    with StaticWindowMapManager() as manager:
        cursor = manager.make_cursor(path).use_region(offset)
        region = cursor.region()
        assert region is not None
        assert region.window == Window(0, 3 * GRANULE)
        assert bytes(cursor.buffer()) == content[offset:]


@pytest.mark.parametrize("field", ["offset", "size"])
def test_a_window_is_an_immutable_value(field: str) -> None:
    """Windows compare, sort and hash by their fields, and no field can be set."""
    window = Window(2, 5)
    assert (window, hash(window)) == (Window(offset=2, size=5), hash(Window(2, 5)))
    assert sorted([Window(3, 1), Window(2, 9), window]) == [window, Window(2, 9), Window(3, 1)]
    with pytest.raises(FrozenInstanceError):
        setattr(window, field, 3)
    assert (window.offset, window.size, window.end) == (2, 5, 7)
    assert (window.ofs_begin(), window.ofs_end()) == (2, 7)
    assert [offset for offset in range(10) if window.includes_ofs(offset)] == [2, 3, 4, 5, 6]
    assert not Window(2, 0).includes_ofs(2)


@pytest.mark.parametrize(("offset", "size"), [(-1, 5), (5, -1)])
def test_a_window_of_negative_numbers_is_refused(offset: int, size: int) -> None:
    """A ValueError with both values."""
    with pytest.raises(ValueError, match=f"got {offset} and {size}"):
        Window(offset, size)


def test_alignment_goes_down_or_up_to_whole_granules() -> None:
    """``align_to_mmap`` as in smmap: a multiple stays, everything else moves to the next one."""
    numbers = [0, 1, GRANULE - 1, GRANULE, GRANULE + 1, 5 * GRANULE]
    assert [align_to_mmap(number, False) // GRANULE for number in numbers] == [0, 0, 0, 1, 1, 5]
    assert [align_to_mmap(number, True) // GRANULE for number in numbers] == [0, 1, 1, 1, 2, 5]
    assert smmap_typed.ALLOCATIONGRANULARITY == GRANULE
    assert smmap_typed.is_64_bit() == (struct.calcsize("P") == 8)
