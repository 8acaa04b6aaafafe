"""Statistics: what a manager did and holds, as immutable values."""

from dataclasses import dataclass
from typing import final

from smmap_typed._types import Target
from smmap_typed._window import Window

__all__ = ["FileStats", "ManagerStats", "RegionStats"]


@final
@dataclass(frozen=True, slots=True)
class RegionStats:
    """What one region was at the instant of ``regions``."""

    target: Target
    """The absolute path or the descriptor by which it was mapped."""
    file_size: int
    """Bytes of its file, as its cursors see it."""
    window: Window
    """What is mapped of the file."""
    cursors: int
    """Cursors that stand on it."""
    has_views: bool
    """Whether somebody has a view of it, a cursor's own included; False where the system cannot tell."""
    age: float
    """Seconds since it was mapped."""
    turn: int | None
    """How many idle regions go before it is evicted, 0 for the next; None while cursors stand on it."""


@final
@dataclass(frozen=True, slots=True)
class FileStats:
    """The gauges of one file that has regions."""

    target: Target
    """The absolute path or the descriptor by which its first region was mapped."""
    file_size: int
    """Bytes, as its cursors see it."""
    mapped_bytes: int
    """Bytes that are mapped."""
    handles: int
    """Regions that are mapped."""
    idle_regions: int
    """Of these, regions that nobody uses."""
    pinned_regions: int
    """Of these, regions that cursors stand on."""
    view_pinned_regions: int
    """Of these, regions that only views keep mapped."""


@final
@dataclass(frozen=True, slots=True)
class ManagerStats:
    """What a manager did since its start or the last ``reset_stats``, and what it holds now.

    The fields of the ledger are of one instant. ``acquisitions`` and the gauges of pins are exact when nothing else
    runs, and no increment is ever lost.
    """

    acquisitions: int
    """Pins taken; staying in a window is none."""
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
    """Seconds spent in the system calls that brought windows in."""
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
    idle_regions: int
    """Regions that nobody uses now."""
    pinned_regions: int
    """Regions that cursors stand on now."""
    view_pinned_regions: int
    """Regions that only views keep mapped now."""
    open_files: int
    """Files with at least one region now."""
    files: tuple[FileStats, ...]
    """The same gauges for each of these files."""

    @property
    def hits(self) -> int:
        """Acquisitions that found their window mapped."""
        return self.acquisitions - self.misses
