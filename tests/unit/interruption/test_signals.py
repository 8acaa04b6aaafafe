"""A signal's exception may strike between any two lines of the library; what it leaves behind is right.

The judge is ``check_invariants``, the books against the kernel, and that everything still works, in every thread.
"""

import linecache
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import pytest

from interrupts import Struck, striking_alarm, traced
from smmap_typed import HandleLimitError, SlidingWindowMapManager
from smmap_typed.testing import check_invariants
from support import GRANULE, assert_books_match_kernel, mapped_bytes_of, pattern, release_descriptors, write_pattern

if TYPE_CHECKING:
    from _typeshed import TraceFunction

# Signals of an interval timer are POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

# The default way to end a test that hangs is SIGALRM, which these tests need for themselves.
pytestmark = pytest.mark.timeout(method="thread")

INTERRUPTS = 5000


@pytest.mark.untraced
def test_exceptions_between_any_two_lines_leave_the_manager_right(tmp_path: Path) -> None:
    """Maps, moves, evictions, releases and collections, each struck at a random moment, again and again."""
    path = tmp_path / "file"
    content = write_pattern(path, 16 * GRANULE)
    chance = random.Random(0)
    with striking_alarm(), SlidingWindowMapManager(2 * GRANULE, max_open_handles=4) as manager:
        cursors = [manager.make_cursor(path) for _ in range(3)]

        def work() -> None:
            while True:
                for window in range(15):
                    cursors[window % 3].use_region(window * GRANULE, 10)
                for cursor in cursors:
                    cursor.unuse_region()
                manager.collect()

        for _ in range(INTERRUPTS):
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(20e-6, 500e-6))
                work()
            except Struck:
                pass
            check_invariants(manager)
        for cursor in cursors:
            assert bytes(cursor.use_region(3 * GRANULE, 50).buffer()) == content[3 * GRANULE : 3 * GRANULE + 50]
            cursor.close()
        manager.collect()
        # Not the descriptors: one that os.open has just returned is lost if an exception strikes before it has a name.
        assert (manager.num_file_handles(), mapped_bytes_of(path)) == (0, 0)


@pytest.mark.pure
def test_a_window_whose_unmapping_was_struck_can_be_used_by_others(tmp_path: Path) -> None:
    """The exception comes from the very end of the critical section; another thread maps the window all the same."""
    path = tmp_path / "file"
    content = write_pattern(path, 4 * GRANULE)
    with SlidingWindowMapManager(2 * GRANULE) as manager:
        manager.make_cursor(path).use_region(0, 10)
        tables = manager._pool.tables

        def strike_after_begin(frame: FrameType, event: str, _: object) -> "TraceFunction":
            if frame.f_code.co_name == "begin_unload" and event == "return":
                raise Struck
            return strike_after_begin

        with pytest.raises(Struck), traced(strike_after_begin):
            manager.collect()
        seen: list[bytes] = []
        other = threading.Thread(target=lambda: seen.append(bytes(manager.make_cursor(path).view(0, 10))), daemon=True)
        other.start()
        other.join(30)
        assert seen == [content[:10]]
        assert not tables.in_flight
        check_invariants(manager)


@pytest.mark.pure
@pytest.mark.parametrize("line", ["self.leave_to_views(frame)", "frame.mapping = None", "self.unlink(frame)"])
def test_a_close_that_is_struck_while_it_gives_a_region_up_loses_nothing(tmp_path: Path, line: str) -> None:
    """The map is in the books as long as it is there, and once, whatever had been done; the next close finishes it."""
    path = tmp_path / "file"
    content = write_pattern(path, 4 * GRANULE)
    with SlidingWindowMapManager(2 * GRANULE) as manager:
        cursor = manager.make_cursor(path).use_region(0, 10)
        view = cursor.buffer()

        def strike(frame: FrameType, event: str, _: object) -> "TraceFunction":
            if event == "line" and linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip() == line:
                raise Struck
            return strike

        with pytest.raises(Struck), traced(strike):
            manager.close()
        check_invariants(manager)
        assert_books_match_kernel(manager, path)
        manager.close()
        cursor.close()
        assert bytes(view) == content[:10]
        assert_books_match_kernel(manager, path)
        assert (manager.num_file_handles(), manager.stats().acquisitions) == (1, 1)
        view.release()
        assert_books_match_kernel(manager, path)
        assert (manager.num_file_handles(), mapped_bytes_of(path)) == (0, 0)


