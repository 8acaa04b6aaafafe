"""Stepping: real threads of which one runs at a time, and a schedule that says which and how far.

A thread can be stopped at *points*: before each operation, before each system call that the library makes, and with
``every_line`` at each line of the modules whose work is done without the manager's lock, as long as that is free. So a
paused thread never holds it, and whoever runs next never waits for it. A thread that waits for another one's load or
unload is not run before that is over; if all wait, that is a deadlock, and an error at once.

A schedule is a list of turns: which thread goes next, and how many points far. When it is used up, each thread in turn
runs until it ends or must wait. So the empty schedule is one thread after the other, and each turn ends with a
preemption, of which few are enough for most defects (M. Musuvathi and S. Qadeer, "Iterative context bounding for
systematic testing of multithreaded programs", PLDI 2007). The same threads and schedule do the same each time, so
Hypothesis can shrink both.
"""

import gc
import mmap
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Final, NamedTuple, ParamSpec, TypeVar, cast, final

import pytest
from typing_extensions import override

import smmap_typed
from smmap_typed._pool.inflight import InFlight
from smmap_typed._pool.monitor import Entry
from smmap_typed.testing import in_threads
from support import SECONDS

if TYPE_CHECKING:
    from _typeshed import TraceFunction

__all__ = ["Stepper", "Turn", "stepping"]

P = ParamSpec("P")
T = TypeVar("T")

# Where points are: in the library, without what tests it, and in what tests put in its place.
LIBRARY: Final = Path(smmap_typed.__file__).parent
DEFECTS: Final = str(Path(__file__).with_name("defects.py"))
POINTED: Final = frozenset({*map(str, (*LIBRARY.glob("*.py"), *LIBRARY.glob("_*/*.py"))), DEFECTS})
# What threads share there is changed in single steps instead of under the lock.
LOCK_FREE: Final = ("buffer", "cursor", "indexing", "region", "span", "state")
POINTED_LINES: Final = (
    *(str(LIBRARY / "_handles" / f"{name}.py") for name in LOCK_FREE),
    str(LIBRARY / "_pool" / "frame.py"),
    DEFECTS,
)

SYSTEM_CALLS: Final = ("open", "stat", "fstat", "dup", "pread", "close")


class Turn(NamedTuple):
    """Who runs, and how far."""

    choice: int
    """Which of those that can run: 0 is the next one after the one that ran last, counted in a circle."""
    points: int
    """It stops at the last of so many."""


# When the schedule is used up.
TO_THE_END: Final = Turn(0, sys.maxsize)


class _Abandoned(BaseException):
    """The schedule has failed, and this thread waits for what nobody will do."""


@final
class _Worker:
    """One of the threads that are stepped."""

    def __init__(self) -> None:
        self.go: Final = SimpleQueue[None]()
        self.waits_for: InFlight | None = None
        self.ended = False

    def can_run(self) -> bool:
        return not self.ended and (self.waits_for is None or self.waits_for.done)


@final
class _Map(mmap.mmap):
    """A map that is closed at a point."""

    before_close: Callable[[], None]

    @override
    def close(self) -> None:
        self.before_close()
        super().close()


