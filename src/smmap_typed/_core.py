"""The core: hands out pins, and maps what is not mapped. It knows regions and files, and no cursor.

A region goes through these states::

    (not there) --reserve, open, map--> pinned <--pin / last pin dies--> idle --tombstone--> closing --> (gone)
                                                                          ^                    |
                                                                          +---- has views -----+

Finding a mapped window and pinning it takes no lock. Everything else happens in short sections under ``lock``, with
the system calls between them: a *flight* stands for each of those, so that one window has one at a time and whoever
needs its outcome can wait. What must happen at the end of a flight is posted to a queue first and then done by whoever
holds the lock next, usually the same thread at once: so neither an exception nor a nested call can leave it undone.
"""

import errno
import mmap
import os
import time
from typing import Final, final

from smmap_typed._events import Observer, Teller
from smmap_typed._evictor import Evictor, close_unless_viewed
from smmap_typed._file import Identity, Source
from smmap_typed._fork import survive
from smmap_typed._gate import Call, Flight
from smmap_typed._grid import Grid
from smmap_typed._hold import Hold
from smmap_typed._ledger import Ledger
from smmap_typed._platform import advise
from smmap_typed._tables import Tables
from smmap_typed.exceptions import ManagerClosedError, SmmapError
from smmap_typed.readers import Reader

__all__ = ["Core"]

# What the system says when it is out of descriptors or of address space: room may help, so it is worth one retry.
_SCARCE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})

# As it is now: users and tests replace the name by functions.
_Map: Final = mmap.mmap


