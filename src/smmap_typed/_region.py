"""Regions: windows that are mapped, and the pins that keep them so.

**Theory of pins.** A cursor that stands on a region owns a memoryview of the region's whole map, made for it alone.
Its pin is a weak reference to that memoryview. While the memoryview lives the region is pinned; when it dies, by a
move, a release, or because the cursor was dropped in whatever thread at whatever moment, the weak reference's callback
appends the pin to the core's queue of released pins. That callback is ``deque.append``: C all the way, so no signal
can strike in it, no lock is taken, nothing can be lost, and the queue holds the releases of all files in their true
order, which is what an exact LRU needs.

**Pinning without a lock.** A reader adds its pin to the region's set and then looks for the tombstone in the same set;
an evictor adds the tombstone and then looks for pins in the same set, and takes the tombstone back if there is one.
Whichever comes second sees the first, so a region is never unmapped under a pin, and both sides may give way, which
costs a retry and nothing else. One set, not two attributes: that needs no fence and no GIL.

Designs that do not work: a counter in the region (``n += 1`` loses increments); a ``__del__`` in Python on the cursor
(a signal's exception can strike inside and the pin is lost); one token for each cursor (two threads that move one
cursor to one region would share it, and the loser would take away the winner's pin).
"""

import io
import mmap
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from typing_extensions import override

from smmap_typed._file import Identity, Source
from smmap_typed._platform import has_views
from smmap_typed._window import Window
from smmap_typed.exceptions import RegionUnmappedError

__all__ = ["TOMBSTONE", "Hold", "Orphan", "Pin", "Region"]

TOMBSTONE: Final = object()
"""In a region's set of pins: somebody is unmapping it."""


@final
class Pin(weakref.ref[memoryview]):
    """One acquisition of a region: a weak reference to the memoryview that its cursor owns."""

    __slots__ = ("serial",)

    serial: int
    """Which hold it belongs to, negative once it is withdrawn. A number, since a reference would close a cycle through
    the set of pins."""

    # By identity: a memoryview hashes by its bytes, and dead references must stay findable.
    __hash__ = object.__hash__
    __eq__ = object.__eq__


