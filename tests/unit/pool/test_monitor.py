"""The monitor: a call that is always left something to do comes to an end."""

import contextlib
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import pytest
from typing_extensions import override

from smmap_typed import ReentrantCallError, SlidingWindowMapManager
from smmap_typed._pool import LRU, Ledger, monitor
from smmap_typed._pool.descriptor import Descriptor
from smmap_typed._pool.inflight import InFlight
from smmap_typed._pool.monitor import Entry, Monitor, Monitored
from smmap_typed._pool.tables import Tables
from smmap_typed.events import Note

pytestmark = pytest.mark.pure


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def busy(served: list[bool]) -> Monitored:
    """Something that is entered, and where somebody leaves a request each time that one is served."""

    # In here, since nothing that is interpreted can be derived from a compiled class.
    class Busy(Monitored):
        __slots__ = ()

        @override
        def serve(self, *, waits: bool) -> bool:
            served.append(waits)
            return True

        @override
        def notify(self, notes: Sequence[Note], error: BaseException | None, *, nested: bool) -> None:
            raise AssertionError((notes, error, nested))

    pool = Busy(Monitor(Tables(Ledger(1, 1, strict=False), LRU())), is_observed=False)
    # As if a nested collect had been refused; nobody takes it back.
    pool.collect_wanted = True
    return pool


def test_requests_without_an_end_do_not_keep_a_call() -> None:
    served: list[bool] = []
    with Entry(busy(served)) as entry:
        assert entry.locked(lambda: 5) == 5
        assert not served
    assert 1 < len(served) < 100
    assert all(served)


def test_a_nested_call_waits_for_no_load_and_for_no_lock() -> None:
    """It could wait for its own thread."""
    pool = busy([])
    with Entry(pool, serves=False):
        nested = Entry(pool, serves=False)
        assert nested.nested
        with pytest.raises(ReentrantCallError, match="needs the window at -1, which is just being mapped"):
            nested.wait(InFlight())
        with pool.monitor.lock, pytest.raises(ReentrantCallError, match="needs its lock, which is taken"):
            nested.locked(lambda: None)


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_section_released_is_closed_when_the_lock_is_free(path: Path, *, fails: bool) -> None:
    """Also if the section ends badly: nobody else would do it before the next one."""
    pool = busy([])
    closing, seen = pool.monitor.tables.closing, list[bool]()
    number = os.open(path, os.O_RDONLY)

    def look(_: object) -> None:
        seen.append(pool.monitor.lock.locked())

    def release() -> None:
        descriptor = Descriptor()
        descriptor.numbers.append(number)
        closing.append(descriptor)
        del descriptor
        references.append(weakref.ref(closing[0], look))
        assert is_open(number)
        if fails:
            raise KeyError("of a section")

    references: list[weakref.ref[Descriptor]] = []
    with Entry(pool, serves=False) as entry, pytest.raises(KeyError) if fails else contextlib.nullcontext():
        entry.locked(release)
    assert not closing
    assert not is_open(number)
    assert seen == [False]


def test_a_lock_that_is_not_had_changes_nothing(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is released is always the one that was taken."""

    def strike(**_: object) -> None:
        raise KeyboardInterrupt

    before = manager._pool.monitor.lock
    with monkeypatch.context() as patch:
        patch.setattr(monitor, "repeat", strike)
        with pytest.raises(KeyboardInterrupt):
            manager._pool.monitor.guard_by(Lock())
    assert manager._pool.monitor.lock is before
    assert manager.make_cursor(path).use_region(0, 1).size() == 1
    assert not before.locked()
