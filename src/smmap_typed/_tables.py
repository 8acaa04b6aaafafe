"""The tables that the lock guards: which regions there are, which are idle, which flights are under way.

Every method here is called under the core's lock unless it says otherwise, makes no system call, and leaves the
invariants true: one region for each window (I4), one flight for each window (I8), books that equal the tables (I1),
and every region without a pin in the idle queue as soon as the queues are drained (I7).
"""

import mmap
import weakref
from collections import deque
from collections.abc import Container
from typing import Final, NamedTuple, final

from smmap_typed._file import Identity
from smmap_typed._gate import Flight, FlightKey
from smmap_typed._ledger import Ledger
from smmap_typed._lru import IdleQueue
from smmap_typed._region import TOMBSTONE, Hold, Pin

__all__ = ["Orphan", "Tables"]


# Releases that may wait beside one for each region.
_QUEUE_SLACK: Final = 64


class Orphan(NamedTuple):
    """A map that the manager gave up while it had views; still in the ledger. Whoever lets go last frees it."""

    mapping: weakref.ref[mmap.mmap]
    """Weak, so that the last view frees the map by itself (I9)."""
    size: int
    """Bytes."""

    def is_gone(self) -> bool:
        """Whether the memory is free."""
        mapping = self.mapping()
        return mapping is None or mapping.closed


