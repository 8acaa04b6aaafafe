"""Re-entry: handlers, callbacks and finalisers that use the library wherever they strike, most often inside of it.

What always works must work: releases, hits, moves to mapped windows, ``collect``. What needs a new map must work or be
refused at once, and refused only if the library really is on the stack that was interrupted.
"""

import copy
import gc
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import pytest

from interrupts import alarms, is_inside_library
from smmap_typed import ReentrantCallError, SlidingWindowMapBuffer, SlidingWindowMapManager, WindowCursor
from smmap_typed._pool.inflight import InFlight
from smmap_typed._pool.tables import Tables
from smmap_typed.testing import check_invariants, in_threads
from support import GRANULE, assert_books_match_kernel, write_pattern

# The default way to end a test that hangs is SIGALRM, which some of these tests need for themselves.
pytestmark = [pytest.mark.timeout(method="thread"), pytest.mark.untraced]

WINDOWS: Final = 16
HANDLES: Final = 12
STRIKES: Final = 400


class Fixture:
    """A manager, two windows of it that stay mapped, work that is interrupted, and what the interruption does."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.content: Final = path.read_bytes()
        self.manager: Final = SlidingWindowMapManager(2 * GRANULE, max_open_handles=HANDLES)
        self.keepers: Final = [self.new().use_region(number * GRANULE, 9) for number in (0, 4)]
        self.outcomes: Final[Counter[str]] = Counter()
        self.failures: Final[list[BaseException]] = []

    def new(self) -> WindowCursor:
        """A cursor that stands nowhere."""
        return self.manager.make_cursor(self.path)

    def expect(self, data: bytes, offset: int) -> None:
        """The right bytes, some of them."""
        assert data
        assert data == self.content[offset : offset + len(data)], f"wrong bytes at {offset}"

    def move(self, cursor: WindowCursor, offset: int) -> None:
        """Stand elsewhere, and look."""
        self.expect(bytes(cursor.use_region(offset, 9).buffer()), offset)

    def work(self) -> None:
        """Map, move, evict, copy, slice, read across windows, close, collect."""
        cursor = self.new()
        for number in range(WINDOWS - 1):
            self.move(cursor, number * GRANULE + 5)
        twin = copy.copy(cursor)
        buffer = SlidingWindowMapBuffer(twin, 7)
        self.expect(buffer[3 : 3 * GRANULE], 10)
        self.expect(cursor.read(5, 5 * GRANULE), 5)
        view = cursor.view(6 * GRANULE, 100)
        cursor.close()
        self.manager.collect()
        self.expect(bytes(view), 6 * GRANULE)
        buffer.end_access()

    def interrupt(self, frame: FrameType | None) -> None:
        """What a handler does; it notes what went wrong, since its errors would come out of the interrupted code."""
        inside = is_inside_library(frame)
        number = self.outcomes.total()
        self.outcomes["inside" if inside else "outside"] += 1
        try:
            self.do_what_always_works(number)
        except BaseException as error:  # noqa: BLE001 - judged at the end
            self.failures.append(error)
        try:
            self.map_something(number)
        except ReentrantCallError as error:
            self.outcomes["refused"] += 1
            if not inside:
                self.failures.append(error)
        except BaseException as error:  # noqa: BLE001 - judged at the end
            self.failures.append(error)

    def do_what_always_works(self, number: int) -> None:
        """Copy, hit, move to a mapped window, release, drop, collect, ask."""
        # Of its own, since another interruption may strike between use_region and buffer.
        cursor = copy.copy(self.keepers[0])
        self.move(cursor, number % 50)
        self.move(cursor, 4 * GRANULE + number % 50)
        twin = copy.copy(cursor)
        twin.close()
        del cursor
        self.manager.collect()
        assert 0 < self.manager.num_file_handles() <= HANDLES
        self.manager.stats()

    def map_something(self, number: int) -> None:
        """Make a cursor and read where nothing may be mapped."""
        cursor = self.new()
        offset = number * 3 % (WINDOWS - 2) * GRANULE + 3
        self.move(cursor, offset)
        self.expect(cursor.read(offset, 2 * GRANULE), offset)

    def judge(self) -> None:
        """Nothing went wrong, and nothing is left."""
        if self.failures:
            raise BaseExceptionGroup(f"{len(self.failures)} interruptions failed", self.failures[:5])
        check_invariants(self.manager)
        for cursor in self.keepers:
            cursor.close()
        gc.collect()
        self.manager.collect()
        check_invariants(self.manager)
        assert_books_match_kernel(self.manager, self.path)
        assert self.manager.num_file_handles() == 0
        self.manager.close()


@pytest.fixture
def fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fixture]:
    """A fixture in which no error may get lost."""
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    path = tmp_path / "file"
    write_pattern(path, WINDOWS * GRANULE)
    fixture = Fixture(path)
    yield fixture
    fixture.judge()
    assert unraisable == []


@contextmanager
def collecting_always(callback: Callable[[FrameType | None], None]) -> Generator[None]:
    """Let the collector run as often as it can, and call back each time. What exists is not looked at again."""

    def call_back(phase: str, info: dict[str, int]) -> None:
        del phase, info
        callback(sys._getframe(1))

    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.callbacks.append(call_back)
    gc.set_threshold(1)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(call_back)
        gc.unfreeze()


def test_a_signal_handler_uses_the_library_wherever_it_strikes(fixture: Fixture) -> None:
    """Every 0.7 ms, until it has struck inside the library some hundred times."""
    with alarms(fixture.interrupt, 0.0007):
        while fixture.outcomes["inside"] < STRIKES:
            fixture.work()


def test_a_collector_callback_uses_the_library_wherever_it_strikes(fixture: Fixture) -> None:
    """In the middle of whatever makes an object that the collector counts."""
    with collecting_always(fixture.interrupt):
        while fixture.outcomes["inside"] < STRIKES:
            fixture.work()


class Cycle:
    """Garbage with a cursor in it, which only the collector finds, and whose finaliser uses the library."""

    def __init__(self, fixture: Fixture) -> None:
        self.me = self
        self.fixture = fixture
        self.cursor = fixture.new().use_region(0, 9)

    def __del__(self) -> None:
        self.fixture.interrupt(sys._getframe(1))
        self.cursor.close()


def test_finalisers_of_cycles_use_the_library_wherever_they_run(fixture: Fixture) -> None:
    """The collector runs inside the library, too, and finds cursors there."""

    def litter(_: FrameType | None) -> None:
        # Garbage for the next collection. Making it needs no new map.
        Cycle(fixture)

    with collecting_always(litter):
        while fixture.outcomes["inside"] < STRIKES:
            fixture.work()


def test_callbacks_of_weak_references_use_the_library(fixture: Fixture) -> None:
    """On what users have, and on the maps, which the library lets go of in the middle of an eviction."""
    callbacks: Counter[str] = Counter()
    references: list[object] = []

    def watch(name: str, thing: object) -> None:
        def call_back(_: object) -> None:
            callbacks[name] += 1
            fixture.interrupt(sys._getframe(1))

        references.append(weakref.ref(thing, call_back))

    for _ in range(20):
        cursor = fixture.new()
        for number in range(WINDOWS - 1):
            fixture.move(cursor, number * GRANULE + 5)
            watch("region", cursor.region())
            watch("view", cursor.buffer())
            watch("map", cursor.map())
        buffer = SlidingWindowMapBuffer(cursor)
        watch("buffer", buffer)
        fixture.expect(buffer[3 : 3 * GRANULE], 3)
        del buffer, cursor
    fixture.manager.collect()
    assert fixture.outcomes["inside"] > 0
    assert callbacks.keys() == {"buffer", "region", "view", "map"}


@pytest.mark.pure
def test_what_is_left_at_each_step_of_the_way_out_keeps_no_call_for_ever(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that strikes at each end of an unload, under the lock, and leaves another end and another request."""
    complete = Tables.complete
    pool = fixture.manager._pool
    struck = 0

    def complete_and_be_struck(tables: Tables, flying: InFlight) -> None:
        nonlocal struck
        complete(tables, flying)
        struck += 1
        tables.finished.append(InFlight())
        pool.collect_wanted = True

    fixture.move(fixture.new(), 9 * GRANULE)
    with monkeypatch.context() as patch:
        patch.setattr(Tables, "complete", complete_and_be_struck)
        assert fixture.manager.collect() == 1
    # More than once: what each left was done on the way out.
    assert struck > 1


def test_threads_are_interrupted_by_the_collector_all_at_once(fixture: Fixture) -> None:
    """Each inside the library when the callback uses it, while the others hold and want its lock."""
    done = threading.Event()

    def work(_: int) -> None:
        while not done.is_set():
            fixture.work()
            if fixture.outcomes["inside"] >= 2 * STRIKES:
                done.set()

    with collecting_always(fixture.interrupt):
        in_threads(3, work)
