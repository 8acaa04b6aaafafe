"""Without a GIL every thread slices a memoryview of its own; here an interpreter with one is told that it has none."""

import mmap
from pathlib import Path

import pytest

from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager
from smmap_typed._handles import cursor as cursors
from smmap_typed._handles import reading, span
from smmap_typed._handles.sharing import unshared
from smmap_typed._handles.state import NOWHERE
from support import GRANULE, pattern

# Machine code has the answer built in.
pytestmark = pytest.mark.pure


class Number(int):
    """A number that the fast path of a view leaves to the others."""


def test_a_memoryview_of_the_same_map_is_another_one_and_read_only() -> None:
    with mmap.mmap(-1, GRANULE) as mapping, memoryview(mapping) as shared, unshared(shared) as own:
        assert own is not shared
        assert own.obj is mapping
        assert own.readonly
        with pytest.raises(BufferError):
            mapping.close()


def test_what_is_read_is_the_same(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By every step that slices what a cursor stands on, each from a memoryview made for it."""
    made: list[str] = []
    for module in (cursors, span, reading):

        def note(view: memoryview, name: str = module.__name__) -> memoryview:
            made.append(name.rpartition(".")[2])
            return unshared(view)

        monkeypatch.setattr(module, "FREE_THREADED", True)
        monkeypatch.setattr(module, "unshared", note)
    cursor = manager.make_cursor(path).use_region(5, 10)
    view = cursor.buffer()
    assert bytes(view) == pattern(15)[5:]
    assert cursor.read(7, 8) == pattern(15)[7:]
    assert cursor.view(7, 8) == pattern(15)[7:]
    assert cursor.view(Number(7), 8) == pattern(15)[7:]
    assert SlidingWindowMapBuffer(cursor, 1)[2:9] == pattern(10)[3:]
    assert SlidingWindowMapBuffer(cursor, 1, 9)._span.view() == pattern(10)[1:]
    room = bytearray(4)
    assert SlidingWindowMapBuffer(cursor, 1).readinto(room) == 4
    assert room == pattern(5)[1:]
    assert set(made) == {"cursor", "reading", "span"}
    cursor.close()
    assert manager.collect() == 0
    assert bytes(view) == pattern(15)[5:]
    view.release()
    assert manager.collect() == 1


def test_a_deleted_file_without_a_descriptor_is_read_from_the_window_of_another_cursor(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the file, which only that window has."""
    for module in (cursors, span, reading):
        monkeypatch.setattr(module, "FREE_THREADED", True)
    with SlidingWindowMapManager(GRANULE, max_open_handles=1, reader="pread") as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
        buffer._span.state.swap(NOWHERE)
        keeper = manager.make_cursor(path).use_region(0, 1)
        assert manager.stats().kept_descriptors == 0
        path.unlink()
        room = bytearray(20)
        assert buffer.readinto(room) == 20
        assert room == pattern(20)
        assert keeper.is_valid()
