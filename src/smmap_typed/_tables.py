"""The tables: every change of what the lock guards, one method for each step of a region's life.

Every method here is called under the core's lock unless it says otherwise, makes no system call, and leaves the
invariants true: one region for each window (I4), one flight for each window (I8), books that equal the tables (I1),
and every region without a pin in the idle queue as soon as the queues are drained (I7). What an exception leaves half
done is mended by ``Inventory.repair``.
"""

import mmap
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from typing import Final, final

from smmap_typed._gate import Flight
from smmap_typed._hold import TOMBSTONE, Hold
from smmap_typed._inventory import Inventory
from smmap_typed._pin import Pin

__all__ = ["Tables"]


_ONLY_A_TOMBSTONE: Final[AbstractSet[object]] = frozenset({TOMBSTONE})


@final
class Tables(Inventory):
    """What may happen to an inventory, each step whole."""

    __slots__ = ()

    def take_off(self, flight: Flight, nbytes: int) -> Flight:
        """Register ``flight`` to map its window, or return the one that is under way for it.

        Reserves ``nbytes`` if they are there without evicting: a path that turns out bad costs nobody a window.
        """
        # Before it is registered: one without a serial never was, and nobody need settle it.
        flight.serial = self.next_serial
        other = self.flights.setdefault(flight.key, flight)
        if other is flight:
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
        self.link(hold)
        # At once: what a flight has mapped is closed if that ends badly, and this is the tables' from here on.
        flight.mapping = None
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
        self.orphan(hold)
        self.unlink(hold)
        self.torn = False
        return mapping

    def bring_out_the_dead(self, hold: Hold) -> None:
        """Strike out a region whose map somebody else has closed: whoever got it from ``map()``."""
        if not hold.is_mapped() and (hold.identity, hold.begin) not in self.flights:
            self.torn = True
            self.repair()

    def drain(self) -> None:
        """The beginning of every section: repair, settle the flights that are over, queue what its last pin left."""
        if self.torn:
            self.repair()
        # As many as there are, no more: a callback that strikes in here and uses the library may post one for each that
        # is settled, and would keep this thread, and the lock, for ever.
        for _ in range(len(self.finished)):
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
        hold = self.holds.get(-serial) or self.retired.get(abs(serial))
        if hold is None or pin not in hold.pins:
            return
        self.ledger.pins_ended += serial > 0
        hold.pins.discard(pin)
        if not hold.pins:
            # It has its old place, or if an evictor has taken it out meanwhile the last one.
            self.idle.holds.setdefault(hold.serial, hold)
        elif hold.pins == _ONLY_A_TOMBSTONE:
            self.retired.pop(hold.serial, None)

    def settle(self, flight: Flight) -> None:
        """Make the books right at the end of ``flight``, whatever came of it, and let its waiters go. Idempotent."""
        if self.flights.get(flight.key) is flight:
            self.torn = True
            if flight.victim is None:
                self._settle_mapping(flight)
            else:
                self._settle_unmapping(flight, flight.victim)
            self.torn = False
        flight.finish()

    def _settle_mapping(self, flight: Flight) -> None:
        del self.flights[flight.key]
        self.ledger.failures += flight.failures
        if flight.reserved >= 0:
            self.ledger.cancel(flight.reserved)
            flight.reserved = -1

    def _settle_unmapping(self, flight: Flight, victim: Hold) -> None:
        ledger, heir = self.ledger, flight.heir
        # The map itself tells what came of the call.
        unmapped = flight.mapping is not None and flight.mapping.closed
        del self.flights[flight.key]
        if victim.serial not in self.holds:
            return
        if not unmapped:
            victim.pins.discard(TOMBSTONE)
            if not victim.pins:
                # Its last pin may have been drained while the tombstone stood.
                self.idle.holds.setdefault(victim.serial, victim)
            return
        if heir is not None and heir.done:
            # A fork has ended it first.
            heir = None
        if heir is not None:
            # Before any call: if an exception strikes in one, the repair finds the room in the heir's hands. Else
            # others could take it, and the heir would go past a limit.
            heir.reserved = heir.nbytes
        self.unlink(victim)
        if len(victim.pins) > 1:
            self.prune(victim)
        if heir is None:
            ledger.unmap(victim.size)
        else:
            ledger.pass_on(victim.size, heir.nbytes)
        # Last: a nested look never finds more evictions than unmaps.
        ledger.evictions += flight.evicted

    def settle_orphans(self) -> None:
        """Strike out the given-up maps that are gone by now."""
        self.torn = True
        for orphan in [orphan for orphan in self.orphans if orphan.is_gone()]:
            self.orphans.remove(orphan)
            self.ledger.unmap(orphan.size)
        self.torn = False
