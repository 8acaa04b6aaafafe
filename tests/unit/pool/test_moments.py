"""What comes between two looks of the library: another thread's pin, release or close, put just there by hand."""

import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from smmap_typed import (
    FileChangedError,
    HandleLimitError,
    ManagerClosedError,
    MemoryLimitError,
    SlidingWindowMapBuffer,
    SlidingWindowMapManager,
    WindowCursor,
)
from smmap_typed._pool.file import File
from smmap_typed._pool.frame import TOMBSTONE, Frame
from smmap_typed._pool.inflight import Load, Unload
from smmap_typed._pool.monitor import Entry
from smmap_typed._pool.pool import Pool
from smmap_typed._pool.tables import Tables
from smmap_typed.testing import check_invariants
from support import GRANULE, ObservedMap, mapped_bytes_of, pattern, write_pattern

# Machine code calls its methods directly.
pytestmark = pytest.mark.pure

W: Final = 2 * GRANULE


def standing(manager: SlidingWindowMapManager, path: Path, *windows: int) -> list[WindowCursor]:
    """A cursor on each of those windows of two granules."""
    return [manager.make_cursor(path).use_region(number * W, 1) for number in windows]


class Interrupted:
    """Stands in for a method: does something first, the first time."""

    def __init__(self, patch: pytest.MonkeyPatch, owner: type, name: str, first: Callable[[], object]) -> None:
        real, done = getattr(owner, name), list[object]()

        def method(*arguments: object, **keywords: object) -> object:
            if not done:
                done.append(None)
                answer = first()
                if answer is not None:
                    return answer if answer is not Ellipsis else None
            return real(*arguments, **keywords)

        patch.setattr(owner, name, method)


