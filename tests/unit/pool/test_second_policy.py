"""Another replacement policy: whoever wants one writes one class, and all else holds as before."""

import copy
import random
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path
from typing import Final

import pytest
from typing_extensions import override

from smmap_typed import Event, Observer, RegionUnmapped, SlidingWindowMapManager, WindowCursor
from smmap_typed._pool.frame import TOMBSTONE, Frame
from smmap_typed._pool.grid import Grid
from smmap_typed._pool.ledger import Ledger
from smmap_typed._pool.pool import Pool
from smmap_typed._pool.replacement import LRU, Replacement
from smmap_typed.readers import reader_of
from smmap_typed.testing import check_invariants, in_threads
from support import GRANULE, assert_books_match_kernel

WINDOWS: Final = 8


class FIFO(Replacement):
    """First in, first out: the region that was mapped first goes first, however much it was used since."""

    __slots__ = ("_frames",)

    def __init__(self) -> None:
        self._frames: Final[dict[int, Frame]] = {}

    @override
    def released(self, frames: Sequence[Frame]) -> None:
        self._frames.update((frame.serial, frame) for frame in frames)

    @override
    def restored(self, frame: Frame) -> None:
        self._frames[frame.serial] = frame

    @override
    def forgotten(self, frame: Frame) -> None:
        self._frames.pop(frame.serial, None)

    @override
    def victim(self, refused: Container[int]) -> Frame | None:
        for frame in self.order():
            if not (TOMBSTONE in frame.pins or frame.serial in refused or frame.is_pinned()):
                return frame
        return None

    @override
    def order(self) -> Iterable[Frame]:
        return [self._frames[serial] for serial in sorted(self._frames)]


def manager_with(
    policy: Replacement, handles: int, memory: int = WINDOWS * GRANULE, observer: Observer | None = None
) -> SlidingWindowMapManager:
    """Whose windows have one granule."""
    manager = SlidingWindowMapManager(GRANULE)
    ledger = Ledger(memory, handles, strict=False)
    manager._pool = Pool(reader_of("mmap"), Grid.of(GRANULE), ledger, policy, observer)
    return manager


def touch(manager: SlidingWindowMapManager, path: Path, *granules: int) -> None:
    for granule in granules:
        manager.make_cursor(path).use_region(granule * GRANULE, 1)


