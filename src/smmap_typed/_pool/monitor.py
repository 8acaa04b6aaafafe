"""The monitor: the pool's only lock, and the rule which calls may wait for it.

**Why a plain lock and a mark for each thread.** A signal handler, a finaliser or a GC callback can interrupt the
library at almost any line and call it again. With a plain lock alone, that call would wait for its own thread for ever.
With an RLock, it would change the tables in the middle of the code that it interrupted. So the outermost call of a
thread may wait for the lock, and a nested call enters only if it finds the lock free. The mark of a thread
(``reentrancy``) is set *before* the lock is taken and removed after it is released. There is one mark for all managers:
with one per manager, two threads in two managers could wait for each other through finalisers that use the other one.

**Why a loop takes the lock.** If the exception of a signal handler strikes between ``acquire()`` and ``try``, the lock
stays taken for ever. ``with lock`` has no such gap up to CPython 3.13. Since 3.14 it calls ``__enter__`` like any
function, and handlers run after each call. A loop over ``map(lock.acquire, ...)`` has no gap: its step is C from the
call until the name is bound, and the ``try`` comes before the next place where a handler can run. So ``Entry.locked``
takes the lock for all sections, and a section is a function.

**The lock covers** table look-ups and arithmetic. System calls, and waiting for those of other threads, happen outside,
so that a slow disk does not stall the readers of other files.

**Requests.** A call that may not wait leaves its request (a nested ``collect``, the end of a nested load) before it
tries the lock. Each call looks for requests after its last section. So if the lock is taken, its holder serves the
request on its way out, or the next holder does if that one may not wait either.
"""

import sys
import threading
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from logging import INFO
from types import TracebackType
from typing import Final, TypeVar, TypeVarTuple, final

from smmap_typed._pool.frame import Frame
from smmap_typed._pool.inflight import InFlight, Load, close_unless_viewed
from smmap_typed._pool.reentrancy import Life, thread
from smmap_typed._pool.tables import Tables
from smmap_typed._types import Target
from smmap_typed.events import LOGGER, Note, Outcome
from smmap_typed.exceptions import ReentrantCallError

