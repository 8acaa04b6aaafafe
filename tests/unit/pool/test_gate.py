"""The gate: a call that is always left something to do comes to an end."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import pytest
from typing_extensions import override

from smmap_typed import ReentrantCallError, SlidingWindowMapManager, _gate
from smmap_typed._events import Note
from smmap_typed._gate import Call, Flight, Guarded

pytestmark = pytest.mark.pure


def busy(served: list[bool]) -> Guarded:
    """Something that is guarded, and where somebody leaves a request each time that one is served."""

    # In here, since nothing that is interpreted can be derived from a compiled class.
    class Busy(Guarded):
        __slots__ = ()

        @override
        def outlive(self) -> None:
            raise AssertionError("the interpreter is not at its end")

        @override
        def has_requests(self) -> bool:
            return True

        @override
        def serve(self, *, waits: bool) -> bool:
            served.append(waits)
            return True

        @override
        def listens(self, *, nested: bool) -> bool:
            return nested

        @override
        def tell(self, notes: Sequence[Note], error: BaseException | None, *, nested: bool) -> None:
            raise AssertionError((notes, error, nested))

    return Busy(lambda: None)


def test_requests_without_an_end_do_not_keep_a_call() -> None:
    served: list[bool] = []
    with Call(busy(served)) as call:
        assert call.locked(lambda: 5) == 5
        assert not served
    assert 1 < len(served) < 100
    assert all(served)


def test_a_nested_call_waits_for_no_flight_and_for_no_lock() -> None:
    """It could wait for its own thread."""
    guarded = busy([])
    with Call(guarded, serves=False):
        nested = Call(guarded, serves=False)
        assert nested.nested
        with pytest.raises(ReentrantCallError, match="needs the window at -1, which is just being mapped"):
            nested.wait(Flight())
        with guarded.lock, pytest.raises(ReentrantCallError, match="needs its lock, which is taken"):
            nested.locked(lambda: None)


def test_a_lock_that_is_not_had_changes_nothing(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is released is always the one that was taken."""

    def strike(**_: object) -> None:
        raise KeyboardInterrupt

    before = manager._core.evictor.lock
    with monkeypatch.context() as patch:
        patch.setattr(_gate, "repeat", strike)
        with pytest.raises(KeyboardInterrupt):
            manager._core.evictor.guard_by(Lock())
    assert manager._core.evictor.lock is before
    assert manager.make_cursor(path).use_region(0, 1).size() == 1
    assert not before.locked()
