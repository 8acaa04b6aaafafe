"""Mutations: small defects of the kind that a hurried change makes, each with the scenario that must find it.

Each is a piece of a function's source and what stands there instead, so that a mutation whose place has changed is
noticed, and whoever reads this sees the defect as a reviewer would.
"""

import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Final

import pytest

from races import scenarios, scenarios_of_reads
from races.fixture import Fixture
from smmap_typed import SlidingWindowMapBuffer
from smmap_typed._handles import reading
from smmap_typed._handles.state import CursorState
from smmap_typed._pool import fork
from smmap_typed._pool.frame import Frame
from smmap_typed._pool.monitor import Entry
from smmap_typed._pool.pool import Pool
from smmap_typed._pool.resident import Resident
from smmap_typed._pool.tables import Tables

__all__ = ["MUTATIONS", "Mutation"]


@dataclass(frozen=True)
class Edit:
    """One place of the library, and what is to stand there."""

    function: Callable[..., object]
    old: str
    new: str


@dataclass(frozen=True)
class Mutation:
    """A defect, and the scenario that finds it."""

    name: str
    edits: tuple[Edit, ...]
    scenario: type[Fixture]
    systematically: bool
    """Whether it takes the systematic search; the others are found by schedules at random."""

    def apply(self, patch: pytest.MonkeyPatch) -> None:
        """Put the defect into the library."""
        sources: dict[Callable[..., object], str] = {}
        for edit in self.edits:
            source = sources.get(edit.function) or textwrap.dedent(inspect.getsource(edit.function))
            assert source.count(edit.old) == 1, f"{edit.old!r} is {source.count(edit.old)} times in {edit.function}"
            sources[edit.function] = source.replace(edit.old, edit.new)
        for function, source in sources.items():
            _replace(function, source, patch)


def _replace(function: Callable[..., object], source: str, patch: pytest.MonkeyPatch) -> None:
    assert isinstance(function, FunctionType)
    module = sys.modules[function.__module__]
    # At its old line of its old file: frontrun looks into no file that is not there.
    code = compile("\n" * (function.__code__.co_firstlineno - 1) + source, function.__code__.co_filename, "exec")
    names: dict[str, object] = {}
    exec(code, vars(module), names)
    *path, name = function.__qualname__.split(".")
    owner: object = module
    for part in path:
        owner = getattr(owner, part)
    patch.setattr(owner, name, names[name])


def _mutation(
    name: str,
    function: Callable[..., object],
    *edits: tuple[str, str],
    found_by: type[Fixture],
    systematically: bool = False,
) -> Mutation:
    return Mutation(name, tuple(Edit(function, old, new) for old, new in edits), found_by, systematically)


NO_SHORT_WAY: Final = (
    Edit(Pool._load, "not (made_way or self._unload_one(entry, tables.reserve_or_unload_for, load))", "True"),
    Edit(Pool._find_or_begin, "tables.unload_for(unload, load)", "pass"),
)

CLOSES_AT_ONCE: Final = (
    "self.closing.append(file.take_descriptor())",
    "import os; self.closing.append(file.take_descriptor()); os.close(self.closing[-1].numbers.pop())",
)

