"""Frames: a pin that cannot be made changes nothing, and leaves nothing that keeps the map open."""

import mmap
from collections import deque
from collections.abc import Iterator
from typing import Never

import pytest
from typing_extensions import override

from interrupts import Struck
from smmap_typed._pool import frame as frames
from smmap_typed._pool.frame import Frame
from smmap_typed._pool.pin import Pin

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
    """A map that a handler interrupts."""

    @override
    def __getitem__(self, _: object) -> Never:
        raise ValueError("of a handler")


def test_an_error_of_a_handler_in_a_copy_is_not_taken_for_a_closed_map() -> None:
    with Interrupted(-1, 10) as mapping:
        frame = Frame(1, 2, 10, "/a", 0, 10, mapping, reach=1, copied=False, mapped_at=0.0)
        with pytest.raises(ValueError, match=r"^of a handler$"):
            frame.copy(0, 1)
    assert frame.copy(0, 1) is None


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