class TestLimits:
    """Who sets limits counts what is pinned, and a pin may end meanwhile."""

    def test_a_release_during_the_first_count_is_counted(
        self, path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cursors = standing(manager, path, 0, 1)
        real, looks = Pool._check_pinned_once, list[int | None]()

        def look(pool: Pool, memory: int | None, handles: int | None) -> None:
            looks.append(handles)
            if len(looks) == 1:
                cursors[0].close()
                raise HandleLimitError(1, 2)
            real(pool, memory, handles)

        monkeypatch.setattr(Pool, "_check_pinned_once", look)
        manager.configure(max_open_handles=1)
        assert (looks, manager.max_file_handles(), manager.num_file_handles()) == ([1, 1], 1, 1)

    @pytest.mark.parametrize("limit", ["handles", "memory"])
    def test_a_pin_after_the_count_is_an_error_that_changes_nothing(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
    ) -> None:
        def all_is_well(pool: Pool, memory: int | None, handles: int | None) -> None:
            del pool, memory, handles

        monkeypatch.setattr(Pool, "_check_pinned", all_is_well)
        with SlidingWindowMapManager(W, 8 * W, 8, strict_memory=True) as manager:
            cursors = standing(manager, path, 0, 1)
            if limit == "handles":
                with pytest.raises(HandleLimitError):
                    manager.configure(max_open_handles=1)
            else:
                with pytest.raises(MemoryLimitError):
                    manager.configure(max_memory_size=W)
            assert (manager.max_file_handles(), manager.max_mapped_memory_size()) == (8, 8 * W)
            assert all(cursor.is_valid() for cursor in cursors)

    def test_a_release_during_the_last_attempt_makes_room(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with SlidingWindowMapManager(W, max_open_handles=2) as manager:
            cursors = standing(manager, path, 0, 1)
            Interrupted(monkeypatch, Pool, "_attempt_last", cursors[0].close)
            assert standing(manager, path, 2)[0].is_valid()
            assert manager.stats().evictions == 1

    def test_where_views_cannot_be_told_a_viewed_region_is_asked_once(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("smmap_typed._pool.pool.CAN_TELL_VIEWS", False)
        with SlidingWindowMapManager(W, max_open_handles=1) as manager:
            (cursor,) = standing(manager, path, 0)
            view = cursor.buffer()
            cursor.close()
            with pytest.raises(HandleLimitError):
                standing(manager, path, 1)
            del view
            assert standing(manager, path, 1)[0].is_valid()


class TestVictims:
    """Who unmaps looks for pins before and after the tombstone is there."""

    @pytest.fixture
    def idle(self, path: Path, manager: SlidingWindowMapManager) -> Iterator[list[Frame]]:
        """Two regions without pins, the older one first."""
        for cursor in standing(manager, path, 0, 1):
            cursor.close()
        tables = manager._pool.tables
        tables.drain()
        yield list(tables.replacement.order())
        tables.drain()
        check_invariants(manager)
        assert manager.collect() == 2

    def test_a_pin_that_comes_just_before_the_tombstone_wins(
        self, manager: SlidingWindowMapManager, idle: list[Frame], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tables, unload = manager._pool.tables, Unload()
        view = idle[0].pin(tables.released.append)
        with monkeypatch.context() as patch:
            Interrupted(patch, Frame, "is_pinned", lambda: 0)
            assert not tables.begin_unload(unload, idle[0])
        assert TOMBSTONE not in idle[0].pins
        assert (unload.victim, tables.torn, len(tables.in_flight)) == (None, False, 0)
        del view

    def test_the_next_one_goes_if_the_oldest_is_under_way_already(
        self, manager: SlidingWindowMapManager, idle: list[Frame]
    ) -> None:
        tables, first, second = manager._pool.tables, Unload(), Unload()
        assert tables.unload_next(first, ())
        assert tables.unload_next(second, ())
        assert (first.victim, second.victim) == (idle[0], idle[1])
        assert not tables.unload_next(Unload(), ())
        assert not tables.begin_unload(Unload(), idle[0])
        tables.complete(second)
        tables.complete(first)
        assert list(tables.replacement.order()) == idle

    def test_one_that_is_pinned_at_the_last_moment_is_passed_over(
        self, manager: SlidingWindowMapManager, idle: list[Frame], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tables, unload = manager._pool.tables, Unload()
        with monkeypatch.context() as patch:
            Interrupted(patch, Tables, "_set_tombstone", lambda: False)
            assert tables.unload_next(unload, ())
        assert unload.victim is idle[1]
        tables.complete(unload)

    def test_another_one_goes_if_the_one_whose_room_a_load_was_to_get_is_pinned_at_the_last_moment(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with SlidingWindowMapManager(W, 2 * W) as manager:
            for cursor in standing(manager, path, 0, 1):
                cursor.close()
            Interrupted(monkeypatch, Tables, "_set_tombstone", lambda: False)
            (cursor,) = standing(manager, path, 2)
            assert bytes(cursor.buffer()) == pattern(2 * W + 1)[-1:]
            assert (manager.stats().evictions, manager.mapped_memory_size()) == (1, 2 * W)
            check_invariants(manager)

    def test_an_unload_that_was_struck_before_it_had_a_victim_ends(self, manager: SlidingWindowMapManager) -> None:
        tables, unload = manager._pool.tables, Unload()
        tables.in_flight[unload.window] = unload
        tables.complete(unload)
        assert (unload.done, tables.torn, len(tables.in_flight)) == (True, False, 0)

    def test_an_exception_while_the_victim_is_unmapped_leaves_it_mapped_and_idle(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def strike() -> None:
            ObservedMap.observers.clear()
            raise KeyboardInterrupt

        monkeypatch.setattr(mmap, "mmap", ObservedMap)
        with SlidingWindowMapManager(W, max_open_handles=1) as manager:
            (cursor,) = standing(manager, path, 0)
            cursor.close()
            monkeypatch.setattr(ObservedMap, "observers", [strike])
            with pytest.raises(KeyboardInterrupt):
                standing(manager, path, 1)
            check_invariants(manager)
            assert (manager.num_file_handles(), manager.collect()) == (1, 1)

    @pytest.mark.parametrize("viewed", [False, True])
    def test_a_region_that_was_discarded_meanwhile_stays_until_its_unload_is_completed(
        self, path: Path, manager: SlidingWindowMapManager, *, viewed: bool
    ) -> None:
        """Its map is for the unload to close; if a view turns up it is a leftover then."""
        standing(manager, path, 0)
        tables, unload = manager._pool.tables, Unload()
        tables.drain()
        (frame,) = tables.frames.values()
        assert tables.begin_unload(unload, frame)
        mapping = unload.mapping
        assert mapping is not None
        view = memoryview(mapping) if viewed else None
        assert tables.discard(frame, "it was removed") is None
        assert (list(tables.frames.values()), tables.leftovers, frame.live_end) == ([frame], [], -1)
        # Whoever waits for the lock in between finds nothing to repair.
        tables.drain()
        assert manager.num_file_handles() == 1
        if view is None:
            mapping.close()
        tables.complete(unload)
        assert unload.done
        assert not tables.frames
        assert len(tables.leftovers) == manager.num_file_handles() == manager.stats().view_pinned_regions == viewed
        check_invariants(manager)
        if view is not None:
            view.release()
        del mapping, view
        unload.mapping = None
        check_invariants(manager)
        assert (manager.num_file_handles(), mapped_bytes_of(path)) == (0, 0)

    def test_a_pin_that_was_withdrawn_leaves_the_region_idle(
        self, manager: SlidingWindowMapManager, idle: list[Frame]
    ) -> None:
        """Both if the unmapping ends before its release is drained, and after the policy has passed it over."""
        tables, unload = manager._pool.tables, Unload()
        assert tables.begin_unload(unload, idle[0])
        assert idle[0].pin(tables.released.append) is None
        tables.replacement.forgotten(idle[0])
        tables.complete(unload)
        assert list(tables.replacement.order()) == [idle[1]]
        tables.drain()
        assert list(tables.replacement.order()) == [idle[1], idle[0]]
        assert manager.stats().acquisitions == 2

    def test_a_repair_leaves_alone_what_is_being_unmapped_and_ends_what_is_over(
        self, manager: SlidingWindowMapManager, idle: list[Frame]
    ) -> None:
        tables, unload, over = manager._pool.tables, Unload(), Load()
        assert tables.begin_unload(unload, idle[0])
        over.window, over.done = (idle[0].file, 3 * W), True
        tables.in_flight[over.window] = over
        tables.repair()
        assert TOMBSTONE in idle[0].pins
        assert list(tables.in_flight.values()) == [unload]
        tables.complete(unload)


def test_room_that_was_to_be_passed_on_and_was_not_is_reserved_at_last(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception has torn the completion in which it was to pass from one to the other."""
    real = Tables.publish

    def tear(self: Tables, load: Load, file: File, frame: Frame, seconds: float) -> None:
        self.ledger.cancel(load.reserved)
        load.reserved = -1
        real(self, load, file, frame, seconds)

    monkeypatch.setattr(Tables, "publish", tear)
    (cursor,) = standing(manager, path, 1)
    assert (manager.num_file_handles(), manager.mapped_memory_size()) == (1, W)
    check_invariants(manager)
    cursor.close()


def test_a_manager_that_is_closed_while_it_maps_keeps_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even in the traceback of the error."""
    manager = SlidingWindowMapManager(W)
    cursor = manager.make_cursor(path)
    real: Callable[..., mmap.mmap] = mmap.mmap

    def close_afterwards(descriptor: int, size: int, **rest: int) -> mmap.mmap:
        mapping = real(descriptor, size, **rest)
        manager._pool.tables.closed = True
        return mapping

    monkeypatch.setattr(mmap, "mmap", close_afterwards)
    with pytest.raises(ManagerClosedError) as caught:
        cursor.use_region(0, 1)
    assert caught.value.__traceback__ is not None
    assert str(caught.value) == "the manager was closed; make a new one to map more"
    assert (manager.num_file_handles(), mapped_bytes_of(path)) == (0, 0)


class TestStates:
    """A window that is found mapped may be taken away before it is pinned."""

    def test_a_first_use_looks_again(
        self, path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keeper = standing(manager, path, 0)
        Interrupted(monkeypatch, Pool, "pin", lambda: Ellipsis)
        assert bytes(manager.make_cursor(path).use_region(5, 10).buffer()) == pattern(15)[5:]
        assert keeper[0].is_valid()

    def test_a_copy_moves_there_itself(
        self, path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cursor = manager.make_cursor(path).use_region(W + 5, 10)
        Interrupted(monkeypatch, Pool, "pin", lambda: Ellipsis)
        twin = cursor.__copy__()
        assert (twin.ofs_begin(), twin.ofs_end()) == (W + 5, W + 15)

    def test_a_file_that_is_replaced_each_time_is_a_changed_one_at_last(
        self, path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Looked at again some times, but not for ever."""
        real, replaced = os.open, list[str]()

        def replace_first(target: str, flags: int) -> int:
            other = path.with_name(f"other-{len(replaced)}")
            write_pattern(other, 8 * GRANULE)
            other.rename(path)
            replaced.append(target)
            return real(target, flags)

        cursor = manager.make_cursor(path)
        # Another file keeps the inode's number from being used again.
        with path.open("rb"), monkeypatch.context() as patch:
            patch.setattr(os, "open", replace_first)
            with pytest.raises(FileChangedError):
                cursor.use_region(0, 5)
        assert 1 < len(replaced) < 100

    def test_the_file_that_another_thread_saw_first_is_the_cursors(
        self, path: Path, manager: SlidingWindowMapManager
    ) -> None:
        """And what was done on another one is done again."""
        state = manager.make_cursor(path)._state
        now = manager._pool.find_file(state)
        before = File(now.state._replace(size=1), str(path))
        seen: list[File] = []

        def act(file: File) -> File:
            if not seen:
                state._keep(before)
            seen.append(file)
            return file

        assert state.on_file(act) is before
        assert len(seen) == 2
        assert (seen[0].state, seen[1]) == (now.state, before)

    def test_what_an_interrupted_first_look_has_left_is_nobody_elses(
        self, path: Path, manager: SlidingWindowMapManager
    ) -> None:
        """Though a new cursor's state may have the number of one that is gone."""
        cursor = manager.make_cursor(path)
        number, first_files = id(cursor._state), manager._pool.first_files
        first_files[number] = File(manager._pool.find_file(cursor._state).state._replace(size=1), str(path))
        del cursor
        others: list[WindowCursor] = []
        while not others or id(others[-1]._state) != number:
            others.append(manager.make_cursor(path))
            assert len(others) < 10_000, "the number was not used again"
        assert not first_files
        assert others[-1].file_size() == path.stat().st_size

    def test_a_memoryview_that_was_taken_away_is_an_error(self, path: Path, manager: SlidingWindowMapManager) -> None:
        """Where nothing explains it, the very one."""
        (cursor,) = standing(manager, path, 0)
        cursor._state.placement[0].release()
        with pytest.raises(ValueError, match="released memoryview"):
            cursor.buffer()


def test_a_nested_look_does_without_the_lock_if_that_is_taken(path: Path, manager: SlidingWindowMapManager) -> None:
    """And strikes out no leftovers, which the call that it interrupted may be about to do."""
    (cursor,) = standing(manager, path, 0)
    view = cursor.buffer()
    with Entry(manager._pool, serves=False), manager._pool.monitor.lock:
        assert manager.stats().handles == 1
    manager.close()
    cursor.close()
    view.release()
    with Entry(manager._pool, serves=False):
        assert manager.num_file_handles() == 1
    assert manager.num_file_handles() == 0


class TestWhatIsTakenFromUnderARead:
    """A forced removal releases memoryviews and closes maps, between two lines of a read. Here this is done by hand."""

    def test_a_view_of_a_region_that_is_there_fails(self, path: Path, manager: SlidingWindowMapManager) -> None:
        """Nothing explains it, so it is the very error. Once the region is discarded, the window is looked for."""
        (cursor,) = standing(manager, path, 0)
        frame = cursor._state.placement[1]
        frame.release_pins()
        with pytest.raises(ValueError, match="released memoryview"):
            cursor.view(0, 5)
        frame.live_end = -1
        assert cursor.view(0, 5) == pattern(5)
        frame.live_end = frame.size

    def test_a_read_goes_by_the_descriptor(self, path: Path, manager: SlidingWindowMapManager) -> None:
        (cursor,) = standing(manager, path, 0)
        manager._pool.ageing.rest()
        assert cursor.read(0, 16) == pattern(16)
        frame = cursor._state.placement[1]
        frame.release_pins()
        assert frame.mapping is not None
        frame.mapping.close()
        assert cursor.read(0, 16) == pattern(16)

    def test_a_read_finds_no_map(self, path: Path) -> None:
        """And there is no room for another one."""
        with SlidingWindowMapManager(W, max_open_handles=2) as manager:
            (cursor,) = standing(manager, path, 0)
            manager._pool.ageing.rest()
            assert cursor.read(0, 16) == pattern(16)
            frame = cursor._state.placement[1]
            mapping, frame.mapping = frame.mapping, None
            assert cursor.read(0, 16) == pattern(16)
            frame.mapping = mapping
            check_invariants(manager)

    def test_a_search_goes_on(self, path: Path, manager: SlidingWindowMapManager) -> None:
        """In both directions."""
        with SlidingWindowMapBuffer(manager.make_cursor(path), 0) as buffer:
            assert buffer[:64] == pattern(64)
            frame = buffer._span.state.placement[1]
            frame.release_pins()
            assert frame.mapping is not None
            frame.mapping.close()
            assert buffer.find(pattern(64)[40:]) == 40
            assert buffer.rfind(pattern(64)[:24], 0, 64) == 0


def test_a_last_attempt_waits_for_an_unload_of_another_thread(path: Path, manager: SlidingWindowMapManager) -> None:
    standing(manager, path, 0)
    pool = manager._pool
    attempts: list[bool] = []

    def attempt(last: bool) -> bool:
        attempts.append(last)
        return False

    with Entry(pool) as entry:
        unload = Unload()
        assert entry.locked(pool.tables.unload_next, unload, ())
        assert entry.locked(pool._attempt_last, attempt) is unload
        assert not attempts
        pool.tables.finished.append(unload)
    check_invariants(manager)


def test_a_repair_forgets_a_discarded_region_only_after_its_last_pin(
    path: Path, manager: SlidingWindowMapManager
) -> None:
    """The drain of that pin looks for the region."""
    (cursor,) = standing(manager, path, 0)
    tables = manager._pool.tables
    (serial,) = tables.frames
    manager._force_removal(str(path))
    tables.torn = True
    assert manager.collect() == 0
    assert (list(tables.discarded), tables.torn) == ([serial], False)
    cursor.unuse_region()
    assert manager.collect() == 0
    assert not tables.discarded
    check_invariants(manager)


def test_room_that_a_view_has_given_back_is_found(path: Path) -> None:
    """The view outlived its region, which was removed by force, so its map still has the only handle."""
    with SlidingWindowMapManager(W, max_open_handles=1) as manager:
        (cursor,) = standing(manager, path, 0)
        view = cursor.view(0, 5)
        manager._force_removal(str(path))
        other = manager.make_cursor(path)
        with pytest.raises(HandleLimitError):
            other.use_region(W, 1)
        view.release()
        assert other.use_region(W, 1).is_valid()
        check_invariants(manager)
