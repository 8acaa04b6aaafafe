"""The gate: the manager's only lock, and who may wait for it.

**Why a plain lock and a mark for each thread.** A signal handler, a finaliser or a GC callback can run in the middle
of any line of the library and call it again. A plain lock would then wait for its own thread for ever, and an RLock
would let the handler change the tables under the feet of the code that it interrupted. So each outermost call of a
thread may wait for the lock, and a nested one enters only if it finds the lock free. The mark (_inside) is set
*before* the lock is taken and taken back after it is free. It is one for all managers, since two threads, each inside
one, could otherwise wait for each other through finalisers that use the other.

**Why the lock is taken by a loop.** An exception of a signal's handler that strikes between ``acquire()`` and ``try``
leaves the lock held for ever. ``with lock`` closes that gap up to CPython 3.13 only: since 3.14 it calls ``__enter__``
as it calls any function, and handlers run after each call. A loop over ``map(lock.acquire, ...)`` has no gap in any
version: its step is C from the call until the name is bound, and the ``try`` comes before the next place where a
handler can run. So ``Call.locked`` is the one place that takes the lock, and a section is a function.

**What the lock covers** is table look-ups and arithmetic. System calls, and waiting for other threads' system calls,
happen outside, or a slow disk would stall the readers of every other file.

**What a call must leave because the lock is taken** (a nested ``collect``, the end of a nested call's flight) it leaves
first, and then looks again whether the lock is free; each call looks for what was left when it is out of its last
section. So the work is done by whoever held the lock, on the way out, or if it may not wait either by the next holder.
"""

import mmap
import sys
import threading
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from types import TracebackType
from typing import Final, TypeVar, TypeVarTuple, final

from smmap_typed._events import Note, Outcome
from smmap_typed._file import Identity
from smmap_typed._hold import Hold
from smmap_typed._inside import Life, is_inside, thread
from smmap_typed._types import Target
from smmap_typed.exceptions import ReentrantCallError

