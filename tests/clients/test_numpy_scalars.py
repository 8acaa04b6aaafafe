"""The scalars of numpy as numbers: those of 2.0 and later wrap around or raise in sums, and earlier ones become floats.

``nox -s clients`` runs with the numpy of the day; an older one is to be installed by hand.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final, SupportsIndex

import numpy as np
import pytest

from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager, StaticWindowMapManager, Window
from support import GRANULE, open_descriptor, pattern, write_pattern

INTEGERS: Final = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
OTHERS: Final = [np.float16(5), np.float32(5), np.float64(5), np.complex128(5), np.array([5])]
FAR: Final = 5 * GRANULE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_pattern(tmp_path / "file", 8 * GRANULE)
    return tmp_path / "file"


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("begin", [0, FAR])
def test_an_integer_of_any_size(path: Path, kind: Callable[[int], SupportsIndex], begin: int) -> None:
    """Also where their sum, or their distance from the window, is no number of that size; without a warning."""
    offset, size = kind(100), kind(120)
    expected = pattern(220)[100:]
    with warnings.catch_warnings(), SlidingWindowMapManager(np.int64(2 * GRANULE), np.uint32(2**20)) as manager:
        warnings.simplefilter("error")
        cursor = manager.make_cursor(path).use_region(begin, 10)
        for _ in range(2):
            cursor.use_region(offset, size)
            assert (cursor.ofs_begin(), cursor.size(), bytes(cursor.buffer())) == (100, 120, expected)
            assert {type(cursor.ofs_begin()), type(cursor.ofs_end()), type(cursor.size())} == {int}
        assert cursor.use_region(offset, FAR).ofs_end() - 100 == cursor.size()
        assert cursor.use_region(FAR, size).ofs_begin() == FAR
        assert cursor.read(offset, size) == bytes(cursor.view(offset, size)) == expected
        assert cursor.includes_ofs(np.uint64(FAR))
        assert not cursor.includes_ofs(kind(100))
        buffer = SlidingWindowMapBuffer(cursor, offset, size)
        assert (bytes(buffer), buffer[offset], buffer[kind(3) : offset]) == (expected, expected[100], expected[3:100])
        assert manager.open(path, offset=offset, size=size).read() == expected
        assert Window(offset, size) == Window(100, 120)
        manager.configure(max_open_handles=kind(100), max_memory_size=np.uint64(2**30))
        assert (manager.max_file_handles(), type(manager.max_file_handles())) == (100, int)


def test_a_descriptor(path: Path) -> None:
    with open_descriptor(path) as number, StaticWindowMapManager() as manager:
        assert manager.make_cursor(np.int64(number)).read(0, 10) == pattern(10)


@pytest.mark.parametrize("value", OTHERS, ids=repr)
def test_what_is_no_integer_is_refused(path: Path, value: SupportsIndex) -> None:
    with SlidingWindowMapManager(2 * GRANULE) as manager:
        cursor = manager.make_cursor(path).use_region(3, 10)
        with pytest.raises(TypeError, match=f"offset must be an integer, got {type(value).__name__}"):
            cursor.use_region(value, 1)
        with pytest.raises(TypeError, match=f"size must be an integer, got {type(value).__name__}"):
            cursor.use_region(3, value)
        with pytest.raises(TypeError, match=f"max_memory_size must be an integer, got {type(value).__name__}"):
            manager.configure(max_memory_size=value)
        assert bytes(cursor.buffer()) == pattern(13)[3:]
