"""The pool: what is mapped is pinned without the lock, and whom a manager notifies and survives with."""

import mmap
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

import pytest
from typing_extensions import override

from smmap_typed import Event, RegionMapped, SlidingWindowMapManager
from smmap_typed._pool import fork
from smmap_typed._pool.monitor import Entry
from smmap_typed.readers import ReaderName
from smmap_typed.testing import check_invariants, in_threads
from support import GRANULE, SYSTEM_CALLS, pattern

# Advice is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

FAR: Final = 4 * GRANULE


class Taken:
    """A lock that somebody else has, for ever."""

    def locked(self) -> bool:
        return True

    def acquire(self, *_: object) -> bool:
        raise AssertionError("the lock was wanted")


@pytest.mark.pure
def test_what_is_mapped_is_read_while_somebody_else_has_the_lock(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By moves, reads and views, in the cursor's own window and in others."""
    expected = pattern(8 * GRANULE)
    near, far = (manager.make_cursor(path).use_region(offset, 1) for offset in (0, FAR))
    monkeypatch.setattr(manager._pool.monitor, "lock", Taken())
    monkeypatch.setattr(manager._pool.monitor, "waiting", map(Taken().acquire, [True]))
    monkeypatch.setattr(manager._pool.monitor, "attempting", map(Taken().acquire, [False]))
    assert near.read(FAR, 10) == expected[FAR : FAR + 10]
    assert bytes(near.view(FAR + 1, 10)) == expected[FAR + 1 : FAR + 11]
    assert bytes(far.use_region(5, 10).buffer()) == expected[5:15]
    assert bytes(near.use_region(FAR, 10).buffer()) == expected[FAR : FAR + 10]


def test_staying_in_a_window_up_to_its_very_end_takes_no_pin(path: Path, manager: SlidingWindowMapManager) -> None:
    cursor = manager.make_cursor(path).use_region(0, 1)
    cursor.use_region(2 * GRANULE - 5, 5)
    assert bytes(cursor.buffer()) == pattern(2 * GRANULE)[-5:]
    assert manager.stats().acquisitions == 1


def test_what_another_thread_has_mapped_meanwhile_is_no_miss(path: Path, manager: SlidingWindowMapManager) -> None:
    """It is found when the lock is taken at last, and nobody was waited for."""
    cursor = manager.make_cursor(path).use_region(0, 1)
    state = cursor._state
    view, frame = manager._pool.acquire(state, state.file(), 0, 0)
    assert frame is state.placement[1]
    assert bytes(view[:5]) == pattern(5)
    assert (manager.stats().acquisitions, manager.stats().misses) == (2, 1)
    del view
    check_invariants(manager)
    cursor.close()
    assert manager.collect() == 1


@pytest.mark.pure
def test_who_waits_for_a_window_has_missed_it_too(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that maps does not get on before the other one waits."""
    manager.make_cursor(path).use_region(FAR, 1)
    real, in_flight = mmap.mmap, manager._pool.tables.in_flight

    def wait_for_company(
        descriptor: int, size: int, **rest: bool
    ) -> mmap.mmap:  # as narrow as the narrowest of its options
        while not any(flying.waiters for flying in list(in_flight.values())):
            time.sleep(0)
        return real(descriptor, size, **rest)

    monkeypatch.setattr(mmap, "mmap", wait_for_company)
    assert in_threads(2, lambda _: bytes(manager.make_cursor(path).use_region(0, 5).buffer())) == [pattern(5)] * 2
    assert (manager.stats().maps, manager.stats().misses) == (2, 3)


@pytest.mark.pure
@pytest.mark.parametrize("reader", ["mmap", "pread"])
def test_only_the_first_miss_of_a_file_looks_at_it_and_opens_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, reader: ReaderName
) -> None:
    """The others have its descriptor, whichever cursor misses; a new cursor looks at the name."""
    calls: list[str] = []

    def noting(real: Callable[..., object], name: str) -> Callable[..., object]:
        def note(*arguments: object, **rest: object) -> object:
            calls.append(name)
            return real(*arguments, **rest)

        return note

    for owner, name in SYSTEM_CALLS:
        monkeypatch.setattr(owner, name, noting(getattr(owner, name), name))
    loads = ["mmap"] if reader == "mmap" else ["mmap", "pread", "fstat"]
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        cursor = manager.make_cursor(path)
        for expected in (["stat", "open", "fstat", *loads], loads, loads):
            calls.clear()
            cursor.use_region(len(manager.regions()) * GRANULE, 9)
            assert calls == expected
        calls.clear()
        assert bytes(manager.make_cursor(path).use_region(3 * GRANULE, 9).buffer()) == pattern(3 * GRANULE + 9)[-9:]
        assert calls == ["stat", *loads]
        calls.clear()
        assert manager.make_cursor(path).read(4 * GRANULE, 9) == pattern(4 * GRANULE + 9)[-9:]
        assert calls == ["stat", *(["pread", "mmap"] if reader == "mmap" else loads)]


@pytest.mark.pure
@pytest.mark.parametrize("limits", [(0, 2), (2 * GRANULE, 9)], ids=["handles", "memory"])
def test_a_miss_enters_the_lock_twice(path: Path, monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int]) -> None:
    """Also one that evicts, as soon as the descriptor is kept: what makes way is begun in the same section."""
    memory, handles = limits
    sections: list[object] = []
    real = Entry.locked

    def note(self: Entry, section: Callable[..., object], *arguments: object) -> object:
        sections.append(section)
        return real(self, section, *arguments)

    with SlidingWindowMapManager(GRANULE, memory, handles) as manager:
        cursor = manager.make_cursor(path)
        monkeypatch.setattr(Entry, "locked", note)
        for granule in range(2):
            sections.clear()
            cursor.use_region(granule * GRANULE, 9)
            assert len(sections) == 2
        monkeypatch.undo()
        kept = manager.stats().kept_descriptors
        monkeypatch.setattr(Entry, "locked", note)
        for granule in range(2, 6):
            sections.clear()
            cursor.use_region(granule * GRANULE, 9)
            assert len(sections) == (2 if kept else 3)
        monkeypatch.undo()
        # At the limit of handles there is none for a descriptor.
        assert kept == (memory > 0)
        assert manager.stats().evictions == 4


def test_a_map_that_its_user_closed_is_mapped_again(path: Path, manager: SlidingWindowMapManager) -> None:
    cursor = manager.make_cursor(path).use_region(0, 5)
    mapping = cursor.map()
    cursor.close()
    mapping.close()
    assert bytes(cursor.use_region(0, 5).buffer()) == pattern(5)
    assert manager.num_file_handles() == 1


def test_a_region_knows_its_age(path: Path, manager: SlidingWindowMapManager) -> None:
    began = time.perf_counter()
    manager.make_cursor(path).use_region(0, 5)
    (region,) = manager.regions()
    assert 0 < region.age <= time.perf_counter() - began


class AdvisedMap(mmap.mmap):
    """A map that notes what it is told of its use."""

    told: ClassVar[list[int]] = []

    @override
    def madvise(self, option: int, start: int = 0, length: int = 0) -> None:
        self.told.append(option)


@pytest.mark.parametrize(("reader", "options"), [("mmap", [mmap.MADV_RANDOM]), ("pread", [])])
def test_advice_is_for_maps_and_not_for_copies(
    path: Path, monkeypatch: pytest.MonkeyPatch, reader: ReaderName, options: list[int]
) -> None:
    monkeypatch.setattr(mmap, "mmap", AdvisedMap)
    monkeypatch.setattr(AdvisedMap, "told", [])
    with SlidingWindowMapManager(2 * GRANULE, reader=reader) as manager:
        manager.make_cursor(path).use_region(0, 5)
        assert AdvisedMap.told == []
        manager.make_cursor(path, advice="random").use_region(FAR, 5)
        assert AdvisedMap.told == options


def test_its_observer_is_notified(path: Path) -> None:
    told: list[Event] = []
    with SlidingWindowMapManager(2 * GRANULE, observer=told.append) as manager:
        manager.make_cursor(path).use_region(FAR, 1)
        assert [type(event) for event in told] == [RegionMapped]


@pytest.mark.pure
def test_a_fork_takes_care_of_it_as_long_as_it_lives(manager: SlidingWindowMapManager) -> None:
    """What comes of that is in test_fork."""
    assert manager._pool.monitor in fork._living()
