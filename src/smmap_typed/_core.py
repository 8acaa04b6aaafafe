"""The core: hands out pins, maps, evicts and closes. It knows regions and files, and no cursor.

A region goes through these states::

    (not there) --reserve, open, map--> pinned <--pin / last pin dies--> idle --tombstone--> closing --> (gone)
                                                                          ^                    |
                                                                          +---- has views -----+

Finding a mapped window and pinning it takes no lock. Everything else happens in short sections under ``lock``, with
the system calls between them: a *flight* stands for each of those, so that one window has one at a time and whoever
needs its outcome can wait. What must happen at the end of a flight is posted to a queue first and then done by whoever
holds the lock next, usually the same thread at once: so neither an exception nor a nested call can leave it undone.
"""

import contextlib
import errno
import mmap
import time
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Final, TypeVar, final

from smmap_typed import _reader
from smmap_typed._file import Identity, Source
from smmap_typed._gate import Call, Flight
from smmap_typed._ledger import Ledger
from smmap_typed._reader import Reader
from smmap_typed._region import Hold
from smmap_typed._tables import Tables
from smmap_typed._window import Grid
from smmap_typed.exceptions import HandleLimitError, ManagerClosedError, MemoryLimitError, ReentrantCallError

__all__ = ["Core"]

T = TypeVar("T")

# What the system says when it is out of descriptors or of address space: room may help, so it is worth one retry.
_SCARCE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


