"""Sharing: what threads may not share where there is no GIL."""

import sysconfig
from typing import Final

__all__ = ["FREE_THREADED", "unshared"]

FREE_THREADED: Final = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
"""Whether this is a build of CPython without a GIL, whatever it was told to do at its start."""


def unshared(view: memoryview) -> memoryview:
    """A memoryview of the same map that this thread has for itself.

    To take a slice of a memoryview counts up in it, which on free-threaded builds is no atomic step (up to 3.15 at
    least): two threads that slice one memoryview can lose a count, and with it the map under a user's view, or the
    right to unmap it. Making a memoryview of the map itself is counted under the map's own lock since 3.14.
    """
    return memoryview(view.obj).toreadonly()
