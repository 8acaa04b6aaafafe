"""Fork: the child can use every manager, wherever the other threads of its parent were; the parent notices nothing."""

import mmap
import os
import random
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from typing_extensions import override

from forks import end_child, fork, read, status_of
from smmap_typed import ReentrantCallError, SlidingWindowMapManager
from smmap_typed._pool import fork as hooks
from smmap_typed._pool.tables import Tables
from smmap_typed.testing import check_invariants, in_threads
from stops import STOPS, Stop, call_that_needs
from support import (
    GRANULE,
    SECONDS,
    assert_books_match_kernel,
    close_proc,
    mapped_bytes_of,
    open_descriptor,
    write_pattern,
)

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

pytestmark = [
    pytest.mark.usefixtures("nothing_is_cached"),
    # CPython warns since 3.12 that a child may find locks taken: to show that ours are not is what is done here.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    # The default way to end a test that hangs is SIGALRM, which some of these tests need for themselves.
    pytest.mark.timeout(method="thread"),
]

WINDOWS: Final = 40
HANDLES: Final = 24
GHOSTS: Final = 8
"""Of four threads: a cursor and a move of each, at most."""
CHILDREN: Final = 50


def use(manager: SlidingWindowMapManager, path: Path, ghosts: int = 0) -> None:
    """Map, hit, evict, read across windows, collect, close.

    ``ghosts``: windows that may stay pinned, by the frames of threads that did not come along.
    """
    content = path.read_bytes()
    cursor = manager.make_cursor(path)
    for number in range(WINDOWS - 1):
        offset = number * GRANULE + 5
        assert bytes(cursor.use_region(offset, 9).buffer()) == content[offset : offset + 9]
        assert manager.num_file_handles() <= HANDLES
    check_invariants(manager)
    assert manager.stats().evictions > 0
    assert manager.make_cursor(path).read(7, len(content)) == content[7:]
    cursor.close()
    manager.collect()
    check_invariants(manager)
    assert manager.num_file_handles() <= ghosts
    manager.close()
    check_invariants(manager)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of forty granules."""
    path = tmp_path / "file"
    write_pattern(path, WINDOWS * GRANULE)
    return path


def test_children_use_a_manager_that_four_threads_hammer(path: Path) -> None:
    """Fifty of them, and the parent is not disturbed."""
    content = path.read_bytes()
    done = threading.Event()
    with SlidingWindowMapManager(GRANULE, max_open_handles=HANDLES) as manager:
        begun = threading.Barrier(5)

        def hammer(number: int) -> list[int]:
            cursor = manager.make_cursor(path)
            chance = random.Random(number)
            begun.wait(SECONDS)
            while not done.is_set():
                offset = chance.randrange(WINDOWS - 1) * GRANULE + 5
                assert bytes(cursor.use_region(offset, 9).buffer()) == content[offset : offset + 9]
                if not chance.randrange(50):
                    manager.collect()
            return []

        def act(number: int) -> list[int]:
            if number:
                return hammer(number)
            begun.wait(SECONDS)
            try:
                return [status_of(fork(lambda: use(manager, path, GHOSTS))) for _ in range(CHILDREN)]
            finally:
                done.set()

        assert in_threads(5, act, SECONDS)[0] == [0] * CHILDREN
        check_invariants(manager)
        manager.collect()
        check_invariants(manager)
        assert manager.num_file_handles() == 0
        assert_books_match_kernel(manager, path)


@pytest.mark.parametrize("name", STOPS)
def test_a_child_uses_the_window_that_another_thread_was_about(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """That thread is inside each of the system calls in turn; its load or unload is over in the child."""
    with (
        open_descriptor(path) as descriptor,
        SlidingWindowMapManager(GRANULE, max_open_handles=4, reader="pread" if name == "pread" else "mmap") as manager,
    ):
        if name == "dup":
            close_proc(monkeypatch)
        stop = Stop(monkeypatch, name)

        def look() -> None:
            assert manager.stats().in_flight == 0
            read(manager, path)
            read(manager, path, GRANULE)
            check_invariants(manager)
            assert manager.collect() > 0
            check_invariants(manager)

        def act(number: int) -> bool:
            if number == 0:
                stop.volunteer()
                done = call_that_needs(name, manager, path, descriptor)
                if name == "close":
                    manager.collect()
                return done
            assert stop.inside.wait(SECONDS)
            try:
                return status_of(fork(look)) == 0
            finally:
                stop.go_on.set()

        assert in_threads(2, act) == [True, True]
        check_invariants(manager)


def test_a_child_does_not_wait_for_threads_that_wait_for_each_other(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread maps and another waits for it while the process forks; the child maps the window itself."""
    with SlidingWindowMapManager(GRANULE, max_open_handles=4) as manager:
        stop = Stop(monkeypatch, "open")
        in_flight = manager._pool.tables.in_flight

        def act(number: int) -> bool:
            if number == 0:
                stop.volunteer()
            else:
                assert stop.inside.wait(SECONDS)
            if number == 2:
                try:
                    while not any(flying.waiters for flying in list(in_flight.values())):
                        os.sched_yield()
                    return status_of(fork(lambda: read(manager, path))) == 0
                finally:
                    stop.go_on.set()
            read(manager, path)
            return True

        assert in_threads(3, act) == [True] * 3
        check_invariants(manager)


