"""Forks: make managers usable in a child process, although other threads were inside them during the fork.

The forking thread first takes the locks of all managers, so that no other thread is in the middle of a change, and
releases them in parent and child. The child has only the forking thread, so it ends what the other threads had in
flight.
"""

import os
import sys
import threading
import weakref
from itertools import repeat
from typing import Final

from smmap_typed._pool.monitor import Monitor
from smmap_typed._pool.reentrancy import Life, is_inside, thread

__all__ = ["register_for_fork"]


class _Registration:
    """A pool's entry, which lives as long as the pool: only that refers to it. A reference back would be a cycle."""

    __slots__ = ("__weakref__", "monitor")

    def __init__(self, monitor: Monitor) -> None:
        self.monitor: Final = monitor


_registrations: Final[set[weakref.ref[_Registration]]] = set()
"""Not a WeakSet: a set is copied in one step, while iteration over a WeakSet takes many."""


class _Forking(threading.local):
    """The state of a forking thread between the two hooks. Other threads may fork at the same time."""

    def __init__(self) -> None:
        self.locked: list[Monitor] = []
        """The monitors whose locks it took."""
        self.life: Life | None = None
        """Set while the thread counts as inside the library only because it forks. A handler or finaliser that runs
        between the hooks, perhaps in a hook of other code, must not wait for the locks of its own thread."""


_forking: Final = _Forking()

# A thread that forks inside the library may hold the lock itself. It would wait in vain, and goes on in the child.
_PATIENCE_SECONDS: Final = 1.0


def register_for_fork(monitor: Monitor) -> object:
    """Make the pool of ``monitor`` usable in forked children, as long as the returned object is alive."""
    registration = _Registration(monitor)
    _registrations.add(weakref.ref(registration, _registrations.discard))
    return registration


def _living() -> list[Monitor]:
    return [registration.monitor for reference in _registrations.copy() if (registration := reference()) is not None]


def _before() -> None:
    # If an exception struck at the start of _after in the last fork, locks are still taken.
    _after()
    patience = _PATIENCE_SECONDS
    if not is_inside():
        patience = -1.0
        _forking.life = Life()
        thread.outermost = weakref.ref(_forking.life)
    # All threads take the locks in the same order; otherwise two that fork at once could wait for each other.
    for monitor in sorted(_living(), key=id):
        # No handler can run between taking the lock and noting it: see ``monitor``.
        for acquired in map(monitor.lock.acquire, (True,), (patience,)):
            if acquired:
                _forking.locked.append(monitor)


def _after() -> None:
    locked = _forking.locked
    try:
        # No handler can run between removing the note and releasing the lock either.
        for monitor in map(list[Monitor].pop, repeat(locked, len(locked))):
            monitor.lock.release()
    finally:
        if locked:  # pragma: no cover - after an exception of a signal; test_fork_hooks strikes there, not measured
            _after()
        else:
            _forking.life = None


def _after_in_child() -> None:
    for monitor in _living():
        if monitor in _forking.locked:
            monitor.post_foreign_loads()
            monitor.tables.drain()
        elif _forking.life is None and is_inside():
            # This thread holds the lock from before the fork, and goes on here.
            monitor.post_foreign_loads()
        else:
            # The manager was made after _before ran, or an exception struck there.
            monitor.abandon_other_threads()
    _after()


if sys.platform != "win32":  # pragma: no branch - Linux measures
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after_in_child)
    # Register the hook twice: if a signal came during the fork, the exception of its handler strikes at the start of
    # the first hook afterwards, which then does nothing; CPython reports the exception and goes on.
    os.register_at_fork(after_in_parent=_after)
