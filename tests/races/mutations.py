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

from races import scenarios
from races.scene import Scene
from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager, _fork
from smmap_typed._core import Core
from smmap_typed._evictor import Evictor
from smmap_typed._gate import Call
from smmap_typed._hold import Hold
from smmap_typed._position import Position
from smmap_typed._tables import Tables

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
    scenario: type[Scene]
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
    found_by: type[Scene],
    systematically: bool = False,
) -> Mutation:
    return Mutation(name, tuple(Edit(function, old, new) for old, new in edits), found_by, systematically)


NO_SHORT_WAY: Final = Edit(Core._map, "and not self.evictor.make_way(call, flight)", "")

MUTATIONS: Final = (
    _mutation(
        "pins without looking for the tombstone",
        Hold.pin,
        ("if TOMBSTONE in pins:", "if False:"),
        found_by=scenarios.MoveAgainstCollect,
    ),
    _mutation(
        "looks for the tombstone before it pins",
        Hold.pin,
        ("pins.add(pin)", "buried = TOMBSTONE in pins; pins.add(pin)"),
        ("if TOMBSTONE in pins:", "if buried:"),
        found_by=scenarios.MoveAgainstCollect,
        systematically=True,
    ),
    _mutation(
        "buries without looking for pins",
        Tables.bury,
        ("buried = len(hold.pins) == 1 or not hold.is_pinned()", "buried = True"),
        found_by=scenarios.MoveAgainstCollect,
    ),
    _mutation(
        "looks for pins before it sets the tombstone",
        Tables.bury,
        ("hold.pins.add(TOMBSTONE)", "buried = not hold.is_pinned(); hold.pins.add(TOMBSTONE)"),
        ("buried = len(hold.pins) == 1 or not hold.is_pinned()", "pass"),
        found_by=scenarios.MoveAgainstCollect,
    ),
    # These two are defects of make_room, which is used only where make_way has failed: a second chance hides them.
    Mutation(
        "gives up after one victim that was pinned at the last moment",
        (Edit(Tables.bury_oldest, "passed = {*passed, hold.serial}", "return False"), NO_SHORT_WAY),
        scenarios.MoveAgainstEviction,
        systematically=False,
    ),
    Mutation(
        "takes one look after the other for a snapshot",
        (Edit(Evictor._attempt, "if not self.tables.released:", "if True:"), NO_SHORT_WAY),
        scenarios.OneIsAlwaysFree,
        systematically=False,
    ),
    _mutation(
        "maps though another thread is just mapping that window",
        Tables.take_off,
        ("other = self.flights.setdefault(flight.key, flight)", "other = self.flights[flight.key] = flight"),
        found_by=scenarios.OneNewWindow,
    ),
    _mutation(
        "enters the tables without the lock",
        Call.locked,
        ("in guarded.waiting if self.waits else guarded.attempting", "in (True,)"),
        ("guarded.lock.release()", "pass"),
        found_by=scenarios.OneNewWindow,
    ),
    _mutation(
        "publishes to a manager that was closed meanwhile",
        Core._publish,
        ("self.check_open()", "pass"),
        found_by=scenarios.CloseAgainstMove,
    ),
    _mutation(
        "does not wait for the end of an unmapping",
        Tables.someone_unmapping,
        ("if flight.victim is not None", "if False"),
        found_by=scenarios.MapAgainstCollectAtTheLimit,
    ),
    _mutation(
        "does not wait for the end of a mapping",
        Tables.someone_mapping,
        ("if flight.reserved >= 0", "if False"),
        found_by=scenarios.FailingMapAtTheLimit,
    ),
    _mutation(
        "releases its window before it pins the next",
        Position.move,
        ("start = core.grid.start(offset, stop)", "start = core.grid.start(offset, stop); self.place = NOWHERE"),
        found_by=scenarios.FailingMapWithWaiter,
    ),
    _mutation(
        "writes the place in two steps",
        Position.move,
        ("self.place = (view, hold,", "self.place = (view, hold, *self.place[2:]); self.place = (view, hold,"),
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
        Position._keep,
        ("first = sightings.setdefault(number, identity)", "first = identity"),
        found_by=scenarios.FirstUseOfOneCursor,
        systematically=True,
    ),
    _mutation(
        "forgets the first look at a file before it is set",
        Position._keep,
        (
            "first = sightings.setdefault(number, identity)",
            "first = sightings.setdefault(number, identity); sightings.pop(number, None)",
        ),
        found_by=scenarios.FirstLooks,
    ),
    _mutation(
        "does not look again once its look at a file is known",
        Position._keep,
        ("seen = self._seen", "seen = None"),
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
        SlidingWindowMapManager.reset_stats,
        ("call.locked(self._core.tables.reset_counters)", "self._core.tables.reset_counters()"),
        found_by=scenarios.CountersAreReset,
    ),
    _mutation(
        "forks without the lock",
        _fork._before,
        ("in map(evictor.lock.acquire, (True,), (patience,))", "in (True,)"),
        ("_forking.locked.append(evictor)", "pass"),
        found_by=scenarios.ForkInTheMiddle,
    ),
    Mutation(
        "counts a map outside of the lock",
        (
            Edit(Tables.publish, "ledger.commit(seconds, flight.failures)", "pass"),
            Edit(Core._map, "return view, hold", "self.ledger.commit(seconds, flight.failures); return view, hold"),
        ),
        scenarios.TwoNewWindows,
        systematically=True,
    ),
)
