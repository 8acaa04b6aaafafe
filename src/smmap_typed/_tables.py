"""The tables that the lock guards: which regions there are, which are idle, which flights are under way.

Every method here is called under the core's lock unless it says otherwise, makes no system call, and leaves the
invariants true: one region for each window (I4), one flight for each window (I8), books that equal the tables (I1),
and every region without a pin in the idle queue as soon as the queues are drained (I7).

**An exception may strike in the middle** of any method, since a signal's handler may raise. So the methods that change
something set ``torn`` first and take it back last, and whoever enters the lock next and finds it set has everything
made right from what cannot be half done: ``holds``, the maps and pins of each, and the flights that are under way.
"""

import mmap
import weakref
from collections import deque
from collections.abc import Collection
from typing import Final, final

from smmap_typed._file import Identity
from smmap_typed._gate import Flight, FlightKey
from smmap_typed._hold import Hold, Orphan
from smmap_typed._ledger import Ledger
from smmap_typed._lru import IdleQueue
from smmap_typed._pin import TOMBSTONE, Pin

__all__ = ["Tables"]


# Releases that may wait beside one for each region.
_QUEUE_SLACK: Final = 64


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
        "torn",
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
        self.overdrawn: Final[set[int]] = set()
        """Threads that mapped past the soft memory limit and have not trimmed since. Written under the lock, each
        number by its own thread; read without."""
        self.torn = False
        """A method has begun to change the tables and not ended."""
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
            flight.nbytes = nbytes
            self.reserve(flight, nbytes, last=False)
        return other

    def reserve(self, flight: Flight, nbytes: int, *, last: bool) -> bool:
        """Take room for the region to come, if there is; at ``last`` past a soft limit, or a limit error."""
        if not self.ledger.allows(nbytes, last=last):
            return False
        self._reserve(flight, nbytes)
        return True

    def _reserve(self, flight: Flight, nbytes: int) -> None:
        self.torn = True
        self.ledger.reserve(nbytes)
        flight.reserved = nbytes
        self.torn = False

    def publish(self, flight: Flight, hold: Hold, seconds: float) -> None:
        """Let everybody see the region that ``flight`` has mapped in so many seconds; its pin must be there already."""
        if flight.reserved < 0:
            # An exception has torn the settling of the flight that it was to inherit from.
            self._reserve(flight, hold.size)
        self.torn = True
        windows = self.index.get(hold.identity)
        if windows is None:
            windows = self.index[hold.identity] = {}
        windows[hold.begin] = hold
        self.holds[hold.serial] = hold
        # At once: what a flight has mapped is closed if that ends badly, and this is the tables' from here on.
        flight.mapping = None
        self.patience = len(self.holds) + _QUEUE_SLACK
        ledger = self.ledger
        ledger.commit(seconds, flight.failures)
        flight.reserved = -1
        del self.flights[flight.key]
        flight.finish()
        if ledger.total_bytes > ledger.max_memory:
            self.overdrawn.add(flight.owner)
        self.torn = False

    def bury(self, flight: Flight, hold: Hold) -> bool:
        """Have ``flight`` unmap a region: register it and set the tombstone. False if the region is in use after all.

        The region stays indexed, tombstone and all, until its map is closed: unlinked first, its window could be
        mapped again by another thread before a view's BufferError brings it back.
        """
        key = (hold.identity, hold.begin)
        if hold.serial not in self.holds or key in self.flights:
            return False
        if hold.pins and hold.is_pinned():
            # Seen at once, without a tombstone that would send whoever moves to it to the lock.
            return False
        self.torn = True
        hold.pins.add(TOMBSTONE)
        buried = len(hold.pins) == 1 or not hold.is_pinned()
        if buried:
            flight.key, flight.victim, flight.mapping = key, hold, hold.mapping
            flight.serial = hold.serial
            self.flights[key] = flight
        else:
            hold.pins.discard(TOMBSTONE)
        self.torn = False
        return buried

    def bury_oldest(self, flight: Flight, refused: Collection[int]) -> bool:
        """The same for the idle region released longest ago, passing over the serials in ``refused``."""
        flight.evicted = True
        passed = refused
        while (hold := self.idle.oldest(passed)) is not None:
            if self.bury(flight, hold):
                return True
            # It was pinned between the two looks, so the next one is to go.
            passed = {*passed, hold.serial}
        return False

    def bury_for(self, flight: Flight, heir: Flight) -> bool:
        """The same if what ``heir`` is to map is no larger than that region, and the limits are kept.

        The room goes from one to the other when ``flight`` is settled. The books never show more than before, so nobody
        can be in the way, and ``heir`` needs no section of its own to reserve it.
        """
        hold = self.idle.oldest(())
        if hold is None or hold.size < heir.nbytes or not self.ledger.keeps_limits():
            return False
        flight.evicted = True
        flight.heir = heir
        return self.bury(flight, hold)

    def someone_unmapping(self) -> Flight | None:
        """A flight whose end gives back room, unless a view turns up."""
        return next((flight for flight in self.flights.values() if flight.victim is not None), None)

    def someone_mapping(self) -> Flight | None:
        """A flight that has taken room, and gives it back if it fails."""
        return next((flight for flight in self.flights.values() if flight.reserved >= 0), None)

    def retire(self, hold: Hold, verdict: str) -> mmap.mmap | None:
        """Give a region up, pinned or not: its cursors are invalid from now on. The map is the caller's to close."""
        self.torn = True
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
        self.torn = False
        return mapping

    def bring_out_the_dead(self, hold: Hold) -> None:
        """Strike out a region whose map somebody else has closed: whoever got it from ``map()``."""
        if not hold.is_mapped() and (hold.identity, hold.begin) not in self.flights:
            self.torn = True
            self._repair()

    def drain(self) -> None:
        """The beginning of every section: repair, settle the flights that are over, queue what its last pin left."""
        if self.torn:
            self._repair()
        while self.finished:
            # Taken out when it is done, so that it is done again if an exception strikes in between.
            self.settle(self.finished[0])
            self.finished.popleft()
        if self.released:
            self._drain_releases()

    def _drain_releases(self) -> None:
        # A loop with few calls: it runs once for every move.
        self.torn = True
        released, holds, idle, ledger = self.released, self.holds, self.idle.holds, self.ledger
        for _ in range(len(released)):
            pin = released.popleft()
            try:
                # No call in here: a handler that runs after one may raise just these errors.
                serial = pin.serial
                hold = holds[serial]
            except (AttributeError, KeyError):
                self._drain_unusual(pin)
                continue
            pins = hold.pins
            if pin not in pins:
                continue
            # Counted before the call after which a handler may strike.
            ledger.pins_ended += 1
            pins.remove(pin)
            if not pins:
                # Its last cursor left just now: it goes last.
                idle[serial] = hold
                idle.move_to_end(serial)
        self.torn = False

    def _drain_unusual(self, pin: Pin) -> None:
        """The same for a pin of a retired region, and one that was withdrawn, which was no acquisition.

        A pin that is in no set was counted by a repair, or an exception struck before it had pinned anything.
        """
        serial = getattr(pin, "serial", 0)
        hold = self.holds.get(-serial) or self._retired.get(abs(serial))
        if hold is None or pin not in hold.pins:
            return
        self.ledger.pins_ended += serial > 0
        hold.pins.discard(pin)
        if not hold.pins:
            # It has its old place, or if an evictor has taken it out meanwhile the last one.
            self.idle.holds.setdefault(hold.serial, hold)
        elif hold.pins == {TOMBSTONE}:
            self._retired.pop(hold.serial, None)

    def settle(self, flight: Flight) -> None:
        """Make the books right at the end of ``flight``, whatever came of it, and let its waiters go. Idempotent."""
        flights, ledger, victim = self.flights, self.ledger, flight.victim
        if flights.get(flight.key) is flight:
            self.torn = True
            del flights[flight.key]
            if victim is None:
                ledger.failures += flight.failures
                if flight.reserved >= 0:
                    ledger.cancel(flight.reserved)
                    flight.reserved = -1
            elif victim.serial in self.holds:
                # The map itself tells what came of the call.
                if flight.mapping is not None and flight.mapping.closed:
                    self._unlink(victim)
                    ledger.unmap(victim.size)
                    ledger.evictions += flight.evicted
                    self._prune(victim)
                    heir = flight.heir
                    # A fork may have ended it first.
                    if heir is not None and not heir.done:
                        self._reserve(heir, heir.nbytes)
                else:
                    victim.pins.discard(TOMBSTONE)
                    if not victim.pins:
                        # Its last pin may have been drained while the tombstone stood.
                        self.idle.holds.setdefault(victim.serial, victim)
            self.torn = False
        flight.finish()

    def settle_orphans(self) -> None:
        """Strike out the given-up maps that are gone by now."""
        self.torn = True
        for orphan in [orphan for orphan in self.orphans if orphan.is_gone()]:
            self.orphans.remove(orphan)
            self.ledger.unmap(orphan.size)
        self.torn = False

    def _repair(self) -> None:
        """Make everything right from the holds, their maps and pins, and the flights under way. O(regions)."""
        for flight in [flight for flight in self.flights.values() if flight.done]:
            del self.flights[flight.key]
        victims = {flight.serial for flight in self.flights.values() if flight.victim is not None}
        for hold in list(self.holds.values()):
            self._prune(hold)
            if hold.serial in victims:
                continue
            hold.pins.discard(TOMBSTONE)
            if not hold.is_mapped():
                del self.holds[hold.serial]
        self._reindex()
        sizes = [hold.size for hold in self.holds.values()] + [orphan.size for orphan in self.orphans]
        reserved = [flight.reserved for flight in self.flights.values() if flight.reserved >= 0]
        self.ledger.balance(sizes, reserved)
        self.torn = False

    def _prune(self, hold: Hold) -> None:
        """Take the dead pins out of a region's set. O(pins)."""
        for pin in hold.dead_pins():
            # Counted before the call after which a handler may strike.
            self.ledger.pins_ended += pin.serial > 0
            hold.pins.discard(pin)

    def _reindex(self) -> None:
        index: dict[Identity, dict[int, Hold]] = {}
        for hold in self.holds.values():
            index.setdefault(hold.identity, {})[hold.begin] = hold
            if not hold.pins:
                self.idle.holds.setdefault(hold.serial, hold)
        for serial in self.idle.holds.keys() - self.holds.keys():
            del self.idle.holds[serial]
        # A look-up without the lock that comes in between misses, and waits for the lock.
        self.index.clear()
        self.index.update(index)
        self.patience = len(self.holds) + _QUEUE_SLACK

    def acquisitions(self) -> int:
        """Pins taken since the start or the last reset. O(regions)."""
        return self.ledger.pins_ended + self.open_pins()

    def open_pins(self) -> int:
        """Pins taken that are not counted as ended yet. O(regions)."""
        holds = [*self.holds.values(), *self._retired.values()]
        return sum(isinstance(pin, Pin) and pin.serial > 0 for hold in holds for pin in hold.pins.copy())

    def reset_counters(self) -> None:
        """Begin to count anew; what is open stays."""
        self.ledger.reset(self.open_pins())

    def _unlink(self, hold: Hold) -> None:
        windows = self.index[hold.identity]
        del windows[hold.begin]
        if not windows:
            del self.index[hold.identity]
        del self.holds[hold.serial]
        self.patience = len(self.holds) + _QUEUE_SLACK
        self.idle.holds.pop(hold.serial, None)
