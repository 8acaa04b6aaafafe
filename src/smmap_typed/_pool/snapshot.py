"""Snapshots: the statistics of a pool and of its regions, counted on demand."""

import time
from collections import Counter
from typing import Literal, TypeAlias

from smmap_typed._pool.file import File
from smmap_typed._pool.frame import Frame
from smmap_typed._pool.tables import Tables
from smmap_typed.values import FileStats, ManagerStats, RegionStats, Window

__all__ = ["count", "list_regions"]

Use: TypeAlias = Literal["idle", "pinned", "viewed"]


def list_regions(tables: Tables) -> tuple[RegionStats, ...]:
    """List the mapped regions in the order in which they were mapped. O(regions)."""
    now = time.perf_counter()
    frames = list(tables.frames.values())
    idle = [frame.serial for frame in tables.replacement.order() if not frame.is_pinned()]
    turns = {serial: turn for turn, serial in enumerate(idle)}
    return tuple(
        RegionStats(
            target=frame.target,
            file_size=frame.file_size,
            window=Window(frame.begin, frame.size),
            cursors=frame.live_pins(),
            has_views=frame.has_views(),
            age=now - frame.mapped_at,
            turn=turns.get(frame.serial),
        )
        for frame in frames
    )


def count(tables: Tables) -> ManagerStats:
    """Take the counters and gauges of a pool. O(regions)."""
    ledger = tables.ledger
    files = tuple(stats for file in list(tables.files.values()) if (stats := _file_stats(file)) is not None)
    maps, unmaps = ledger.maps, ledger.unmaps
    return ManagerStats(
        acquisitions=tables.acquisitions(),
        misses=ledger.misses,
        maps=maps,
        unmaps=unmaps,
        evictions=ledger.evictions,
        map_failures=ledger.failures,
        map_seconds=ledger.seconds,
        mapped_bytes=ledger.total_bytes,
        peak_mapped_bytes=ledger.peak_bytes,
        handles=maps - unmaps,
        in_flight=ledger.total_handles - (maps - unmaps),
        peak_handles=ledger.peak_handles,
        kept_descriptors=ledger.kept,
        detached_reads=ledger.detached_reads,
        detached_bytes=ledger.detached_bytes,
        marks_forgotten=ledger.forgotten,
        idle_regions=sum(file.idle_regions for file in files),
        pinned_regions=sum(file.pinned_regions for file in files),
        view_pinned_regions=sum(file.view_pinned_regions for file in files) + len(tables.leftovers),
        open_files=len(files),
        files=files,
    )


def _file_stats(file: File) -> FileStats | None:
    """Count the gauges of a file; None if it has no region."""
    frames = list(file.windows.values())
    if not frames:
        return None
    uses = Counter(_use(frame) for frame in frames)
    return FileStats(
        target=frames[0].target,
        file_size=file.size,
        mapped_bytes=sum(frame.size for frame in frames),
        handles=len(frames),
        idle_regions=uses["idle"],
        pinned_regions=uses["pinned"],
        view_pinned_regions=uses["viewed"],
    )


def _use(frame: Frame) -> Use:
    if frame.is_pinned():
        return "pinned"
    return "viewed" if frame.has_views() else "idle"
