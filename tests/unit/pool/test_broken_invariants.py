"""The judge of all other tests can condemn: each invariant, broken on purpose, is named and told with its figures."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from smmap_typed import SlidingWindowMapManager, WindowCursor
from smmap_typed._core import Core
from smmap_typed._gate import Flight
from smmap_typed._hold import TOMBSTONE, Hold
from smmap_typed._pin import Pin
from smmap_typed._stats import ManagerStats
from smmap_typed._tables import Tables
from smmap_typed.testing import InvariantError, _invariants, check_invariants
from support import GRANULE, pattern

# Machine code reads its constants and its methods once.
pytestmark = pytest.mark.pure

FAR: Final = 4 * GRANULE


class Scene:
    """A manager with a region that a cursor stands on, at 0, and an idle one at ``FAR``."""

    def __init__(self, path: Path) -> None:
        self.manager: Final = SlidingWindowMapManager(2 * GRANULE, strict_memory=True)
        self.manager.make_cursor(path).use_region(FAR, 1)
        self.cursor: Final[WindowCursor] = self.manager.make_cursor(path).use_region(0, 1)
        self.tables: Final[Tables] = self.manager._core.tables
        self.tables.drain()
        self.idle, self.pinned = sorted(self.tables.holds.values(), key=lambda hold: -hold.begin)

    def change(self, hold: Hold, name: str, value: object) -> None:
        """What never changes; the books are told."""
        setattr(hold, name, value)
        self.tables.ledger.total_bytes = sum(one.size for one in self.tables.holds.values())

    def take_off(self, begin: int, registered: int | None = None) -> Flight:
        """A flight for one window, registered for that or another one."""
        flight = Flight()
        flight.key = (self.pinned.identity, begin)
        self.tables.flights[self.pinned.identity, begin if registered is None else registered] = flight
        return flight


@pytest.fixture
def scene(path: Path) -> Iterator[Scene]:
    """Whose books are right, until a test makes them wrong."""
    scene = Scene(path)
    check_invariants(scene.manager)
    yield scene
    # Whatever is wrong in it now is not to be met on the way out.
    scene.tables.flights.clear()
    scene.tables.torn = True


Break: TypeAlias = Callable[[Scene], object]


def add(name: str) -> Break:
    return lambda scene: setattr(scene.tables.ledger, name, getattr(scene.tables.ledger, name) + 1)


def set_limit(name: str, value: int) -> Break:
    return lambda scene: setattr(scene.tables.ledger, name, value)


def change(name: str, value: Callable[[Hold], object]) -> Break:
    return lambda scene: scene.change(scene.pinned, name, value(scene.pinned))


def forget_a_dead_pin(scene: Scene) -> None:
    pin = Pin(memoryview(b""), lambda _: None)
    pin.serial = scene.idle.serial
    scene.idle.pins.add(pin)


def index_a_file_without_regions(scene: Scene) -> None:
    scene.tables.index[scene.pinned.identity._replace(inode=0)] = {}


def lose_a_window(scene: Scene) -> None:
    del scene.tables.index[scene.idle.identity][FAR]


def close_a_map(scene: Scene) -> None:
    assert scene.idle.mapping is not None
    scene.idle.mapping.close()


def lose_an_idle_region(scene: Scene) -> None:
    scene.tables.idle.holds.clear()


def keep_an_unknown_region(scene: Scene) -> None:
    idle = scene.idle
    scene.tables.idle.holds[99] = Hold(
        99, idle.identity, idle.target, FAR, 1, None, reach=1, copied=False, mapped_at=0.0
    )


def do_nothing(manager: SlidingWindowMapManager) -> None:
    del manager


def close_but_keep_all(scene: Scene) -> None:
    scene.tables.closed = True


BROKEN: Final[list[tuple[str, Break, str]]] = [
    ("I1", add("maps"), "2 regions are mapped, the books say 3"),
    ("I1", add("total_handles"), "2 handles and 0 reserved ones are not 3"),
    ("I1", add("total_bytes"), f"{4 * GRANULE} bytes and 0 reserved ones are not {4 * GRANULE + 1}"),
    ("I2", set_limit("max_handles", 1), "2 handles are in use and max_open_handles is 1"),
    ("I3", set_limit("max_memory", 1), f"{4 * GRANULE} bytes are in use and max_memory_size is 1, strictly"),
    ("I4", change("begin", lambda _: 5), f"the window at 5 does not start at a multiple of {GRANULE}"),
    ("I4", change("size", lambda _: 0), f"the window at 0 has 0 bytes of at most {2 * GRANULE}"),
    (
        "I4",
        change("identity", lambda hold: hold.identity._replace(size=9)),
        "the window at 0 ends outside its file of 9 bytes",
    ),
    ("I4", change("size", lambda hold: hold.size - 1), "the window at 0 ends neither aligned nor with its file"),
    ("I4", index_a_file_without_regions, "a file without regions is still indexed"),
    ("I4", lose_a_window, "the index and the holds differ in [(1, "),
    ("I5", close_a_map, f"the region at {FAR} is in the tables and its map is closed"),
    ("I6", lambda scene: scene.idle.pins.add("somebody"), f"the region at {FAR} is pinned by 'somebody'"),
    ("I6", forget_a_dead_pin, f"a pin of the region at {FAR} died and its release was lost"),
    ("I7", lose_an_idle_region, f"the region at {FAR} has no pins and is not in the idle queue"),
    ("I7", keep_an_unknown_region, "the idle queue holds [99], which are not mapped"),
    ("I8", lambda scene: scene.take_off(1, 6 * GRANULE), f"the flight for the window at {6 * GRANULE} is over, or"),
    ("I8", lambda scene: scene.take_off(0), "the window at 0 is mapped, and being mapped once more"),
    (
        "I8",
        lambda scene: scene.idle.pins.add(TOMBSTONE),
        f"the region at {FAR} has a tombstone, and nobody is unmapping it",
    ),
    ("I9", close_but_keep_all, "the manager is closed and 2 regions are in the tables"),
    ("I11", lambda scene: scene.take_off(6 * GRANULE), "this thread is outside and its flight for the window at"),
]


@pytest.mark.parametrize(("identifier", "act", "problem"), BROKEN)
def test_what_is_broken_is_named(
    scene: Scene, identifier: str, act: Break, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_invariants, "_MOMENT_SECONDS", 0.001)
    monkeypatch.setattr(SlidingWindowMapManager, "close", do_nothing)
    act(scene)
    with pytest.raises(InvariantError) as caught:
        check_invariants(scene.manager)
    assert caught.value.identifier == identifier
    assert str(caught.value).startswith(f"{identifier} {problem}")


def test_each_invariant_is_broken() -> None:
    """I12 is below."""
    assert {identifier for identifier, *_ in BROKEN} | {"I12"} == set(_invariants.IDENTIFIERS)


Distortion: TypeAlias = Callable[[ManagerStats], ManagerStats]


DISTORTED: Final[list[tuple[Distortion, str]]] = [
    (lambda stats: replace(stats, maps=7), "maps 7 - unmaps 0 are not handles 2"),
    (lambda stats: replace(stats, misses=7), "hits -5 + misses 7 are not acquisitions 2"),
    (lambda stats: replace(stats, idle_regions=7), "idle, pinned and view-pinned regions are 8, handles are 2"),
    (lambda stats: replace(stats, evictions=7), "7 evictions are more than 0 unmaps"),
    (lambda stats: replace(stats, peak_handles=1), f"the peaks 1 and {4 * GRANULE} are below the present"),
    (lambda stats: replace(stats, peak_mapped_bytes=1), "the peaks 2 and 1 are below the present"),
    (
        lambda stats: replace(stats, files=tuple(replace(file, idle_regions=7) for file in stats.files)),
        "the regions of ",
    ),
]


@pytest.mark.parametrize(("distort", "problem"), DISTORTED)
def test_statistics_that_contradict_themselves_are_told(
    scene: Scene, distort: Distortion, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SlidingWindowMapManager.stats

    def lie(manager: SlidingWindowMapManager) -> ManagerStats:
        return distort(real(manager))

    monkeypatch.setattr(SlidingWindowMapManager, "stats", lie)
    with pytest.raises(InvariantError, match=f"^I12 {re.escape(problem)}"):
        check_invariants(scene.manager)


def test_the_state_is_told_with_every_region_and_flight(scene: Scene) -> None:
    scene.take_off(0)
    scene.pinned.pins.add(TOMBSTONE)
    close_a_map(scene)
    with pytest.raises(InvariantError) as caught:
        check_invariants(scene.manager)
    told = str(caught.value)
    assert f"  region {scene.pinned.serial}: {2 * GRANULE} bytes at 0 of " in told
    assert ", 1 pins of 2, tombstone, views\n" in told
    assert ", 0 pins of 0, closed\n" in told
    assert "  flight at 0 of " in told
    assert " maps, -1 bytes reserved, by thread " in told
    scene.pinned.pins.discard(TOMBSTONE)


def test_a_flight_that_unmaps_is_told_as_such(scene: Scene) -> None:
    scene.take_off(FAR).victim = scene.idle
    with pytest.raises(InvariantError, match=r"flight at .* unmaps, by thread"):
        check_invariants(scene.manager)


def test_a_pin_that_dies_while_the_judge_looks_is_no_loss(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its release comes after the queue was drained, and waits there for the next section."""
    real = _invariants._RULES["I5"]

    def release_and_look(core: Core) -> Iterator[str]:
        scene.cursor.close()
        return real(core)

    monkeypatch.setitem(_invariants._RULES, "I5", release_and_look)
    check_invariants(scene.manager)
    assert len(scene.tables.released) == 1


def test_a_call_that_interrupts_another_one_looks_at_what_holds_at_any_instant(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a map there is a flight of this thread, which is no defect."""
    looked: list[int] = []
    real = os.open

    def look(target: str, flags: int) -> int:
        check_invariants(manager)
        looked.append(len(manager._core.tables.flights))
        return real(target, flags)

    monkeypatch.setattr(os, "open", look)
    assert bytes(manager.make_cursor(path).use_region(0, 2).buffer()) == pattern(2)
    assert looked == [1]