__all__ = ["Entry", "Monitor", "Monitored"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_ADVICE: Final = "call again when the interrupted call has ended; patch gevent before smmap_typed is imported"

# How often a waiting thread looks by itself. Usually the thread that it waits for wakes it, unless an exception of a
# signal handler strikes that thread first.
_LOOK_SECONDS: Final = 0.1

# How often a call serves requests on its way out. A handler that leaves a new request each time would keep the call for
# ever; after this many rounds the next call serves them.
_MOST_ROUNDS: Final = 16


@final
class Monitor:
    """The lock of one pool, and the tables that it guards."""

    __slots__ = ("attempting", "lock", "tables", "waiting")

    lock: threading.Lock
    """Guards the tables and the ledger. Not held across system calls on files."""
    waiting: Iterator[bool]
    """Takes the lock at each step. One iterator serves all sections, since it has no end and no state."""
    attempting: Iterator[bool]
    """At each step takes the lock if it is free, and yields whether it was."""

    def __init__(self, tables: Tables) -> None:
        self.tables: Final = tables
        self.guard_by(threading.Lock())

    def guard_by(self, lock: threading.Lock) -> None:
        """Use ``lock``, which must be free and unknown to other threads."""
        waiting, attempting = map(lock.acquire, repeat(object=True)), map(lock.acquire, repeat(object=False))
        # Set all three after the calls, in which a handler could strike, so that the iterators take ``lock``.
        self.lock, self.waiting, self.attempting = lock, waiting, attempting

    def abandon_other_threads(self) -> None:
        """Go on after all other threads are gone, perhaps in the middle of a section. This thread is outside."""
        self.guard_by(threading.Lock())
        self.post_foreign_loads()

    def post_foreign_loads(self) -> None:
        """Post the loads and unloads of other threads, which are gone, for the next holder of the lock to complete."""
        me = threading.get_ident()
        for flying in [flying for flying in self.tables.in_flight.values() if flying.owner != me]:
            # The threads that wait for it are gone, too.
            flying.waiters = ()
            if isinstance(flying, Load) and flying.mapping is not None:
                close_unless_viewed(flying.mapping)
            self.tables.finished.append(flying)


class Monitored:
    """The part of a pool that this module knows, and that a call enters.

    This is a base class rather than a protocol, because compiled code looks up each member of a protocol by name. It is
    no ABC either: a compiled class with an interpreted base accepts weak references, which mypyc does not clear.
    """

    __slots__ = ("collect_wanted", "is_observed", "monitor")

    def __init__(self, monitor: Monitor, *, is_observed: bool) -> None:
        self.monitor: Final = monitor
        self.is_observed: Final = is_observed
        """Whether there is an observer to notify of events, besides the log."""
        self.collect_wanted = False
        """A nested ``collect`` has left a request. Any thread sets it; calls serve it on their way out."""

    @abstractmethod
    def serve(self, *, waits: bool) -> bool:
        """Serve the requests of nested calls; False if the lock is taken and must not be waited for."""

    @abstractmethod
    def notify(self, notes: Sequence[Note], error: BaseException | None, *, nested: bool) -> None:
        """Report the notes of a call, and the limit error that ended it, if there is one."""


@final
class Entry:
    """One call of the library by this thread, as a context manager."""

    __slots__ = ("_life", "_monitor", "_pool", "_serves", "nested", "notes", "waits")

    def __init__(self, pool: Monitored, *, serves: bool = True, waits: bool = True) -> None:
        self._pool: Final = pool
        self._monitor: Final = pool.monitor
        self._life: Final = Life()
        outermost = thread.outermost
        # This is ``is_inside`` without the call.
        self.nested: Final = outermost is not None and outermost() is not None
        """Whether the call has interrupted another call of this thread."""
        if not self.nested and sys.is_finalizing():  # pragma: no cover - what measures has ended; see test_exit
            # A finaliser at the exit of the interpreter, which has stopped the other threads for good, perhaps inside.
            pool.monitor.abandon_other_threads()
        self.waits: Final = waits and not self.nested
        """Whether the call may wait for the lock."""
        self._serves: Final = serves
        listens = pool.is_observed or (not self.nested and LOGGER.isEnabledFor(INFO))
        self.notes: Final[list[Note] | None] = [] if listens else None
        """Notes for the events to report on the way out; None if neither observer nor log wants them. The log is asked
        at the beginning, since it may have a lock, whose holder may wait for a load that this call has begun by the
        end. For the same reason nested calls are not logged."""

    def note(self, frame: Frame, outcome: Outcome) -> None:
        """Note the outcome for a region."""
        self.note_about(frame.target, frame.begin, frame.size, outcome)

    def note_about(self, target: Target, offset: int, size: int, outcome: Outcome) -> None:
        """Note the outcome for a window that has no region, perhaps."""
        if self.notes is not None:
            self.notes.append((target, offset, size, outcome))

    def locked(self, section: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Call ``section`` under the lock, and return what it returns.

        :raises ReentrantCallError: if the lock is taken and this call may not wait.
        """
        monitor = self._monitor
        tables = monitor.tables
        # Keep the next two lines together: the module's docstring says why.
        for acquired in monitor.waiting if self.waits else monitor.attempting:  # pragma: no branch - without an end
            try:
                if acquired:
                    tables.drain()
                    return section(*arguments)
            finally:
                if acquired:
                    monitor.lock.release()
                    if tables.closing:  # pragma: no branch - with the lock, the section has returned or raised
                        # Closes them, so not under the lock.
                        tables.closing.clear()
            break
        raise ReentrantCallError(
            "a handler, a callback or another greenlet of this thread interrupted the library and needs its lock, "
            f"which is taken; {_ADVICE}"
        )

    def __enter__(self) -> "Entry":
        if not self.nested:
            thread.outermost = weakref.ref(self._life)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self.nested:
            thread.outermost = None
        pool, finished = self._pool, self._monitor.tables.finished
        if (pool.collect_wanted or finished) and self._serves:
            for _ in range(_MOST_ROUNDS):
                if not (pool.serve(waits=self.waits) and (pool.collect_wanted or finished)):
                    break
        if self.notes is not None:
            self._pool.notify(self.notes, error, nested=self.nested)

    def wait(self, flying: InFlight) -> None:
        """Wait for the end of another thread's load or unload.

        :raises ReentrantCallError: at once, if this call is nested.
        """
        if self.nested:
            raise ReentrantCallError(
                "a handler, a callback or another greenlet of this thread interrupted the library and needs the "
                f"window at {flying.window[1]}, which is just being mapped or unmapped; {_ADVICE}"
            )
        while not flying.done:
            # Each look enters the lock, and so completes the loads and unloads that are over.
            self.locked(flying.join).acquire(timeout=_LOOK_SECONDS)
