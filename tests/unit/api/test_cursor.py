"""The cursor: every method, valid, invalid and without a file.

smmap's defects in this field are in test_defects_cursor.py.
"""

import copy
import gc
import io
import mmap
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smmap_typed import (
    CursorInvalidError,
    FileChangedError,
    SlidingWindowMapBuffer,
    SlidingWindowMapManager,
    StaticWindowMapManager,
    WindowCursor,
)
from smmap_typed._handles.state import CursorState
from smmap_typed._types import ReaderName
from smmap_typed.testing import check_invariants
from support import (
    GRANULE,
    descriptors_of,
    forget_the_page_cache,
    open_descriptor,
    pattern,
    release_descriptors,
    write_pattern,
)

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

SIZE = 8 * GRANULE


def test_a_valid_cursor_answers_with_absolute_offsets(path: Path, manager: SlidingWindowMapManager) -> None:
    """Begin, end, size, inclusion, region and bytes agree."""
    cursor = manager.make_cursor(path)
    assert cursor.use_region(GRANULE + 10, 20) is cursor
    assert cursor.is_valid()
    assert cursor.is_associated()
    assert (cursor.ofs_begin(), cursor.ofs_end(), cursor.size()) == (GRANULE + 10, GRANULE + 30, 20)
    inside = [offset for offset in range(GRANULE, GRANULE + 40) if cursor.includes_ofs(offset)]
    assert inside == list(range(GRANULE + 10, GRANULE + 30))
    region = cursor.region()
    assert region is not None
    assert region is cursor.region()
    assert region.ofs_begin() <= cursor.ofs_begin() < cursor.ofs_end() <= region.ofs_end()
    assert bytes(cursor.buffer()) == path.read_bytes()[GRANULE + 10 : GRANULE + 30]


def test_it_includes_its_own_bytes_in_every_window(path: Path, manager: SlidingWindowMapManager) -> None:
    cursor = manager.make_cursor(path).use_region(4 * GRANULE + 10, 20)
    region = cursor.region()
    assert region is not None
    assert region.ofs_begin() == 4 * GRANULE
    inside = [offset for offset in range(4 * GRANULE, 4 * GRANULE + 40) if cursor.includes_ofs(offset)]
    assert inside == list(range(4 * GRANULE + 10, 4 * GRANULE + 30))


def test_a_cursor_of_a_closed_manager_has_no_bytes(path: Path, manager: SlidingWindowMapManager) -> None:
    """By the first question already."""
    sized, including = (manager.make_cursor(path).use_region(5, 10) for _ in range(2))
    manager.close()
    assert sized.size() == 0
    assert not including.includes_ofs(7)


@pytest.mark.parametrize("offset", [SIZE, SIZE + 1, 1 << 62])
def test_an_offset_past_the_end_leaves_it_invalid_and_released(
    path: Path, manager: SlidingWindowMapManager, offset: int
) -> None:
    """``use_region`` returns the cursor all the same."""
    cursor = manager.make_cursor(path).use_region(0)
    region = cursor.region()
    assert region is not None
    assert cursor.use_region(offset) is cursor
    assert not cursor.is_valid()
    assert region.client_count() == 1


def test_unuse_region_any_number_of_times(path: Path, manager: SlidingWindowMapManager) -> None:
    """Also before the first use, and the cursor is as good as new."""
    cursor = manager.make_cursor(path)
    cursor.unuse_region()
    cursor.use_region(5, 5)
    for _ in range(3):
        cursor.unuse_region()
        cursor.close()
        assert not cursor.is_valid()
    assert bytes(cursor.use_region(5, 5).buffer()) == path.read_bytes()[5:10]


def test_it_is_a_context_that_releases(path: Path, manager: SlidingWindowMapManager) -> None:
    """At the end the region is idle."""
    with manager.make_cursor(path).use_region(0) as cursor:
        assert manager.collect() == 0
    assert not cursor.is_valid()
    assert manager.collect() == 1


def test_dropping_the_last_reference_releases(path: Path, manager: SlidingWindowMapManager) -> None:
    """At once, and with a cycle when that is collected."""
    cursor = manager.make_cursor(path).use_region(0)
    del cursor
    assert manager.collect() == 1
    cycle: list[object] = [manager.make_cursor(path).use_region(0)]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert manager.collect() == 1