MUTATIONS: Final = (
    _mutation(
        "pins without looking for the tombstone",
        Frame.pin,
        ("if TOMBSTONE in pins:", "if False:"),
        found_by=scenarios.MoveAgainstCollect,
    ),
    _mutation(
        "looks for the tombstone before it pins",
        Frame.pin,
        ("pins.add(pin)", "unloading = TOMBSTONE in pins; pins.add(pin)"),
        ("if TOMBSTONE in pins:", "if unloading:"),
        found_by=scenarios.MoveAgainstCollect,
        systematically=True,
    ),
    _mutation(
        "unloads without looking for pins",
        Tables._set_tombstone,
        ("begun = len(pins) == 1 or not frame.is_pinned()", "begun = True"),
        found_by=scenarios.MoveAgainstCollect,
    ),
    _mutation(
        "looks for pins before it sets the tombstone",
        Tables._set_tombstone,
        ("pins.add(TOMBSTONE)", "begun = not frame.is_pinned(); pins.add(TOMBSTONE)"),
        ("begun = len(pins) == 1 or not frame.is_pinned()", "pass"),
        found_by=scenarios.MoveAgainstCollect,
    ),
    # These two are defects of _make_room, which is used only where unload_for has failed: a second chance hides them.
    Mutation(
        "gives up after one victim that was pinned at the last moment",
        (Edit(Tables.unload_next, "passed = {*passed, frame.serial}", "return False"), *NO_SHORT_WAY),
        scenarios.MoveAgainstEviction,
        systematically=False,
    ),
    Mutation(
        "takes one look after the other for a snapshot",
        (
            Edit(Pool._attempt, "if not (tables.released or self._is_any_free_again(refused)):", "if True:"),
            *NO_SHORT_WAY,
        ),
        scenarios.OneIsAlwaysFree,
        systematically=False,
    ),
    _mutation(
        "maps though another thread is just mapping that window",
        Tables.begin_load,
        ("other = self.in_flight.setdefault(window, load)", "other = self.in_flight[window] = load"),
        found_by=scenarios.OneNewWindow,
    ),
    _mutation(
        "enters the tables without the lock",
        Entry.locked,
        ("in monitor.waiting if self.waits else monitor.attempting", "in (True,)"),
        ("monitor.lock.release()", "pass"),
        found_by=scenarios.OneNewWindow,
    ),
    _mutation(
        "publishes to a manager that was closed meanwhile",
        Tables.publish,
        ("if self.closed:", "if False:"),
        found_by=scenarios.CloseAgainstMove,
    ),
    _mutation(
        "does not wait for the end of an unload",
        Tables.unload_in_flight,
        ("if isinstance(flying, Unload)", "if False"),
        found_by=scenarios.MapAgainstCollectAtTheLimit,
    ),
    _mutation(
        "does not wait for the end of a load",
        Tables.load_in_flight,
        ("if load.reserved >= 0", "if False"),
        found_by=scenarios.FailingMapAtTheLimit,
    ),
    _mutation(
        "releases its window before it pins the next",
        CursorState.move,
        ("start = pool.grid.start(offset, stop)", "start = pool.grid.start(offset, stop); self.placement = NOWHERE"),
        found_by=scenarios.FailingMapWithWaiter,
    ),
    _mutation(
        "writes the placement in two steps",
        CursorState.move,
        (
            "self.placement = (view, frame,",
            "self.placement = (view, frame, *self.placement[2:]); self.placement = (view, frame,",
        ),
        found_by=scenarios.ReadAgainstMove,
    ),
    _mutation(
        "reads twice what a buffer is bound to",
        SlidingWindowMapBuffer.__getitem__,
        (
            "length = span.length",
            "length = span.length; span = self._span",
        ),
        found_by=scenarios.BufferBoundAgain,
        systematically=True,
    ),
    _mutation(
        "believes its own look at a file, not the first",
        CursorState._keep,
        ("first = first_files.setdefault(number, file)", "first = file"),
        found_by=scenarios.FirstUseOfOneCursor,
        systematically=True,
    ),
    _mutation(
        "forgets the first look at a file before it is set",
        CursorState._keep,
        (
            "first = first_files.setdefault(number, file)",
            "first = first_files.setdefault(number, file); first_files.pop(number, None)",
        ),
        found_by=scenarios.FirstLooks,
    ),
    _mutation(
        "does not look again once its look at a file is known",
        CursorState._keep,
        ("kept = self._file", "kept = None"),
        found_by=scenarios.FirstLooks,
    ),
    _mutation(
        "forgets what is released while it drains",
        Tables._drain_releases,
        ("for _ in range(len(released)):", "for pin in list(released):"),
        ("pin = released.popleft()", "pass"),
        ("self.torn = False", "released.clear(); self.torn = False"),
        found_by=scenarios.DropAgainstCollect,
    ),
    _mutation(
        "clears the counters without the lock",
        Pool.reset_counters,
        ("entry.locked(self.tables.reset_counters)", "self.tables.reset_counters()"),
        found_by=scenarios.CountersAreReset,
    ),
    _mutation(
        "forks without the lock",
        fork._before,
        ("in map(monitor.lock.acquire, (True,), (patience,))", "in (True,)"),
        ("_forking.locked.append(monitor)", "pass"),
        found_by=scenarios.ForkInTheMiddle,
    ),
    Mutation(
        "counts a map outside of the lock",
        (
            Edit(Tables.publish, "ledger.commit(seconds, load.failures)", "pass"),
            Edit(Pool._load, "return view, frame", "self.ledger.commit(seconds, load.failures); return view, frame"),
        ),
        scenarios.TwoNewWindows,
        systematically=True,
    ),
    # The three defects that a model of the pool has shown (tests/unit/threads/test_model_checked_defects.py).
    Mutation(
        "posts a failed load before its map is closed and its handle free",
        (
            Edit(
                Pool._acquire,
                "if load.mapping is not None:",
                "tables.finished.append(load)\n                        if load.mapping is not None:",
            ),
            Edit(Tables._complete_load, "if mapping is None or mapping.closed:", "if True:"),
        ),
        scenarios.RejectedMapAtTheLimit,
        systematically=False,
    ),
    _mutation(
        "does not look again at a region that a view kept mapped",
        Pool._attempt,
        ("if not (tables.released or self._is_any_free_again(refused)):", "if not tables.released:"),
        found_by=scenarios.OneIsAlwaysFreeOfViews,
    ),
    Mutation(
        "lets a discarded victim pass its room on to nobody",
        (
            Edit(Tables.discard, "if (frame.file, frame.begin) not in self.in_flight:", "if True:"),
            Edit(Tables.publish, "self.reserve(load, frame.size, last=True)", "self.ledger.reserve(frame.size)"),
        ),
        scenarios.RemovalAgainstEviction,
        systematically=False,
    ),
    # Descriptors that one thread reads by and another keeps no longer.
    _mutation(
        "reads by the number of a descriptor, without the descriptor",
        reading.read_from,
        (
            "data = reader.read(descriptor.numbers[0],",
            "number, descriptor = descriptor.numbers[0], None; data = reader.read(number,",
        ),
        found_by=scenarios_of_reads.ReadAgainstRemoval,
    ),
    _mutation(
        "closes a descriptor that another thread may read by",
        Tables.release_descriptor,
        CLOSES_AT_ONCE,
        found_by=scenarios_of_reads.ReadAgainstCollect,
    ),
    _mutation(
        "closes by configure a descriptor that another thread may read by",
        Tables.release_descriptor,
        CLOSES_AT_ONCE,
        found_by=scenarios_of_reads.ReadAgainstLowerLimit,
    ),
    _mutation(
        "closes for a window a descriptor that another thread may read by",
        Tables.release_descriptor,
        CLOSES_AT_ONCE,
        found_by=scenarios_of_reads.ReadAgainstTheLimit,
    ),
    _mutation(
        "may close a descriptor under the lock",
        Tables.release_descriptor,
        (
            "self.closing.append(file.take_descriptor())",
            "descriptor = file.take_descriptor(); self.closing.append(descriptor)",
        ),
        found_by=scenarios_of_reads.TwoRemovals,
    ),
    _mutation(
        "gives the place of a descriptor back without the lock",
        Pool.discard,
        ("entry.locked(self._discard_files, condemned, reason)", "self._discard_files(condemned, reason)"),
        found_by=scenarios_of_reads.TwoRemovals,
    ),
    Mutation(
        "gives the place of a descriptor back twice",
        (
            Edit(Pool._begin_collect, "tables.release_descriptors(", "list("),
            Edit(
                Pool._collect,
                "candidates = entry.locked(self._begin_collect)",
                "candidates = entry.locked(self._begin_collect); tables = self.tables; "
                "tables.release_descriptors(tables.kept.values())",
            ),
            Edit(
                Tables.release_descriptor,
                "self.closing.append(file.take_descriptor())",
                "self.closing.append(file.descriptor); file.descriptor = None",
            ),
        ),
        scenarios_of_reads.OneDescriptorCollectedTwice,
        systematically=False,
    ),
    _mutation(
        "keeps a second descriptor of a file",
        Tables.keep_descriptor,
        ("if file.descriptor is not None or self.closed:", "if self.closed:"),
        found_by=scenarios_of_reads.TwoFirstReads,
    ),
    _mutation(
        "keeps a descriptor without the lock",
        Pool.descriptor_of,
        ("entry.locked(self.tables.register, file,", "self.tables.register(file,"),
        found_by=scenarios_of_reads.TwoFirstReads,
    ),
    _mutation(
        "keeps a descriptor for a manager that was closed meanwhile",
        Tables.keep_descriptor,
        ("if file.descriptor is not None or self.closed:", "if file.descriptor is not None:"),
        found_by=scenarios_of_reads.FirstReadAgainstClose,
    ),
    # Reads among reads.
    _mutation(
        "looks for room for a read only before it has the lock",
        Pool._find_or_begin,
        ("or not self.ledger.has_room_for(load.nbytes)", ""),
        found_by=scenarios_of_reads.TwoReadsForOneHandle,
    ),
    _mutation(
        "lets a read wait until another has mapped the window",
        Pool._find_or_begin,
        ("(file.serial, start) in tables.in_flight or", ""),
        found_by=scenarios_of_reads.TwoReadsOfOneWindow,
    ),
    _mutation(
        "forgets the reads that come while it counts them",
        Tables._count_reads,
        ("for _ in range(len(reads)):", "for size in list(reads):"),
        ("ledger.detached_bytes += reads[0]", "ledger.detached_bytes += size"),
        ("reads.popleft()", "pass; reads.clear()"),
        found_by=scenarios_of_reads.ReadsAreCounted,
    ),
    _mutation(
        "counts reads without the lock",
        reading._note,
        ("if len(reads) > MOST_UNCOUNTED:", "if pool.tables._count_reads():"),
        found_by=scenarios_of_reads.TwoFirstReads,
    ),
    # What is known to be in memory.
    _mutation(
        "copies from a region that was unmapped meanwhile",
        Frame.copy,
        ("if mapping.closed:", "if False:"),
        found_by=scenarios_of_reads.ReadAgainstCollect,
    ),
    _mutation(
        "marks pages of a region that was discarded",
        Resident.mark,
        ("if self.is_discarded:", "if False:"),
        found_by=scenarios_of_reads.MarkAgainstClose,
    ),
    _mutation(
        "forgets the pages of a discarded region before it forbids new marks",
        Resident.discard,
        ("self.is_discarded = True", "self.forget(); self.is_discarded = True"),
        ("self.forget()\n", "pass\n"),
        found_by=scenarios_of_reads.MarkAgainstClose,
    ),
    _mutation(
        "forgets without the lock",
        Pool.forget_resident,
        ("entry.locked(self.tables.forget_resident)", "self.tables.forget_resident()"),
        found_by=scenarios_of_reads.ReadAgainstForgetting,
    ),
    _mutation(
        "makes the run grow that is there by now",
        Resident.mark,
        # Never the run of nothing, which is one object for all windows of this process.
        ("run.end = stop if", "(run if self.run is _NOTHING else self.run).end = stop if"),
        found_by=scenarios_of_reads.GrowthAgainstForgetting,
    ),
    _mutation(
        "looks for the marks twice",
        Resident.holds,
        ("marks = self._marks", "pass"),
        ("if marks is None:", "if self._marks is None:"),
        ("begin, bits = self._begin, self._bits", "marks = self._marks; begin, bits = self._begin, self._bits"),
        found_by=scenarios_of_reads.HitAgainstForgetting,
    ),
    _mutation(
        "moves the run in two steps",
        Resident._move_run,
        (
            "self.run = Run(begin + (low << bits),",
            "self.run = Run(begin + (low << bits), run.end); self.run = Run(begin + (low << bits),",
        ),
        found_by=scenarios_of_reads.HitsThatMoveTheRun,
    ),
)
