"""Values: windows and statistics. All are frozen and compare by their fields."""

from dataclasses import dataclass
from typing import SupportsIndex, final

from smmap_typed._arguments import integer
from smmap_typed._types import Target

__all__ = ["FileStats", "ManagerStats", "RegionStats", "Window"]


@final
@dataclass(frozen=True, order=True, slots=True, init=False)
class Window:
    """A range of a file, an immutable value: ``size`` bytes from ``offset``.

    Windows compare, sort and hash by their two fields. Safe in any thread.

    :raises ValueError: if a number is negative.
    :raises TypeError: if a number is not an integer.

    >>> Window(4096, 100).end, Window(4096, 100).includes_ofs(4195)
    (4196, True)
    """

    offset: int
    """The absolute offset of the first byte."""
    size: int
    """The size in bytes."""

    def __init__(self, offset: SupportsIndex, size: SupportsIndex) -> None:
        first, count = integer("offset", offset), integer("size", size)
        if first < 0 or count < 0:
            raise ValueError(f"offset and size must not be negative, got {first} and {count}")
        # The class is frozen, and the fields are ints whatever kind of integer was given.
        object.__setattr__(self, "offset", first)
        object.__setattr__(self, "size", count)

    @property
    def end(self) -> int:
        """The absolute offset one past the last byte."""
        return self.offset + self.size

    def ofs_begin(self) -> int:
        """The absolute offset of the first byte; smmap's name for ``offset``."""
        return self.offset

    def ofs_end(self) -> int:
        """The absolute offset one past the last byte; smmap's name for ``end``."""
        return self.end

    def includes_ofs(self, ofs: SupportsIndex) -> bool:
        """Whether the byte at absolute offset ``ofs`` lies inside the window.

        :raises TypeError: if ``ofs`` is not an integer.
        """
        return self.offset <= integer("ofs", ofs) < self.end


@final
@dataclass(frozen=True, slots=True)
class RegionStats:
    """The state of one region when ``regions`` was called."""

    target: Target
    """The absolute path or the descriptor by which it was mapped."""
    file_size: int
    """The size in bytes of its file, as its cursors see it."""
    window: Window
    """The range of the file that is mapped."""
    cursors: int
    """Cursors on it."""
    has_views: bool
    """Whether a memoryview of it is alive, a cursor's own included; False where ``mmap`` cannot tell."""
    age: float
    """Seconds since it was mapped."""
    turn: int | None
    """How many idle regions are evicted before it, 0 for the next victim; None while a cursor is on it."""


@final
@dataclass(frozen=True, slots=True)
class FileStats:
    """The gauges of one file that has regions."""

    target: Target
    """The absolute path or the descriptor by which its first region was mapped."""
    file_size: int
    """The size in bytes of the file, as its cursors see it."""
    mapped_bytes: int
    """Bytes mapped."""
    handles: int
    """Regions mapped."""
    idle_regions: int
    """Regions without a cursor or a view."""
    pinned_regions: int
    """Regions with a cursor on them."""
    view_pinned_regions: int
    """Regions that only views keep mapped."""


@final
@dataclass(frozen=True, slots=True)
class ManagerStats:
    """The counters of a manager since its start or the last ``reset_stats``, and what it holds now.

    Counters and totals are read at one instant. Cursors pin and release without the lock, so ``acquisitions``
    and the gauges of pinned and idle regions are exact only while no other thread moves a cursor; no acquisition is
    lost from the count.
    """

    acquisitions: int
    """Pins taken. A cursor that stays in its window takes none."""
    misses: int
    """Acquisitions that found their window not mapped: they mapped it, or waited for another thread that did."""
    maps: int
    """Regions mapped."""
    unmaps: int
    """Regions unmapped, for whatever reason."""
    evictions: int
    """Regions unmapped to make room for others."""
    map_failures: int
    """Attempts to map that the system refused."""
    map_seconds: float
    """Seconds spent in the system calls that mapped or read windows."""
    mapped_bytes: int
    """Bytes mapped or reserved now."""
    peak_mapped_bytes: int
    """The most that ``mapped_bytes`` has been since the start or the last reset."""
    handles: int
    """Regions mapped now."""
    in_flight: int
    """Regions that are being mapped now."""
    peak_handles: int
    """The most that ``handles + in_flight`` has been since the start or the last reset."""
    kept_descriptors: int
    """Descriptors kept open now. Together with ``handles + in_flight`` at most ``max_open_handles``."""
    detached_reads: int
    """Reads by a descriptor, because bytes were not known to be in memory."""
    detached_bytes: int
    """Bytes that came by such reads."""
    marks_forgotten: int
    """How often the manager forgot which pages are in memory, because the kernel had taken some back."""
    idle_regions: int
    """Regions without a cursor or a view now."""
    pinned_regions: int
    """Regions with a cursor on them now."""
    view_pinned_regions: int
    """Regions that only views keep mapped now, those that were given up included."""
    open_files: int
    """Files with at least one region now."""
    files: tuple[FileStats, ...]
    """The gauges of each file that has a region now."""

    @property
    def hits(self) -> int:
        """Acquisitions that found their window mapped."""
        return self.acquisitions - self.misses