def test_buffer_is_a_read_only_view_without_a_copy(path: Path, manager: SlidingWindowMapManager) -> None:
    """Its length is the cursor's size, it cannot be written, and a write to the file shows in it."""
    cursor = manager.make_cursor(path).use_region(8, 16)
    view = cursor.buffer()
    assert (type(view), view.readonly, len(view), view.format) == (memoryview, True, 16, "B")
    with path.open("r+b") as file:
        file.seek(8)
        file.write(b"changed!")
    assert bytes(view[:8]) == b"changed!"


def test_a_view_keeps_its_bytes_when_the_cursor_moves_on(path: Path) -> None:
    """Long after, under a limit of two handles, each view shows what it showed."""
    content = path.read_bytes()
    with SlidingWindowMapManager(GRANULE, max_open_handles=2) as manager:
        cursor = manager.make_cursor(path)
        view = cursor.use_region(3, 50).buffer()
        for offset in range(GRANULE, SIZE, GRANULE):
            assert bytes(cursor.use_region(offset, 50).buffer()) == content[offset : offset + 50]
        del cursor
        manager.collect()
        assert bytes(view) == content[3:53]


def test_map_is_the_map_of_the_whole_region(path: Path) -> None:
    """Slices are ``bytes``, negative indices count from the end of the file where one window holds it."""
    with StaticWindowMapManager() as manager:
        mapping = manager.make_cursor(path).use_region(5, 7).map()
        assert type(mapping) is mmap.mmap
        assert len(mapping) == SIZE
        assert mapping[-20:] == path.read_bytes()[-20:]
        assert type(mapping[3:5]) is bytes


def test_map_does_not_pin_beyond_the_cursor(path: Path, manager: SlidingWindowMapManager) -> None:
    """When the cursor is gone the map is closed by ``collect``, and says so."""
    cursor = manager.make_cursor(path).use_region(0)
    mapping = cursor.map()
    assert manager.collect() == 0
    del cursor
    assert manager.collect() == 1
    assert mapping.closed


def test_the_file_size_is_fixed_by_the_first_use(path: Path, manager: SlidingWindowMapManager) -> None:
    """Appended bytes are not there for a cursor that has looked, valid or not."""
    looked, fresh = manager.make_cursor(path), manager.make_cursor(path)
    assert looked.file_size() == SIZE
    with path.open("ab") as file:
        file.write(b"more")
    assert (looked.file_size(), fresh.file_size()) == (SIZE, SIZE + 4)


def test_path_and_fd_give_the_very_object(path: Path, manager: SlidingWindowMapManager) -> None:
    """Each refuses the other kind with a ValueError that names the method to use."""
    by_path = manager.make_cursor(path)
    assert by_path.path_or_fd() is path
    assert by_path.path() is path
    with pytest.raises(ValueError, match=r"use path\(\)"):
        by_path.fd()
    with open_descriptor(path) as descriptor:
        by_descriptor = manager.make_cursor(descriptor)
        assert by_descriptor.path_or_fd() is descriptor
        assert by_descriptor.fd() is descriptor
        with pytest.raises(ValueError, match=r"use fd\(\)"):
            by_descriptor.path()


def test_a_failed_move_leaves_it_where_it_was(path: Path, manager: SlidingWindowMapManager) -> None:
    """The file is gone from its path: what is mapped stays, and the cursor on it."""
    cursor = manager.make_cursor(path).use_region(5, 10)
    release_descriptors(manager)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        cursor.use_region(6 * GRANULE, 5)
    assert (cursor.ofs_begin(), bytes(cursor.buffer())) == (5, pattern(15)[5:])


def test_a_file_that_is_gone_from_its_path_is_read_on_by_its_descriptor(
    path: Path, manager: SlidingWindowMapManager
) -> None:
    """As long as that is kept; the bytes of another file at the path are for new cursors."""
    cursor = manager.make_cursor(path).use_region(5, 10)
    path.unlink()
    assert bytes(cursor.use_region(6 * GRANULE, 5).buffer()) == pattern(SIZE)[6 * GRANULE :][:5]
    new_content = write_pattern(path, SIZE, 3)
    assert bytes(manager.make_cursor(path).use_region(6 * GRANULE, 5).buffer()) == new_content[6 * GRANULE :][:5]
    assert cursor.read(0, SIZE) == pattern(SIZE)


