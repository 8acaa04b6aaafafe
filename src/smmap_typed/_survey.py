"""Surveys: the statistics of a core and of its regions, counted when somebody asks."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Literal, TypeAlias, TypeVar

from smmap_typed._core import Core
from smmap_typed._gate import Call
from smmap_typed._hold import Hold
from smmap_typed._stats import FileStats, ManagerStats, RegionStats
from smmap_typed._window import Window
from smmap_typed.exceptions import ReentrantCallError

__all__ = ["list_regions", "survey"]

T = TypeVar("T")

Use: TypeAlias = Literal["idle", "pinned", "viewed"]


def survey(core: Core) -> ManagerStats:
    """What ``core`` did and holds. O(regions). Nested it never waits, and then counts what it sees in passing."""
    return _at_one_instant(core, _count)


def list_regions(core: Core) -> tuple[RegionStats, ...]:
    """What ``core`` has mapped. O(regions). Nested it never waits, and then tells what it sees in passing."""
    return _at_one_instant(core, _list)


def _at_one_instant(core: Core, look: Callable[[Core], T]) -> T:
    """What ``look`` sees under the lock; or without it, if the lock is taken and this call may not wait."""
    with Call(core.evictor) as call:
        try:
            return call.locked(look, core)
        except ReentrantCallError:
            return look(core)


def _list(core: Core) -> tuple[RegionStats, ...]:
    now = time.perf_counter()
    holds = list(core.tables.holds.values())
    idle = [hold.serial for hold in list(core.tables.idle.holds.values()) if not hold.is_pinned()]
    turns = {serial: turn for turn, serial in enumerate(idle)}
    return tuple(
        RegionStats(
            target=hold.target,
            file_size=hold.identity.size,
            window=Window(hold.begin, hold.size),
            cursors=hold.live_pins(),
            has_views=hold.has_views(),
            age=now - hold.mapped_at,
            turn=turns.get(hold.serial),
        )
        for hold in holds
    )


def _use(hold: Hold) -> Use:
    if hold.is_pinned():
        return "pinned"
    return "viewed" if hold.has_views() else "idle"


def _file_stats(holds: list[Hold]) -> FileStats:
    uses = Counter(_use(hold) for hold in holds)
    return FileStats(
        target=holds[0].target,
        file_size=holds[0].identity.size,
        mapped_bytes=sum(hold.size for hold in holds),
        handles=len(holds),
        idle_regions=uses["idle"],
        pinned_regions=uses["pinned"],
        view_pinned_regions=uses["viewed"],
    )


def _count(core: Core) -> ManagerStats:
    ledger = core.ledger
    holds = (list(windows.values()) for windows in core.tables.index.copy().values())
    files = tuple(_file_stats(some) for some in holds if some)
    maps, unmaps = ledger.maps, ledger.unmaps
    return ManagerStats(
        acquisitions=core.tables.acquisitions(),
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
        idle_regions=sum(file.idle_regions for file in files),
        pinned_regions=sum(file.pinned_regions for file in files),
        view_pinned_regions=sum(file.view_pinned_regions for file in files) + len(core.tables.orphans),
        open_files=len(files),
        files=files,
    )
