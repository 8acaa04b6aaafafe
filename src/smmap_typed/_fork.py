"""Forks: what a child process inherits of a manager that other threads were inside.

The forking thread takes every manager's lock first, so that no other thread is in the middle of a change, and gives
the locks back on both sides. In the child the flights of threads that did not come along are over.
"""

import os
import sys
import threading
import weakref
from itertools import repeat
from typing import Final

from smmap_typed._evictor import Evictor
from smmap_typed._inside import Life, is_inside, thread

__all__ = ["survive"]


class _Survivor:
    """A manager's entry, alive as long as its core, which alone refers to it."""

    __slots__ = ("__weakref__", "evictor")

    def __init__(self, evictor: Evictor) -> None:
        self.evictor: Final = evictor


_survivors: Final[set[weakref.ref[_Survivor]]] = set()
"""Copied in one step, where a WeakSet would be iterated over in many."""


class _Forking(threading.local):
    """What a thread that forks does between the two hooks; others may fork at the same time."""

    def __init__(self) -> None:
        self.locked: list[Evictor] = []
        """Those whose locks it took."""
        self.life: Life | None = None
        """Alive while it counts as inside for the sake of the hooks alone: a handler or finaliser that runs between
        them, in another's hook say, must not wait for the locks that its own thread has taken."""


_forking: Final = _Forking()

# A thread that forks inside the library may hold the lock itself: then it goes on in the child, and waiting is vain.
_PATIENCE_SECONDS: Final = 1.0


def survive(evictor: Evictor) -> object:
    """Let a manager be used in the children of this process, as long as what is returned is alive."""
    survivor = _Survivor(evictor)
    _survivors.add(weakref.ref(survivor, _survivors.discard))
    return survivor


def _living() -> list[Evictor]:
    return [survivor.evictor for reference in _survivors.copy() if (survivor := reference()) is not None]


def _before() -> None:
    # If an exception struck at the beginning of _after the last time, locks are still taken.
    _after()
    patience = _PATIENCE_SECONDS
    if not is_inside():
        patience = -1.0
        _forking.life = Life()
        thread.outermost = weakref.ref(_forking.life)
    # In one order, or two threads that fork at once could wait for each other.
    for evictor in sorted(_living(), key=id):
        # No handler can strike between the taking of the lock and the note of it: see _gate.
        for acquired in map(evictor.lock.acquire, (True,), (patience,)):
            if acquired:
                _forking.locked.append(evictor)


def _after() -> None:
    locked = _forking.locked
    try:
        # Nor between the striking out of the note and the release.
        for evictor in map(list[Evictor].pop, repeat(locked, len(locked))):
            evictor.lock.release()
    finally:
        if locked:  # pragma: no cover - after an exception of a signal; test_fork_hooks strikes there, not measured
            _after()
        else:
            _forking.life = None


def _after_in_child() -> None:
    for evictor in _living():
        if evictor in _forking.locked:
            evictor.disown()
            evictor.drain()
        elif _forking.life is None and is_inside():
            # Its lock is held by this very thread, which goes on.
            evictor.disown()
        else:
            # It was made after _before, or an exception struck there.
            evictor.outlive()
    _after()


if sys.platform != "win32":  # pragma: no branch - Linux measures
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after_in_child)
    # Once more: an exception of a signal that came during the fork strikes at the very beginning of the first hook that
    # runs afterwards, and is reported and dropped with whatever that hook had to do.
    os.register_at_fork(after_in_parent=_after)
