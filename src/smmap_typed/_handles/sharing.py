"""Sharing: what threads may not share where there is no GIL."""

import sysconfig
from typing import Final

__all__ = ["FREE_THREADED", "unshared"]

FREE_THREADED: Final = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
"""Whether this is a free-threaded build of CPython, even if it was started with the GIL enabled."""


def unshared(view: memoryview) -> memoryview:
    """Return a memoryview of the same map that no other thread has.

    Slicing a memoryview increments a counter in it, which is not atomic on free-threaded builds (up to 3.15 at least).
    If two threads slice one memoryview, a count can be lost: then the map is unmapped under a user's view, or cannot be
    unmapped any more. A memoryview of the map itself is counted under the map's own lock since 3.14.
    """
    return memoryview(view.obj).toreadonly()