@final
class Hold:
    """What the manager knows of one region: the only mutable part of it. Lives exactly as long as the map is kept."""

    __slots__ = (
        "_regions",
        "begin",
        "copied",
        "identity",
        "limit",
        "mapping",
        "pins",
        "serial",
        "size",
        "source",
        "verdict",
    )

    def __init__(
        self,
        serial: int,
        identity: Identity,
        source: Source,
        begin: int,
        size: int,
        mapping: mmap.mmap | None,
        *,
        copied: bool,
    ) -> None:
        self.serial: Final = serial
        """Its number, never used again by its manager."""
        self.identity: Final = identity
        """The file that it is a window of."""
        self.source: Final = source
        """By which name it was mapped."""
        self.begin: Final = begin
        """First byte, absolute."""
        self.size: Final = size
        """Bytes, as the ledger counts them."""
        self.copied: Final = copied
        """Whether the map is anonymous memory with a copy of the bytes."""
        self.limit = begin + size
        """One past the last byte, absolute, or -1 for good once the manager has given the region up.
        Written under the lock; read without, as the one test that a hit needs: stale by one step it lets a cursor
        read bytes that its own memoryview still keeps mapped."""
        self.mapping: mmap.mmap | None = mapping
        """The map; None once given up, so that the last view frees it. Written under the lock."""
        self.pins: Final[set[object]] = set()
        """Pins, dead ones included until they are drained, and perhaps the tombstone. Anyone adds and discards."""
        self.verdict = ""
        """Why the manager gave it up, for the cursors that stood on it. Written once, before ``limit``."""
        self._regions: Final[list[weakref.ref[Region]]] = []
        """The public face, made when somebody asks for it: the first in it that is alive. Anyone appends."""

    def live_pins(self) -> int:
        """How many pins are alive at this instant. O(pins)."""
        return sum(isinstance(pin, Pin) and pin() is not None for pin in self.pins.copy())

    def dead_pins(self) -> list[Pin]:
        """The pins that have died and are not drained yet. O(pins)."""
        return [pin for pin in self.pins.copy() if isinstance(pin, Pin) and pin() is None]

    def is_pinned(self) -> bool:
        """Whether a cursor stands on the region. O(pins), usually the first."""
        for pin in self.pins.copy():
            if isinstance(pin, Pin) and pin() is not None:
                return True
        return False

    def has_views(self) -> bool:
        """Whether a memoryview of the map is alive, a cursor's own or a user's."""
        mapping = self.mapping
        return mapping is not None and not mapping.closed and has_views(mapping)

    def is_mapped(self) -> bool:
        """Whether the region still belongs to its manager and its map is open."""
        mapping = self.mapping
        return self.limit >= 0 and mapping is not None and not mapping.closed

    def view(self) -> memoryview:
        """A new read-only memoryview of the whole map; ValueError once it is closed."""
        mapping = self.mapping
        if mapping is None:
            raise ValueError("given up")
        view = memoryview(mapping)
        return view.toreadonly() if self.copied else view

    def map(self) -> mmap.mmap:
        """The map; RegionUnmappedError once it is given up or closed, io.UnsupportedOperation if it is but a copy."""
        if self.copied:
            raise io.UnsupportedOperation('there is no map with reader="pread"; use buffer()')
        mapping = self.mapping
        if mapping is None or mapping.closed:
            raise self.unmapped_error()
        return mapping

    def unmapped_error(self) -> RegionUnmappedError:
        """What to raise once the region is unmapped."""
        why = f": {self.verdict}" if self.verdict else ""
        return RegionUnmappedError(
            f"the region of {self.size} bytes at {self.begin} was unmapped{why}; get a new one from use_region()"
        )

    def pin(self, note_release: Callable[[Pin], object]) -> memoryview | None:
        """A memoryview that pins the region while it lives, or None if somebody is unmapping it. Lock-free.

        ``note_release`` is called when it dies, and must be C all the way.
        """
        mapping = self.mapping
        if mapping is None:
            return None
        try:
            view = memoryview(mapping)
        except ValueError:
            # Or a handler has raised it.
            if mapping.closed:
                return None
            raise
        if self.copied:
            view = view.toreadonly()
        try:
            pin = Pin(view, note_release)
            pin.serial = self.serial
            pins = self.pins
            pins.add(pin)
        except BaseException:
            # A kept traceback would keep the view, and that the map.
            view.release()
            raise
        # The evictor looks for pins after it has set the tombstone: one of the two sees the other.
        if TOMBSTONE in pins:
            # Withdrawn: no acquisition. It is left for the drain to take away, since an evictor may have seen it and
            # have taken the region out of the idle queue.
            pin.serial = -self.serial
            return None
        return view

    def release_pins(self) -> None:
        """Take the memoryviews away from the cursors that own them; their slices, the users' views, stay."""
        for pin in self.pins.copy():
            view = pin() if isinstance(pin, Pin) else None
            if view is not None:
                view.release()

    def region(self) -> "Region":
        """The region as its users see it: one object as long as anybody has it. Lock-free."""
        region = self._first_region()
        if region is None:
            # Two threads may both append; both then take the first.
            mine = Region(self)
            self._regions.append(weakref.ref(mine, self._regions.remove))
            region = self._first_region() or mine
        return region

    def _first_region(self) -> "Region | None":
        return next((region for reference in self._regions.copy() if (region := reference()) is not None), None)


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
@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Region:
    """A window that is mapped: frozen, compared by identity.

    Who uses it is the manager's knowledge, not the region's. Holding a region pins nothing. Safe in any thread.
    """

    _hold: Hold

    @override
    def __repr__(self) -> str:
        state = "" if self._hold.is_mapped() else ", unmapped"
        return f"<Region of {self._hold.size} bytes at {self._hold.begin}{state}>"

    @property
    def window(self) -> Window:
        """The range of the file that it maps."""
        return Window(self._hold.begin, self._hold.size)

    def ofs_begin(self) -> int:
        """First byte, absolute in the file."""
        return self._hold.begin

    def ofs_end(self) -> int:
        """One past the last byte, absolute in the file."""
        return self._hold.begin + self._hold.size

    def size(self) -> int:
        """Bytes."""
        return self._hold.size

    def includes_ofs(self, ofs: int) -> bool:
        """Whether the byte at ``ofs`` lies inside."""
        return self.ofs_begin() <= ofs < self.ofs_end()

    def client_count(self) -> int:
        """1 for the manager and 1 for each cursor on it; 0 once it is unmapped. O(cursors on it)."""
        return 1 + self._hold.live_pins() if self._hold.is_mapped() else 0

    def map(self) -> mmap.mmap:
        """The map itself, whose slices are ``bytes``; it is closed when the region is evicted.

        :raises RegionUnmappedError: once it is unmapped.
        :raises io.UnsupportedOperation: with ``reader="pread"``, where nothing is mapped.
        """
        return self._hold.map()

    def buffer(self) -> memoryview:
        """A read-only view of the whole region, without a copy; it keeps the region mapped while it lives.

        :raises RegionUnmappedError: once it is unmapped.
        """
        try:
            return self._hold.view()
        except ValueError:
            raise self._hold.unmapped_error() from None