@pytest.mark.parametrize("flag", ["O_RDWR", "O_WRONLY", "O_CREAT", "O_TRUNC", "O_APPEND"])
def test_flags_that_write_are_refused(path: Path, manager: SlidingWindowMapManager, flag: str) -> None:
    """A library that only reads opens no file for writing, and truncates none."""
    flags: int = getattr(os, flag)
    with pytest.raises(ValueError, match="flags must not"):
        manager.make_cursor(path).use_region(0, 0, flags)
    assert path.stat().st_size == SIZE


@pytest.mark.parametrize("reader", ["mmap", "pread"])
@pytest.mark.parametrize("flags", [os.O_RDWR | os.O_TRUNC, os.O_WRONLY], ids=["truncate", "write"])
def test_flags_that_write_are_refused_wherever_the_file_is_opened(path: Path, flags: int, reader: ReaderName) -> None:
    """By a first look that maps nothing, by buffers, and by reads through them."""
    with SlidingWindowMapManager(2 * GRANULE, reader=reader) as manager:
        acts: list[Callable[[], object]] = [
            lambda: manager.make_cursor(path).use_region(SIZE, 0, flags),
            lambda: SlidingWindowMapBuffer(manager.make_cursor(path), 0, 10, flags),
            lambda: SlidingWindowMapBuffer(manager.make_cursor(path), SIZE, 10, flags),
            lambda: SlidingWindowMapBuffer().begin_access(manager.make_cursor(path), 0, 10, flags),
        ]
        for act in acts:
            with pytest.raises(ValueError, match="flags must not"):
                act()
            assert path.read_bytes() == pattern(SIZE)
        # Nothing is opened to bind a buffer to a window that is mapped, but to read elsewhere.
        buffer = SlidingWindowMapBuffer(manager.make_cursor(path).use_region(0, 10), 0, SIZE, flags)
        release_descriptors(manager)
        with pytest.raises(ValueError, match="flags must not"):
            _ = buffer[-10:]
        assert path.read_bytes() == pattern(SIZE)
        check_invariants(manager)


@pytest.mark.pure
def test_as_much_as_there_is_in_the_current_window_is_a_hit(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is called, at the first byte as at the last from which half a window follows, or the file's end."""

    def call(*_: object) -> None:
        raise AssertionError("the cursor moves")

    first, last = manager.make_cursor(path).use_region(0, 1), manager.make_cursor(path).use_region(SIZE - 1, 1)
    begin = SIZE - 2 * GRANULE
    with monkeypatch.context() as patch:
        patch.setattr(CursorState, "move", call)
        for cursor, end, offsets in (first, 2 * GRANULE, (0, 5, GRANULE)), (last, SIZE, (begin, SIZE - 5, SIZE - 1)):
            for offset in offsets:
                cursor.use_region(offset)
                assert (cursor.ofs_begin(), cursor.ofs_end()) == (offset, end)
    # A byte further on, less than half a window follows.
    first.use_region(GRANULE + 1)
    assert (first.ofs_begin(), first.ofs_end()) == (GRANULE + 1, 3 * GRANULE)


@pytest.mark.parametrize("arguments", [(1.0,), (0, 0.0), (1.5, 0.0), ("1",), (0, None)])
def test_what_is_no_integer_is_refused_in_the_current_window(
    path: Path, manager: SlidingWindowMapManager, arguments: tuple[int, ...]
) -> None:
    cursor = manager.make_cursor(path).use_region(0)
    with pytest.raises(TypeError):
        cursor.use_region(*arguments)
    assert (cursor.ofs_begin(), cursor.size()) == (0, 2 * GRANULE)


@pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="the system has no such flag")
@pytest.mark.parametrize("reader", ["mmap", "pread", "auto"])
def test_a_flag_that_asks_reads_to_be_aligned_has_no_effect(path: Path, reader: ReaderName) -> None:
    """O_DIRECT means nothing for a map, and would refuse nearly all reads by the same descriptor."""
    flags: int = getattr(os, "O_DIRECT", 0)
    with SlidingWindowMapManager(2 * GRANULE, reader=reader) as manager:
        cursor = manager.make_cursor(path).use_region(0, 10, flags)
        assert cursor.read(3, 100) == pattern(103)[3:]
        assert cursor.read(6 * GRANULE + 3, 100) == pattern(SIZE)[6 * GRANULE + 3 :][:100]
        assert SlidingWindowMapBuffer(cursor, 7, 200, flags)[5:9] == pattern(16)[12:]