def mapped(manager: SlidingWindowMapManager) -> list[int]:
    return sorted(region.window.offset // GRANULE for region in manager.regions())


def turns(manager: SlidingWindowMapManager) -> dict[int, int | None]:
    return {region.window.offset // GRANULE: region.turn for region in manager.regions()}


@pytest.mark.parametrize(("policy", "then"), [(FIFO, [2, 3, 4]), (LRU, [0, 2, 4])])
@pytest.mark.parametrize("limits", [(3, WINDOWS * GRANULE), (WINDOWS, 3 * GRANULE)], ids=["handles", "memory"])
def test_the_policy_says_which_region_goes(
    path: Path, policy: Callable[[], Replacement], then: list[int], limits: tuple[int, int]
) -> None:
    """The same use under two of them."""
    with manager_with(policy(), *limits) as manager:
        touch(manager, path, 1, 0, 2)
        touch(manager, path, 3)
        assert mapped(manager) == [0, 2, 3]
        touch(manager, path, 2, 0)
        touch(manager, path, 4)
        assert mapped(manager) == then
        assert manager.stats().evictions == 2
        check_invariants(manager)
        assert_books_match_kernel(manager, path)


@pytest.mark.parametrize(("policy", "order"), [(FIFO, [3, 1, 0, 2]), (LRU, [0, 2, 3, 1])])
def test_turns_tell_its_order(path: Path, policy: Callable[[], Replacement], order: list[int]) -> None:
    """And evictions follow them."""
    with manager_with(policy(), 4) as manager:
        touch(manager, path, 3, 1, 0, 2)
        touch(manager, path, 3, 1)
        assert turns(manager) == {granule: turn for turn, granule in enumerate(order)}
        for new, granule in zip((4, 5, 6, 7), order, strict=True):
            assert turns(manager)[granule] == 0
            touch(manager, path, new)
            assert granule not in mapped(manager)
        check_invariants(manager)


def test_regions_in_use_have_no_turn_and_are_passed_over(path: Path) -> None:
    """A cursor's and a view's; the place of either is kept."""
    with manager_with(FIFO(), 3) as manager:
        cursor = manager.make_cursor(path).use_region(0, 1)
        view = manager.make_cursor(path).use_region(GRANULE, 1).buffer()
        touch(manager, path, 2)
        assert turns(manager) == {0: None, 1: 0, 2: 1}
        touch(manager, path, 3)
        assert mapped(manager) == [0, 1, 3]
        check_invariants(manager)
        view.release()
        cursor.close()
        assert turns(manager) == {0: 0, 1: 1, 3: 2}
        touch(manager, path, 4)
        assert mapped(manager) == [1, 3, 4]
        assert_books_match_kernel(manager, path)


def test_what_is_collected_goes_in_its_order(path: Path) -> None:
    events: list[Event] = []
    with manager_with(FIFO(), WINDOWS, observer=events.append) as manager:
        touch(manager, path, 5, 2, 7, 2, 5)
        events.clear()
        assert manager.collect() == 3
        gone = [event.window.offset // GRANULE for event in events if isinstance(event, RegionUnmapped)]
        assert gone == [5, 2, 7]
        check_invariants(manager)


def test_invariants_hold_under_it(path: Path) -> None:
    """Whatever is done, and what goes is always the first that was mapped of those that could go."""
    content, chance = path.read_bytes(), random.Random(0)
    with manager_with(FIFO(), 4, 3 * GRANULE) as manager:
        cursors: list[WindowCursor] = []
        views: list[memoryview] = []
        for _ in range(1000):
            act = chance.randrange(8)
            offset = chance.randrange(WINDOWS) * GRANULE + chance.randrange(GRANULE - 1)
            if act < 3 and len(cursors) < 2:
                cursors.append(manager.make_cursor(path))
            elif act < 5 and cursors:
                cursor = chance.choice(cursors)
                assert bytes(cursor.use_region(offset, 1).buffer()) == content[offset : offset + 1]
            elif act == 5 and cursors and cursors[-1].is_valid() and len(views) < 1:
                views.append(copy.copy(cursors[-1]).buffer())
            elif act == 6:
                (cursors if chance.randrange(2) else views)[:1] = []
            elif not chance.randrange(10):
                manager.collect()
            check_invariants(manager)
            assert manager.num_file_handles() <= 4
            ages = [(region.turn, number) for number, region in enumerate(manager.regions()) if region.turn is not None]
            assert sorted(ages) == ages
        assert manager.stats().evictions > 50
        cursors.clear()
        views.clear()
        manager.collect()
        assert_books_match_kernel(manager, path)


def test_threads_may_use_it(path: Path) -> None:
    content = path.read_bytes()
    # Each cursor may be on two windows for a moment.
    with manager_with(FIFO(), 7) as manager:

        def use(number: int) -> None:
            chance = random.Random(number)
            cursor = manager.make_cursor(path)
            for _ in range(300):
                offset = chance.randrange(WINDOWS) * GRANULE + 5
                assert bytes(cursor.use_region(offset, 9).buffer()) == content[offset : offset + 9]
            cursor.close()

        in_threads(3, use)
        check_invariants(manager)
        assert manager.stats().evictions > 0
        manager.collect()
        assert manager.num_file_handles() == 0
        assert_books_match_kernel(manager, path)


def test_a_manager_without_another_one_has_lru() -> None:
    assert isinstance(SlidingWindowMapManager()._pool.tables.replacement, LRU)