__all__ = ["Call", "Flight", "FlightKey", "Guarded"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

FlightKey = tuple[Identity, int]
"""A file and the start of one of its windows."""

# How often a waiter looks by itself. It is woken by the thread that it waits for; the look is for the case that a
# signal's exception struck that thread before it could wake anybody.
_LOOK_SECONDS: Final = 0.1

# How often a call looks on its way out for what nested calls have left. A handler that strikes each time, and leaves
# something each time, would keep it for ever; what is left then is the next call's.
_MOST_ROUNDS: Final = 16

_NO_WINDOW: Final[FlightKey] = (Identity(0, 0, 0, 0), -1)


@final
class Flight:
    """One system call under way for one window, and what the thread that makes it must give back.

    Others who need the window, or the room that it takes, wait for its end.
    """

    victim: Hold | None = None
    """The region that is being unmapped, or None if one is being mapped."""
    evicted = False
    """Whether it unmaps to make room."""
    mapping: mmap.mmap | None = None
    """The map that is being closed, or the new one until it is published."""
    serial = 0
    """The serial of the region that it is about."""
    nbytes = 0
    """Bytes of the map to come."""
    heir: "Flight | None" = None
    """Whose map is to come in the victim's place, and gets its room when this flight is settled."""
    reserved = -1
    """Bytes reserved in the ledger for the map to come, -1 if none are. Written under the lock."""
    failures = 0
    """System calls that failed on it."""
    done = False
    """Written once, under the lock."""

    def __init__(self) -> None:
        self.key: FlightKey = _NO_WINDOW
        """The window: at most one flight is registered for each. Set before it is registered."""
        self.owner: Final = threading.get_ident()
        """Whose flight it is, for the child of a fork."""
        self.waiters: tuple[threading.Lock, ...] = ()
        """A lock for each thread that waits, taken. Written under the manager's lock; most flights never have one.

        Not an Event: that is Python around a lock, and a handler can strike in it. ``finish`` would then wait for its
        own thread, under the manager's lock."""

    def join(self) -> threading.Lock:
        """A lock of the waiter's own, which is free as soon as the flight is over. Under the manager's lock."""
        waiter = threading.Lock()
        if not self.done:
            waiter.acquire()
            self.waiters = (*self.waiters, waiter)
        return waiter

    def finish(self) -> None:
        """Let the waiters go. Under the lock; any number of times; waits for nobody."""
        self.done = True
        waiters, self.waiters = self.waiters, ()
        for waiter in waiters:
            waiter.release()


class Guarded:
    """What a call enters: the part of a core that the gate knows.

    A base class and no protocol: compiled code would look up what it calls of a protocol by name, each time. Nor an
    ABC: a compiled class with an interpreted base is open to weak references that mypyc does not clear.
    """

    __slots__ = ("attempting", "drain", "lock", "waiting")

    lock: threading.Lock
    """Guards the tables and the ledger. Never held across a system call."""
    waiting: Iterator[bool]
    """Each step takes the lock. Made once, for all sections: it has no end, and nothing in it changes."""
    attempting: Iterator[bool]
    """Each step takes the lock if it is free, and tells whether it was."""

    def __init__(self, drain: Callable[[], None]) -> None:
        self.drain: Final = drain
        """The beginning of every section: makes the tables say what is."""
        self.guard_by(threading.Lock())

    def guard_by(self, lock: threading.Lock) -> None:
        """Use ``lock``, which is free and which no other thread knows yet."""
        waiting, attempting = map(lock.acquire, repeat(object=True)), map(lock.acquire, repeat(object=False))
        # After the calls, where a handler could strike: the lock is always the one that the iterators take.
        self.lock, self.waiting, self.attempting = lock, waiting, attempting

    @abstractmethod
    def outlive(self) -> None:
        """Go on without all other threads, which are gone, wherever they were. This one is outside."""

    @abstractmethod
    def has_requests(self) -> bool:
        """Whether nested calls have left something to do."""

    @abstractmethod
    def serve(self, *, waits: bool) -> bool:
        """Do it; False if the lock is taken and the call may not wait, so that its holder will."""

    @abstractmethod
    def listens(self, *, nested: bool) -> bool:
        """Whether there is anybody to tell what happens."""

    @abstractmethod
    def tell(self, notes: Sequence[Note], error: BaseException | None, *, nested: bool) -> None:
        """Tell what a call has noted, and the limit error that ended it."""


@final
class Call:
    """One call of the library by this thread, as a context."""

    __slots__ = ("_guarded", "_life", "_serves", "nested", "notes", "waits")

    def __init__(self, guarded: Guarded, *, serves: bool = True, waits: bool = True) -> None:
        self._guarded: Final = guarded
        self._life: Final = Life()
        self.nested: Final = is_inside()
        """Whether it interrupted another call of this thread."""
        if not self.nested and sys.is_finalizing():  # pragma: no cover - what measures has ended; see test_exit
            # A finaliser, as the interpreter exits: it has stopped the other threads for good, inside or outside.
            guarded.outlive()
        self.waits: Final = waits and not self.nested
        """Whether it may wait for the lock."""
        self._serves: Final = serves
        self.notes: Final[list[Note] | None] = [] if guarded.listens(nested=self.nested) else None
        """What it is to tell on its way out; None if there is nobody to tell. Asked now and not later: the log may have
        a lock to wait for, and whoever holds that may wait for a flight of this call."""

    def note(self, hold: Hold, outcome: Outcome) -> None:
        """Have it told what has become of a region."""
        self.note_about(hold.target, hold.begin, hold.size, outcome)

    def note_about(self, target: Target, offset: int, size: int, outcome: Outcome) -> None:
        """The same for a window that has no region."""
        if self.notes is not None:
            self.notes.append((target, offset, size, outcome))

    def locked(self, section: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """What ``section`` returns under the lock; ReentrantCallError if that is taken and this call may not wait."""
        guarded = self._guarded
        # Nothing may stand between these two lines: see the module's docstring.
        for acquired in guarded.waiting if self.waits else guarded.attempting:  # pragma: no branch - without an end
            try:
                if acquired:
                    guarded.drain()
                    return section(*arguments)
            finally:
                if acquired:
                    guarded.lock.release()
            break
        raise ReentrantCallError(
            "a handler or callback interrupted the library and needs its lock, which is taken; "
            "call again from outside the handler"
        )

    def __enter__(self) -> "Call":
        if not self.nested:
            thread.outermost = weakref.ref(self._life)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self.nested:
            thread.outermost = None
        if self._serves:
            for _ in range(_MOST_ROUNDS):
                if not (self._guarded.has_requests() and self._guarded.serve(waits=self.waits)):
                    break
        if self.notes is not None:
            self._guarded.tell(self.notes, error, nested=self.nested)

    def wait(self, flight: Flight) -> None:
        """Wait for the end of another thread's flight, which is bound by a system call."""
        if self.nested:
            raise ReentrantCallError(
                f"a handler or callback interrupted the library and needs the window at {flight.key[1]}, "
                "which is just being mapped or unmapped; call again from outside the handler"
            )
        while not flight.done:
            # To look is to enter the lock, which settles the flights that are over.
            self.locked(flight.join).acquire(timeout=_LOOK_SECONDS)
