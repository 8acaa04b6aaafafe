"""Reentrancy: marks the threads that are in the middle of a call of the library, whichever manager it is for.

The mark of a thread is a weak reference to a part of its outermost call, so if an exception strikes between two lines,
the mark is gone with the frame of the call. This module is not compiled: a native class can be neither thread-local nor
weakly referenced.
"""

import threading
import weakref
from typing import Final

__all__ = ["Life", "is_inside", "thread"]


class Life:
    """The part of a call that the mark of its thread refers to."""

    __slots__ = ("__weakref__",)


class _ThreadState(threading.local):
    outermost: weakref.ref[Life] | None = None
    """The ``Life`` of the call through which this thread entered the library; None if it is outside."""


thread: Final = _ThreadState()


def is_inside() -> bool:
    """Whether this thread is inside the library."""
    outermost = thread.outermost
    return outermost is not None and outermost() is not None
