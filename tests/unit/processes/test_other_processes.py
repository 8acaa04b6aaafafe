"""Other processes: what is sent there works there, under limits of its own, however the process was started."""

import os
import pickle
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

import pytest

import workers
from forks import fork, status_of
from smmap_typed import (
    FileChangedError,
    HandleLimitError,
    ManagerStats,
    MemoryLimitError,
    SlidingWindowMapBuffer,
    SlidingWindowMapManager,
    StaticWindowMapManager,
)
from support import GRANULE, pattern

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

THREADS: Final = 8
MANY: Final = 20
"""More managers than a process keeps for others."""


def test_cursors_buffers_and_files_read_there(
    worker: ProcessPoolExecutor, manager: SlidingWindowMapManager, path: Path
) -> None:
    """A buffer at its offset, a file at its position, a cursor nowhere."""
    content = pattern(8 * GRANULE)
    cursor = manager.make_cursor(path).use_region(3 * GRANULE, 5)
    buffer = SlidingWindowMapBuffer(cursor, GRANULE - 7, 5 * GRANULE)
    with manager.open(path, offset=11) as file:
        file.seek(GRANULE)
        done = worker.submit(workers.read, cursor, buffer, file, 2 * GRANULE).result()
    assert done == (
        content[: 2 * GRANULE],
        content[GRANULE - 7 :][: 2 * GRANULE],
        content[11 + GRANULE :][: 2 * GRANULE],
    )


def test_all_of_one_manager_share_one_there(worker: ProcessPoolExecutor, path: Path) -> None:
    """The window that three of them read is mapped once."""
    with SlidingWindowMapManager(0) as manager, manager.open(path) as file:
        cursor = manager.make_cursor(path)
        stats = worker.submit(workers.share, manager, cursor, SlidingWindowMapBuffer(cursor), file).result()
        assert (stats.maps, stats.open_files) == (1, 1)


def test_the_manager_there_lasts_from_task_to_task(
    worker: ProcessPoolExecutor, manager: SlidingWindowMapManager, path: Path
) -> None:
    assert worker.submit(workers.keep_mapped, manager, path).result() == (0, 1)
    assert worker.submit(workers.keep_mapped, manager, path).result() == (1, 1)


def test_a_manager_that_was_closed_there_is_made_again(
    worker: ProcessPoolExecutor, manager: SlidingWindowMapManager, path: Path
) -> None:
    """Else one task could stop all that come after it. Here nothing is closed."""
    assert worker.submit(workers.close, manager).result()
    assert worker.submit(workers.close, manager).result()
    assert manager.make_cursor(path).read(0, 3) == pattern(3)


def test_settings_come_along(stranger: ProcessPoolExecutor) -> None:
    """Those of the last configure."""
    with SlidingWindowMapManager(3 * GRANULE, 50 * GRANULE, 40) as manager:
        manager.configure(max_memory_size=60 * GRANULE)
        manager.configure(max_open_handles=30)
        expected = ("SlidingWindowMapManager", 3 * GRANULE, 60 * GRANULE, 30)
        assert stranger.submit(workers.describe, manager).result() == expected
    with StaticWindowMapManager() as static:
        assert stranger.submit(workers.describe, static).result() == workers.describe(static)


def test_a_reader_and_strict_memory_come_along(stranger: ProcessPoolExecutor, path: Path) -> None:
    with SlidingWindowMapManager(2 * GRANULE, reader="pread") as manager:
        content, mapped = stranger.submit(workers.read_by_window, manager.make_cursor(path)).result()
    assert (content, mapped) == (pattern(5), 0)
    with SlidingWindowMapManager(GRANULE, GRANULE, strict_memory=True) as manager, pytest.raises(MemoryLimitError):
        stranger.submit(workers.meet_a_limit, manager, path).result()


def test_limits_hold_for_each_process(
    worker: ProcessPoolExecutor, manager: SlidingWindowMapManager, path: Path
) -> None:
    """Windows that are pinned here do not count there; and the error comes back with its figures."""
    manager.configure(max_open_handles=2)
    pinned = [manager.make_cursor(path).use_region(number * 2 * GRANULE, 1) for number in range(2)]
    assert worker.submit(workers.keep_mapped, manager, path).result() == (0, 1)
    with pytest.raises(HandleLimitError) as caught:
        worker.submit(workers.meet_a_limit, manager, path).result()
    assert (caught.value.limit, caught.value.pinned) == (2, 2)
    assert all(cursor.is_valid() for cursor in pinned)


def test_what_comes_back_has_its_own_manager(
    worker: ProcessPoolExecutor, manager: SlidingWindowMapManager, path: Path
) -> None:
    """Also if the other process has made a manager for it."""
    cursor = manager.make_cursor(path).use_region(0, 1)
    back, twin = worker.submit(workers.send_back, manager, cursor).result()
    assert back is manager
    assert twin.use_region(0, 1).region() is cursor.region()
    stats = worker.submit(workers.share, manager, cursor, SlidingWindowMapBuffer(cursor), manager.open(path)).result()
    assert isinstance(stats, ManagerStats)


