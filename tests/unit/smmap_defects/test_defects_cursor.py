"""Defects of smmap's cursor: what it stands on, what its copies share, and what it accepts.

See docs/migration.md for the list.
"""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest

import smmap_typed.manager
from smmap_typed import CursorInvalidError, SlidingWindowMapManager, StaticWindowMapManager, WindowCursor
from support import GRANULE, assert_books_match_kernel, mapped_bytes_of, write_pattern

SIZE = 8 * GRANULE


def assigned(cursor: WindowCursor) -> WindowCursor:
    """A copy by ``assign``, as in smmap."""
    twin = WindowCursor()
    twin.assign(cursor)
    return twin


@pytest.mark.parametrize("copied", [copy.copy, assigned], ids=["copy", "assign"])
def test_a_copy_has_a_pin_of_its_own_and_moves_by_itself(
    path: Path, manager: SlidingWindowMapManager, copied: Callable[[WindowCursor], WindowCursor]
) -> None:
    """Defect 2: a copy works at once and at the next ``use_region``, and both are counted."""
    content = path.read_bytes()
    cursor = manager.make_cursor(path).use_region(10, 20)
    twin = copied(cursor)
    region = cursor.region()
    assert region is not None
    assert (twin.region(), region.client_count()) == (region, 3)
    assert bytes(twin.buffer()) == content[10:30]
    twin.use_region(5 * GRANULE, 20)
    assert region.client_count() == 2
    assert bytes(twin.buffer()) == content[5 * GRANULE : 5 * GRANULE + 20]
    assert bytes(cursor.buffer()) == content[10:30]
    cursor.close()
    assert region.client_count() == 1


def test_assigning_a_cursor_to_itself_changes_nothing(path: Path, manager: SlidingWindowMapManager) -> None:
    """Defect 2: after ``c.assign(c)`` the cursor stands where it stood, counted once."""
    cursor = manager.make_cursor(path).use_region(10, 20)
    region = cursor.region()
    cursor.assign(cursor)
    assert region is not None
    assert (cursor.region(), region.client_count()) == (region, 2)
    assert bytes(cursor.use_region(11, 9).buffer()) == path.read_bytes()[11:20]


@pytest.mark.parametrize("offset", [0, GRANULE + 5, SIZE - 1])
def test_a_window_size_of_zero_is_the_whole_file(path: Path, offset: int) -> None:
    """Defect 9: a sliding manager with ``window_size=0`` maps the file whole, and offsets are right."""
    with SlidingWindowMapManager(window_size=0) as manager:
        assert manager.window_size() == 0
        cursor = manager.make_cursor(path).use_region(offset)
        region = cursor.region()
        assert region is not None
        assert (region.ofs_begin(), region.size(), cursor.ofs_begin()) == (0, SIZE, offset)
        assert bytes(cursor.buffer()) == path.read_bytes()[offset:]


def test_dropping_an_unused_cursor_leaves_the_other_ones_regions_registered(
    path: Path, manager: SlidingWindowMapManager
) -> None:
    """Defect 15: the unused of two cursors on a path is dropped first; a third maps nothing anew."""
    unused, used = manager.make_cursor(path), manager.make_cursor(path).use_region(0, 1)
    del unused
    third = manager.make_cursor(path).use_region(0, 1)
    assert third.region() is used.region()
    assert (manager.num_file_handles(), manager.num_open_files(), manager.stats().maps) == (1, 1, 1)
    assert_books_match_kernel(manager, path)


def test_a_cursor_that_is_closed_and_then_dropped_is_released_once(
    path: Path, manager: SlidingWindowMapManager
) -> None:
    """Defect 15: leaving ``with cursor`` and then dropping it takes nobody else's pin and unregisters nothing."""
    keeper = manager.make_cursor(path).use_region(0, 1)
    region = keeper.region()
    assert region is not None
    with manager.make_cursor(path) as cursor:
        cursor.use_region(0, 1)
        assert region.client_count() == 3
    assert region.client_count() == 2
    del cursor
    assert region.client_count() == 2
    assert (manager.num_file_handles(), manager.num_open_files()) == (1, 1)
    keeper.close()
    assert manager.collect() == 1
    assert_books_match_kernel(manager, path)


