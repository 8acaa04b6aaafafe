"""Inside: which threads are in the middle of a call of the library, in whichever manager.

The mark of a thread is a weak reference to its outermost call, so that it dies with the call's frame if an exception
strikes between two lines. Never compiled: a native class can be neither thread-local nor weakly referenced.
"""

import threading
import weakref
from typing import Final

__all__ = ["Life", "is_inside", "thread"]


class Life:
    """The part of a call that the mark refers to."""

    __slots__ = ("__weakref__",)


class _ThreadState(threading.local):
    outermost: weakref.ref[Life] | None = None
    """The life of the call through which this thread entered the library."""


thread: Final = _ThreadState()


def is_inside() -> bool:
    """Whether this thread is inside the library."""
    outermost = thread.outermost
    return outermost is not None and outermost() is not None
