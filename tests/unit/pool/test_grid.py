"""The grid against a search through all windows that there are."""

from itertools import product, takewhile
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from smmap_typed._platform import align_to_mmap
from smmap_typed._pool.grid import Grid
from support import GRANULE

# Hypothesis declares what its decorators return with an Any.
# mypy: disallow-any-decorated=False

MOST_GRANULES: Final = 8
WINDOW_SIZES: Final = st.integers(0, 5).map(lambda granules: max(granules * GRANULE - 1, 0))
FILE_SIZES: Final = st.integers(1, MOST_GRANULES * GRANULE)
# Edges are where mistakes are.
PLACES: Final = [edge * GRANULE + beside for edge in range(MOST_GRANULES) for beside in (-1, 0, 1)][1:]


def starts(grid: Grid, file_size: int) -> list[int]:
    """Of all windows of a file."""
    return list(takewhile(lambda start: start < file_size, (number * grid.half for number in range(MOST_GRANULES))))


def shown(grid: Grid, start: int, offset: int, stop: int) -> int:
    """How much of a request a window shows, -1 if it does not show its first byte."""
    return min(stop, start + grid.span) - offset if start <= offset < start + grid.span else -1


@given(WINDOW_SIZES, FILE_SIZES)
def test_the_window_of_each_request_is_the_one_that_a_search_finds(window_size: int, file_size: int) -> None:
    """It shows most of the request; of those that show as much an even one; of these the last."""
    grid = Grid.of(window_size)
    all_starts = starts(grid, file_size)
    for offset, end in product(PLACES, PLACES):
        size = max(end - offset, 0)
        if offset >= file_size:
            continue
        stop = grid.wanted_end(offset, size, file_size)

        best = max(all_starts, key=lambda start: (shown(grid, start, offset, stop), start % grid.stride == 0, start))

        assert grid.start(offset, stop) == best
        if size <= grid.half and window_size > GRANULE:
            assert shown(grid, best, offset, stop) == stop - offset


@given(WINDOW_SIZES, FILE_SIZES)
def test_windows_start_aligned_and_leave_no_byte_out(window_size: int, file_size: int) -> None:
    grid = Grid.of(window_size)
    end = 0
    for start in starts(grid, file_size):
        assert start % GRANULE == 0
        assert start <= end
        end = start + grid.size(start, file_size)
    assert end == file_size


@given(st.integers(0, 2**70))
def test_alignment_is_to_the_nearest_granule_in_its_direction(place: int) -> None:
    down, up = align_to_mmap(place, round_up=False), align_to_mmap(place, round_up=True)
    assert down % GRANULE == up % GRANULE == 0
    assert place - GRANULE < down <= place <= up < place + GRANULE
