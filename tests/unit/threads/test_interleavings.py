"""Interleavings that broke the library once, each forced: a thread or a handler comes in at the very place.

What comes in is called from a function of the library that is replaced, or at its entry by a trace function: these are
places where threads may take turns, or a handler may run.
"""

import copy
import sys
import threading
from collections.abc import Callable, Container
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from interrupts import Struck, traced
from smmap_typed import (
    ManagerClosedError,
    ReentrantCallError,
    SlidingWindowMapBuffer,
    SlidingWindowMapManager,
    WindowCursor,
)
from smmap_typed._handles.state import CursorState, Placement
from smmap_typed._pool.frame import Frame
from smmap_typed._pool.inflight import InFlight, Unload
from smmap_typed._pool.pool import Pool
from smmap_typed._pool.replacement import LRU
from smmap_typed._pool.tables import Tables
from smmap_typed.testing import check_invariants
from support import GRANULE, assert_books_match_kernel

if TYPE_CHECKING:
    from _typeshed import TraceFunction

pytestmark = pytest.mark.pure


@pytest.fixture
def manager() -> SlidingWindowMapManager:
    """Windows of one granule, so that no two requests share one."""
    return SlidingWindowMapManager(GRANULE, max_open_handles=3)


def in_another_thread(act: Callable[[], object]) -> None:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def at_the_entry_of(name: str, act: Callable[[], object], *, called_by: str = "") -> None:
    """Do ``act`` in this thread when the library enters that function next, as a signal's handler would."""

    def trace(frame: FrameType, event: str, _: object) -> "TraceFunction":
        caller = frame.f_back.f_code.co_name if frame.f_back else ""
        if event == "call" and frame.f_code.co_name == name and called_by in {"", caller}:
            sys.settrace(None)
            act()
        return trace

    sys.settrace(trace)


def strike() -> None:
    raise Struck


def use(manager: SlidingWindowMapManager, path: Path, *granules: int) -> WindowCursor:
    cursor = manager.make_cursor(path)
    for granule in granules:
        cursor.use_region(granule * GRANULE, 9)
    return cursor


