"""The read path takes no lock: what a cursor and a buffer do inside mapped windows waits for no other thread.

A substitute stands in the place of the manager's lock. It counts who tries to take it, and whoever would wait for it
gets an error instead, which names the place.
"""

import copy
import mmap
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, cast

import pytest

from interrupts import Struck, striking_alarm
from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager, WindowCursor
from smmap_typed.testing import check_invariants, in_threads
from support import GRANULE, ObservedMap, assert_books_match_kernel, pattern, write_pattern

# Interval timers are POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

REGIONS: Final = 16
ROUNDS: Final = 1000
MOVES: Final = 10_000
STRIKES: Final = 2000


class WatchedLock:
    """A lock that counts the attempts to take it, and at which waiting is an error."""

    def __init__(self, *, lies: bool = False) -> None:
        self._lock: Final = threading.Lock()
        self._lies: Final = lies
        self.tries = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it, if it is free."""
        del timeout
        self.tries += 1
        taken = self._lock.acquire(blocking=False)
        if blocking and not taken:
            raise AssertionError("this would wait for the manager's lock")
        return taken

    def release(self) -> None:
        """Give it back."""
        self._lock.release()

    def locked(self) -> bool:
        """Whether it is taken; a lying one always says no, as if it were taken right after the answer."""
        return self._lock.locked() and not self._lies

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()


def watch(manager: SlidingWindowMapManager, *, lies: bool = False) -> WatchedLock:
    """Put a substitute in the place of the manager's lock."""
    watched = WatchedLock(lies=lies)
    manager._pool.monitor.guard_by(cast(threading.Lock, watched))
    return watched


class Fixture:
    """A manager whose windows are all mapped, a cursor and a buffer in it, and a twin of either elsewhere."""

    def __init__(self, manager: SlidingWindowMapManager, path: Path) -> None:
        self.content: Final = path.read_bytes()
        self.manager: Final = manager
        self.new: Callable[[], WindowCursor] = lambda: manager.make_cursor(path)
        for number in range(REGIONS):
            self.new().use_region(number * GRANULE)
        self.cursor: Final = self.new().use_region(0)
        self.buffer: Final = SlidingWindowMapBuffer(self.cursor)
        manager.stats()

    def at(self, number: int) -> tuple[int, bytes]:
        """A place that is another for each number, and what is there."""
        offset = number * 7 % REGIONS * GRANULE + number % 1000
        return offset, self.content[offset : offset + 9]


def hit(fixture: Fixture, number: int) -> None:
    """Stay in a window."""
    assert fixture.cursor.use_region(number % 1000, 9).ofs_begin() == number % 1000


def take_buffer(fixture: Fixture, _: int) -> None:
    """Take a view of what the cursor stands on."""
    assert bytes(fixture.cursor.buffer()[:9]) == fixture.content[fixture.cursor.ofs_begin() :][:9]


def view(fixture: Fixture, number: int) -> None:
    """Look into another window."""
    offset, expected = fixture.at(number)
    assert bytes(fixture.cursor.view(offset, 9)) == expected


def read(fixture: Fixture, number: int) -> None:
    """Read from another window."""
    offset, expected = fixture.at(number)
    assert fixture.cursor.read(offset, 9) == expected


def index(fixture: Fixture, number: int) -> None:
    """Index the buffer inside its window."""
    assert fixture.buffer[number % 1000] == fixture.content[number % 1000]


def cut(fixture: Fixture, number: int) -> None:
    """Slice the buffer inside its window."""
    assert fixture.buffer[number % 1000 : number % 1000 + 9] == fixture.content[number % 1000 :][:9]


def slide(fixture: Fixture, number: int) -> None:
    """Slice the buffer across two windows, and index another one."""
    first = (number % (REGIONS - 1) + 1) * GRANULE
    assert fixture.buffer[first - 3 : first + 6] == fixture.content[first - 3 : first + 6]
    assert fixture.buffer[number % REGIONS * GRANULE] == fixture.content[number % REGIONS * GRANULE]


def move(fixture: Fixture, number: int) -> None:
    """Go to another window."""
    offset, expected = fixture.at(number)
    assert bytes(fixture.cursor.use_region(offset, 9).buffer()) == expected


def move_for_as_much_as_possible(fixture: Fixture, number: int) -> None:
    """The same without a size."""
    offset, expected = fixture.at(number)
    assert bytes(fixture.cursor.use_region(offset).buffer()[:9]) == expected


def release(fixture: Fixture, number: int) -> None:
    """Let go, and come back."""
    fixture.cursor.unuse_region()
    assert not fixture.cursor.is_valid()
    move(fixture, number)


def copy_and_drop(fixture: Fixture, number: int) -> None:
    """Copy the cursor, assign it to another one, and drop both."""
    twin = fixture.new()
    twin.assign(copy.copy(fixture.cursor))
    offset, expected = fixture.at(number)
    assert bytes(twin.use_region(offset, 9).buffer()) == expected


def ask(fixture: Fixture, _: int) -> None:
    """Ask what can be asked."""
    region = fixture.cursor.region()
    assert region is not None
    assert region.client_count() >= 2
    assert (fixture.manager.num_file_handles(), fixture.manager.mapped_memory_size()) == (REGIONS, REGIONS * GRANULE)
    assert fixture.manager.num_open_files() == 1


