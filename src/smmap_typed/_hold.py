"""Holds: what the manager knows of each region, pins and map included.

A hold is the only mutable part of a region, and never leaves the library. How its pins keep it mapped is in _pin.
"""

import io
import mmap
import weakref
from collections.abc import Callable
from typing import Final, NamedTuple, final

from smmap_typed._file import Identity
from smmap_typed._pin import Pin
from smmap_typed._platform import has_views
from smmap_typed._types import Target
from smmap_typed.exceptions import RegionUnmappedError

__all__ = ["TOMBSTONE", "Hold", "Orphan"]

TOMBSTONE: Final = object()
"""In a region's set of pins: somebody is unmapping it."""

# Compiled code has these at hand; a name of a module that is not compiled, or of a built-in, it looks up at each use.
_make_pin: Final = Pin
_make_view: Final = memoryview


@final
class Hold:
    """What the manager knows of one region: the only mutable part of it. Lives exactly as long as the map is kept."""

    __slots__ = (
        "begin",
        "copied",
        "faces",
        "identity",
        "limit",
        "mapped_at",
        "mapping",
        "open_limit",
        "pins",
        "serial",
        "size",
        "target",
        "verdict",
    )

    def __init__(
        self,
        serial: int,
        identity: Identity,
        target: Target,
        begin: int,
        size: int,
        mapping: mmap.mmap | None,
        *,
        reach: int,
        copied: bool,
        mapped_at: float,
    ) -> None:
        self.serial: Final = serial
        """Its number, never used again by its manager."""
        self.identity: Final = identity
        """The file that it is a window of."""
        self.target: Final = target
        """By which path or descriptor it was mapped."""
        self.begin: Final = begin
        """First byte, absolute."""
        self.size: Final = size
        """Bytes, as the ledger counts them."""
        self.copied: Final = copied
        """Whether the map is anonymous memory with a copy of the bytes."""
        self.mapped_at: Final = mapped_at
        """When it was mapped, by ``time.perf_counter``."""
        self.limit = begin + size
        """One past the last byte, absolute, or -1 for good once the manager has given the region up.
        Written under the lock; read without, as the one test that a hit needs: stale by one step it lets a cursor
        read bytes that its own memoryview still keeps mapped."""
        self.open_limit: Final = self.limit if self.limit == identity.size else self.limit - reach + 1
        """One past the last offset at which a request without a size is served: ``reach`` bytes follow, or the file
        ends. Means nothing once the region is given up."""
        self.mapping: mmap.mmap | None = mapping
        """The map; None once given up, so that the last view frees it. Written under the lock."""
        self.pins: Final[set[object]] = set()
        """Pins, dead ones included until they are drained, and perhaps the tombstone. Anyone adds and discards."""
        self.verdict = ""
        """Why the manager gave it up, for the cursors that stood on it. Written once, before ``limit``."""
        self.faces: Final[list[weakref.ref[object]]] = []
        """Its Region, made when somebody asks for it: the first in it that is alive. Anyone appends."""

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
            raise io.UnsupportedOperation("there is no map of the file, since the reader copies; use buffer()")
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
            view = _make_view(mapping)
        except ValueError:
            # Or a handler has raised it.
            if mapping.closed:
                return None
            raise
        if self.copied:
            view = view.toreadonly()
        try:
            pin = _make_pin(view, note_release)
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
