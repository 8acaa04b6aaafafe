"""The invariants of a manager, as a function that checks them.

``check_invariants`` is the executable specification. It holds the manager's lock while it checks, so it may be called
from any thread while others work: each rule below holds whenever no call has the lock. Statements that hold only when
nothing else runs are left to tests that know when that is the case. The reference model in ``model`` covers statements
about two instants, such as which region an eviction takes, or that a failed call changes nothing.
docs/invariants.md is the specification in words.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, TypeAlias, final

from smmap_typed._core import Core
from smmap_typed._gate import Call, Flight
from smmap_typed._hold import TOMBSTONE, Hold
from smmap_typed._pin import Pin
from smmap_typed._platform import ALLOCATIONGRANULARITY
from smmap_typed._stats import ManagerStats
from smmap_typed.manager import StaticWindowMapManager

__all__ = ["IDENTIFIERS", "InvariantError", "check_invariants"]


# How long to wait for a release before it counts as lost.
_MOMENT_SECONDS: Final = 1.0


@final
class InvariantError(AssertionError):
    """An invariant is broken. This is a defect of the library, not of its caller.

    ``identifier`` is the name of the invariant in docs/invariants.md, such as ``"I1"``.
    """

    def __init__(self, identifier: str, problem: str, state: str) -> None:
        super().__init__(f"{identifier} {problem}\n{state}")
        self.identifier = identifier


def check_invariants(manager: StaticWindowMapManager) -> None:
    """Check the invariants that can be seen at one instant.

    O(regions + pins). May be called from any thread while others use the manager. Drains pending releases first, as a
    call that maps does.

    :raises InvariantError: if an invariant is broken. Names the first one, with a dump of the state.
    :raises ReentrantCallError: if called from a handler that interrupted the library while it held its lock.
    """
    core = manager._core
    if core.tables.closed:
        # Another thread may be closing the manager; when this call returns, the manager is closed.
        manager.close()
    statistics = manager.stats()
    with Call(core.evictor) as call:
        call.locked(_check, core, None if call.nested else statistics)


def _check(core: Core, statistics: ManagerStats | None) -> None:
    """Check each rule. A nested check skips the last two, because it may see figures of several instants."""
    for identifier, rule in _RULES.items():
        _judge(core, identifier, rule(core))
    if statistics is not None:
        _judge(core, "I11", _nothing_is_left_of_this_threads_calls(core))
        _judge(core, "I12", _statistics_agree(statistics))


def _judge(core: Core, identifier: str, problems: Iterator[str]) -> None:
    for problem in problems:
        raise InvariantError(identifier, problem, _dump(core))


def _ledger_equals_tables(core: Core) -> Iterator[str]:
    """I1: the ledger has number and bytes of the regions that are mapped, given up under a view, or reserved."""
    ledger, tables = core.ledger, core.tables
    sizes = [hold.size for hold in tables.holds.values()] + [orphan.size for orphan in tables.orphans]
    reserved = [flight.reserved for flight in tables.flights.values() if flight.reserved >= 0]
    if ledger.handles() != len(sizes):
        yield f"{len(sizes)} regions are mapped, the books say {ledger.handles()}"
    if ledger.total_handles != len(sizes) + len(reserved):
        yield f"{len(sizes)} handles and {len(reserved)} reserved ones are not {ledger.total_handles}"
    if ledger.total_bytes != sum(sizes) + sum(reserved):
        yield f"{sum(sizes)} bytes and {sum(reserved)} reserved ones are not {ledger.total_bytes}"


def _handles_within_limit(core: Core) -> Iterator[str]:
    """I2: the handle limit is hard, at every instant."""
    ledger = core.ledger
    if ledger.total_handles > ledger.max_handles:
        yield f"{ledger.total_handles} handles are in use and max_open_handles is {ledger.max_handles}"


def _strict_memory_within_limit(core: Core) -> Iterator[str]:
    """I3: under ``strict_memory`` the memory limit is hard. A soft limit cannot be checked at one instant."""
    ledger = core.ledger
    if ledger.strict and ledger.over_memory():
        yield f"{ledger.total_bytes} bytes are in use and max_memory_size is {ledger.max_memory}, strictly"


def _windows_are_in_place(core: Core) -> Iterator[str]:
    """I4: windows are aligned, no larger than the window size, and inside the file."""
    grid = core.grid
    for hold in core.tables.holds.values():
        if hold.begin % ALLOCATIONGRANULARITY or hold.begin % grid.half:
            yield f"the window at {hold.begin} does not start at a multiple of {grid.half}"
        if not 0 < hold.size <= grid.span:
            yield f"the window at {hold.begin} has {hold.size} bytes of at most {grid.span}"
        if hold.begin + hold.size > hold.identity.size:
            yield f"the window at {hold.begin} ends outside its file of {hold.identity.size} bytes"
        if (hold.begin + hold.size) % ALLOCATIONGRANULARITY and hold.begin + hold.size != hold.identity.size:
            yield f"the window at {hold.begin} ends neither aligned nor with its file"


def _index_equals_holds(core: Core) -> Iterator[str]:
    """I4: the table by file and window has the same regions as the table by serial, each once, and no empty file."""
    tables = core.tables
    if not all(tables.index.values()):
        yield "a file without regions is still indexed"
    indexed = {
        hold.serial: (identity, start) for identity, some in tables.index.items() for start, hold in some.items()
    }
    held = {serial: (hold.identity, hold.begin) for serial, hold in tables.holds.items()}
    if indexed != held:
        yield f"the index and the holds differ in {sorted(indexed.items() ^ held.items())}"


def _pinned_regions_are_mapped(core: Core) -> Iterator[str]:
    """I5: a region in the tables has an open map, unless it is being unmapped."""
    for hold in core.tables.holds.values():
        if (hold.identity, hold.begin) not in core.tables.flights and not hold.is_mapped():
            yield f"the region at {hold.begin} is in the tables and its map is closed"


def _pins_are_alive_or_waiting(core: Core) -> Iterator[str]:
    """I6: each pin belongs to a cursor, or has died and waits to be drained, so ``client_count`` loses none."""
    for hold in core.tables.holds.values():
        for pin in hold.pins.copy():
            if pin is TOMBSTONE:
                continue
            if not isinstance(pin, Pin):
                yield f"the region at {hold.begin} is pinned by {pin!r}"
            elif pin() is None and not _is_released(core, pin):
                yield f"a pin of the region at {hold.begin} died and its release was lost"


def _is_released(core: Core, pin: Pin) -> bool:
    """Whether a dead pin is in the queue, or will be there as soon as its thread continues.

    With a GIL, the death of a pin and its callback are one step; without a GIL they are two.
    """
    deadline = time.monotonic() + _MOMENT_SECONDS
    while True:
        # Without a GIL, copying a queue that grows may fail.
        with suppress(RuntimeError):
            if any(pin is released for released in core.tables.released.copy()):
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0)


def _unpinned_regions_are_idle(core: Core) -> Iterator[str]:
    """I7: each region without pins is in the idle queue, and everything in the idle queue is mapped."""
    idle = {hold.serial for hold in core.tables.idle.holds.values()}
    for hold in core.tables.holds.values():
        if not hold.pins and hold.serial not in idle:
            yield f"the region at {hold.begin} has no pins and is not in the idle queue: nothing can evict it"
    if not idle <= core.tables.holds.keys():
        yield f"the idle queue holds {sorted(idle - core.tables.holds.keys())}, which are not mapped"


def _flights_are_single(core: Core) -> Iterator[str]:
    """I8: a window is in one state: mapped, being mapped or being unmapped. Only the last has a tombstone."""
    tables = core.tables
    for key, flight in tables.flights.items():
        hold = tables.find(*key)
        if flight.key != key or flight.done:
            yield f"the flight for the window at {key[1]} is over, or is another's"
        if hold is not flight.victim and (flight.victim is None or flight.victim.serial in tables.holds):
            yield f"the window at {key[1]} is mapped, and being mapped once more"
    for hold in tables.holds.values():
        if TOMBSTONE in hold.pins and (hold.identity, hold.begin) not in tables.flights:
            yield f"the region at {hold.begin} has a tombstone, and nobody is unmapping it"


def _closed_means_empty(core: Core) -> Iterator[str]:
    """I9: a closed manager keeps only the maps that cursors and views have not released yet."""
    tables = core.tables
    if core.tables.closed and (tables.holds or tables.index or tables.idle.holds):
        yield f"the manager is closed and {len(tables.holds)} regions are in the tables"


def _nothing_is_left_of_this_threads_calls(core: Core) -> Iterator[str]:
    """I11: no reservation and no flight outlives its call, however the call ended."""
    me = threading.get_ident()
    for key, flight in core.tables.flights.items():
        if flight.owner == me:
            yield f"this thread is outside and its flight for the window at {key[1]} is still registered"


def _statistics_agree(stats: ManagerStats) -> Iterator[str]:
    """I12: the figures of one snapshot agree with each other."""
    if stats.maps - stats.unmaps != stats.handles:
        yield f"maps {stats.maps} - unmaps {stats.unmaps} are not handles {stats.handles}"
    if stats.hits < 0 or stats.hits + stats.misses != stats.acquisitions:
        yield f"hits {stats.hits} + misses {stats.misses} are not acquisitions {stats.acquisitions}"
    gauges = stats.idle_regions + stats.pinned_regions + stats.view_pinned_regions
    if gauges != stats.handles:
        yield f"idle, pinned and view-pinned regions are {gauges}, handles are {stats.handles}"
    if stats.evictions > stats.unmaps:
        yield f"{stats.evictions} evictions are more than {stats.unmaps} unmaps"
    if stats.peak_handles < stats.handles + stats.in_flight or stats.peak_mapped_bytes < stats.mapped_bytes:
        yield f"the peaks {stats.peak_handles} and {stats.peak_mapped_bytes} are below the present"
    for file in stats.files:
        if file.idle_regions + file.pinned_regions + file.view_pinned_regions != file.handles:
            yield f"the regions of {file.target!r} do not add up to {file.handles}"


Rule: TypeAlias = Callable[[Core], Iterator[str]]


def _both(*rules: Rule) -> Rule:
    return lambda core: (problem for rule in rules for problem in rule(core))


_RULES: Final[dict[str, Rule]] = {
    "I1": _ledger_equals_tables,
    "I2": _handles_within_limit,
    "I3": _strict_memory_within_limit,
    "I4": _both(_windows_are_in_place, _index_equals_holds),
    "I5": _pinned_regions_are_mapped,
    "I6": _pins_are_alive_or_waiting,
    "I7": _unpinned_regions_are_idle,
    "I8": _flights_are_single,
    "I9": _closed_means_empty,
}
IDENTIFIERS: Final = (*_RULES, "I11", "I12")
"""The invariants that can be seen at one instant: all except I10. docs/invariants.md has them in words."""


def _dump(core: Core) -> str:
    """Format the state of a core for people to read. The caller holds its lock."""
    tables, ledger = core.tables, core.ledger
    lines = (
        f"  closed={tables.closed} overdrawn={sorted(tables.overdrawn)} collect_wanted={core.evictor.collect_wanted}",
        f"  limits: {ledger.max_handles} handles, {ledger.max_memory} bytes{', strictly' if ledger.strict else ''}",
        f"  books: {ledger.total_handles} handles, {ledger.total_bytes} bytes",
        f"  maps={ledger.maps} unmaps={ledger.unmaps}",
        f"  misses={ledger.misses} evictions={ledger.evictions} pins_ended={ledger.pins_ended}",
        f"  idle, oldest first: {[hold.serial for hold in tables.idle.holds.values()]}",
        f"  waiting: {len(tables.released)} releases, {len(tables.finished)} flights; {len(tables.orphans)} orphans",
        *(f"  region {_line(hold)}" for hold in tables.holds.values()),
        *(f"  flight {_flight_line(flight)}" for flight in tables.flights.values()),
    )
    return "\n".join(lines)


def _line(hold: Hold) -> str:
    tomb = ", tombstone" if TOMBSTONE in hold.pins else ""
    views = ", views" if hold.has_views() else ""
    return (
        f"{hold.serial}: {hold.size} bytes at {hold.begin} of {hold.target!r} {tuple(hold.identity)}, "
        f"{hold.live_pins()} pins of {len(hold.pins)}{tomb}{views}{'' if hold.is_mapped() else ', closed'}"
    )


def _flight_line(flight: Flight) -> str:
    what = "unmaps" if flight.victim is not None else f"maps, {flight.reserved} bytes reserved"
    return f"at {flight.key[1]} of {tuple(flight.key[0])} {what}, by thread {flight.owner}"