@pytest.mark.parametrize("looked", [True, False], ids=["after a look", "before any look"])
@pytest.mark.parametrize("change", ["append", "rewrite", "set back", "replace", "cut"])
def test_a_file_that_has_changed_is_reported_by_the_first_use(
    stranger: ProcessPoolExecutor, manager: SlidingWindowMapManager, path: Path, change: str, looked: bool
) -> None:
    """Not by unpickling, which would break the worker. A cursor looks at its file when it is pickled, if not before."""
    cursor = manager.make_cursor(path)
    if looked:
        cursor.use_region(0, 1)
    pickled = pickle.dumps(cursor)
    before = os.stat(path)
    if change == "append":
        with path.open("ab") as file:
            file.write(b"more")
    elif change == "cut":
        os.truncate(path, GRANULE)
    elif change == "replace":
        shutil.copy2(path, path.with_suffix(".copy"))
        os.replace(path.with_suffix(".copy"), path)
    else:
        path.write_bytes(bytes(8 * GRANULE))
    if change == "set back":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    told, _ = stranger.submit(workers.read_twice, pickle.loads(pickled)).result()
    assert f"where the cursor was pickled it had {8 * GRANULE} bytes" in told


def test_the_same_file_under_another_inode_number_is_read(
    stranger: ProcessPoolExecutor, manager: SlidingWindowMapManager, path: Path
) -> None:
    """As on another machine that has the file system mounted: here the numbers are changed in the pickle."""
    status = os.stat(path)
    pickled = pickle.dumps(manager.make_cursor(path), 0)
    assert pickled.count(b"I%d\n" % status.st_ino) == 1
    elsewhere = pickled.replace(b"I%d\n" % status.st_ino, b"I%d\n" % (status.st_ino + 1))
    assert stranger.submit(workers.read_twice, pickle.loads(elsewhere)).result() == ("", pattern(8 * GRANULE))


def test_a_missing_file_is_reported_by_the_first_use(
    stranger: ProcessPoolExecutor, manager: SlidingWindowMapManager, path: Path
) -> None:
    cursor = manager.make_cursor(path.with_name("none"))
    with pytest.raises(FileNotFoundError) as caught:
        stranger.submit(workers.read_twice, cursor).result()
    assert caught.value.filename == str(path.with_name("none"))


def test_a_relative_path_leads_to_the_same_file_there(
    stranger: ProcessPoolExecutor, manager: SlidingWindowMapManager, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And ``path`` is what was given."""
    monkeypatch.chdir(path.parent)
    cursor = manager.make_cursor(Path(path.name))
    _, back = stranger.submit(workers.send_back, manager, cursor).result()
    monkeypatch.chdir("/")
    assert (back.path(), back.read(0, 3)) == (Path(path.name), pattern(3))


def test_threads_that_unpickle_at_once_share_one_manager(
    stranger: ProcessPoolExecutor, manager: SlidingWindowMapManager
) -> None:
    assert stranger.submit(workers.count_managers, pickle.dumps(manager), THREADS).result() == 1


def test_managers_of_past_tasks_keep_no_windows(stranger: ProcessPoolExecutor, path: Path) -> None:
    """Each new one lets the others unmap what is idle."""
    managers = [SlidingWindowMapManager(2 * GRANULE) for _ in range(MANY)]
    pickled = [pickle.dumps(manager.make_cursor(path)) for manager in managers]
    assert stranger.submit(workers.unpickle_many, pickled).result() == [2 * GRANULE] * MANY


def test_a_cursor_there_keeps_its_manager_findable(stranger: ProcessPoolExecutor, path: Path) -> None:
    managers = [SlidingWindowMapManager(2 * GRANULE) for _ in range(MANY)]
    first, *others = (pickle.dumps(manager.make_cursor(path)) for manager in managers)
    assert stranger.submit(workers.keep_one_alive, first, others).result()


def test_a_forked_child_has_the_manager_that_it_inherited(manager: SlidingWindowMapManager, path: Path) -> None:
    """A pickle of before the fork leads to it, with the windows that were mapped."""
    cursor = manager.make_cursor(path).use_region(0, 1)
    pickled = pickle.dumps((manager, cursor))

    def act() -> None:
        twin, other = pickle.loads(pickled)
        assert twin is manager
        assert other.use_region(0, 1).region() is cursor.region()

    assert status_of(fork(act)) == 0


def test_a_changed_file_breaks_no_worker(
    worker: ProcessPoolExecutor, manager: SlidingWindowMapManager, path: Path
) -> None:
    """The error comes to who asks, and the worker goes on."""
    cursor = manager.make_cursor(path)
    buffer = SlidingWindowMapBuffer(cursor)
    with manager.open(path) as file:
        path.write_bytes(b"other")
        with pytest.raises(FileChangedError):
            worker.submit(workers.read, cursor, buffer, file, 1).result()
    assert worker.submit(int).result() == 0
