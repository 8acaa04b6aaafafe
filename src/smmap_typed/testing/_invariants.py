"""The invariants of a manager, as a function that checks them.

``check_invariants`` is the executable specification. It holds the manager's lock while it looks, so it may be called
from any thread while others work. The rules below hold at each such instant. Rules that hold only when nothing else
runs are left to the tests that know when that is. The reference model in ``model`` checks rules about two instants:
which region an eviction takes, and that a failed call changes nothing. docs/invariants.md has all rules in words.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, TypeAlias, final

from smmap_typed._platform import ALLOCATIONGRANULARITY
from smmap_typed._pool import Frame, Pool
from smmap_typed._pool.frame import TOMBSTONE
from smmap_typed._pool.inflight import InFlight, Load, Unload
from smmap_typed._pool.monitor import Entry
from smmap_typed._pool.pin import Pin
from smmap_typed.manager import StaticWindowMapManager
from smmap_typed.values import ManagerStats

__all__ = ["IDENTIFIERS", "InvariantError", "check_invariants"]


# If a release does not come within this time, it is lost.
_MOMENT_SECONDS: Final = 1.0


@final
class InvariantError(AssertionError):
    """An invariant is broken: a defect of the library, not of its caller.

    ``identifier`` is its name in docs/invariants.md, such as ``"I1"``.
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
    pool = manager._pool
    if pool.tables.closed:
        # Another thread may be closing the manager; when this call returns, the manager is closed.
        manager.close()
    statistics = manager.stats()
    with Entry(pool) as entry:
        entry.locked(_check, pool, None if entry.nested else statistics)


def _check(pool: Pool, statistics: ManagerStats | None) -> None:
    """Check each rule. A nested check skips the last two, because it may see figures of several instants."""
    for identifier, rule in _RULES.items():
        _judge(pool, identifier, rule(pool))
    if statistics is not None:
        _judge(pool, "I11", _nothing_is_left_of_this_threads_calls(pool))
        _judge(pool, "I12", _statistics_agree(statistics))


def _judge(pool: Pool, identifier: str, problems: Iterator[str]) -> None:
    for problem in problems:
        raise InvariantError(identifier, problem, _dump(pool))


def _ledger_equals_tables(pool: Pool) -> Iterator[str]:
    """I1: the totals are the sizes and the number of the regions that are mapped, kept by views, or reserved."""
    ledger, tables = pool.ledger, pool.tables
    sizes = [frame.size for frame in tables.frames.values()] + [leftover.size for leftover in tables.leftovers]
    reserved = [load.reserved for load in tables.in_flight.values() if isinstance(load, Load) and load.reserved >= 0]
    if ledger.handles() != len(sizes):
        yield f"{len(sizes)} regions are mapped, the books say {ledger.handles()}"
    if ledger.total_handles != len(sizes) + len(reserved):
        yield f"{len(sizes)} handles and {len(reserved)} reserved ones are not {ledger.total_handles}"
    if ledger.total_bytes != sum(sizes) + sum(reserved):
        yield f"{sum(sizes)} bytes and {sum(reserved)} reserved ones are not {ledger.total_bytes}"
    kept = {serial for serial, file in tables.files.items() if file.descriptor is not None}
    if kept != set(tables.kept) or ledger.kept != len(kept):
        yield f"descriptors of the files {sorted(kept)} are kept, the books say {sorted(tables.kept)} and {ledger.kept}"


def _handles_within_limit(pool: Pool) -> Iterator[str]:
    """I2: the handle limit is hard, at every instant, for regions and kept descriptors together."""
    ledger = pool.ledger
    if ledger.total_handles > ledger.max_handles:
        yield f"{ledger.total_handles} handles are in use and max_open_handles is {ledger.max_handles}"
    if ledger.kept and ledger.total_handles + ledger.kept > ledger.max_handles:
        yield (
            f"{ledger.total_handles} handles and {ledger.kept} kept descriptors are more than max_open_handles, "
            f"{ledger.max_handles}"
        )


def _strict_memory_within_limit(pool: Pool) -> Iterator[str]:
    """I3: under ``strict_memory`` the memory limit is hard. A soft limit cannot be checked at one instant."""
    ledger = pool.ledger
    if ledger.strict and ledger.over_memory():
        yield f"{ledger.total_bytes} bytes are in use and max_memory_size is {ledger.max_memory}, strictly"


