"""The evictor: unmaps, to make room, on request, and for good. The other half of the core.

Choosing a victim and setting its tombstone happens under the lock, closing its map outside; see _tables for what must
be true in between. It knows no files and maps nothing.
"""

import contextlib
import mmap
import time
from collections.abc import Callable, Collection, Sequence
from logging import INFO
from threading import Lock, get_ident
from typing import Final, TypeVar, final

from typing_extensions import override

from smmap_typed._events import LOGGER, Note, Teller
from smmap_typed._gate import Call, Flight, Guarded
from smmap_typed._hold import Hold
from smmap_typed._tables import Tables
from smmap_typed.exceptions import HandleLimitError, MemoryLimitError, ReentrantCallError

__all__ = ["Evictor", "close_unless_viewed"]

T = TypeVar("T")


@final
class Evictor(Guarded):
    """What unmaps for one manager. Every method is safe in any thread, and nested."""

    __slots__ = ("_observed", "_teller", "collect_wanted", "tables")

    def __init__(self, tables: Tables, teller: Teller) -> None:
        super().__init__(tables.drain)
        self.tables: Final = tables
        self._teller: Final = teller
        self._observed: Final = teller.observer is not None
        self.collect_wanted = False
        """A nested ``collect`` found the lock taken. Anyone sets it; served on the way out."""

    def make_room(self, call: Call, attempt: Callable[[bool], bool]) -> None:
        """Evict, least recently used first, until ``attempt(False)`` is true; with nothing idle left ``attempt(True)``.

        It is called under the lock. If the last attempt raises a limit error while others are just mapping or
        unmapping, those are waited for first: their outcome may be the room that is missing.
        """
        refused: set[int] = set()
        while True:
            flight = Flight()
            try:
                awaited = call.locked(self._attempt, attempt, flight, refused)
                if awaited is None:
                    return
                if awaited is flight and not self._unmap(call, flight):
                    refused.add(flight.serial)
            finally:
                # Here and not in a method: an exception could strike at its entry.
                if flight.victim is not None:
                    self.tables.finished.append(flight)
            if awaited is not flight:
                call.wait(awaited)

    def _attempt(self, attempt: Callable[[bool], bool], flight: Flight, refused: Collection[int]) -> Flight | None:
        """None if the attempt was successful, else whose end makes room: ``flight``, or another's. Under the lock."""
        if attempt(False):  # noqa: FBT003 - whether it is the last
            return None
        if self.tables.bury_oldest(flight, refused):
            return flight
        try:
            return self._attempt_last(attempt)
        except (HandleLimitError, MemoryLimitError):
            if not self.tables.released:
                raise
            # One look after the other is no snapshot: a pin that has ended since may have been the one in the way. So
            # once more, as after a victim that had a view.
            return flight

    def _attempt_last(self, attempt: Callable[[bool], bool]) -> Flight | None:
        """The last attempt, or a flight to wait for before it. Under the lock."""
        other = self.tables.someone_unmapping()
        if other is None:
            try:
                attempt(True)  # noqa: FBT003 - whether it is the last
            except (HandleLimitError, MemoryLimitError):
                other = self.tables.someone_mapping()
                if other is None:
                    raise
        return other

    def make_way(self, call: Call, heir: Flight) -> bool:
        """Unmap the region that is to go first, if the map of ``heir`` fits in its place; whether it may be made now.

        What ``make_room`` does with a section less, for the usual case.
        """
        return self._unmap_one(call, self.tables.bury_for, heir)

    def evict_extra(self, call: Call, nbytes: int) -> None:
        """Unmap at least one region and ``nbytes``, if so much is idle."""
        freed = 0
        refused: set[int] = set()
        while freed < nbytes:
            flight = Flight()
            try:
                if not call.locked(self.tables.bury_oldest, flight, refused):
                    return
                if self._unmap(call, flight) and flight.victim is not None:
                    freed += flight.victim.size
                else:
                    refused.add(flight.serial)
            finally:
                # Here and not in a method: an exception could strike at its entry.
                if flight.victim is not None:  # pragma: no branch - without one it has returned or raised
                    self.tables.finished.append(flight)

    def _unmap(self, call: Call, flight: Flight) -> bool:
        """Close the map that ``flight`` buried; False if there is none, or a view keeps it mapped after all.

        The caller then posts the flight to be settled by whoever enters the lock next, itself at the latest on its way
        out.
        """
        if flight.mapping is None or flight.victim is None or not close_unless_viewed(flight.mapping):
            return False
        if call.notes is not None:
            call.note(flight.victim, "evicted" if flight.evicted else "collected")
        return True

    def tidy(self) -> None:
        """Drain the queues, unless the lock is taken: then its holder does, and this thread lets others run first.

        A holder that loses the processor in the middle of a drain keeps the lock until its next turn. If all others
        went on meanwhile, the queue would grow by more than the holder drains in its turn, so the yield is what keeps
        it short. Never waits.
        """
        if self.lock.locked():
            time.sleep(0)
            return
        with Call(self, waits=False) as call, contextlib.suppress(ReentrantCallError):
            call.locked(self.drain)

    def trim(self) -> None:
        """Unmap what is idle until the soft memory limit is kept again, or nothing is idle (I3).

        Only if this thread mapped past it: whoever moves among mapped windows waits for nobody.
        """
        if get_ident() in self.tables.overdrawn:
            with Call(self) as call, contextlib.suppress(ReentrantCallError):
                self.make_room(call, self._is_trimmed)

    def _is_trimmed(self, last: bool) -> bool:  # noqa: FBT001 - see make_room
        if trimmed := last or not self.tables.ledger.over_memory():
            self.tables.overdrawn.discard(get_ident())
        return trimmed

    def collect(self) -> int:
        """Unmap everything idle; the number of regions unmapped. O(regions). Nested it never waits."""
        with Call(self) as call:
            return self._collect(call)

    def _collect(self, call: Call) -> int:
        freed = 0
        if not call.waits:
            # Left before the lock is tried, so that its holder cannot overlook it.
            self.collect_wanted = True
        try:
            candidates = call.locked(self._candidates)
            for hold in candidates:
                freed += self._unmap_one(call, self.tables.bury, hold)
        except ReentrantCallError:
            self.collect_wanted = True
        return freed

    def _candidates(self) -> list[Hold]:
        self.collect_wanted = False
        # What was released before the request that this takes back.
        self.drain()
        return list(self.tables.idle.holds.values())

    def _unmap_one(self, call: Call, bury: Callable[[Flight, T], bool], subject: T) -> bool:
        """Unmap what ``bury`` chooses under the lock for ``subject``; False if it chooses none, or a view keeps it."""
        flight = Flight()
        try:
            return call.locked(bury, flight, subject) and self._unmap(call, flight)
        finally:
            # Here and not in a method: an exception could strike at its entry.
            if flight.victim is not None:
                self.tables.finished.append(flight)

    @override
    def has_requests(self) -> bool:
        """Whether nested calls have left something to do."""
        return self.collect_wanted or bool(self.tables.finished)

    @override
    def serve(self, *, waits: bool) -> bool:
        """Do what calls that may not wait have left; False if this one may not either, and the lock is taken."""
        with Call(self, serves=False, waits=waits) as call:
            if self.collect_wanted:
                self._collect(call)
            try:
                call.locked(self.drain)
            except ReentrantCallError:
                return False
        return True

    @override
    def listens(self, *, nested: bool) -> bool:
        """Whether there is anybody to tell. Nested calls are not logged: the log may have a lock to wait for."""
        return self._observed or (not nested and LOGGER.isEnabledFor(INFO))

    @override
    def tell(self, notes: Sequence[Note], error: BaseException | None, *, nested: bool) -> None:
        """Tell what a call has noted, and the limit error that ended it."""
        ledger = self.tables.ledger
        self._teller.tell(notes, error, ledger.total_bytes, ledger.max_memory, logs=not nested)

    def close(self) -> None:
        """Give every region up. Idempotent."""
        with Call(self) as call:
            self._let_go(call, *call.locked(self._close))

    def _close(self) -> tuple[list[Hold], list[mmap.mmap | None]]:
        self.tables.closed = True
        return self._give_up(lambda _: True, "its manager was closed")

    def retire(self, call: Call, condemned: Callable[[Hold], bool], verdict: str) -> int:
        """Give up the regions that are ``condemned``, pinned or not; how many there were.

        The cursors' own memoryviews are taken away from them. What a user's view still shows stays mapped, and in the
        books, until the view is gone.
        """
        holds, mappings = call.locked(self._give_up, condemned, verdict)
        for hold in holds:
            hold.release_pins()
        self._let_go(call, holds, mappings)
        return len(holds)

    def _let_go(self, call: Call, holds: list[Hold], mappings: list[mmap.mmap | None]) -> None:
        """Unmap what has been given up, as far as nobody has a view: a cursor lets go of its own at its next call."""
        for hold in holds:
            call.note(hold, "given up")
        while mappings:
            mapping = mappings.pop()
            if mapping is not None:  # pragma: no branch - for the type checkers: a region in the tables has a map
                close_unless_viewed(mapping)
        mapping = None
        self.settle_orphans(call)

    def _give_up(self, condemned: Callable[[Hold], bool], verdict: str) -> tuple[list[Hold], list[mmap.mmap | None]]:
        holds = [hold for hold in self.tables.holds.values() if condemned(hold)]
        return holds, [self.tables.retire(hold, verdict) for hold in holds]

    def settle_orphans(self, call: Call) -> None:
        """Free the given-up maps whose views are gone, and strike them out of the books."""
        for orphan in self.tables.orphans.copy():
            mapping = orphan.mapping()
            if mapping is not None:
                close_unless_viewed(mapping)
        mapping = None
        call.locked(self.tables.settle_orphans)

    @override
    def outlive(self) -> None:
        """Go on without all other threads, which are gone, maybe in the middle of a section. This one is outside."""
        self.guard_by(Lock())
        self.disown()

    def disown(self) -> None:
        """Post the flights of all other threads, which are gone, to be settled by whoever enters the lock next."""
        me = get_ident()
        for flight in [flight for flight in self.tables.flights.values() if flight.owner != me]:
            # They did not come along either.
            flight.waiters = ()
            if flight.victim is None and flight.mapping is not None:
                close_unless_viewed(flight.mapping)
            self.tables.finished.append(flight)


def close_unless_viewed(mapping: mmap.mmap) -> bool:
    """Unmap, unless somebody holds a view: then nothing changes, since BufferError comes before anything is done."""
    try:
        mapping.close()
    except BufferError:
        return False
    return True