@final
class Core:
    """What one manager's cursors share. Every method is safe in any thread, and nested."""

    __slots__ = ("_survivor", "evictor", "grid", "ledger", "note_release", "reader", "sightings", "tables")

    def __init__(self, reader: Reader, grid: Grid, ledger: Ledger, observer: Observer | None = None) -> None:
        self.reader: Final = reader
        self.grid: Final = grid
        self.ledger: Final = ledger
        self.tables: Final = Tables(ledger)
        self.evictor: Final = Evictor(self.tables, Teller(observer))
        self._survivor: Final = survive(self.evictor)
        self.note_release: Final = self.tables.released.append
        self.sightings: Final[dict[int, Identity]] = {}
        """What was seen first of a file, by the number of the position that is just looking. See ``Position._keep``."""

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
            self.evictor.tidy()
        return view

    def check_open(self) -> None:
        """Raise ManagerClosedError after ``close``."""
        if self.tables.closed:
            raise ManagerClosedError("the manager was closed; make a new one to map more")

    # Mapping.

    def map_or_join(self, source: Source, identity: Identity, start: int, flags: int) -> tuple[memoryview, Hold]:
        """Pin the window at ``start``, mapping it or waiting for the thread that does."""
        tables = self.tables
        nbytes = self.grid.size(start, identity.size)
        waited = False
        with Call(self.evictor) as call:
            while True:
                mine = Flight()
                mine.key = (identity, start)
                try:
                    found = call.locked(self._find_or_take_off, mine, nbytes, waited)
                    if not isinstance(found, Flight):
                        return found
                    if found is mine:
                        return self._map(call, mine, source, nbytes, flags)
                except OSError as error:
                    if not isinstance(error, SmmapError):
                        call.note_about(source.target, start, nbytes, error)
                    raise
                finally:
                    # Everything that a failed flight took is given back, by whoever enters the lock next, this thread
                    # at the latest on its way out. Posted first: no exception can strike before.
                    if mine.serial and not mine.done:  # pragma: no branch - whoever waits below has a serial
                        tables.finished.append(mine)
                        if mine.mapping is not None:
                            close_unless_viewed(mine.mapping)
                call.wait(found)
                waited = True

    def _find_or_take_off(self, mine: Flight, nbytes: int, waited: bool) -> tuple[memoryview, Hold] | Flight:  # noqa: FBT001 - see locked
        """The window, if it is mapped by now; else the flight that maps it, ``mine`` or another's. Under the lock."""
        tables = self.tables
        self.check_open()
        hold = tables.find(*mine.key)
        if hold is not None:
            view = hold.pin(self.note_release)
            if view is not None:
                self.ledger.misses += waited
                return view, hold
            tables.bring_out_the_dead(hold)
        return tables.take_off(mine, nbytes)

    def _map(self, call: Call, flight: Flight, source: Source, nbytes: int, flags: int) -> tuple[memoryview, Hold]:
        """Open, make room, map and publish. Open comes before any eviction."""
        identity, start = flight.key
        reader = self.reader
        try:
            descriptor = reader.open(source, identity, flags)
        except OSError as error:
            if not self._is_worth_a_retry(error, call, flight, nbytes):
                raise
            descriptor = reader.open(source, identity, flags)
        try:
            if flight.reserved < 0 and not self.evictor.make_way(call, flight):
                # It may have inherited room after all, if somebody else has closed the map that had a view just now.
                reserve = self.tables.reserve
                self.evictor.make_room(call, lambda last: flight.reserved >= 0 or reserve(flight, nbytes, last=last))
            began = time.perf_counter()
            try:
                flight.mapping = mapping = reader.load(descriptor, source, identity, start, nbytes)
            except OSError as error:
                if not self._is_worth_a_retry(error, call, flight, nbytes):
                    raise
                flight.mapping = mapping = reader.load(descriptor, source, identity, start, nbytes)
            seconds = time.perf_counter() - began
            _check_loaded(flight, nbytes, reader)
            if source.advice is not None and not reader.copies:
                advise(mapping, source.advice)
        finally:
            # Called as it is: at the entry of a function of ours an exception could strike, and nobody else closes it.
            # Never retried: after an error the number may be somebody else's.
            os.close(descriptor)
        hold = Hold(
            flight.serial,
            identity,
            source.target,
            start,
            nbytes,
            mapping,
            reach=self.grid.reach,
            copied=reader.copies,
            mapped_at=began,
        )
        view = hold.pin(self.note_release)
        assert view is not None, "buried before it was published"  # noqa: S101 - nobody else knows it yet
        try:
            call.locked(self._publish, flight, hold, seconds)
        except BaseException:
            # The traceback would keep it, and the map that nobody knows could not be closed.
            view.release()
            raise
        if call.notes is not None:
            call.note(hold, seconds)
        return view, hold

    def _publish(self, flight: Flight, hold: Hold, seconds: float) -> None:
        self.check_open()
        self.tables.publish(flight, hold, seconds)

    def identify(self, source: Source) -> Identity:
        """Which file ``source`` names now. Takes no lock unless something is scarce."""
        try:
            return self.reader.identify(source)
        except OSError as error:
            if error.errno not in _SCARCE:
                raise
        self._evict_one()
        return self.reader.identify(source)

    def open(self, source: Source, identity: Identity) -> int:
        """A descriptor of ``source`` for a look that maps nothing. Takes no lock unless something is scarce."""
        try:
            return self.reader.open(source, identity, 0)
        except OSError as error:
            if error.errno not in _SCARCE:
                raise
        self._evict_one()
        return self.reader.open(source, identity, 0)

    def _evict_one(self) -> None:
        with Call(self.evictor) as call:
            self.evictor.evict_extra(call, 1)

    def _is_worth_a_retry(self, error: OSError, call: Call, flight: Flight, nbytes: int) -> bool:
        """Whether something was scarce, and there is more of it now: an extra eviction has been made."""
        if not isinstance(error, SmmapError):
            flight.failures += 1
        if error.errno not in _SCARCE:
            return False
        # One region has a descriptor; for memory it takes as much as is wanted.
        self.evictor.evict_extra(call, nbytes if error.errno == errno.ENOMEM else 1)
        return True


def _check_loaded(flight: Flight, nbytes: int, reader: Reader) -> None:
    """TypeError or ValueError unless what ``reader`` has loaded, maybe one of others, is a map of the whole window."""
    mapping: object = flight.mapping
    if not isinstance(mapping, _Map):
        # There is nothing that could be closed.
        flight.mapping = None
        raise TypeError(f"{type(reader).__name__}.load must return an mmap.mmap, got {type(mapping).__name__}")
    if len(mapping) != nbytes:
        raise ValueError(
            f"{type(reader).__name__}.load must return a map of exactly {nbytes} bytes, got {len(mapping)}"
        )
