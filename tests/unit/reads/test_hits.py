"""Hits: ``cursor.read`` and ``view`` of bytes that are known to be in memory call no other function of the library."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType

import pytest

from interrupts import LIBRARY
from smmap_typed import ManagerClosedError, SlidingWindowMapBuffer, SlidingWindowMapManager
from support import GRANULE, pattern

pytestmark = pytest.mark.pure


def functions_of(act: Callable[[], object]) -> list[str]:
    """The functions of the library that ``act`` calls, in order."""
    called: list[CodeType] = []

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(LIBRARY):
            called.append(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        act()
    finally:
        sys.setprofile(before)
    return [code.co_qualname for code in called]


@pytest.mark.parametrize("reads", ["auto", "pread"])
def test_a_hit_is_in_the_method_itself(path: Path, reads: str) -> None:
    """A read of the window that the cursor is on, once its bytes are known; a view of it, known or not."""
    with SlidingWindowMapManager(2 * GRANULE, reads="pread" if reads == "pread" else "auto") as manager:
        cursor = manager.make_cursor(path).use_region(0, 16)
        # A look at the page faults, ten times a second, is no hit.
        manager._pool.ageing.rest()
        assert functions_of(lambda: cursor.view(8, 64)) == ["WindowCursor.view"]
        cursor.read(8, 64)
        known = functions_of(lambda: cursor.read(8, 64)) == ["WindowCursor.read"]
        assert known == (reads == "auto")
        assert cursor.read(8, 64) == cursor.view(8, 64) == pattern(64, 0, 8)


def test_a_hit_of_a_buffer_makes_one_call(path: Path) -> None:
    """For a slice; an index makes none."""
    with SlidingWindowMapManager(2 * GRANULE) as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
        manager._pool.ageing.rest()
        assert buffer[8:72] == pattern(64, 0, 8)
        assert functions_of(lambda: buffer[8:72]) == ["Indexed.__getitem__", "Frame.copy"]
        assert functions_of(lambda: buffer[9]) == ["Indexed.__getitem__"]


def test_the_next_occurrence_makes_one_call(path: Path) -> None:
    """If it is near, and known to be in memory: forwards, and backwards."""
    with SlidingWindowMapManager(2 * GRANULE) as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
        manager._pool.ageing.rest()
        text = buffer[:1000]
        assert functions_of(lambda: buffer.find(b"\n", 5)) == ["Indexed.find"]
        assert functions_of(lambda: buffer.rfind(b"\n", 0, 999)) == ["Indexed.rfind"]
        assert buffer.find(b"\n", 5) == text.find(b"\n", 5)
        assert buffer.rfind(b"\n", 0, 999) == text.rfind(b"\n", 0, 999)


@pytest.mark.parametrize("search", ["find", "rfind", "count", "__contains__"])
def test_a_search_of_what_is_known_copies_nothing(path: Path, search: str) -> None:
    """It searches the window itself, beyond what is near, too."""
    with SlidingWindowMapManager() as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
        assert not buffer.count(b"nowhere")
        manager._pool.ageing.rest()
        called = functions_of(lambda: getattr(buffer, search)(b"nowhere"))
        assert "Frame.find" in called or "Frame.rfind" in called
        assert "Span.read" not in called


@pytest.mark.parametrize("end", ["moved", "collected"])
def test_a_hit_ends_with_its_window(path: Path, end: str) -> None:
    """What is known belongs to the window."""
    with SlidingWindowMapManager(2 * GRANULE) as manager:
        cursor = manager.make_cursor(path).use_region(0, 16)
        cursor.read(8, 64)
        if end == "moved":
            cursor.use_region(4 * GRANULE, 16)
        else:
            cursor.unuse_region()
            assert manager.collect() == 1
        assert len(functions_of(lambda: cursor.read(8, 64))) > 1


def test_there_is_no_hit_in_a_manager_that_is_closed(path: Path) -> None:
    """Though the cursor's memoryview still keeps the map open."""
    manager = SlidingWindowMapManager(2 * GRANULE)
    cursor = manager.make_cursor(path).use_region(0, 16)
    cursor.read(8, 64)
    manager.close()
    with pytest.raises(ManagerClosedError):
        cursor.read(8, 64)