def repeat(act: Callable[[Fixture, int], None], fixture: Fixture) -> None:
    """Do it again and again, a little different each time."""
    for number in range(ROUNDS):
        act(fixture, number)


STAYING: Final = (hit, take_buffer, index, cut, ask)
MOVING: Final = (view, read, slide, move, move_for_as_much_as_possible, release, copy_and_drop)


@pytest.fixture
def fixture(tmp_path: Path) -> Iterator[Fixture]:
    """Sixteen windows of one granule."""
    path = tmp_path / "file"
    write_pattern(path, REGIONS * GRANULE)
    with SlidingWindowMapManager(GRANULE) as manager:
        yield Fixture(manager, path)


@pytest.mark.parametrize("act", STAYING + MOVING, ids=lambda act: act.__name__)
@pytest.mark.parametrize("lies", [False, True], ids=["a lock", "a lock that is taken after a look"])
def test_it_never_waits_for_a_lock_that_another_thread_holds(
    fixture: Fixture, act: Callable[[Fixture, int], None], *, lies: bool
) -> None:
    """Not even if the lock looked free: it is held for as long as the other thread works."""
    lock = watch(fixture.manager, lies=lies)
    assert lock.acquire()
    try:
        in_threads(1, lambda _: repeat(act, fixture))
    finally:
        lock.release()
    check_invariants(fixture.manager)


@pytest.mark.parametrize("act", STAYING, ids=lambda act: act.__name__)
def test_staying_in_a_window_does_not_even_try_the_lock(fixture: Fixture, act: Callable[[Fixture, int], None]) -> None:
    lock = watch(fixture.manager)
    repeat(act, fixture)
    assert lock.tries == 0


@pytest.mark.parametrize("act", [move, move_for_as_much_as_possible], ids=lambda act: act.__name__)
def test_moves_try_the_lock_once_in_as_many_as_there_are_regions(
    fixture: Fixture, act: Callable[[Fixture, int], None]
) -> None:
    """Not never: somebody must drain the releases while nothing misses."""
    lock = watch(fixture.manager)
    for number in range(MOVES):
        act(fixture, number)
    assert 0 < lock.tries <= MOVES // REGIONS


def test_the_queues_stay_short(fixture: Fixture) -> None:
    """A hundred thousand moves, and no miss that would drain the releases."""
    tables = fixture.manager._pool.tables
    longest = 0
    for number in range(10 * MOVES):
        fixture.cursor.use_region(number * 7 % REGIONS * GRANULE, 9)
        longest = max(longest, len(tables.released))
    assert longest < 8 * REGIONS
    assert len(list(tables.replacement.order())) <= REGIONS
    assert fixture.manager.stats().acquisitions > 10 * MOVES


def test_a_mover_does_not_end_what_another_threads_calls_have_begun(fixture: Fixture) -> None:
    """A load that is over, and a nested collect that was refused, are for who holds the lock, on the way out."""
    lock = watch(fixture.manager)
    pool = fixture.manager._pool
    with lock:
        pool.collect_wanted = True
        in_threads(1, lambda _: repeat(move, fixture))
        assert pool.collect_wanted
    check_invariants(fixture.manager)
    assert fixture.manager.num_file_handles() == 2


def test_a_mover_does_not_trim_what_another_thread_has_mapped_past_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who mapped past the soft memory limit trims at the end of that call (I3); here the other moves meanwhile."""
    path = tmp_path / "file"
    content = write_pattern(path, 4 * GRANULE)
    monkeypatch.setattr(mmap, "mmap", ObservedMap)
    with SlidingWindowMapManager(GRANULE, 3 * GRANULE) as manager:
        _keeper, mover, mapper = (manager.make_cursor(path).use_region(number * GRANULE) for number in range(3))
        lock = watch(manager)
        seen: list[bytes] = []

        def move_meanwhile() -> None:
            with lock:
                seen.extend(in_threads(1, lambda _: bytes(mover.use_region(0, 9).buffer())))

        monkeypatch.setattr(ObservedMap, "observers", [move_meanwhile])
        mapper.use_region(3 * GRANULE)
        monkeypatch.setattr(ObservedMap, "observers", [])
        assert seen == [content[:9]]
        assert manager.mapped_memory_size() == 3 * GRANULE
        check_invariants(manager)
        assert_books_match_kernel(manager, path)


@pytest.mark.untraced
@pytest.mark.timeout(method="thread")
def test_an_exception_at_any_moment_never_leaves_the_lock_taken(tmp_path: Path) -> None:
    """A move takes the lock without ``with``; a signal's exception strikes there thousands of times."""
    path = tmp_path / "file"
    write_pattern(path, 2 * GRANULE)
    chance = random.Random(0)
    manager = SlidingWindowMapManager(GRANULE)
    cursor = manager.make_cursor(path)
    pool = manager._pool
    with striking_alarm():
        for _ in range(STRIKES):
            cursor.use_region(0).use_region(GRANULE)
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(20e-6, 120e-6))
                while True:
                    pool.try_drain()
            except Struck:
                pass
            assert not pool.monitor.lock.locked()
    check_invariants(manager)
    assert bytes(cursor.use_region(GRANULE, 9).buffer()) == pattern(2 * GRANULE)[GRANULE : GRANULE + 9]
    manager.close()