@final
class Tables:
    """What one manager has mapped."""

    __slots__ = (
        "_retired",
        "closed",
        "finished",
        "flights",
        "holds",
        "idle",
        "index",
        "ledger",
        "next_serial",
        "orphans",
        "overdrawn",
        "patience",
        "released",
    )

    def __init__(self, ledger: Ledger) -> None:
        self.ledger: Final = ledger
        """The same regions in numbers."""
        self.index: Final[dict[Identity, dict[int, Hold]]] = {}
        """The mapped regions by file and start; no empty entry stays. Read without the lock: a look-up that comes too
        early misses, one that comes too late finds a tombstone."""
        self.holds: Final[dict[int, Hold]] = {}
        """The same regions by serial."""
        self.idle: Final = IdleQueue()
        """Those of them that had no pin when the releases were drained last."""
        self.flights: Final[dict[FlightKey, Flight]] = {}
        """System calls under way for windows."""
        self.released: Final[deque[Pin]] = deque()
        """Pins that died and are not drained yet, in the order of their deaths. Anyone appends, without the lock."""
        self.finished: Final[deque[Flight]] = deque()
        """Flights that are over and not settled yet. Anyone appends, without the lock."""
        self.orphans: Final[list[Orphan]] = []
        """Maps given up while they had views."""
        self.patience = _QUEUE_SLACK
        """How many releases may wait before a lock-free move tries to have them drained: about one for each region,
        or nobody would drain them while moves take no lock and nothing misses. Read without the lock."""
        self.closed = False
        """Written once. Read without the lock by every move."""
        self.overdrawn = False
        """Something was mapped past the soft memory limit, and nobody has trimmed since. Read without the lock."""
        self.next_serial = 1
        """The serial of the next region."""
        self._retired: Final[dict[int, Hold]] = {}
        """Regions given up while cursors stood on them, kept until their pins are drained and counted."""

    def find(self, identity: Identity, start: int) -> Hold | None:
        """The region of the window at ``start``, if it is mapped. Needs no lock."""
        windows = self.index.get(identity)
        return None if windows is None else windows.get(start)

    def take_off(self, flight: Flight, nbytes: int) -> Flight:
        """Register ``flight`` to map its window, or return the one that is under way for it.

        Reserves ``nbytes`` if they are there without evicting: a path that turns out bad costs nobody a window.
        """
        other = self.flights.setdefault(flight.key, flight)
        if other is flight:
            flight.serial = self.next_serial
            self.next_serial += 1
            if self.ledger.reserve(nbytes):
                flight.reserved = nbytes
        return other

    def reserve(self, flight: Flight, nbytes: int, last: bool) -> bool:  # noqa: FBT001 - see Evictor.make_room
        """Take room for the region to come, if there is; at ``last`` past a soft limit, or a limit error."""
        if reserved := self.ledger.reserve(nbytes, over_soft=last):
            flight.reserved = nbytes
        return reserved

    def publish(self, flight: Flight, hold: Hold, seconds: float) -> None:
        """Let everybody see the region that ``flight`` has mapped in so many seconds; its pin must be there already."""
        windows = self.index.get(hold.identity)
        if windows is None:
            windows = self.index[hold.identity] = {}
        windows[hold.begin] = hold
        self.holds[hold.serial] = hold
        self.patience = len(self.holds) + _QUEUE_SLACK
        ledger = self.ledger
        ledger.commit(seconds, flight.failures)
        flight.reserved = -1
        flight.mapping = None
        del self.flights[flight.key]
        flight.finish()
        if ledger.total_bytes > ledger.max_memory:
            self.overdrawn = True

    def bury(self, hold: Hold, *, evicted: bool) -> Flight | None:
        """Set the tombstone on a region and register the flight that unmaps it; None if it is in use after all.

        The region stays indexed, tombstone and all, until its map is closed: unlinked first, its window could be
        mapped again by another thread before a view's BufferError brings it back.
        """
        key = (hold.identity, hold.begin)
        if hold.serial not in self.holds or key in self.flights:
            return None
        flight = Flight(key)
        flight.victim, flight.mapping, flight.serial, flight.evicted = hold, hold.mapping, hold.serial, evicted
        hold.pins.add(TOMBSTONE)
        if len(hold.pins) > 1 and hold.is_pinned():
            hold.pins.discard(TOMBSTONE)
            return None
        self.flights[key] = flight
        return flight

    def bury_oldest(self, refused: Container[int]) -> Flight | None:
        """Bury the idle region released longest ago, passing over the serials in ``refused``."""
        hold = self.idle.oldest(refused)
        return None if hold is None else self.bury(hold, evicted=True)

    def someone_unmapping(self) -> Flight | None:
        """A flight whose end gives back room, unless a view turns up."""
        return next((flight for flight in self.flights.values() if flight.victim is not None), None)

    def someone_mapping(self) -> Flight | None:
        """A flight that has taken room, and gives it back if it fails."""
        return next((flight for flight in self.flights.values() if flight.reserved >= 0), None)

    def retire(self, hold: Hold, verdict: str) -> mmap.mmap | None:
        """Give a region up, pinned or not: its cursors are invalid from now on. The map is the caller's to close."""
        mapping = hold.mapping
        hold.pins.add(TOMBSTONE)
        hold.verdict = verdict
        hold.limit = -1
        if mapping is not None:
            self.orphans.append(Orphan(weakref.ref(mapping), hold.size))
        hold.mapping = None
        self._unlink(hold)
        if len(hold.pins) > 1:
            self._retired[hold.serial] = hold
        return mapping

    def drain(self) -> None:
        """Settle the flights that are over, and queue the regions whose last pin died."""
        while self.finished:
            self.settle(self.finished.popleft())
        if self.released:
            self._drain_releases()

    def _drain_releases(self) -> None:
        # A loop with few calls: it runs once for every move.
        released, holds, idle = self.released, self.holds, self.idle
        count = len(released)
        for _ in range(count):
            pin = released.popleft()
            try:
                serial = pin.serial
            except AttributeError:
                # An exception struck before it had pinned anything.
                count -= 1
                continue
            hold = holds.get(serial)
            if hold is not None:
                hold.pins.discard(pin)
                if not hold.pins:
                    # Its last cursor left just now: it goes last.
                    idle[serial] = hold
                    idle.move_to_end(serial)
            elif not self._drain_unusual(serial, pin):
                count -= 1
        self.ledger.pins_ended += count

    def _drain_unusual(self, serial: int, pin: Pin) -> bool:
        """The same for a pin that was withdrawn, and for one of a retired region; whether it was an acquisition."""
        withdrawn = serial < 0
        hold = self.holds.get(-serial) if withdrawn else self._retired.get(serial)
        if hold is None:
            return False
        hold.pins.discard(pin)
        if withdrawn and not hold.pins:
            # It has its old place, or if an evictor has taken it out meanwhile the last one.
            self.idle.setdefault(-serial, hold)
        elif not withdrawn and len(hold.pins) == 1:
            del self._retired[serial]
        return not withdrawn

    def settle(self, flight: Flight) -> None:
        """Make the books right at the end of ``flight``, whatever came of it, and let its waiters go. Once only."""
        flights, ledger, victim = self.flights, self.ledger, flight.victim
        if flights.get(flight.key) is not flight:
            return
        del flights[flight.key]
        if victim is None:
            ledger.failures += flight.failures
            if flight.reserved >= 0:
                ledger.cancel(flight.reserved)
                flight.reserved = -1
        elif victim.serial in self.holds:
            pins = victim.pins
            # The map itself tells what came of the call, so that it does not matter where an exception struck.
            if flight.mapping is not None and flight.mapping.closed:
                self._unlink(victim)
                ledger.unmap(victim.size)
                ledger.evictions += flight.evicted
                if len(pins) > 1:
                    ledger.pins_ended += victim.ended_pins()
            else:
                pins.discard(TOMBSTONE)
        flight.finish()

    def settle_orphans(self) -> None:
        """Strike out the given-up maps that are gone by now."""
        gone = [orphan for orphan in self.orphans if orphan.is_gone()]
        for orphan in gone:
            self.orphans.remove(orphan)
            self.ledger.unmap(orphan.size)

    def acquisitions(self) -> int:
        """Pins taken since the start or the last reset. O(regions)."""
        return self.ledger.pins_ended + self.open_pins()

    def open_pins(self) -> int:
        """Pins taken that are not counted as ended yet. O(regions)."""
        holds = [*self.holds.values(), *self._retired.values()]
        return sum(len(hold.pins) - (TOMBSTONE in hold.pins) for hold in holds)

    def _unlink(self, hold: Hold) -> None:
        windows = self.index[hold.identity]
        del windows[hold.begin]
        if not windows:
            del self.index[hold.identity]
        del self.holds[hold.serial]
        self.patience = len(self.holds) + _QUEUE_SLACK
        self.idle.pop(hold.serial, None)