@pytest.mark.parametrize("granules", [2, 3, 4])
def test_a_request_near_the_end_of_a_mapped_window_is_not_cut(path: Path, granules: int) -> None:
    """Defect 21: up to half a window comes back whole, wherever the windows that are mapped end."""
    content = path.read_bytes()
    with SlidingWindowMapManager(granules * GRANULE) as manager:
        cursor = manager.make_cursor(path).use_region(0, 1)
        size = manager.window_size() // 2
        for offset in range(GRANULE - 1, SIZE - 1, GRANULE // 2 + 1):
            assert bytes(cursor.use_region(offset, size).buffer()) == content[offset : offset + size]
            assert bytes(cursor.use_region(offset).buffer())[:size] == content[offset : offset + size]


@pytest.mark.parametrize(("offset", "size", "name"), [(-1, 0, "offset"), (0, -1, "size"), (-5, 10, "offset")])
def test_negative_offsets_and_sizes_are_refused(
    path: Path, manager: SlidingWindowMapManager, offset: int, size: int, name: str
) -> None:
    """Defect 23: a negative number is a ValueError that names the argument; nothing is mapped, nobody moves."""
    cursor = manager.make_cursor(path)
    for call in (cursor.use_region, cursor.view, cursor.read, cursor.prefetch):
        with pytest.raises(ValueError, match=f"{name} must not be negative, got -"):
            call(offset, size)
    assert not cursor.is_valid()
    cursor.use_region(3, 4)
    with pytest.raises(ValueError, match="must not be negative"):
        cursor.use_region(offset, size)
    assert bytes(cursor.buffer()) == path.read_bytes()[3:7]
    assert manager.stats().maps == 1


def test_methods_of_an_invalid_cursor_say_what_to_do(path: Path, manager: SlidingWindowMapManager) -> None:
    """Defect 24: never placed, past the end or released: a typed error with advice, and a size of 0."""
    never = manager.make_cursor(path)
    past = manager.make_cursor(path).use_region(0, 5).use_region(SIZE)
    released = manager.make_cursor(path).use_region(0, 5)
    released.unuse_region()
    for cursor in (never, past, released):
        for call in (cursor.buffer, cursor.map, cursor.ofs_begin, cursor.ofs_end):
            with pytest.raises(CursorInvalidError, match=r"call use_region\(\)"):
                call()
        assert (cursor.is_valid(), cursor.size(), cursor.region(), cursor.includes_ofs(0)) == (False, 0, None, False)
        assert cursor.file_size() == SIZE


@pytest.fixture
def packs(tmp_path: Path) -> dict[str, Path]:
    """Files whose names begin alike, and one in a folder."""
    (tmp_path / "pack-1").mkdir()
    paths = {name: tmp_path / name for name in ("pack-1/inside", "pack-10", "pack-1.idx")}
    for seed, path in enumerate(paths.values()):
        write_pattern(path, GRANULE, seed)
    return paths


@pytest.fixture
def as_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the library believe that it runs on Windows, where files cannot be removed while they are mapped."""
    monkeypatch.setattr(smmap_typed.manager, "IS_WINDOWS", True)


@pytest.mark.usefixtures("as_on_windows")
def test_forced_removal_takes_whole_path_components(tmp_path: Path, packs: dict[str, Path]) -> None:
    """Defect 28: ``pack-1`` closes what lies below it, pinned, and neither ``pack-10`` nor a descriptor's regions."""
    with StaticWindowMapManager() as manager, (tmp_path / "pack-10").open("rb") as file:
        cursors = {name: manager.make_cursor(path).use_region() for name, path in packs.items()}
        by_descriptor = manager.make_cursor(file.fileno()).use_region()
        assert manager.force_map_handle_removal_win(str(tmp_path / "pack-1")) == 1
        assert [name for name, path in packs.items() if mapped_bytes_of(path)] == ["pack-10", "pack-1.idx"]
        assert [name for name, cursor in cursors.items() if cursor.is_valid()] == ["pack-10", "pack-1.idx"]
        assert by_descriptor.is_valid()
        assert manager.num_file_handles() == 2


@pytest.mark.usefixtures("as_on_windows")
def test_cursors_say_why_a_forced_removal_made_them_invalid(packs: dict[str, Path]) -> None:
    """Defect 28: the error names the cause, a dead region is never used again, and a new call maps anew."""
    path = packs["pack-10"]
    with StaticWindowMapManager() as manager:
        cursor = manager.make_cursor(path).use_region(3, 9)
        dead = cursor.region()
        assert dead is not None
        assert manager.force_map_handle_removal_win(path) == 1
        assert (cursor.is_valid(), cursor.size(), dead.client_count()) == (False, 0, 0)
        with pytest.raises(CursorInvalidError, match="force_map_handle_removal_win"):
            cursor.buffer()
        assert bytes(cursor.use_region(3, 9).buffer()) == path.read_bytes()[3:12]
        assert cursor.region() is not dead
        assert dead.client_count() == 0


@pytest.mark.usefixtures("as_on_windows")
def test_forced_removal_leaves_a_view_readable_and_counted(packs: dict[str, Path]) -> None:
    """Defect 28: what a view shows stays mapped, in the books too, until the view is gone."""
    path = packs["pack-10"]
    with StaticWindowMapManager() as manager:
        view = manager.make_cursor(path).use_region().buffer()
        assert manager.force_map_handle_removal_win(path) == 1
        assert bytes(view) == path.read_bytes()
        assert manager.num_file_handles() == 1
        view.release()
        assert_books_match_kernel(manager, path)
        assert manager.num_file_handles() == 0


def test_forced_removal_does_nothing_where_it_is_not_needed(packs: dict[str, Path]) -> None:
    """Defect 28: on other systems it returns 0, for any path, and cursors stay valid."""
    path = packs["pack-10"]
    with StaticWindowMapManager() as manager:
        cursor = manager.make_cursor(path).use_region()
        assert manager.force_map_handle_removal_win(path) == 0
        assert cursor.is_valid()
