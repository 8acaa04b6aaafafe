"""Forks: what a child process inherits of a manager that other threads were inside.

The forking thread takes every manager's lock first, so that no other thread is in the middle of a change, and gives
the locks back on both sides. In the child the flights of threads that did not come along are over.
"""

import os
import sys
import threading
import weakref
from typing import Final

from smmap_typed._core import Core
from smmap_typed._gate import is_inside

__all__ = ["survives"]

_cores: Final[set[weakref.ref[Core]]] = set()
"""The cores that are alive. Copied in one step, where a WeakSet would be iterated over in many."""


class _Forking(threading.local):
    """What a thread that forks does between the two hooks; others may fork at the same time."""

    def __init__(self) -> None:
        self.locked: list[Core] = []
        """The cores whose locks it took."""


_forking: Final = _Forking()

# A thread that forks inside the library may hold the lock itself: then it goes on in the child, and waiting is vain.
_PATIENCE_SECONDS: Final = 1.0


def survives(core: Core) -> None:
    """Let ``core`` be used in the children of this process. It is held weakly."""
    _cores.add(weakref.ref(core, _cores.discard))


def _before() -> None:
    for reference in _cores.copy():
        core = reference()
        if core is not None and core.evictor.lock.acquire(timeout=_PATIENCE_SECONDS if is_inside() else -1):
            _forking.locked.append(core)


def _after() -> None:
    while _forking.locked:
        _forking.locked.pop().evictor.lock.release()


def _after_in_child() -> None:
    for core in _forking.locked:
        core.evictor.disown()
        core.evictor.drain()
    _after()


if sys.platform != "win32":
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after_in_child)
