"""Threads and nested calls: one load for each window, waiting at limits, and calls from inside the library.

The proof under load is elsewhere; here each interleaving is forced by replacing a system call.
"""

import errno
import gc
import mmap
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from smmap_typed import HandleLimitError, ReentrantCallError, SlidingWindowMapManager
from smmap_typed.testing import in_threads
from support import GRANULE, SECONDS, assert_books_match_kernel, mapped_bytes_of, write_pattern

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

THREADS = 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of eight granules."""
    path = tmp_path / "file"
    write_pattern(path, 8 * GRANULE)
    return path


def interrupt_mapping(patch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let ``act`` run inside the next ``mmap.mmap``, as a handler would that strikes there."""
    real_map = mmap.mmap

    def struck(descriptor: int, size: int, **rest: bool) -> mmap.mmap:  # as narrow as the narrowest of its options
        patch.setattr(mmap, "mmap", real_map)
        act()
        return real_map(descriptor, size, **rest)

    patch.setattr(mmap, "mmap", struck)


def test_threads_that_miss_on_one_window_cause_one_mmap(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one maps while all others have begun; each of them counts as a miss of its own or as a hit."""
    content = path.read_bytes()
    begun = threading.Semaphore(0)
    real_map = mmap.mmap
    maps: list[int] = []

    def map_when_all_have_begun(
        descriptor: int, size: int, **rest: bool
    ) -> mmap.mmap:  # as narrow as the narrowest of its options
        maps.append(size)
        for _ in range(THREADS):
            assert begun.acquire(timeout=SECONDS)
        return real_map(descriptor, size, **rest)

    with SlidingWindowMapManager(GRANULE) as manager:
        cursors = [manager.make_cursor(path) for _ in range(THREADS)]

        def use(number: int) -> bytes:
            assert cursors[number].file_size() == 8 * GRANULE
            begun.release()
            return bytes(cursors[number].use_region(3 * GRANULE, 16).buffer())

        monkeypatch.setattr(mmap, "mmap", map_when_all_have_begun)
        assert set(in_threads(THREADS, use)) == {content[3 * GRANULE :][:16]}
        assert maps == [GRANULE]
        stats = manager.stats()
        assert (stats.maps, stats.acquisitions, stats.handles) == (1, THREADS, 1)
        assert 1 <= stats.misses <= THREADS
        region = cursors[0].region()
        assert region is not None
        assert region.client_count() == 1 + THREADS


def test_when_the_load_fails_the_next_thread_takes_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread gets the error of its system call, and all others the window."""
    begun = threading.Semaphore(0)
    real_map = mmap.mmap
    maps: list[int] = []

    def fail_first(descriptor: int, size: int, **rest: bool) -> mmap.mmap:  # as narrow as the narrowest of its options
        maps.append(size)
        if len(maps) == 1:
            for _ in range(THREADS):
                assert begun.acquire(timeout=SECONDS)
            raise PermissionError("this once")
        return real_map(descriptor, size, **rest)

    with SlidingWindowMapManager(GRANULE) as manager:
        cursors = [manager.make_cursor(path) for _ in range(THREADS)]

        def use(number: int) -> bool:
            assert cursors[number].file_size() == 8 * GRANULE
            begun.release()
            try:
                cursors[number].use_region(0, 16)
            except PermissionError:
                return False
            return bytes(cursors[number].buffer()) == path.read_bytes()[:16]

        monkeypatch.setattr(mmap, "mmap", fail_first)
        assert sorted(in_threads(THREADS, use)) == [False] + [True] * (THREADS - 1)
        assert len(maps) == 2
        assert (manager.stats().maps, manager.num_file_handles()) == (1, 1)


def test_a_miss_at_the_limit_waits_for_those_who_are_just_mapping(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a false HandleLimitError: the other's map may fail, and then its handle is free."""
    real_map = mmap.mmap
    inside, waiting = threading.Event(), threading.Event()
    first = True

    def wait_once(descriptor: int, size: int, **rest: bool) -> mmap.mmap:  # as narrow as the narrowest of its options
        nonlocal first
        if first:
            first = False
            inside.set()
            assert waiting.wait(SECONDS)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real_map(descriptor, size, **rest)

    monkeypatch.setattr(mmap, "mmap", wait_once)
    with SlidingWindowMapManager(GRANULE, max_open_handles=1) as manager:

        def act(number: int) -> bytes:
            if number == 0:
                with pytest.raises(OSError, match=os.strerror(errno.EIO)):
                    manager.make_cursor(path).view(0, 16)
                return b""
            assert inside.wait(SECONDS)
            cursor = manager.make_cursor(path)
            assert cursor.file_size() == 8 * GRANULE
            waiting.set()
            return bytes(cursor.view(GRANULE, 16))

        content = path.read_bytes()
        assert in_threads(2, act) == [b"", content[GRANULE : GRANULE + 16]]
        assert (manager.num_file_handles(), manager.stats().evictions) == (1, 0)


def test_a_cursor_is_dropped_in_any_thread(path: Path) -> None:
    """Its pin goes with it."""
    with SlidingWindowMapManager(GRANULE) as manager:
        boxes = [[manager.make_cursor(path).use_region(number * GRANULE)] for number in range(THREADS)]
        in_threads(THREADS, lambda number: boxes[number].clear())
        assert manager.collect() == THREADS
        assert_books_match_kernel(manager, path)


def test_a_move_that_finds_the_lock_taken_lets_the_holder_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once too many releases are queued: a holder that is switched off as it drains would otherwise be overtaken."""
    yields: list[float] = []
    monkeypatch.setattr(time, "sleep", yields.append)
    with SlidingWindowMapManager(GRANULE) as manager:
        tables = manager._pool.tables
        cursor = manager.make_cursor(path).use_region(0).use_region(GRANULE)
        with manager._pool.monitor.lock:
            while len(tables.released) < tables.drain_threshold:
                cursor.use_region(0).use_region(GRANULE)
            assert yields == []
            cursor.use_region(0).use_region(GRANULE)
            assert set(yields) == {0}
        cursor.use_region(0)
        assert len(tables.released) <= 1
        assert_books_match_kernel(manager, path)


class TestNestedCalls:
    """A handler, finaliser or callback that interrupts the library in the same thread."""

    def test_releases_hits_and_moves_to_mapped_windows_work(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without waiting, in the middle of another call's mapping."""
        content = path.read_bytes()
        with SlidingWindowMapManager(GRANULE) as manager:
            moved = manager.make_cursor(path).use_region(0).use_region(GRANULE)
            released = manager.make_cursor(path).use_region(2 * GRANULE)

            def act() -> None:
                assert bytes(moved.use_region(GRANULE + 5, 9).buffer()) == content[GRANULE + 5 :][:9]
                assert bytes(moved.use_region(5, 9).buffer()) == content[5:14]
                released.close()
                assert manager.num_file_handles() == 4
                assert manager.stats().in_flight == 1

            interrupt_mapping(monkeypatch, act)
            assert manager.make_cursor(path).read(5 * GRANULE, 9) == content[5 * GRANULE :][:9]
            moved.close()
            assert manager.collect() == 4
            assert_books_match_kernel(manager, path)

    def test_collect_never_waits_and_is_served(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """At the latest on the way out of the call that it interrupted."""
        with SlidingWindowMapManager(GRANULE) as manager:
            manager.make_cursor(path).use_region(0).use_region(GRANULE)
            interrupt_mapping(monkeypatch, manager.collect)
            cursor = manager.make_cursor(path).use_region(5 * GRANULE)
            assert mapped_bytes_of(path) == GRANULE
            assert cursor.is_valid()
            assert_books_match_kernel(manager, path)

    def test_collect_of_another_manager_leaves_its_books_right_at_once(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The interrupted call is another manager's, so nobody else would complete what the handler unmapped."""
        with SlidingWindowMapManager(GRANULE) as manager, SlidingWindowMapManager(GRANULE) as other:
            other.make_cursor(path).use_region(0).use_region(GRANULE)
            figures: list[tuple[int, int]] = []
            interrupt_mapping(monkeypatch, lambda: figures.append((other.collect(), other.num_file_handles())))
            manager.make_cursor(path).read(5 * GRANULE, 9)
            assert figures == [(2, 0)]
            assert (manager.num_file_handles(), mapped_bytes_of(path)) == (1, GRANULE)

    @pytest.mark.pure
    def test_collect_is_served_by_the_nested_call_that_held_the_lock(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A handler interrupts the call of another manager, and is interrupted in its own critical section."""
        with SlidingWindowMapManager(GRANULE) as manager, SlidingWindowMapManager(GRANULE) as other:
            other.make_cursor(path).use_region(0).use_region(GRANULE)
            tables = other._pool.tables
            figures: list[tuple[int, int]] = []

            def act() -> None:
                count = tables.open_pins

                def interrupted(_: object) -> int:
                    figures.append((other.collect(), other.num_file_handles()))
                    return count()

                with monkeypatch.context() as patch:
                    patch.setattr(type(tables), "open_pins", interrupted)
                    other.reset_stats()
                figures.append((0, other.num_file_handles()))

            interrupt_mapping(monkeypatch, act)
            manager.make_cursor(path).read(5 * GRANULE, 9)
            assert figures == [(0, 2), (0, 0)]

    @pytest.mark.parametrize("granule", [3, 5])
    def test_a_new_map_works_or_is_refused_at_once(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, granule: int
    ) -> None:
        """Another window may be mapped; the one that is just being mapped would have to be waited for."""
        outcomes: list[bytes | type[Exception]] = []
        with SlidingWindowMapManager(GRANULE) as manager:

            def act() -> None:
                try:
                    outcomes.append(bytes(manager.make_cursor(path).view(granule * GRANULE, 9)))
                except ReentrantCallError as error:
                    outcomes.append(type(error))

            interrupt_mapping(monkeypatch, act)
            content = path.read_bytes()
            assert manager.make_cursor(path).view(5 * GRANULE, 9) == content[5 * GRANULE :][:9]
            assert outcomes == [ReentrantCallError if granule == 5 else content[granule * GRANULE :][:9]]
            assert_books_match_kernel(manager, path)
            assert manager.make_cursor(path).read(5 * GRANULE, 9) == content[5 * GRANULE :][:9]

    def test_at_the_handle_limit_it_does_not_wait_for_its_own_thread(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The only handle is reserved by the call that was interrupted."""
        errors: list[type[Exception]] = []
        with SlidingWindowMapManager(GRANULE, max_open_handles=1) as manager:

            def act() -> None:
                try:
                    manager.make_cursor(path).view(0, 9)
                except (ReentrantCallError, HandleLimitError) as error:
                    errors.append(type(error))

            interrupt_mapping(monkeypatch, act)
            assert len(manager.make_cursor(path).view(5 * GRANULE, 9)) == 9
            assert len(errors) == 1
            assert manager.make_cursor(path).read(0, 9) == path.read_bytes()[:9]

    def test_finalisers_may_use_the_manager(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A cycle with a ``__del__`` is collected in the middle of a mapping."""
        collected: list[int] = []
        with SlidingWindowMapManager(GRANULE) as manager:

            class Finalised:
                def __init__(self) -> None:
                    self.me = self
                    self.cursor = manager.make_cursor(path).use_region(0)

                def __del__(self) -> None:
                    self.cursor.close()
                    collected.append(manager.collect())

            Finalised()
            interrupt_mapping(monkeypatch, gc.collect)
            assert len(manager.make_cursor(path).read(5 * GRANULE, 9)) == 9
            assert len(collected) == 1
            manager.collect()
            assert_books_match_kernel(manager, path)
            assert manager.num_file_handles() == 0

    def test_a_signal_handler_may_collect(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is served, and the interrupted call gets its window."""
        with SlidingWindowMapManager(GRANULE) as manager:
            manager.make_cursor(path).use_region(0)

            def collect(_: int, __: FrameType | None) -> None:
                manager.collect()

            before = signal.signal(signal.SIGUSR1, collect)
            try:
                interrupt_mapping(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGUSR1))
                assert len(manager.make_cursor(path).read(5 * GRANULE, 9)) == 9
            finally:
                signal.signal(signal.SIGUSR1, before)
            assert mapped_bytes_of(path) == GRANULE
            assert manager.num_file_handles() == 1
