"""The hooks of a fork: whatever strikes in them, no lock stays taken, and nothing is kept alive."""

import gc
import os
import random
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType, FunctionType
from typing import Final

import pytest

from forks import fork, read, status_of
from interrupts import Struck, striking_alarm
from isolated import in_a_child
from smmap_typed import ReentrantCallError, SlidingWindowMapManager
from smmap_typed._pool import fork as hooks
from smmap_typed._pool.ledger import Ledger
from smmap_typed._pool.tables import Tables
from smmap_typed.testing import check_invariants, in_threads
from support import GRANULE, SECONDS

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

pytestmark = [
    # CPython warns since 3.12 that a child may find locks taken: to show that ours are not is what is done here.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    # The default way to end a test that hangs is SIGALRM, which some of these tests need for themselves.
    pytest.mark.timeout(method="thread"),
]

FORKS_UNDER_FIRE: Final = 150


def look(manager: SlidingWindowMapManager, path: Path) -> None:
    """Read what was being mapped, and something else."""
    for offset in (0, GRANULE):
        read(manager, path, offset)
    check_invariants(manager)


@pytest.mark.pure
@pytest.mark.parametrize(("owner", "name"), [(Tables, "begin_load"), (Ledger, "commit")], ids=["before", "inside"])
def test_a_thread_whose_lock_was_not_waited_for_is_outlived(
    path: Path, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    """An exception strikes in the first hook, or a manager is made after it; another thread is about to change tables.

    Or inside of a change.
    """
    inside, go_on = threading.Event(), threading.Event()
    real: Callable[..., object] = getattr(owner, name)
    real_living = hooks._living
    blind = iter([True])

    def stop(*arguments: object) -> object:
        monkeypatch.setattr(owner, name, real)
        inside.set()
        assert go_on.wait(SECONDS)
        return real(*arguments)

    manager = SlidingWindowMapManager(GRANULE, max_open_handles=4)

    def act(number: int) -> int:
        if number == 0:
            read(manager, path)
            return 0
        assert inside.wait(SECONDS)
        monkeypatch.setattr(hooks, "_living", lambda: [] if next(blind, False) else real_living())
        try:
            return status_of(fork(lambda: look(manager, path)))
        finally:
            go_on.set()

    monkeypatch.setattr(owner, name, stop)
    assert in_threads(2, act) == [0, 0]
    check_invariants(manager)
    manager.close()


def test_a_handler_between_the_hooks_waits_for_nothing(path: Path) -> None:
    """A hook of somebody else's runs between ours, as that of logging does, and a handler strikes in it."""
    manager = SlidingWindowMapManager(GRANULE, max_open_handles=4)
    read(manager, path)
    cursor = manager.make_cursor(path).use_region(0, 8)

    def strike(_number: int) -> None:
        for number, after in enumerate((hooks._after, hooks._after_in_child), 1):
            hooks._before()
            try:
                assert manager.collect() == 0
                assert bytes(cursor.use_region(8, 8).buffer()) == path.read_bytes()[8:16]
                with pytest.raises(ReentrantCallError):
                    read(manager, path, number * GRANULE)
            finally:
                after()
            read(manager, path, number * GRANULE)
            check_invariants(manager)
        cursor.close()
        assert manager.collect() > 0

    in_threads(1, strike, SECONDS)
    assert manager.num_file_handles() == 0


def test_locks_are_taken_in_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the order of the set, which changes as it grows: or two threads that fork would wait for each other."""
    managers = [SlidingWindowMapManager() for _ in range(3)]
    references = [weakref.ref(manager._pool._fork_registration) for manager in managers]
    orders: list[list[int]] = []
    for some in (references, references[::-1]):
        monkeypatch.setattr(hooks, "_registrations", some)
        hooks._before()
        orders.append([id(monitor) for monitor in hooks._forking.locked])
        hooks._after()
    assert orders[0] == orders[1]
    assert len(orders[0]) == 3
    assert not any(manager._pool.monitor.lock.locked() for manager in managers)


@pytest.mark.untraced
@in_a_child
def test_an_exception_at_any_moment_of_a_fork_leaves_no_lock_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes while the process forks strikes in the hooks, whose exceptions CPython reports and drops."""
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    # The hooks of logging do leave their lock taken, and whoever forks after this test would wait for it for ever.
    monkeypatch.setattr("logging._lock", threading.RLock())
    managers = [SlidingWindowMapManager(GRANULE) for _ in range(4)]
    chance = random.Random(0)
    with striking_alarm():
        for _ in range(FORKS_UNDER_FIRE):
            try:
                try:
                    signal.setitimer(signal.ITIMER_REAL, chance.uniform(20e-6, 1e-3))
                    fork(lambda: None)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except Struck:
                pass
            assert not any(manager._pool.monitor.lock.locked() for manager in managers)
            with suppress(ChildProcessError):
                # There is one, unless the exception struck before. Other tests' children are not this process's.
                os.wait()
    assert reported
    for manager in managers:
        read(manager, path)
        check_invariants(manager)
        manager.close()


@pytest.mark.parametrize("hook", [hooks._before, hooks._after], ids=lambda hook: hook.__name__)
def test_an_exception_at_the_entry_of_a_hook_leaves_no_lock_taken(
    path: Path, monkeypatch: pytest.MonkeyPatch, hook: FunctionType
) -> None:
    """There it strikes if the signal comes during the fork itself, and the hook has done nothing yet."""
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)

    def strike(frame: FrameType, _event: str, _: object) -> None:
        caller = frame.f_back
        # As a hook, not as a function that another hook calls.
        if frame.f_code is hook.__code__ and (caller is None or caller.f_code.co_filename != hooks.__file__):
            raise Struck

    manager = SlidingWindowMapManager(GRANULE)
    # An exception ends the tracing, too.
    sys.settrace(strike)
    try:
        child = fork(lambda: read(manager, path))
    finally:
        sys.settrace(None)
    assert not manager._pool.monitor.lock.locked()
    assert status_of(child) == 0
    assert len(reported) == 1
    read(manager, path)
    manager.close()


def test_the_hooks_keep_no_manager_alive() -> None:
    """They know it by a weak reference, which goes with it."""
    gc.collect()
    before = len(hooks._registrations)
    managers = [SlidingWindowMapManager() for _ in range(100)]
    references = [weakref.ref(manager._pool._fork_registration) for manager in managers]
    assert len(hooks._registrations) == before + 100
    status = status_of(fork(lambda: None))
    managers.clear()
    assert (status, len(hooks._registrations)) == (0, before)
    assert not any(reference() for reference in references)