def test_limits_that_are_not_given_are_left_to_whoever_gives_them(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread lowers the other limit in the middle of ``configure``."""
    use(manager, path, 0)
    check_open = Pool.check_open

    def check_in_between(self: Pool) -> None:
        monkeypatch.setattr(Pool, "check_open", check_open)
        in_another_thread(lambda: manager.configure(max_open_handles=2))
        check_open(self)

    monkeypatch.setattr(Pool, "check_open", check_in_between)
    manager.configure(max_memory_size=7 * GRANULE)
    assert (manager.max_file_handles(), manager.max_mapped_memory_size()) == (2, 7 * GRANULE)


def test_an_idle_window_is_found_behind_one_that_is_pinned_and_left_again(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first victim is pinned before it is unloaded, and free before the next look; the second was always idle."""
    manager.configure(max_open_handles=2)
    cursor = use(manager, path, 0, 1)
    cursor.unuse_region()
    manager.stats()
    begin_unload, victim = Tables.begin_unload, LRU.victim

    def pin_first(self: Tables, unload: Unload, frame: Frame) -> bool:
        monkeypatch.setattr(Tables, "begin_unload", begin_unload)
        in_another_thread(lambda: cursor.use_region(0, 9))
        return begin_unload(self, unload, frame)

    def leave_first(self: LRU, refused: Container[int]) -> Frame | None:
        if cursor.is_valid():
            in_another_thread(cursor.unuse_region)
        return victim(self, refused)

    monkeypatch.setattr(Tables, "begin_unload", pin_first)
    monkeypatch.setattr(LRU, "victim", leave_first)
    assert use(manager, path, 3).is_valid()


def test_a_limit_error_needs_a_look_in_which_no_pin_ended(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One cursor wanders from window to window as they are looked at: never was more than one of them pinned."""
    manager.configure(max_open_handles=2)
    cursor = use(manager, path, 0, 1)
    cursor.unuse_region()
    manager.stats()
    # Pinned again, and still the first in the queue.
    cursor.use_region(0, 9)
    is_pinned = Frame.is_pinned

    def wander_on(self: Frame) -> bool:
        pinned = is_pinned(self)
        if pinned and self.begin == 0:
            monkeypatch.setattr(Frame, "is_pinned", is_pinned)
            in_another_thread(lambda: cursor.use_region(GRANULE, 9))
        return pinned

    monkeypatch.setattr(Frame, "is_pinned", wander_on)
    cursors = [cursor, use(manager, path, 3)]
    assert [each.is_valid() for each in cursors] == [True, True]
    check_invariants(manager)


def test_a_handler_moves_to_a_pinned_window_while_others_are_unloaded(
    path: Path, manager: SlidingWindowMapManager
) -> None:
    """The window was idle once, so the collection looks at it, too."""
    keeper = use(manager, path, 0, 1)
    manager.stats()
    keeper.use_region(0, 9)
    other = use(manager, path, 2)
    copies: list[WindowCursor] = []

    def act() -> None:
        copies.append(copy.copy(keeper))
        copies.append(other.use_region(0, 9))

    at_the_entry_of("is_pinned", act, called_by="begin_unload")
    manager.collect()
    assert [cursor.ofs_begin() for cursor in copies] == [0, 0]


@pytest.mark.parametrize("place", ["_begin_collect", "order"])
def test_a_nested_collect_between_drain_and_candidates_is_served(
    path: Path, manager: SlidingWindowMapManager, place: str
) -> None:
    """Its own release was not drained yet, and its request must not be taken back with the work undone."""
    cursor = use(manager, path, 0)

    def act() -> None:
        cursor.close()
        manager.collect()

    at_the_entry_of(place, act)
    manager.collect()
    assert_books_match_kernel(manager, path)
    assert manager.num_file_handles() == 0


def test_a_region_whose_pin_died_under_a_tombstone_can_be_evicted_later(
    path: Path, manager: SlidingWindowMapManager
) -> None:
    """The policy did not know it by then, since an eviction had met it pinned, and a view kept it mapped."""
    cursor = use(manager, path, 0)
    view = cursor.buffer()
    tables = manager._pool.tables
    (frame,) = tables.frames.values()
    cursor.unuse_region()
    manager.stats()
    tables.replacement.forgotten(frame)
    unload = Unload()
    assert tables.begin_unload(unload, frame)
    tables.finished.append(unload)
    manager.stats()
    view.release()
    assert manager.collect() == 1
    check_invariants(manager)


def test_an_exception_in_a_drain_loses_no_count(path: Path, manager: SlidingWindowMapManager) -> None:
    """It strikes right after the first pin has been taken out."""
    use(manager, path, 0, 1, 2)

    def strike_after_removal(frame: FrameType, event: str, _: object) -> "TraceFunction":
        if frame.f_code.co_name == "_drain_releases" and event == "line" and frame.f_locals.get("pins") == set():
            raise Struck
        return strike_after_removal

    with pytest.raises(Struck), traced(strike_after_removal):
        manager.stats()
    statistics = manager.stats()
    assert (statistics.acquisitions, statistics.misses) == (3, 3)
    check_invariants(manager)


@pytest.mark.parametrize("error", [AttributeError, KeyError, ValueError])
def test_an_error_of_a_handler_in_a_drain_is_not_taken_for_our_own(
    path: Path, manager: SlidingWindowMapManager, error: type[Exception]
) -> None:
    """It comes out of the call that it struck, and the region stays evictable."""
    cursor = use(manager, path, 0)
    frame = next(iter(manager._pool.tables.frames.values()))

    class Pins(set[object]):
        @override
        def remove(self, element: object) -> None:
            super().remove(element)
            raise error("a slip in somebody's handler")

    vars(Frame)["pins"].__set__(frame, Pins(frame.pins))
    cursor.unuse_region()
    with pytest.raises(error, match="a slip"):
        manager.stats()
    assert manager.collect() == 1
    check_invariants(manager)


def test_an_exception_in_the_middle_of_publishing_closes_no_map_of_the_tables(
    path: Path, manager: SlidingWindowMapManager
) -> None:
    """The tables are repaired around it: whatever they hold is open."""
    at_the_entry_of("commit", strike)
    with pytest.raises(Struck):
        use(manager, path, 0)
    check_invariants(manager)
    assert_books_match_kernel(manager, path)


def test_close_is_one_step(path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has seen that the manager is closed finds no window any more."""
    cursor = use(manager, path, 0, 1)
    outcomes: list[type[Exception] | bool] = []
    let_go = Pool._let_go

    def look_in_between(self: Pool, *arguments: object) -> None:
        def look() -> None:
            acts: list[Callable[[], WindowCursor]] = [
                lambda: manager.make_cursor(path),
                lambda: cursor.use_region(0, 3),
            ]
            for act in acts:
                try:
                    outcomes.append(act().is_valid())
                except ManagerClosedError as error:
                    outcomes.append(type(error))

        in_another_thread(look)
        let_go(self, *arguments)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # passed on

    monkeypatch.setattr(Pool, "_let_go", look_in_between)
    manager.close()
    assert outcomes == [ManagerClosedError, ManagerClosedError]


def test_a_close_that_is_refused_has_done_nothing(path: Path, manager: SlidingWindowMapManager) -> None:
    """A handler closes the manager while its own thread is under the lock."""
    use(manager, path, 0)
    refused: list[ReentrantCallError] = []

    def act() -> None:
        try:
            manager.close()
        except ReentrantCallError as error:
            refused.append(error)

    at_the_entry_of("_begin_collect", act)
    manager.collect()
    assert len(refused) == 1
    assert use(manager, path, 1).is_valid()


def test_a_handler_in_a_waiter_does_not_wait_for_itself(path: Path, manager: SlidingWindowMapManager) -> None:
    """What a waiter waits for has no Python inside in which a handler could strike: it is a lock of its own."""
    flying = InFlight()
    waiter = flying.join()
    assert isinstance(waiter, type(threading.Lock()))
    assert not waiter.acquire(timeout=0)
    flying.finish()
    assert waiter.acquire(timeout=0)
    assert flying.join().acquire(timeout=0), "who comes when it is over does not wait"
    use(manager, path, 0)


def test_a_reader_that_is_overtaken_by_the_end_of_the_access_leaves_no_pin(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is about to move the buffer to another window."""
    content = path.read_bytes()
    buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
    swap = CursorState.swap

    def swap_after_the_end(self: CursorState, placement: Placement) -> Placement:
        monkeypatch.setattr(CursorState, "swap", swap)
        in_another_thread(buffer.end_access)
        return swap(self, placement)

    monkeypatch.setattr(CursorState, "swap", swap_after_the_end)
    assert buffer[3 * GRANULE] == content[3 * GRANULE]
    assert (len(buffer), manager.stats().pinned_regions) == (0, 0)
    assert buffer.begin_access()
    assert bytes(buffer) == content


def test_an_end_of_the_access_that_comes_last_ends_what_another_thread_has_bound(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other thread binds the buffer to a new cursor in the middle of it."""
    buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
    fresh = CursorState.fresh

    def fresh_after_another_binds(self: CursorState) -> CursorState:
        monkeypatch.setattr(CursorState, "fresh", fresh)
        in_another_thread(lambda: buffer.begin_access(use(manager, path, 2), 2 * GRANULE, 9))
        return fresh(self)

    monkeypatch.setattr(CursorState, "fresh", fresh_after_another_binds)
    buffer.end_access()
    assert (len(buffer), manager.stats().pinned_regions) == (0, 0)