def test_a_map_that_another_thread_did_not_get_to_publish_is_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would stay for ever in the child, and be in nobody's books. The descriptor that it had open is lost."""
    inside, go_on = threading.Event(), threading.Event()

    class AdvisedMap(mmap.mmap):
        """It is given advice when it is made, before it is published."""

        @override
        def madvise(self, option: int, start: int = 0, length: int = 0) -> None:
            inside.set()
            assert go_on.wait(SECONDS)

    monkeypatch.setattr(mmap, "mmap", AdvisedMap)
    with SlidingWindowMapManager(GRANULE, advice="random") as manager:

        def look() -> None:
            assert manager.num_file_handles() == 0
            assert mapped_bytes_of(path) == 0

        def act(number: int) -> int:
            if number == 0:
                read(manager, path)
                return 0
            assert inside.wait(SECONDS)
            try:
                return status_of(fork(look))
            finally:
                go_on.set()

        assert in_threads(2, act) == [0, 0]


def fork_inside(patch: pytest.MonkeyPatch, owner: object, name: str, children: list[int]) -> None:
    """Fork in the next call of ``name``, as a handler would that strikes there; 0 is noted in the child."""
    real: Callable[..., object] = getattr(owner, name)

    def forking(*arguments: object, **rest: object) -> object:
        patch.setattr(owner, name, real)
        children.append(os.fork())
        return real(*arguments, **rest)

    patch.setattr(owner, name, forking)


STRIKES: Final[dict[str, tuple[object, str]]] = {"in a load": (mmap, "mmap"), "under the lock": (Tables, "begin_load")}


@pytest.mark.parametrize("where", ["in a load", pytest.param("under the lock", marks=pytest.mark.pure)])
@pytest.mark.parametrize("other", [False, True], ids=["alone", "beside another thread's load"])
def test_a_fork_from_inside_goes_on_in_both_processes(
    path: Path, monkeypatch: pytest.MonkeyPatch, where: str, *, other: bool
) -> None:
    """The interrupted call gets its window on either side, and the child whatever another thread was mapping, too."""
    children: list[int] = []
    monkeypatch.setattr(hooks, "_PATIENCE_SECONDS", 0.01)
    manager = SlidingWindowMapManager(GRANULE, max_open_handles=4)
    stop = Stop(monkeypatch, "open")

    def act(number: int) -> None:
        if number:
            stop.volunteer()
            read(manager, path, 4 * GRANULE)
            return
        assert not other or stop.inside.wait(SECONDS)
        owner, name = STRIKES[where]
        fork_inside(monkeypatch, owner, name, children)
        try:
            read(manager, path)
            if children == [0]:
                end_child(lambda: use_beside_lost(manager, path))
            assert status_of(*children) == 0
        finally:
            stop.go_on.set()

    in_threads(2 if other else 1, act)
    check_invariants(manager)
    manager.close()


def use_beside_lost(manager: SlidingWindowMapManager, path: Path) -> None:
    """Read what was being mapped by the call that forked, and by another thread."""
    for offset in (0, 4 * GRANULE, 8 * GRANULE):
        read(manager, path, offset)
    check_invariants(manager)
    manager.collect()
    assert manager.num_file_handles() == 0


def test_a_handler_in_the_child_is_refused_what_the_interrupted_call_holds(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock that this very thread holds stays taken in the child, until the call is out."""
    monkeypatch.setattr(hooks, "_PATIENCE_SECONDS", 0.01)
    real = Tables.begin_load
    manager = SlidingWindowMapManager(GRANULE)
    outcomes: list[str] = []

    def handler() -> None:
        manager.collect()
        try:
            read(manager, path, GRANULE)
        except ReentrantCallError:
            outcomes.append("refused")

    def begin_load(tables: Tables, *arguments: object) -> object:
        monkeypatch.setattr(Tables, "begin_load", real)
        assert status_of(fork(handler_is_refused)) == 0
        return real(tables, *arguments)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def handler_is_refused() -> None:
        handler()
        assert outcomes == ["refused"]

    monkeypatch.setattr(Tables, "begin_load", begin_load)
    read(manager, path)
    manager.close()


def test_threads_fork_at_once_and_children_fork_again(path: Path) -> None:
    """With several managers, all of which every one of them locks."""
    managers = [SlidingWindowMapManager(GRANULE, max_open_handles=HANDLES) for _ in range(4)]

    def use_all() -> None:
        for manager in managers:
            use(manager, path)
        assert mapped_bytes_of(path) == 0

    def fork_again() -> None:
        for manager in managers:
            read(manager, path)
        assert status_of(fork(use_all)) == 0
        use_all()

    assert in_threads(3, lambda _: [status_of(fork(fork_again)) for _ in range(2)]) == [[0, 0]] * 3
    for manager in managers:
        check_invariants(manager)
        manager.close()