@pytest.mark.pure
def test_a_waiter_goes_on_when_the_thread_that_it_waits_for_is_struck(tmp_path: Path) -> None:
    """The mapping has failed and an exception comes before anybody is told; nobody else enters the library."""
    path = tmp_path / "file"
    content = write_pattern(path, 4 * GRANULE)
    real_open = os.open
    seen: list[bytes] = []
    with SlidingWindowMapManager(2 * GRANULE) as manager, pytest.MonkeyPatch.context() as patch:
        in_flight = manager._pool.tables.in_flight
        waiter = threading.Thread(target=lambda: seen.append(bytes(manager.make_cursor(path).view(0, 10))), daemon=True)

        def fail_when_somebody_waits(_target: str, _flags: int) -> int:
            patch.setattr(os, "open", real_open)
            waiter.start()
            while not any(flying.waiters for flying in list(in_flight.values())):
                time.sleep(0)
            raise PermissionError("this once")

        def strike_on_the_way_out(frame: FrameType, event: str, _: object) -> "TraceFunction":
            if frame.f_code.co_name == "serve" and event == "call":
                raise Struck
            return strike_on_the_way_out

        patch.setattr(os, "open", fail_when_somebody_waits)
        with pytest.raises(Struck), traced(strike_on_the_way_out):
            manager.make_cursor(path).use_region(0, 10)
        waiter.join(30)
        assert seen == [content[:10]]
        check_invariants(manager)


def test_a_map_that_a_user_closed_is_struck_out_and_mapped_again(tmp_path: Path) -> None:
    """``with cursor.map():`` is easy to write, and closes it."""
    path = tmp_path / "file"
    content = write_pattern(path, 4 * GRANULE)
    with SlidingWindowMapManager(2 * GRANULE) as manager:
        cursor = manager.make_cursor(path).use_region(0, 10)
        mapped = cursor.map()
        cursor.unuse_region()
        mapped.close()
        assert bytes(cursor.use_region(0, 10).buffer()) == content[:10]
        check_invariants(manager)
        assert manager.num_file_handles() == 1
        cursor.unuse_region()
        assert manager.collect() == 1
        assert manager.num_file_handles() == 0


def test_a_scarce_descriptor_costs_the_kept_ones_or_an_eighth_of_the_regions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty small files are idle; one EMFILE costs no more, whatever the size of the window that is wanted."""
    for name in ("big", "bigger"):
        (tmp_path / name).write_bytes(pattern(16 * GRANULE))
    with SlidingWindowMapManager(16 * GRANULE) as manager:
        for number in range(20):
            write_pattern(tmp_path / str(number), GRANULE, number)
            manager.make_cursor(tmp_path / str(number)).use_region().close()
        real_open = os.open
        refused: list[bool] = []

        def open_or_not(target: str, flags: int) -> int:
            if refused:
                refused.pop()
                raise OSError(24, "Too many open files")
            return real_open(target, flags)

        monkeypatch.setattr(os, "open", open_or_not)
        assert manager.stats().kept_descriptors == 20
        refused.append(True)
        manager.make_cursor(tmp_path / "big").use_region()
        assert (manager.num_file_handles(), manager.stats().kept_descriptors) == (21, 1)
        release_descriptors(manager)
        refused.append(True)
        manager.make_cursor(tmp_path / "bigger").use_region()
        assert (manager.num_file_handles(), manager.stats().kept_descriptors) == (20, 1)
        assert manager.stats().map_failures == 2


def test_what_can_never_fit_evicts_nothing(tmp_path: Path) -> None:
    """With strict_memory a window larger than the limit is an error at once."""
    write_pattern(tmp_path / "small", GRANULE)
    write_pattern(tmp_path / "big", 8 * GRANULE)
    with SlidingWindowMapManager(0, 2 * GRANULE, strict_memory=True) as manager:
        manager.make_cursor(tmp_path / "small").use_region().close()
        with pytest.raises(OSError, match=f"max_memory_size, which is {2 * GRANULE}"):
            manager.make_cursor(tmp_path / "big").use_region()
        assert manager.num_file_handles() == 1


def test_after_close_any_call_of_a_cursor_lets_go(tmp_path: Path) -> None:
    """The kernel tells: the map is gone after the call, whatever it was."""
    path = tmp_path / "file"
    write_pattern(path, 2 * GRANULE)
    for name in ("size", "is_valid", "is_associated", "region", "file_size", "path", "path_or_fd", "__copy__"):
        manager = SlidingWindowMapManager()
        cursor = manager.make_cursor(path).use_region()
        manager.close()
        assert manager.num_file_handles() == 1
        getattr(cursor, name)()
        assert_books_match_kernel(manager, path)
        assert manager.num_file_handles() == 0


def test_a_failed_first_read_fixes_nothing(tmp_path: Path) -> None:
    """The cursor sees the file as it is at the first call that works."""
    path = tmp_path / "file"
    write_pattern(path, 4 * GRANULE)
    with SlidingWindowMapManager(2 * GRANULE, max_open_handles=1) as manager:
        keeper = manager.make_cursor(path).use_region(0, 1)
        late = manager.make_cursor(path)
        with pytest.raises(HandleLimitError):
            late.view(3 * GRANULE, 10)
        content = write_pattern(path, 5 * GRANULE)
        assert late.file_size() == len(content)
        keeper.close()
