"""Frames: a pin that cannot be made changes nothing, and leaves nothing that keeps the map open."""

import mmap
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Never

import pytest
from typing_extensions import override

from interrupts import Struck
from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager
from smmap_typed._pool import frame as frames
from smmap_typed._pool.frame import Frame
from smmap_typed._pool.pin import Pin
from support import pattern

# Machine code has its classes and built-in functions inside.
pytestmark = pytest.mark.pure


@pytest.fixture
def mapping() -> Iterator[mmap.mmap]:
    """It can be closed if nobody holds a view of it."""
    with mmap.mmap(-1, 10) as mapping:
        yield mapping


@pytest.fixture
def frame(mapping: mmap.mmap) -> Frame:
    return Frame(1, 2, 10, "/a", 0, 10, mapping, reach=1, copied=False, mapped_at=0.0)


def test_what_is_discarded_cannot_be_pinned_or_looked_at(frame: Frame) -> None:
    frame.mapping = None
    assert frame.pin(id) is None
    assert not frame.pins
    with pytest.raises(ValueError, match=r"^discarded$"):
        frame.view()


def test_what_is_closed_cannot_be_pinned(frame: Frame, mapping: mmap.mmap) -> None:
    mapping.close()
    assert frame.pin(id) is None
    assert not frame.pins


def test_an_error_of_a_handler_is_not_taken_for_a_closed_map(frame: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it is the very type."""

    def interrupted(_: object) -> memoryview:
        raise ValueError("of a handler")

    monkeypatch.setattr(frames, "_make_view", interrupted)
    with pytest.raises(ValueError, match=r"^of a handler$"):
        frame.pin(id)


class Interrupted(mmap.mmap):
    """A map in which a handler interrupts a slice, and the first search."""

    was_searched = False

    @override
    def __getitem__(self, _: object) -> Never:
        raise ValueError("of a handler")

    @override
    def find(self, *_: object) -> int:
        if self.was_searched:
            return -1
        self.was_searched = True
        raise ValueError("of a handler")

    rfind = find


def test_an_error_of_a_handler_in_a_copy_is_not_taken_for_a_closed_map() -> None:
    with Interrupted(-1, 10) as mapping:
        frame = Frame(1, 2, 10, "/a", 0, 10, mapping, reach=1, copied=False, mapped_at=0.0)
        with pytest.raises(ValueError, match=r"^of a handler$"):
            frame.copy(0, 1)
    assert frame.copy(0, 1) is None


@pytest.mark.parametrize("search", ["find", "rfind"])
def test_an_error_of_a_handler_in_a_search_is_not_taken_for_a_closed_map(search: str, path: Path) -> None:
    """Neither by a frame, nor by a buffer, which searches what is near by itself."""
    with Interrupted(-1, 10) as mapping:
        frame = Frame(1, 2, 10, "/a", 0, 10, mapping, reach=1, copied=False, mapped_at=0.0)
        with pytest.raises(ValueError, match=r"^of a handler$"):
            getattr(frame, search)(b"a", 0, 10)
    with SlidingWindowMapManager() as manager, Interrupted(-1, 10) as mapping:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
        assert buffer[:16] == pattern(16)
        frame = buffer._span.state.placement[1]
        real, frame.mapping = frame.mapping, mapping
        with pytest.raises(ValueError, match=r"^of a handler$"):
            getattr(buffer, search)(b"a", 0, *([10] if search == "rfind" else []))
        frame.mapping = real


@pytest.mark.parametrize("search", ["find", "rfind"])
def test_a_search_tells_no_match_from_no_map(search: str, frame: Frame, mapping: mmap.mmap) -> None:
    """What is only closed, or discarded, may have the bytes in the file."""
    mapping[4:6] = b"ab"
    look = getattr(frame, search)
    assert (look(b"ab", 0, 10), look(b"ab", 5, 10)) == (4, -1)
    mapping.close()
    assert look(b"ab", 0, 10) == -2
    frame.mapping = None
    assert look(b"ab", 0, 10) == -2


def test_an_exception_between_view_and_pin_leaves_no_view(
    frame: Frame, mapping: mmap.mmap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its traceback would keep the map open as long as somebody keeps that."""

    def strike(*_: object) -> Pin:
        raise Struck

    released = deque[Pin]()
    monkeypatch.setattr(frames, "_make_pin", strike)
    with pytest.raises(Struck) as caught:
        frame.pin(released.append)
    mapping.close()
    assert caught.value.__traceback__ is not None
    assert not released