@final
class Stepper:
    """Runs threads by a schedule. Made by ``stepping``, which puts the points where the library makes system calls."""

    def __init__(self, schedule: Sequence[Turn], *, every_line: bool) -> None:
        self._schedule: Final = iter(schedule)
        self._every_line: Final = every_line
        self._local: Final = threading.local()
        self._stopped: Final = SimpleQueue[None]()
        self._lock: threading.Lock | None = None
        self._maps: Final[list[weakref.ref[_Map]]] = []
        self._points_left = 0
        self._failed = False
        self.preemptions = 0
        """How many turns ended at a point, rather than because a thread had ended or had to wait."""

    def run(self, lock: threading.Lock, count: int, act: Callable[[int], None], look: Callable[[], None]) -> None:
        """Do ``act(0)`` to ``act(count - 1)``, each in a thread, and ``look`` whenever all pause.

        ``lock`` is the manager's. Errors are raised as ``in_threads`` does.
        """
        self._lock = lock
        workers = [_Worker() for _ in range(count)]

        def take_part(number: int) -> None:
            if number == count:
                self._conduct(workers, look)
            else:
                self._work(workers[number], lambda: act(number))

        # The collector, which comes when it likes, would move the points.
        gc.disable()
        try:
            in_threads(count + 1, take_part, SECONDS)
        finally:
            gc.enable()

    def open_maps(self) -> int:
        """How many maps there are."""
        maps = (reference() for reference in self._maps)
        return sum(one is not None and not one.closed for one in maps)

    def point(self) -> None:
        """Stop here, if it is a thread's turn no longer. Nothing in a thread that is not stepped."""
        worker: _Worker | None = getattr(self._local, "worker", None)
        if worker is None or self._failed:
            return
        self._points_left -= 1
        if self._points_left <= 0:
            self.preemptions += 1
            self._pause(worker)

    def before_call(self, real: Callable[P, T]) -> Callable[P, T]:
        """The system call ``real`` with a point before it, for those that the library makes."""

        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            if sys._getframe(1).f_code.co_filename in POINTED:
                assert self._lock is None or not self._lock.locked(), "a system call under the manager's lock"
                self.point()
            return real(*args, **kwargs)

        return call

    def map(self, descriptor: int, size: int, **rest: bool) -> mmap.mmap:  # as narrow as the narrowest of its options
        """In the place of ``mmap.mmap``."""
        make = cast("Callable[..., _Map]", _Map)  # options differ between systems
        made = make(descriptor, size, **rest)
        made.before_close = self.point
        self._maps.append(weakref.ref(made))
        return made

    def wait(self, real: Callable[[Entry, InFlight], None], entry: Entry, flying: InFlight) -> None:
        """In the place of ``Entry.wait``: the thread does not run before the load or unload is over."""
        worker: _Worker | None = getattr(self._local, "worker", None)
        if worker is not None and not entry.nested:
            worker.waits_for = flying
            self._pause(worker)
            worker.waits_for = None
            if not flying.done:
                raise _Abandoned
        real(entry, flying)

    def _conduct(self, workers: list[_Worker], look: Callable[[], None]) -> None:
        """Give the threads their turns."""
        try:
            circle = deque(workers)
            while not all(worker.ended for worker in workers):
                ready = [worker for worker in circle if worker.can_run()]
                assert ready, f"deadlock: all that have not ended wait, {[worker.waits_for for worker in workers]}"
                turn = next(self._schedule, TO_THE_END)
                worker = ready[turn.choice % len(ready)]
                # It is the last one next time.
                circle.rotate(-1 - circle.index(worker))
                self._points_left = turn.points
                worker.go.put(None)
                self._stopped.get(timeout=SECONDS)
                look()
        except BaseException:
            self._failed = True
            for worker in workers:
                worker.go.put(None)
            raise

    def _work(self, worker: _Worker, act: Callable[[], None]) -> None:
        before = sys.gettrace()
        self._local.worker = worker
        worker.go.get(timeout=SECONDS)
        try:
            if self._every_line:
                sys.settrace(self._trace)
            act()
        except _Abandoned:
            pass
        finally:
            sys.settrace(before)
            worker.ended = True
            self._stopped.put(None)

    def _pause(self, worker: _Worker) -> None:
        if not self._failed:
            self._stopped.put(None)
            worker.go.get(timeout=SECONDS)

    def _trace(self, frame: FrameType, event: str, _: object) -> "TraceFunction | None":
        if frame.f_code.co_filename not in POINTED_LINES:
            return None
        if event == "line" and self._lock is not None and not self._lock.locked():
            self.point()
        return self._trace


@contextmanager
def stepping(schedule: Sequence[Turn], *, every_line: bool) -> Generator[Stepper]:
    """A stepper, with points at the library's system calls as long as the context lasts."""
    stepper = Stepper(schedule, every_line=every_line)
    real_wait = Entry.wait

    def wait(entry: Entry, flying: InFlight) -> None:
        stepper.wait(real_wait, entry, flying)

    with pytest.MonkeyPatch.context() as patch:
        for name in SYSTEM_CALLS:
            patch.setattr(os, name, stepper.before_call(getattr(os, name)))
        patch.setattr(mmap, "mmap", stepper.before_call(stepper.map))
        patch.setattr(Entry, "wait", wait)
        yield stepper