def _windows_are_in_place(pool: Pool) -> Iterator[str]:
    """I4: windows start aligned, are no larger than they may be, and lie inside the file."""
    grid = pool.grid
    for frame in pool.tables.frames.values():
        end = frame.begin + frame.size
        if frame.begin % ALLOCATIONGRANULARITY or frame.begin % grid.half:
            yield f"the window at {frame.begin} does not start at a multiple of {grid.half}"
        if not 0 < frame.size <= grid.span:
            yield f"the window at {frame.begin} has {frame.size} bytes of at most {grid.span}"
        if end > frame.file_size:
            yield f"the window at {frame.begin} ends outside its file of {frame.file_size} bytes"
        if end % ALLOCATIONGRANULARITY and end != frame.file_size:
            yield f"the window at {frame.begin} ends neither aligned nor with its file"


def _files_equal_frames(pool: Pool) -> Iterator[str]:
    """I4: the windows of files and the frames by serial agree, and a listed file has something to be listed for."""
    tables = pool.tables
    flying = {serial for serial, _start in tables.in_flight}
    found: dict[int, tuple[int, int]] = {}
    for serial, file in tables.files.items():
        if file.serial != serial or not (file.windows or file.descriptor is not None or serial in flying):
            yield f"the file {serial} of {list(file.names)} has neither a region nor a descriptor and is still listed"
        if file not in tables.inodes.get((file.state.device, file.state.inode), ()):
            yield f"the file {serial} of {list(file.names)} is not found by its inode"
        found.update((frame.serial, (serial, start)) for start, frame in file.windows.items())
    known = {serial: (frame.file, frame.begin) for serial, frame in tables.frames.items()}
    if found != known:
        yield f"the windows of the files and the frames differ in {sorted(found.items() ^ known.items())}"
    several = [*tables.inodes.values(), *tables.former.values()]
    named = [*tables.names.values(), *(file for files in several for file in files)]
    if any(tables.files.get(file.serial) is not file for file in named):
        yield "a file that is listed no more is still found by its name or inode"


def _pinned_regions_are_mapped(pool: Pool) -> Iterator[str]:
    """I5: a region that is in the tables has an open map, unless its unmapping is just under way."""
    for frame in pool.tables.frames.values():
        if (frame.file, frame.begin) not in pool.tables.in_flight and not frame.is_mapped():
            yield f"the region at {frame.begin} is in the tables and its map is closed"


def _pins_are_alive_or_waiting(pool: Pool) -> Iterator[str]:
    """I6: every pin belongs to a cursor, or has died and is in the queue, so ``client_count`` loses none."""
    for frame in pool.tables.frames.values():
        for pin in frame.pins.copy():
            if pin is TOMBSTONE:
                continue
            if not isinstance(pin, Pin):
                yield f"the region at {frame.begin} is pinned by {pin!r}"
            elif pin() is None and not _is_released(pool, pin):
                yield f"a pin of the region at {frame.begin} died and its release was lost"


def _is_released(pool: Pool, pin: Pin) -> bool:
    """Whether a pin that has died is in the queue, or will be as soon as its thread gets on.

    With a GIL its death and its callback are one step; without, they are two.
    """
    deadline = time.monotonic() + _MOMENT_SECONDS
    while True:
        # Without a GIL a queue that grows may refuse to be copied.
        with suppress(RuntimeError):
            if any(pin is released for released in pool.tables.released.copy()):
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0)


def _unpinned_regions_are_idle(pool: Pool) -> Iterator[str]:
    """I7: the replacement policy knows every region without pins, and nothing that is not mapped."""
    idle = {frame.serial for frame in pool.tables.replacement.order()}
    for frame in pool.tables.frames.values():
        if not frame.pins and frame.serial not in idle:
            yield f"the region at {frame.begin} has no pins and the policy does not know it: nothing can evict it"
    if not idle <= pool.tables.frames.keys():
        yield f"the policy knows {sorted(idle - pool.tables.frames.keys())}, which are not mapped"


def _flights_are_single(pool: Pool) -> Iterator[str]:
    """I8: a window is mapped, or being mapped, or being unmapped; and a frame has a tombstone only meanwhile."""
    tables = pool.tables
    for window, flying in tables.in_flight.items():
        serial, start = window
        if flying.window != window or flying.done:
            yield f"what is in flight for the window at {start} is over, or is another's"
        file = tables.files.get(serial)
        frame = None if file is None else file.windows.get(start)
        if isinstance(flying, Load) and frame is not None:
            yield f"the window at {start} is mapped, and being mapped once more"
        if isinstance(flying, Unload) and frame is not flying.victim:
            yield f"the window at {start} is being unmapped, and another region is mapped there"
    for frame in tables.frames.values():
        if TOMBSTONE in frame.pins and (frame.file, frame.begin) not in tables.in_flight:
            yield f"the region at {frame.begin} has a tombstone, and nobody is unmapping it"


