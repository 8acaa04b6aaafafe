"""Defects of smmap's buffer: where it is not the equal ``bytes`` object.

See docs/migration.md for the list. Windows are small, so that most slices cross an edge.
"""

from pathlib import Path
from typing import TypeAlias

import pytest

from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager
from support import GRANULE, write_pattern

SIZE = 5 * GRANULE + 123

Part: TypeAlias = "slice[int | None, int | None, int | None]"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of a few windows with an odd end."""
    path = tmp_path / "file"
    write_pattern(path, SIZE)
    return path


@pytest.mark.parametrize("offset", [1, GRANULE - 1, GRANULE, 3 * GRANULE + 7, SIZE - 1])
def test_index_zero_is_the_byte_at_the_offset(path: Path, manager: SlidingWindowMapManager, offset: int) -> None:
    """Defect 3: with an offset, both ends of the buffer are those of ``content[offset:]``."""
    expected = path.read_bytes()[offset:]
    buffer = SlidingWindowMapBuffer(manager.make_cursor(path), offset)
    assert len(buffer) == len(expected)
    assert (buffer[0], buffer[-1], buffer[-len(expected)]) == (expected[0], expected[-1], expected[0])
    assert buffer[:20] == expected[:20]
    assert buffer[-20:] == expected[-20:]


@pytest.mark.parametrize(
    "part",
    [
        slice(0, 0),
        slice(10, 0),
        slice(10, 10),
        slice(None, None, -1),
        slice(None, None, 2),
        slice(10, SIZE, 1000),
        slice(-1, 0, -4097),
        slice(2 * GRANULE + 5, 2 * GRANULE - 5, -1),
        slice(5, 2, 1),
        slice(2, 5, -1),
    ],
)
def test_empty_slices_and_steps_are_those_of_bytes(path: Path, manager: SlidingWindowMapManager, part: Part) -> None:
    """Defect 4: ``[0:0]`` and ``[10:0]`` are empty, and steps count, backwards too."""
    assert SlidingWindowMapBuffer(manager.make_cursor(path))[part] == path.read_bytes()[part]


def test_a_step_of_zero_is_refused_as_by_bytes(path: Path, manager: SlidingWindowMapManager) -> None:
    """Defect 4: a step of zero is a ValueError."""
    buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
    with pytest.raises(ValueError, match="zero"):
        buffer[::0]


@pytest.mark.parametrize(
    "part",
    [
        slice(0, SIZE + 10),
        slice(SIZE, SIZE + 5),
        slice(SIZE + 5, SIZE + 10),
        slice(SIZE + 5, 3),
        slice(100, 50),
        slice(-SIZE - 10, 10),
        slice(-SIZE - 10, -SIZE - 5),
        slice(10, -SIZE - 5),
        slice(-10, SIZE + 10),
    ],
)
def test_slices_past_the_ends_are_cut_as_by_bytes(path: Path, manager: SlidingWindowMapManager, part: Part) -> None:
    """Defect 5: bounds past either end, or crossed, give what they give on ``bytes``."""
    assert SlidingWindowMapBuffer(manager.make_cursor(path))[part] == path.read_bytes()[part]


@pytest.mark.parametrize("index", [SIZE, SIZE + 1, -SIZE - 1, 1 << 80])
def test_an_index_out_of_range_is_an_index_error_and_harms_nothing(
    path: Path, manager: SlidingWindowMapManager, index: int
) -> None:
    """Defect 6: ``buf[len(buf)]`` is IndexError, and the buffer is as good as before."""
    buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
    with pytest.raises(IndexError, match="out of range"):
        buffer[index]
    assert buffer[SIZE - 1] == path.read_bytes()[-1]


def test_iteration_and_bytes_give_the_content(path: Path, manager: SlidingWindowMapManager) -> None:
    """Defect 6: iterating in either direction, ``list``, ``bytes`` and unpacking end at the last byte."""
    content = path.read_bytes()
    buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
    assert bytes(buffer) == content
    assert list(buffer) == list(content)
    assert bytes(reversed(buffer)) == content[::-1]
    assert bytes([*buffer]) == content


def test_a_slice_is_bytes_whatever_came_before(path: Path, manager: SlidingWindowMapManager) -> None:
    """Defect 7: inside a window, across an edge, empty, stepped: the type is always exactly ``bytes``."""
    buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
    parts = [slice(0, 9), slice(0, SIZE), slice(9, 20), slice(3, 3), slice(0, SIZE, 7), slice(5, 9)]
    assert {type(buffer[part]) for part in parts} == {bytes}


@pytest.mark.parametrize(("offset", "size", "expected"), [(9000, 5000, 1000), (9000, 400, 400), (0, 20000, 10000)])
def test_the_length_never_exceeds_the_file(
    tmp_path: Path, manager: SlidingWindowMapManager, offset: int, size: int, expected: int
) -> None:
    """Defect 8: a size past the end of the file is cut there."""
    path = tmp_path / "ten thousand"
    content = write_pattern(path, 10000)
    buffer = SlidingWindowMapBuffer(manager.make_cursor(path), offset, size)
    assert len(buffer) == expected
    assert bytes(buffer) == content[offset : offset + size]


def test_a_negative_size_is_refused(path: Path, manager: SlidingWindowMapManager) -> None:
    """Defect 8: a size of -1 is a ValueError that names the argument, and ``len`` never raises."""
    with pytest.raises(ValueError, match="size must not be negative, got -1"):
        SlidingWindowMapBuffer(manager.make_cursor(path), 0, -1)


def test_two_buffers_on_one_cursor_are_independent(path: Path, manager: SlidingWindowMapManager) -> None:
    """Defect 27: ending the access of one buffer, or of the cursor, leaves the other as it was."""
    content = path.read_bytes()
    cursor = manager.make_cursor(path)
    first, second = SlidingWindowMapBuffer(cursor), SlidingWindowMapBuffer(cursor, GRANULE)
    assert (first[0:8], second[0:8]) == (content[:8], content[GRANULE : GRANULE + 8])
    first.end_access()
    cursor.close()
    assert len(first) == 0
    assert bytes(second) == content[GRANULE:]
