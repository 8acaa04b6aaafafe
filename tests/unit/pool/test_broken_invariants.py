"""The judge of all other tests can condemn: each invariant, broken on purpose, is named and told with its figures."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from smmap_typed import SlidingWindowMapManager, WindowCursor
from smmap_typed._pool.file import File
from smmap_typed._pool.frame import TOMBSTONE, Frame
from smmap_typed._pool.inflight import Load, Unload
from smmap_typed._pool.pin import Pin
from smmap_typed._pool.pool import Pool
from smmap_typed._pool.resident import Run
from smmap_typed._pool.tables import Tables
from smmap_typed.testing import InvariantError, _invariants, check_invariants
from smmap_typed.values import ManagerStats
from support import GRANULE, pattern

# Machine code reads its constants and its methods once.
pytestmark = pytest.mark.pure

FAR: Final = 4 * GRANULE


class Fixture:
    """A manager with a region that a cursor stands on, at 0, and an idle one at ``FAR``."""

    def __init__(self, path: Path) -> None:
        self.manager: Final = SlidingWindowMapManager(2 * GRANULE, strict_memory=True)
        self.manager.make_cursor(path).use_region(FAR, 1)
        self.cursor: Final[WindowCursor] = self.manager.make_cursor(path).use_region(0, 1)
        self.tables: Final[Tables] = self.manager._pool.tables
        self.tables.drain()
        self.idle, self.pinned = sorted(self.tables.frames.values(), key=lambda frame: -frame.begin)

    def change(self, frame: Frame, name: str, value: object) -> None:
        """What never changes; the books are told."""
        setattr(frame, name, value)
        self.tables.ledger.total_bytes = sum(one.size for one in self.tables.frames.values())

    def begin_load(self, begin: int, registered: int | None = None) -> None:
        """A load of one window, registered for that or another one."""
        load = Load()
        load.owner = threading.get_ident()
        load.window = (self.pinned.file, begin)
        self.tables.in_flight[self.pinned.file, begin if registered is None else registered] = load

    def begin_unload(self, begin: int, victim: Frame) -> None:
        """An unload of a region, registered for that window."""
        unload = Unload()
        unload.window, unload.victim = (victim.file, begin), victim
        self.tables.in_flight[unload.window] = unload

    def file(self) -> File:
        return self.tables.files[self.pinned.file]


@pytest.fixture
def fixture(path: Path) -> Iterator[Fixture]:
    """Whose books are right, until a test makes them wrong."""
    fixture = Fixture(path)
    check_invariants(fixture.manager)
    yield fixture
    # Whatever is wrong in it now is not to be met on the way out.
    fixture.tables.in_flight.clear()
    fixture.tables.torn = True


def know_what_is_not_read_from_maps(fixture: Fixture) -> None:
    """As with ``reads="pread"``."""
    setattr(fixture.manager._pool, "copies_from_maps", False)  # noqa: B010 - it is final
    fixture.idle.resident.run = Run(FAR, FAR + GRANULE)


Break: TypeAlias = Callable[[Fixture], object]


def add(name: str) -> Break:
    return lambda fixture: setattr(fixture.tables.ledger, name, getattr(fixture.tables.ledger, name) + 1)


def set_limit(name: str, value: int) -> Break:
    return lambda fixture: setattr(fixture.tables.ledger, name, value)


def change(name: str, value: Callable[[Frame], object]) -> Break:
    return lambda fixture: fixture.change(fixture.pinned, name, value(fixture.pinned))


def forget_a_dead_pin(fixture: Fixture) -> None:
    pin = Pin(memoryview(b""), lambda _: None)
    pin.serial = fixture.idle.serial
    fixture.idle.pins.add(pin)


def list_a_file_without_regions(fixture: Fixture) -> None:
    file = File(fixture.file().state, "/a")
    file.serial, file.names["/a"] = 99, None
    fixture.tables.files[99] = file


def find_a_file_by_another_serial(fixture: Fixture) -> None:
    file = File(fixture.file().state, "/a")
    file.serial, file.names["/a"], file.windows[FAR] = 98, None, fixture.idle
    fixture.tables.files[99] = file


def lose_an_inode(fixture: Fixture) -> None:
    fixture.tables.inodes.clear()


def name_what_is_not_listed(fixture: Fixture) -> None:
    fixture.tables.names["/a"] = File(fixture.file().state, "/a")


def find_what_is_not_listed_by_its_inode(fixture: Fixture) -> None:
    state = fixture.file().state
    fixture.tables.inodes[state.device, state.inode] += (File(state, "/a"),)


def lose_a_window(fixture: Fixture) -> None:
    del fixture.file().windows[FAR]


def lose_a_descriptor(fixture: Fixture) -> None:
    fixture.file().descriptor = None


def forget_that_a_descriptor_is_kept(fixture: Fixture) -> None:
    fixture.tables.kept.clear()


def close_a_map(fixture: Fixture) -> None:
    assert fixture.idle.mapping is not None
    fixture.idle.mapping.close()


def lose_an_idle_region(fixture: Fixture) -> None:
    fixture.tables.replacement.forgotten(fixture.idle)


def keep_an_unknown_region(fixture: Fixture) -> None:
    idle = fixture.idle
    unknown = Frame(99, idle.file, idle.file_size, idle.target, FAR, 1, None, reach=1, copied=False, mapped_at=0.0)
    fixture.tables.replacement.released([unknown])


def do_nothing(manager: SlidingWindowMapManager) -> None:
    del manager


def close_but_keep_all(fixture: Fixture) -> None:
    fixture.tables.closed = True


BROKEN: Final[list[tuple[str, Break, str]]] = [
    ("I1", add("maps"), "2 regions are mapped, the books say 3"),
    ("I1", add("total_handles"), "2 handles and 0 reserved ones are not 3"),
    ("I1", add("total_bytes"), f"{4 * GRANULE} bytes and 0 reserved ones are not {4 * GRANULE + 1}"),
    ("I1", add("kept"), "descriptors of the files [1] are kept, the books say [1] and 2"),
    ("I1", lose_a_descriptor, "descriptors of the files [] are kept, the books say [1] and 1"),
    ("I1", forget_that_a_descriptor_is_kept, "descriptors of the files [1] are kept, the books say [] and 1"),
    ("I2", set_limit("max_handles", 1), "2 handles are in use and max_open_handles is 1"),
    (
        "I2",
        set_limit("max_handles", 2),
        "2 handles and 1 kept descriptors are more than max_open_handles, 2",
    ),
    ("I3", set_limit("max_memory", 1), f"{4 * GRANULE} bytes are in use and max_memory_size is 1, strictly"),
    ("I4", change("begin", lambda _: 5), f"the window at 5 does not start at a multiple of {GRANULE}"),
    ("I4", change("size", lambda _: 0), f"the window at 0 has 0 bytes of at most {2 * GRANULE}"),
    (
        "I4",
        change("file_size", lambda _: 9),
        "the window at 0 ends outside its file of 9 bytes",
    ),
    ("I4", change("size", lambda frame: frame.size - 1), "the window at 0 ends neither aligned nor with its file"),
    ("I4", list_a_file_without_regions, "the file 99 of ['/a'] has neither a region nor a descriptor and is still"),
    ("I4", find_a_file_by_another_serial, "the file 99 of ['/a'] has neither"),
    ("I4", lose_an_inode, "the file 1 of "),
    ("I4", name_what_is_not_listed, "a file that is listed no more is still found by its name or inode"),
    ("I4", find_what_is_not_listed_by_its_inode, "a file that is listed no more is still found by its name or inode"),
    ("I4", lose_a_window, "the windows of the files and the frames differ in [(2, "),
    ("I5", close_a_map, f"the region at {FAR} is in the tables and its map is closed"),
    ("I6", lambda fixture: fixture.idle.pins.add("somebody"), f"the region at {FAR} is pinned by 'somebody'"),
    ("I6", forget_a_dead_pin, f"a pin of the region at {FAR} died and its release was lost"),
    ("I7", lose_an_idle_region, f"the region at {FAR} has no pins and the policy does not know it: nothing can"),
    ("I7", keep_an_unknown_region, "the policy knows [99], which are not mapped"),
    (
        "I8",
        lambda fixture: fixture.begin_load(1, 6 * GRANULE),
        f"what is in flight for the window at {6 * GRANULE} is over",
    ),
    ("I8", lambda fixture: fixture.begin_load(0), "the window at 0 is mapped, and being mapped once more"),
    (
        "I8",
        lambda fixture: fixture.begin_unload(0, fixture.idle),
        "the window at 0 is being unmapped, and another region is mapped there",
    ),
    (
        "I8",
        lambda fixture: fixture.idle.pins.add(TOMBSTONE),
        f"the region at {FAR} has a tombstone, and nobody is unmapping it",
    ),
    ("I9", close_but_keep_all, "the manager is closed, and 2 regions and 1 descriptors are in the tables"),
    (
        "I13",
        lambda fixture: setattr(fixture.idle.resident, "run", Run(0, GRANULE)),
        f"bytes 0 to {GRANULE} are known to be in memory, which the region at {FAR} has not",
    ),
    (
        "I13",
        know_what_is_not_read_from_maps,
        f"bytes of the region at {FAR} are known to be in memory, and reads are not to touch a map",
    ),
    (
        "I11",
        lambda fixture: fixture.begin_load(6 * GRANULE),
        "this thread is outside, and what it had in flight for the window at",
    ),
]


@pytest.mark.parametrize(("identifier", "act", "problem"), BROKEN)
def test_what_is_broken_is_named(
    fixture: Fixture, identifier: str, act: Break, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_invariants, "_MOMENT_SECONDS", 0.001)
    monkeypatch.setattr(SlidingWindowMapManager, "close", do_nothing)
    act(fixture)
    with pytest.raises(InvariantError) as caught:
        check_invariants(fixture.manager)
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
    fixture: Fixture, distort: Distortion, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SlidingWindowMapManager.stats

    def lie(manager: SlidingWindowMapManager) -> ManagerStats:
        return distort(real(manager))

    monkeypatch.setattr(SlidingWindowMapManager, "stats", lie)
    with pytest.raises(InvariantError, match=f"^I12 {re.escape(problem)}"):
        check_invariants(fixture.manager)


def test_the_state_is_told_with_every_region_and_all_that_is_in_flight(fixture: Fixture) -> None:
    fixture.begin_load(0)
    fixture.pinned.pins.add(TOMBSTONE)
    close_a_map(fixture)
    with pytest.raises(InvariantError) as caught:
        check_invariants(fixture.manager)
    told = str(caught.value)
    assert f"  region {fixture.pinned.serial}: {2 * GRANULE} bytes at 0 of " in told
    assert ", 1 pins of 2, tombstone, views\n" in told
    assert ", 0 pins of 0, closed\n" in told
    assert f"  in flight at 0 of file {fixture.pinned.file}: load, -1 bytes reserved, by thread " in told
    assert f"  file {fixture.pinned.file}: {list(fixture.file().names)} {tuple(fixture.file().state)}\n" in told
    assert " handles, " in told
    assert " 1 kept descriptors\n" in told
    fixture.pinned.pins.discard(TOMBSTONE)


def test_an_unload_is_told_as_such(fixture: Fixture) -> None:
    fixture.begin_unload(0, fixture.idle)
    with pytest.raises(InvariantError, match=r"in flight at 0 of file \d+: unload, by thread"):
        check_invariants(fixture.manager)


def test_a_pin_that_dies_while_the_judge_looks_is_no_loss(fixture: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its release comes after the queue was drained, and waits there for the next section."""
    real = _invariants._RULES["I5"]

    def release_and_look(pool: Pool) -> Iterator[str]:
        fixture.cursor.close()
        return real(pool)

    monkeypatch.setitem(_invariants._RULES, "I5", release_and_look)
    check_invariants(fixture.manager)
    assert len(fixture.tables.released) == 1


def test_a_call_that_interrupts_another_one_looks_at_what_holds_at_any_instant(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a map there is a load of this thread in flight, which is no defect."""
    looked: list[int] = []
    real = os.open

    def look(target: str, flags: int) -> int:
        check_invariants(manager)
        looked.append(len(manager._pool.tables.in_flight))
        return real(target, flags)

    monkeypatch.setattr(os, "open", look)
    assert bytes(manager.make_cursor(path).use_region(0, 2).buffer()) == pattern(2)
    assert looked == [1]