def _closed_means_empty(pool: Pool) -> Iterator[str]:
    """I9: a closed manager keeps only the maps that cursors and views have not released yet.

    A region that was just being unmapped is gone as soon as that has ended.
    """
    tables = pool.tables
    left = [frame for frame in tables.frames.values() if (frame.file, frame.begin) not in tables.in_flight]
    if tables.closed and (left or tables.kept):
        yield f"the manager is closed, and {len(left)} regions and {len(tables.kept)} descriptors are in the tables"


def _known_bytes_are_in_their_window(pool: Pool) -> Iterator[str]:
    """I13: what is known to be in memory lies in its window, and nothing is known where reads touch no map."""
    for frame in pool.tables.frames.values():
        run = frame.resident.run
        if run.begin < run.end and not (frame.begin <= run.begin and run.end <= frame.begin + frame.size):
            yield f"bytes {run.begin} to {run.end} are known to be in memory, which the region at {frame.begin} has not"
        if run.begin < run.end and not (pool.copies_from_maps or frame.copied):
            yield f"bytes of the region at {frame.begin} are known to be in memory, and reads are not to touch a map"


def _nothing_is_left_of_this_threads_calls(pool: Pool) -> Iterator[str]:
    """I11: no reservation, load or unload outlives its call, even if the call failed."""
    me = threading.get_ident()
    for window, flying in pool.tables.in_flight.items():
        if flying.owner == me:
            yield f"this thread is outside, and what it had in flight for the window at {window[1]} is still registered"


def _statistics_agree(stats: ManagerStats) -> Iterator[str]:
    """I12: the figures of one instant agree with each other."""
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


Rule: TypeAlias = Callable[[Pool], Iterator[str]]


def _both(*rules: Rule) -> Rule:
    return lambda pool: (problem for rule in rules for problem in rule(pool))


_RULES: Final[dict[str, Rule]] = {
    "I1": _ledger_equals_tables,
    "I2": _handles_within_limit,
    "I3": _strict_memory_within_limit,
    "I4": _both(_windows_are_in_place, _files_equal_frames),
    "I5": _pinned_regions_are_mapped,
    "I6": _pins_are_alive_or_waiting,
    "I7": _unpinned_regions_are_idle,
    "I8": _flights_are_single,
    "I9": _closed_means_empty,
    "I13": _known_bytes_are_in_their_window,
}
IDENTIFIERS: Final = (*_RULES, "I11", "I12")
"""The invariants that can be seen at one instant: all except I10. docs/invariants.md has them in words."""


def _dump(pool: Pool) -> str:
    """The state of a pool for people to read. Under its lock."""
    tables, ledger = pool.tables, pool.ledger
    lines = (
        f"  closed={tables.closed} past_limit={sorted(tables.past_limit)} collect_wanted={pool.collect_wanted}",
        f"  limits: {ledger.max_handles} handles, {ledger.max_memory} bytes{', strictly' if ledger.strict else ''}",
        f"  books: {ledger.total_handles} handles, {ledger.total_bytes} bytes, {ledger.kept} kept descriptors",
        f"  maps={ledger.maps} unmaps={ledger.unmaps}",
        f"  misses={ledger.misses} evictions={ledger.evictions} pins_ended={ledger.pins_ended}",
        f"  known to the policy, next first: {[frame.serial for frame in tables.replacement.order()]}",
        f"  waiting: {len(tables.released)} releases, {len(tables.finished)} completions",
        f"  left to views: {len(tables.leftovers)} maps",
        *(f"  file {serial}: {list(file.names)} {tuple(file.state)}" for serial, file in tables.files.items()),
        *(f"  region {_line(frame)}" for frame in tables.frames.values()),
        *(f"  in flight {_flying_line(flying)}" for flying in tables.in_flight.values()),
    )
    return "\n".join(lines)


def _line(frame: Frame) -> str:
    tomb = ", tombstone" if TOMBSTONE in frame.pins else ""
    views = ", views" if frame.has_views() else ""
    return (
        f"{frame.serial}: {frame.size} bytes at {frame.begin} of file {frame.file}, "
        f"{frame.live_pins()} pins of {len(frame.pins)}{tomb}{views}{'' if frame.is_mapped() else ', closed'}"
    )


def _flying_line(flying: InFlight) -> str:
    what = f"load, {flying.reserved} bytes reserved" if isinstance(flying, Load) else "unload"
    return f"at {flying.window[1]} of file {flying.window[0]}: {what}, by thread {flying.owner}"
