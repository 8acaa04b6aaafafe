"""Frames: a region as the pool sees it, with its map and its pins.

A frame is the only mutable part of a region, and is not given to users. ``pin`` explains how pins keep it mapped. The
name comes from buffer pools of databases, where a frame is the memory that a page is read into; here it is a window.
"""

import io
import mmap
import weakref
from collections.abc import Callable
from typing import Final, NamedTuple, final

from smmap_typed._platform import has_views
from smmap_typed._pool.pin import Pin
from smmap_typed._pool.resident import Resident
from smmap_typed._types import Target
from smmap_typed.exceptions import RegionUnmappedError

__all__ = ["CLOSED", "TOMBSTONE", "Frame", "Leftover"]

CLOSED: Final = "its manager was closed"
"""The reason of regions that are discarded for good: no call can get a new one."""

TOMBSTONE: Final = object()
"""A mark in a frame's set of pins: a thread is unmapping the region."""

# Compiled code reads a Final directly, but looks up built-ins and names of modules that are not compiled at each use.
_make_pin: Final = Pin
_make_view: Final = memoryview


@final
class Frame:
    """One region as the pool sees it: where it is, its map, and its pins."""

    __slots__ = (
        "begin",
        "copied",
        "file",
        "file_size",
        "hit_size",
        "live_end",
        "mapped_at",
        "mapping",
        "open_end",
        "pins",
        "reason",
        "referenced",
        "regions",
        "resident",
        "serial",
        "size",
        "target",
    )

    def __init__(
        self,
        serial: int,
        file: int,
        file_size: int,
        target: Target,
        begin: int,
        size: int,
        mapping: mmap.mmap | None,
        reach: int,
        copied: bool,  # noqa: FBT001 - keywords would be a part of what a miss costs
        mapped_at: float,
    ) -> None:
        self.serial: Final = serial
        """A number that its pool uses only once."""
        self.file: Final = file
        """The serial of its file. Not the file itself, which refers to its frames: that would be a cycle."""
        self.file_size: Final = file_size
        """The size of that file in bytes."""
        self.target: Final = target
        """The path or descriptor by which it was mapped."""
        self.begin: Final = begin
        """The absolute offset of the first byte."""
        self.size: Final = size
        """The size in bytes, as the ledger counts it."""
        self.copied: Final = copied
        """Whether the map is anonymous memory with a copy of the bytes."""
        self.mapped_at: Final = mapped_at
        """When it was mapped, by ``time.perf_counter``."""
        self.live_end = begin + size
        """The absolute offset one past the last byte; -1 once the manager has discarded the region.
        Written under the lock. Read without it, as the only test of a hit: at worst a cursor misses the change, and
        reads bytes that its own memoryview still keeps mapped."""
        self.hit_size = size
        """The size in bytes; -1 once the manager has discarded the region, or if the manager populates its windows, so
        that no request with a size is a hit. Written with ``live_end``."""
        self.open_end: Final = self.live_end if self.live_end == file_size else self.live_end - reach + 1
        """One past the last offset at which the region serves a request without a size: at least ``reach`` bytes
        follow, or the file ends. Without meaning once the region is discarded."""
        self.mapping: mmap.mmap | None = mapping
        """The map; None once discarded, so that the last view frees it. Written under the lock."""
        self.pins: Final[set[object]] = set()
        """The pins, dead ones included until they are drained, and perhaps the tombstone. Any thread adds and
        discards."""
        self.resident: Final = Resident(begin, size, whole=copied)
        """Which of the bytes are known to be in memory: all of a copy."""
        self.referenced = False
        """Whether a read was served from the region, without a pin, since the replacement policy looked at it last.
        Any thread sets it, without the lock."""
        self.reason = ""
        """Why the manager discarded it, for the cursors that were on it. Written once, before ``live_end``."""
        self.regions: Final[list[weakref.ref[object]]] = []
        """Weak references to its Region, which is made on demand: the first one alive counts. Any thread appends."""

    def live_pins(self) -> int:
        """Count the pins that are alive at this instant. O(pins)."""
        return sum(isinstance(pin, Pin) and pin() is not None for pin in self.pins.copy())

    def dead_pins(self) -> list[Pin]:
        """Return the pins that have died and are not drained yet. O(pins)."""
        return [pin for pin in self.pins.copy() if isinstance(pin, Pin) and pin() is None]

    def is_pinned(self) -> bool:
        """Whether a cursor is on the region. O(pins)."""
        for pin in self.pins.copy():
            if isinstance(pin, Pin) and pin() is not None:
                return True
        return False

    def has_views(self) -> bool:
        """Whether a memoryview of the map is alive, a cursor's own or a user's. False where ``mmap`` cannot tell."""
        mapping = self.mapping
        return mapping is not None and not mapping.closed and has_views(mapping)

    def is_mapped(self) -> bool:
        """Whether the region still belongs to its manager and its map is open."""
        mapping = self.mapping
        return self.live_end >= 0 and mapping is not None and not mapping.closed

    def view(self) -> memoryview:
        """Return a new read-only memoryview of the whole map; ValueError once the map is closed."""
        mapping = self.mapping
        if mapping is None:
            raise ValueError("discarded")
        view = memoryview(mapping)
        return view.toreadonly() if self.copied else view

    def copy(self, offset: int, stop: int) -> bytes | None:
        """Return the bytes from ``offset`` to ``stop``, which lie in the window; None once the map is closed.

        Needs no pin where there is a GIL, since a slice of the map is one step.
        """
        mapping = self.mapping
        if mapping is None:
            return None
        try:
            return mapping[offset - self.begin : stop - self.begin]
        except ValueError:
            # The map is closed, or a signal handler has raised the error.
            if mapping.closed:
                return None
            raise

    def find(self, needle: bytes, offset: int, stop: int) -> int:
        """Return the lowest absolute offset at which ``needle`` begins between two offsets that lie in the window.

        -1 if it is not there, -2 once the map is closed. Holds the GIL, and needs no pin there: see ``copy``.
        """
        mapping = self.mapping
        if mapping is None:
            return -2
        begin = self.begin
        try:
            found = mapping.find(needle, offset - begin, stop - begin)
        except ValueError:
            if mapping.closed:
                return -2
            raise
        return found + begin if found >= 0 else -1

    def rfind(self, needle: bytes, offset: int, stop: int) -> int:
        """Return the highest absolute offset at which ``needle`` begins: see ``find``."""
        mapping = self.mapping
        if mapping is None:
            return -2
        begin = self.begin
        try:
            found = mapping.rfind(needle, offset - begin, stop - begin)
        except ValueError:
            if mapping.closed:
                return -2
            raise
        return found + begin if found >= 0 else -1

    def map(self) -> mmap.mmap:
        """Return the ``mmap`` object itself.

        :raises RegionUnmappedError: once the region is discarded or its map is closed.
        :raises io.UnsupportedOperation: if the map is memory with a copy of the file.
        """
        if self.copied:
            raise io.UnsupportedOperation("there is no map of the file, since the reader copies; use buffer()")
        mapping = self.mapping
        if mapping is None or mapping.closed:
            raise self.unmapped_error()
        return mapping

    def unmapped_error(self) -> RegionUnmappedError:
        """Make the error for a region that is unmapped."""
        why = f": {self.reason}" if self.reason else ""
        remedy = "make a new manager" if self.reason == CLOSED else "get a new one from use_region()"
        return RegionUnmappedError(f"the region of {self.size} bytes at {self.begin} was unmapped{why}; {remedy}")

    def pin(self, note_release: Callable[[Pin], object]) -> memoryview | None:
        """Return a memoryview that pins the region while it lives, or None if a thread is unmapping it. Lock-free.

        ``note_release`` is called with the pin when the memoryview dies. It must be C from end to end.
        """
        mapping = self.mapping
        if mapping is None:
            return None
        try:
            view = _make_view(mapping)
        except ValueError:
            # The map is closed, or a signal handler has raised the error.
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
            # A kept traceback would keep the view, and the view would keep the map open.
            view.release()
            raise
        # An evicting thread looks for pins after it has set the tombstone, so one of the two sees the other.
        if TOMBSTONE in pins:
            # Withdraw the pin: it is not an acquisition. The drain removes it, and puts the region back into the LRU
            # queue if an evicting thread has seen the pin and taken the region out.
            pin.serial = -self.serial
            return None
        return view

    def release_pins(self) -> None:
        """Release the memoryviews that cursors own. Their slices, which are the users' views, stay valid."""
        for pin in self.pins.copy():
            view = pin() if isinstance(pin, Pin) else None
            if view is not None:
                view.release()


class Leftover(NamedTuple):
    """A map that is in no table any more but still open; the ledger still counts it. The last view frees it."""

    mapping: weakref.ref[mmap.mmap]
    """Weak, so that the map is freed with its last view (I9)."""
    size: int
    """The size in bytes."""

    def is_gone(self) -> bool:
        """Whether the map is closed or freed."""
        mapping = self.mapping()
        return mapping is None or mapping.closed