@final
class Core:
    """What one manager's cursors share. Every method is safe in any thread, and nested."""

    __slots__ = (
        "__weakref__",
        "closed",
        "collect_wanted",
        "grid",
        "ledger",
        "lock",
        "note_release",
        "overdrawn",
        "reader",
        "tables",
    )

    def __init__(self, reader: Reader, grid: Grid, ledger: Ledger) -> None:
        self.reader: Final = reader
        self.grid: Final = grid
        self.ledger: Final = ledger
        self.tables: Final = Tables(ledger)
        self.note_release: Final = self.tables.released.append
        self.lock: Lock = Lock()
        """Guards the tables and the ledger. Never held across a system call; see _gate."""
        self.closed = False
        """Written once, under the lock. Read without it by every move."""
        self.overdrawn = False
        """Something was mapped past the soft memory limit, and nobody has trimmed since. Written under the lock."""
        self.collect_wanted = False
        """A nested ``collect`` found the lock taken. Anyone sets it; served on the way out."""

    # Pinning: no lock.

    def obtain(self, source: Source, identity: Identity, offset: int, stop: int, flags: int) -> tuple[memoryview, Hold]:
        """A memoryview of the window that serves a request, which is its pin: the pin lasts as long as that object.

        Needs ``0 <= offset < stop <= identity.size``. Takes no lock if the window is mapped.
        """
        start = self.grid.start(offset, stop)
        hold = self.tables.find(identity, start)
        if hold is not None:
            view = self.pin(hold)
            if view is not None:
                return view, hold
        return self.map_or_join(source, identity, start, flags)

    def pin(self, hold: Hold) -> memoryview | None:
        """A memoryview that pins the region, or None if somebody is unmapping it. Lock-free."""
        view = hold.pin(self.note_release)
        tables = self.tables
        if len(tables.released) > tables.patience:
            self.tidy()
        return view

    # Mapping.

    def map_or_join(self, source: Source, identity: Identity, start: int, flags: int) -> tuple[memoryview, Hold]:
        """Pin the window at ``start``, mapping it or waiting for the thread that does."""
        tables = self.tables
        nbytes = self.grid.size(start, identity.size)
        waited = False
        with Call(self) as call:
            while True:
                mine = Flight((identity, start))
                try:
                    with call.guard:
                        tables.drain()
                        if self.closed:
                            raise self._closed_error()
                        hold = tables.find(identity, start)
                        view = None if hold is None else hold.pin(self.note_release)
                        if hold is not None and view is not None:
                            self.ledger.misses += waited
                            return view, hold
                        other = tables.take_off(mine, nbytes)
                    if other is mine:
                        return self._map(call, mine, source, nbytes, flags)
                finally:
                    if not mine.done:
                        self._land(mine)
                call.wait(other)
                waited = True

    def _map(self, call: Call, flight: Flight, source: Source, nbytes: int, flags: int) -> tuple[memoryview, Hold]:
        """Open, make room, map and publish. Open comes before any eviction."""
        identity, start = flight.key
        reader = self.reader
        try:
            descriptor = reader.open(source, identity, flags)
        except OSError as error:
            self._retry_after(error, call, flight, nbytes)
            descriptor = reader.open(source, identity, flags)
        try:
            if flight.reserved < 0:
                self.make_room(call, partial(self.tables.reserve, flight, nbytes))
            began = time.perf_counter()
            try:
                flight.mapping = mapping = reader.load(descriptor, start, nbytes, source.target)
            except OSError as error:
                self._retry_after(error, call, flight, nbytes)
                flight.mapping = mapping = reader.load(descriptor, start, nbytes, source.target)
            seconds = time.perf_counter() - began
        finally:
            _reader.close(descriptor)
        hold = Hold(flight.serial, identity, source, start, nbytes, mapping, copied=reader.copies)
        view = hold.pin(self.note_release)
        try:
            with call.guard:
                if view is None or self.closed:
                    raise self._closed_error()
                if self.tables.publish(flight, hold, seconds):
                    self.overdrawn = True
        except BaseException:
            # The traceback would keep it, and the map that nobody knows could not be closed.
            if view is not None:
                view.release()
            raise
        return view, hold

    def identify(self, source: Source) -> Identity:
        """Which file ``source`` names now. Takes no lock unless something is scarce."""
        try:
            return self.reader.identify(source)
        except OSError as error:
            if error.errno not in _SCARCE:
                raise
        with Call(self) as call:
            self._evict_extra(call, 1)
        return self.reader.identify(source)

    def _retry_after(self, error: OSError, call: Call, flight: Flight, nbytes: int) -> None:
        """Return if the system call is worth one retry: something was scarce, and there is more of it now."""
        flight.failures += 1
        if error.errno not in _SCARCE:
            raise error
        self._evict_extra(call, nbytes)

    def _land(self, flight: Flight) -> None:
        """The end of a flight that was to map and did not: everything it took is given back."""
        if self.tables.flights.get(flight.key) is flight:
            if flight.mapping is not None:
                _close_unless_viewed(flight.mapping)
            # Settled on the way out, or by whoever enters the lock before.
            self.tables.finished.append(flight)

    # Unmapping.

    def make_room(self, call: Call, attempt: Callable[[bool], bool]) -> None:
        """Evict, least recently used first, until ``attempt(False)`` is true; with nothing idle left ``attempt(True)``.

        It is called under the lock. If the last attempt raises a limit error while others are just mapping or
        unmapping, those are waited for first: their outcome may be the room that is missing.
        """
        refused: set[int] = set()
        while True:
            other = None
            with call.guard:
                self.tables.drain()
                if attempt(False):  # noqa: FBT003 - whether it is the last
                    return
                flight = self.tables.bury_oldest(refused)
                if flight is None:
                    other = self.tables.someone_unmapping()
                    if other is None:
                        try:
                            attempt(True)  # noqa: FBT003
                        except (HandleLimitError, MemoryLimitError):
                            other = self.tables.someone_mapping()
                            if other is None:
                                raise
                        else:
                            return
            if other is not None:
                call.wait(other)
            elif flight is not None and not self._unmap(flight):
                refused.add(flight.serial)

    def _evict_extra(self, call: Call, nbytes: int) -> None:
        """Unmap at least one region and ``nbytes``, if so much is idle."""
        freed = 0
        refused: set[int] = set()
        while freed < nbytes:
            with call.guard:
                self.tables.drain()
                flight = self.tables.bury_oldest(refused)
            if flight is None or flight.victim is None:
                return
            if self._unmap(flight):
                freed += flight.victim.size
            else:
                refused.add(flight.serial)

    def _unmap(self, flight: Flight) -> bool:
        """Close the map that ``flight`` buried; False if a view keeps it mapped after all.

        Settled by whoever enters the lock next, the caller at the latest on its way out.
        """
        try:
            if flight.mapping is not None:
                flight.mapping.close()
        except BufferError:
            return False
        finally:
            self.tables.finished.append(flight)
        return True

    def tidy(self) -> None:
        """Drain the queues, unless the lock is taken: then its holder does."""
        with Call(self):
            if self.lock.acquire(blocking=False):
                try:
                    self.tables.drain()
                finally:
                    self.lock.release()

    def trim(self) -> None:
        """Unmap what is idle until the soft memory limit is kept again, or nothing is idle (I3)."""
        with Call(self) as call, contextlib.suppress(ReentrantCallError):
            self.make_room(call, self._is_trimmed)

    def _is_trimmed(self, last: bool) -> bool:  # noqa: FBT001 - see make_room
        if trimmed := last or not self.ledger.over_memory():
            self.overdrawn = False
        return trimmed

    def collect(self) -> int:
        """Unmap everything idle; the number of regions unmapped. O(regions). Nested it never waits."""
        with Call(self) as call:
            return self._collect(call)

    def _collect(self, call: Call) -> int:
        freed = 0
        # Left before the lock is tried, so that its holder cannot overlook it.
        self.collect_wanted = call.nested
        try:
            with call.guard:
                self.collect_wanted = False
                self.tables.drain()
                candidates = list(self.tables.idle.values())
            for hold in candidates:
                with call.guard:
                    self.tables.drain()
                    flight = self.tables.bury(hold, evicted=False)
                if flight is not None:
                    freed += self._unmap(flight)
        except ReentrantCallError:
            self.collect_wanted = True
        return freed

    def has_requests(self) -> bool:
        """Whether nested calls have left something to do."""
        return self.collect_wanted or bool(self.tables.finished)

    def serve(self) -> None:
        """Do what nested calls have left, on the way out of the call that they interrupted."""
        with Call(self, serves=False) as call:
            if self.collect_wanted:
                self._collect(call)
            with call.guard:
                self.tables.drain()

    # Closing.

    def check_open(self) -> None:
        """Raise ManagerClosedError after ``close``."""
        if self.closed:
            raise self._closed_error()

    def close(self) -> None:
        """Give every region up. Idempotent."""
        with Call(self) as call:
            with call.guard:
                self.closed = True
                self.tables.drain()
            self.retire(call, lambda _: True, "its manager was closed")

    def retire(self, call: Call, condemned: Callable[[Hold], bool], verdict: str, *, by_force: bool = False) -> int:
        """Give up the regions that are ``condemned``, pinned or not; how many there were.

        What a view still shows stays mapped, and in the books, until the view is gone. ``by_force`` takes the cursors'
        own memoryviews away from them; otherwise they let go when they are used or dropped next.
        """
        with call.guard:
            holds = [hold for hold in self.tables.holds.values() if condemned(hold)]
            mappings = [self.tables.retire(hold, verdict) for hold in holds]
        if by_force:
            for hold in holds:
                hold.release_pins()
        while mappings:
            mapping = mappings.pop()
            if mapping is not None:
                _close_unless_viewed(mapping)
        mapping = None
        self.settle_orphans(call)
        return len(holds)

    def settle_orphans(self, call: Call) -> None:
        """Free the given-up maps whose views are gone, and strike them out of the books."""
        for orphan in self.tables.orphans.copy():
            mapping = orphan.mapping()
            if mapping is not None:
                _close_unless_viewed(mapping)
        mapping = None
        with call.guard:
            self.tables.settle_orphans()

    def disown(self, is_lost: Callable[[Flight], bool]) -> None:
        """End the flights whose threads did not come along into the child of a fork. Under the lock."""
        for flight in [flight for flight in self.tables.flights.values() if is_lost(flight)]:
            self.tables.settle(flight)

    def _closed_error(self) -> ManagerClosedError:
        return ManagerClosedError("the manager was closed; make a new one to map more")


def _close_unless_viewed(mapping: mmap.mmap) -> bool:
    """Unmap, unless somebody holds a view: then nothing changes, since BufferError comes before anything is done."""
    try:
        mapping.close()
    except BufferError:
        return False
    return True
