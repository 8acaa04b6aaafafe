"""The gate: the manager's only lock, and who may wait for it.

**Why a plain lock and a count for each thread.** A signal handler, a finaliser or a GC callback can run in the middle
of any line of the library and call it again. A plain lock would then wait for its own thread for ever, and an RLock
would let the handler change the tables under the feet of the code that it interrupted. So each outermost call of a
thread may wait for the lock, and a nested one only tries it. The count is raised *before* the lock is taken and
lowered after it is free: at worst a nested call does not wait though it could have. It counts calls of all managers,
since two threads, each inside one manager, could otherwise wait for each other through finalisers that use the other.

**What the lock covers** is table look-ups and arithmetic. System calls, and waiting for other threads' system calls,
happen outside, or a slow disk would stall the readers of every other file.
"""

import mmap
import threading
from types import TracebackType
from typing import Final, Protocol, final

from smmap_typed._file import Identity
from smmap_typed._region import Hold
from smmap_typed.exceptions import ReentrantCallError

__all__ = ["Call", "Flight", "FlightKey", "Guarded", "depth"]

FlightKey = tuple[Identity, int]
"""A file and the start of one of its windows."""

# How often a waiter looks by itself. It is woken by the thread that it waits for; the look is for the case that a
# signal's exception struck that thread between "done" and "wake".
_LOOK_SECONDS: Final = 0.1


class _ThreadState(threading.local):
    depth = 0
    """How many calls of the library this thread is inside of."""


_thread: Final = _ThreadState()


def depth() -> int:
    """How many calls of the library this thread is inside of, in all managers."""
    return _thread.depth


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
    reserved = -1
    """Bytes reserved in the ledger for the map to come, -1 if none are. Written under the lock."""
    failures = 0
    """System calls that failed on it."""
    done = False
    """Written once, under the lock."""
    _event: threading.Event | None = None

    def __init__(self, key: FlightKey) -> None:
        self.key: Final = key
        """The window: at most one flight is registered for each."""
        self.owner: Final = threading.get_ident()
        """Whose flight it is, for the child of a fork."""

    def join(self) -> threading.Event:
        """What a waiter waits for. Under the lock: most flights never need one."""
        if self._event is None:
            self._event = threading.Event()
        return self._event

    def finish(self) -> None:
        """Let the waiters go. Under the lock."""
        self.done = True
        if self._event is not None:
            self._event.set()


class Guarded(Protocol):
    """What a call enters: the part of a core that the gate knows."""

    lock: threading.Lock

    def has_requests(self) -> bool:
        """Whether nested calls have left something to do."""
        ...

    def serve(self) -> None:
        """Do it."""
        ...


@final
class _Try:
    """The lock for nested calls: taken without waiting, or not at all."""

    __slots__ = ("_lock",)

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> bool:
        if not self._lock.acquire(blocking=False):
            raise ReentrantCallError(
                "a handler or callback interrupted the library and needs its lock, which is taken; "
                "call again from outside the handler"
            )
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()


@final
class Call:
    """One call of the library by this thread, as a context: ``guard`` is the lock in the form that it may use."""

    __slots__ = ("_guarded", "_outer", "_serves", "guard", "nested")

    def __init__(self, guarded: Guarded, *, serves: bool = True) -> None:
        self._guarded = guarded
        self._outer = _thread.depth
        self.nested: Final = self._outer > 0
        """Whether it interrupted another call of this thread: then it never waits."""
        self._serves = serves and not self.nested
        self.guard: Final[threading.Lock | _Try] = _Try(guarded.lock) if self.nested else guarded.lock

    def __enter__(self) -> "Call":
        # Set, not added to: an exception that strikes between two calls cannot leave a wrong count behind.
        _thread.depth = self._outer + 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _thread.depth = self._outer
        # Looked at after the lock is free: who found it taken left the work before trying, so nothing is overlooked.
        while self._serves and self._guarded.has_requests():
            self._guarded.serve()

    def wait(self, flight: Flight) -> None:
        """Wait for the end of another thread's flight, which is bound by a system call."""
        if self.nested:
            raise ReentrantCallError(
                f"a handler or callback interrupted the library and needs the window at {flight.key[1]}, "
                "which is just being mapped or unmapped; call again from outside the handler"
            )
        with self.guard:
            event = flight.join()
        while not flight.done:
            event.wait(_LOOK_SECONDS)
