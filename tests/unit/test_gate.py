"""The gate: a call that is always left something to do comes to an end."""

from collections.abc import Callable, Sequence
from threading import Lock

import pytest

from smmap_typed import ReentrantCallError
from smmap_typed._events import Note
from smmap_typed._gate import Call, Flight


class Busy:
    """Something that is guarded, and where somebody leaves a request each time that one is served."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.served = 0

    @property
    def drain(self) -> Callable[[], None]:
        return lambda: None

    def outlive(self) -> None:
        raise AssertionError("the interpreter is not at its end")

    def has_requests(self) -> bool:
        return True

    def serve(self, *, waits: bool) -> bool:
        assert waits
        self.served += 1
        return True

    def listens(self, *, nested: bool) -> bool:
        return nested

    def tell(self, notes: Sequence[Note], error: BaseException | None, *, nested: bool) -> None:
        raise AssertionError((notes, error, nested))


def test_requests_without_an_end_do_not_keep_a_call() -> None:
    busy = Busy()
    with Call(busy) as call:
        assert call.locked(lambda: 5) == 5
        assert busy.served == 0
    assert 1 < busy.served < 100


def test_a_nested_call_waits_for_no_flight_and_for_no_lock() -> None:
    """It could wait for its own thread."""
    busy = Busy()
    with Call(busy, serves=False):
        nested = Call(busy, serves=False)
        assert nested.nested
        with pytest.raises(ReentrantCallError, match="needs the window at -1, which is just being mapped"):
            nested.wait(Flight())
        with busy.lock, pytest.raises(ReentrantCallError, match="needs its lock, which is taken"):
            nested.locked(lambda: None)