def test_flags_reach_open(path: Path, manager: SlidingWindowMapManager) -> None:
    """O_NOFOLLOW on a symbolic link is refused by the system."""
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(OSError, match="symbolic link"):
        manager.make_cursor(link).use_region(0, 0, os.O_NOFOLLOW)
    assert manager.make_cursor(link).use_region(0, 0).is_valid()


@pytest.mark.parametrize("value", ["1", 1.0, None], ids=repr)
def test_offsets_and_sizes_are_integers(path: Path, manager: SlidingWindowMapManager, value: int) -> None:
    """A TypeError that names the argument, and the cursor stays."""
    cursor = manager.make_cursor(path).use_region(5, 10)
    for call in (cursor.view, cursor.read, cursor.prefetch):
        with pytest.raises(TypeError, match="offset must be an integer"):
            call(value, 1)
        with pytest.raises(TypeError, match="size must be an integer"):
            call(0, value)
    assert cursor.ofs_begin() == 5


NEEDING_A_FILE: list[Callable[[WindowCursor], object]] = [
    lambda cursor: cursor.use_region(),
    lambda cursor: cursor.buffer(),
    lambda cursor: cursor.map(),
    lambda cursor: cursor.ofs_begin(),
    lambda cursor: cursor.ofs_end(),
    lambda cursor: cursor.file_size(),
    lambda cursor: cursor.path_or_fd(),
    lambda cursor: cursor.path(),
    lambda cursor: cursor.fd(),
    lambda cursor: cursor.view(0, 1),
    lambda cursor: cursor.read(0, 1),
    lambda cursor: cursor.prefetch(0, 1),
]


def test_its_representation_tells_file_and_place(path: Path, manager: SlidingWindowMapManager) -> None:
    cursor = manager.make_cursor(path)
    assert repr(cursor) == f"<WindowCursor on {str(path)!r} at nowhere>"
    assert repr(cursor.use_region(5, 10)) == f"<WindowCursor on {str(path)!r} at [5, 15)>"
    assert repr(WindowCursor()) == "<WindowCursor without a file>"


class TestWithoutAFile:
    """``WindowCursor()``, which waits for ``assign``."""

    def test_it_is_made_with_or_without_a_manager(self, manager: SlidingWindowMapManager) -> None:
        """As in smmap."""
        for cursor in (WindowCursor(), WindowCursor(manager), WindowCursor(manager=None)):
            assert (cursor.is_associated(), cursor.is_valid(), cursor.size(), cursor.region()) == (
                False,
                False,
                0,
                None,
            )
            assert not cursor.includes_ofs(0)
            cursor.unuse_region()
            cursor.close()

    @pytest.mark.parametrize("call", NEEDING_A_FILE)
    def test_whatever_needs_a_file_says_so(self, call: Callable[[WindowCursor], object]) -> None:
        """CursorInvalidError, never AttributeError."""
        with pytest.raises(CursorInvalidError, match="cursor"):
            call(WindowCursor())

    def test_copies_and_assignments_have_no_file_either(self, path: Path, manager: SlidingWindowMapManager) -> None:
        """Assigning it takes the file away from the other, and its region with it."""
        assert not copy.copy(WindowCursor()).is_associated()
        cursor = manager.make_cursor(path).use_region(0)
        cursor.assign(WindowCursor())
        assert not cursor.is_associated()
        assert manager.collect() == 1

    def test_assign_gives_it_manager_file_and_region(self, path: Path, manager: SlidingWindowMapManager) -> None:
        """Then it is like any other."""
        cursor = WindowCursor()
        cursor.assign(manager.make_cursor(path).use_region(7, 9))
        assert bytes(cursor.buffer()) == pattern(16)[7:]
        assert cursor.path() is path
        assert bytes(cursor.use_region(5 * GRANULE, 8).buffer()) == path.read_bytes()[5 * GRANULE :][:8]


