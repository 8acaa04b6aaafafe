"""The inventory: which regions there are, which are idle, which flights are under way, and what of it is sure.

The state that the lock guards. **An exception may strike in the middle** of whatever changes it, since a signal's
handler may raise. So that sets ``torn`` first and takes it back last, and whoever enters the lock next and finds it set
has everything made right from what cannot be half done: ``holds``, the maps and pins of each, and the flights that are
under way. How that is done is here, beside the state; what changes it otherwise is in _tables.

Every method is called under the lock unless it says otherwise.
"""

import weakref
from collections import deque
from typing import Final

from smmap_typed._file import Identity
from smmap_typed._gate import Flight, FlightKey
from smmap_typed._hold import TOMBSTONE, Hold, Orphan
from smmap_typed._ledger import Ledger
from smmap_typed._lru import IdleQueue
from smmap_typed._pin import Pin

__all__ = ["Inventory"]


# Releases that may wait beside one for each region.
_QUEUE_SLACK: Final = 64


class Inventory:
    """What one manager has mapped."""

    __slots__ = (
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
        "retired",
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
        self.retired: Final[dict[int, Hold]] = {}
        """Regions given up while cursors stood on them, kept until their pins are drained and counted."""

    def find(self, identity: Identity, start: int) -> Hold | None:
        """The region of the window at ``start``, if it is mapped. Needs no lock."""
        windows = self.index.get(identity)
        return None if windows is None else windows.get(start)

    def link(self, hold: Hold) -> None:
        """Put a region into the tables."""
        windows = self.index.get(hold.identity)
        if windows is None:
            windows = self.index[hold.identity] = {}
        windows[hold.begin] = hold
        self.holds[hold.serial] = hold
        self.patience = len(self.holds) + _QUEUE_SLACK

    def unlink(self, hold: Hold) -> None:
        """Take a region out of the tables."""
        windows = self.index[hold.identity]
        del windows[hold.begin]
        if not windows:
            del self.index[hold.identity]
        del self.holds[hold.serial]
        self.patience = len(self.holds) + _QUEUE_SLACK
        self.idle.holds.pop(hold.serial, None)

    def orphan(self, hold: Hold) -> None:
        """Leave the map of a region that is given up to its views, and the region to its pins."""
        if hold.mapping is not None:
            self.orphans.append(Orphan(weakref.ref(hold.mapping), hold.size))
        hold.mapping = None
        if len(hold.pins) > 1:
            self.retired[hold.serial] = hold

    def repair(self) -> None:
        """Make everything right from the holds, their maps and pins, and the flights under way. O(regions)."""
        for flight in [flight for flight in self.flights.values() if flight.done]:
            del self.flights[flight.key]
        victims = {flight.serial for flight in self.flights.values() if flight.victim is not None}
        for hold in list(self.holds.values()):
            self.prune(hold)
            if hold.limit < 0:
                # An exception struck while it was being given up, before or after its map became an orphan.
                if any(orphan.mapping() is hold.mapping for orphan in self.orphans):
                    hold.mapping = None
                self.orphan(hold)
                del self.holds[hold.serial]
                continue
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

    def prune(self, hold: Hold) -> None:
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
        holds = [*self.holds.values(), *self.retired.values()]
        return sum(isinstance(pin, Pin) and pin.serial > 0 for hold in holds for pin in hold.pins.copy())

    def reset_counters(self) -> None:
        """Begin to count anew; what is open stays."""
        self.ledger.reset(self.open_pins())