def test_assign_from_another_manager_releases_what_it_had(path: Path, manager: SlidingWindowMapManager) -> None:
    """The cursor belongs to the other manager from then on."""
    with StaticWindowMapManager() as other:
        cursor = manager.make_cursor(path).use_region(0)
        cursor.assign(other.make_cursor(path).use_region(3, 5))
        assert (manager.collect(), other.collect()) == (1, 0)
        assert bytes(cursor.buffer()) == pattern(8)[3:]


def test_only_a_cursor_can_be_assigned(path: Path, manager: SlidingWindowMapManager) -> None:
    """A TypeError, and nothing changes."""
    cursor = manager.make_cursor(path).use_region(3, 5)
    with pytest.raises(TypeError, match=r"(not|got) (pathlib\.)?PosixPath"):
        cursor.assign(path)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # must not work
    assert cursor.ofs_begin() == 3


def test_a_copy_of_an_invalid_cursor_is_invalid_and_sees_the_same_file(
    path: Path, manager: SlidingWindowMapManager
) -> None:
    """The size that the first one saw is the copy's too."""
    cursor = manager.make_cursor(path)
    assert cursor.file_size() == SIZE
    with path.open("ab") as file:
        file.write(b"more")
    twin = copy.copy(cursor)
    assert (twin.is_valid(), twin.is_associated(), twin.file_size(), twin.path_or_fd()) == (False, True, SIZE, path)


class TestOneStepReads:
    """``view``, ``read`` and ``prefetch``."""

    @pytest.mark.parametrize(
        ("offset", "size"),
        [(0, 0), (0, 10), (GRANULE - 5, 10), (3, 5 * GRANULE), (0, SIZE), (SIZE - 5, 100), (SIZE, 5), (SIZE + 9, 5)],
    )
    @pytest.mark.parametrize("placed", [None, 0, 3 * GRANULE])
    def test_they_give_the_bytes_and_the_cursor_stays(
        self, path: Path, manager: SlidingWindowMapManager, offset: int, size: int, placed: int | None
    ) -> None:
        """In a window, across several, cut at the end of the file, past it, wherever the cursor stands."""
        expected = path.read_bytes()[offset : offset + size]
        cursor = manager.make_cursor(path)
        if placed is not None:
            cursor.use_region(placed, 7)
        data, view = cursor.read(offset, size), cursor.view(offset, size)
        assert (type(data), data) == (bytes, expected)
        assert (type(view), view.readonly, view.tobytes()) == (memoryview, True, expected)
        assert cursor.is_valid() == (placed is not None)
        if placed is not None:
            assert (cursor.ofs_begin(), cursor.size()) == (placed, 7)

    def test_a_view_in_one_window_is_no_copy_and_pins(self, path: Path, manager: SlidingWindowMapManager) -> None:
        """A write to the file shows; across windows it is a copy, and pins nothing."""
        cursor = manager.make_cursor(path)
        inside, across = cursor.view(0, 8), cursor.view(GRANULE, 4 * GRANULE)
        before = bytes(across)
        with path.open("r+b") as file:
            file.write(b"x" * SIZE)
        assert (bytes(inside), bytes(across)) == (b"x" * 8, before)
        manager.collect()
        assert manager.num_file_handles() == 1
        inside.release()
        assert manager.collect() == 1

    def test_reading_pins_one_extra_window_at_a_time(self, path: Path) -> None:
        """Beside the cursor's own, so two handles read a file of any number of windows."""
        with SlidingWindowMapManager(GRANULE, max_open_handles=2) as manager:
            cursor = manager.make_cursor(path).use_region(3 * GRANULE, 5)
            assert cursor.read(0, SIZE) == path.read_bytes()
            assert bytes(cursor.view(1, SIZE)) == path.read_bytes()[1:]
            assert cursor.ofs_begin() == 3 * GRANULE

    def test_prefetch_asks_for_the_range_inside_the_file_and_maps_nothing(
        self, path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One request to the kernel, cut at the end; none past it; nothing stays open but what is kept."""
        asked: list[tuple[int, int]] = []

        def advise(_: int, offset: int, size: int, __: int) -> None:
            asked.append((offset, size))

        monkeypatch.setattr(os, "posix_fadvise", advise)
        forget_the_page_cache(monkeypatch)
        cursor = manager.make_cursor(path)
        cursor.prefetch(5, 10)
        cursor.prefetch(SIZE - 5, 100)
        cursor.prefetch(SIZE, 100)
        cursor.prefetch(0, 0)
        assert asked == [(5, 10), (SIZE - 5, 5)]
        assert (manager.num_file_handles(), descriptors_of(path)) == (0, manager.stats().kept_descriptors)
        release_descriptors(manager)
        assert descriptors_of(path) == 0

    def test_prefetch_backs_off_if_the_pages_are_there(
        self, path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both ends are looked at, without waiting; if one is missing the kernel is asked."""
        looks: list[int] = []
        asked: list[tuple[int, int]] = []

        def look(_: int, rooms: list[bytearray], offset: int, flags: int) -> int:
            assert len(rooms) == 1
            if sys.platform == "linux":
                assert flags == os.RWF_NOWAIT
            looks.append(offset)
            if offset >= 4 * GRANULE:
                raise BlockingIOError
            return 1

        def advise(_: int, offset: int, size: int, __: int) -> None:
            asked.append((offset, size))

        monkeypatch.setattr(os, "preadv", look)
        monkeypatch.setattr(os, "posix_fadvise", advise)
        cursor = manager.make_cursor(path)
        cursor.prefetch(5, 10)
        assert (looks, asked) == ([5, 14], [])
        cursor.prefetch(5, 4 * GRANULE)
        assert (looks, asked) == ([5, 14, 5, 4 * GRANULE + 4], [(5, 4 * GRANULE)])

    def test_they_refuse_a_changed_file(self, path: Path, manager: SlidingWindowMapManager) -> None:
        """FileChangedError, as ``use_region``."""
        cursor = manager.make_cursor(path)
        assert cursor.file_size() == SIZE
        release_descriptors(manager)
        os.truncate(path, SIZE - 1)
        for call in (cursor.read, cursor.view, cursor.prefetch):
            with pytest.raises(FileChangedError):
                call(0, 5)
        assert descriptors_of(path) == 0


class TestPread:
    """``reader="pread"``: windows are copies."""

    def test_it_gives_the_bytes_read_only(self, path: Path) -> None:
        """By cursor, view and read, and the user cannot change what others see."""
        with SlidingWindowMapManager(2 * GRANULE, reader="pread") as manager:
            cursor = manager.make_cursor(path).use_region(GRANULE + 3, 9)
            view = cursor.buffer()
            assert (view.readonly, bytes(view)) == (True, path.read_bytes()[GRANULE + 3 : GRANULE + 12])
            assert cursor.read(0, SIZE) == path.read_bytes()
            assert cursor.view(5, 9).readonly
            region = cursor.region()
            assert region is not None
            assert region.buffer().readonly

    def test_it_maps_no_file_and_keeps_one_descriptor(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Files that cannot be mapped work."""
        real_map = mmap.mmap

        def refuse(descriptor: int, size: int) -> mmap.mmap:
            if descriptor != -1:
                raise OSError("this file cannot be mapped")
            return real_map(-1, size)

        monkeypatch.setattr(mmap, "mmap", refuse)
        with SlidingWindowMapManager(GRANULE, reader="pread") as manager:
            cursor = manager.make_cursor(path).use_region(0, 9)
            assert bytes(cursor.buffer()) == pattern(9)
            assert cursor.read(GRANULE, 9) == pattern(GRANULE + 9)[GRANULE:]
            assert descriptors_of(path) == manager.stats().kept_descriptors == 1
            assert (manager.num_file_handles(), manager.mapped_memory_size()) == (2, 2 * GRANULE)
            cursor.close()
            assert manager.collect() == 2
            assert descriptors_of(path) == manager.stats().kept_descriptors == 0

    def test_there_is_no_map(self, path: Path) -> None:
        """``map()`` of cursor and region raise ``io.UnsupportedOperation``."""
        with StaticWindowMapManager(reader="pread") as manager:
            cursor = manager.make_cursor(path).use_region()
            region = cursor.region()
            assert region is not None
            for call in (cursor.map, region.map):
                with pytest.raises(io.UnsupportedOperation, match="the reader copies"):
                    call()

    def test_a_file_that_is_truncated_is_an_error_and_no_signal(self, path: Path) -> None:
        """What was read stays; what was not is FileChangedError."""
        with SlidingWindowMapManager(GRANULE, reader="pread") as manager:
            cursor = manager.make_cursor(path).use_region(GRANULE, 9)
            os.truncate(path, GRANULE // 2)
            assert bytes(cursor.buffer()) == pattern(GRANULE + 9)[GRANULE:]
            with pytest.raises(FileChangedError, match=f"it ends at {GRANULE // 2} bytes now, inside a window"):
                cursor.use_region(0)
            release_descriptors(manager)
            with pytest.raises(FileChangedError, match=f"it has {GRANULE // 2} bytes now"):
                cursor.use_region(0)
            assert bytes(cursor.buffer()) == pattern(GRANULE + 9)[GRANULE:]
            assert manager.num_file_handles() == 1

    def test_a_file_that_shrinks_while_a_window_is_read_is_an_error(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing of the half that was read is kept, and nothing stays open."""
        real_read = os.pread

        def shrink(descriptor: int, size: int, offset: int) -> bytes:
            os.truncate(path, GRANULE // 2)
            return real_read(descriptor, size, offset)

        with SlidingWindowMapManager(GRANULE, reader="pread") as manager:
            cursor = manager.make_cursor(path)
            assert cursor.file_size() > GRANULE
            with monkeypatch.context() as patch:
                patch.setattr(os, "pread", shrink)
                with pytest.raises(FileChangedError, match=f"ends at {GRANULE // 2} bytes"):
                    cursor.read(0, SIZE)
            assert (manager.num_file_handles(), manager.mapped_memory_size()) == (0, 0)
            assert descriptors_of(path) == manager.stats().kept_descriptors
            release_descriptors(manager)
            assert descriptors_of(path) == 0

    def test_short_reads_are_continued(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The system may give less than was asked for."""
        real_read = os.pread

        def read_little(descriptor: int, size: int, offset: int) -> bytes:
            return real_read(descriptor, min(size, 1000), offset)

        monkeypatch.setattr(os, "pread", read_little)
        with SlidingWindowMapManager(2 * GRANULE, reader="pread") as manager:
            assert manager.make_cursor(path).read(0, SIZE) == path.read_bytes()

    def test_a_rewritten_file_is_seen_by_its_modification_time(self, path: Path) -> None:
        """Copies do not follow a write, so an old cursor refuses to mix, and a new one reads the new bytes."""
        with SlidingWindowMapManager(GRANULE, reader="pread") as manager:
            old = manager.make_cursor(path).use_region(0, 9)
            new_content = write_pattern(path, SIZE, 7)
            os.utime(path, ns=(1, 1))
            assert bytes(manager.make_cursor(path).use_region(0, 9).buffer()) == new_content[:9]
            assert bytes(old.buffer()) == pattern(9)
            with pytest.raises(FileChangedError, match="modification time"):
                old.use_region(GRANULE, 9)

    def test_views_delay_the_eviction(self, path: Path) -> None:
        """As with maps: a live view keeps its copy, counted."""
        with SlidingWindowMapManager(GRANULE, GRANULE, reader="pread") as manager:
            view = manager.make_cursor(path).use_region(0).buffer()
            assert manager.make_cursor(path).read(GRANULE, GRANULE) == path.read_bytes()[GRANULE : 2 * GRANULE]
            manager.collect()
            assert manager.num_file_handles() == 1
            assert bytes(view) == pattern(GRANULE)
            view.release()
            assert manager.collect() == 1
