"""Loads and unloads in flight: a window that a thread is mapping or unmapping, and the threads that wait for the end.

At most one is registered per window, so threads that miss the same window at once make one ``mmap`` (single flight),
and no thread maps a window that is just being unmapped. A load or unload is registered and completed under the pool's
lock; its system calls are made in between, without the lock. Its end is *posted* to a queue that the next holder of the
lock works off, usually the same thread at once, so neither an exception nor a nested call can leave it undone.

The map itself shows whether the system calls succeeded: it is there and open, or it is not. So it does not matter where
an exception struck.
"""

import mmap
import threading
from typing import Final, final

from smmap_typed._pool.descriptor import Descriptor
from smmap_typed._pool.frame import Frame

__all__ = ["InFlight", "Load", "Unload", "Window", "close_unless_viewed"]

Window = tuple[int, int]
"""The serial of a file, and the start of one of its windows."""

_NONE: Final[Window] = (0, -1)


class InFlight:
    """A load or an unload of one window. Other threads may wait for its end.

    The class has the initial values of the fields, since one object is made per miss and few fields change.
    """

    window: Window = _NONE
    """The window. Written under the lock, when this is registered."""
    owner = 0
    """The thread that makes the system calls; needed after a fork. Written under the lock, when this is registered."""
    done = False
    """Whether it is completed. Set once, under the lock."""
    waiters: tuple[threading.Lock, ...] = ()
    """One taken lock for each waiting thread. Written under the pool's lock; usually empty.

    Not an Event, which is Python code around a lock: a handler can strike inside it. Then ``finish`` would wait for its
    own thread, under the pool's lock."""

    def join(self) -> threading.Lock:
        """Return a new lock for the caller to wait on, which is free once this is over. Under the pool's lock."""
        waiter = threading.Lock()
        if not self.done:
            waiter.acquire()
            self.waiters = (*self.waiters, waiter)
        return waiter

    def finish(self) -> None:
        """Mark as done and release the waiters. Under the pool's lock; idempotent; does not wait."""
        self.done = True
        waiters, self.waiters = self.waiters, ()
        for waiter in waiters:
            waiter.release()


@final
class Load(InFlight):
    """A window that is being mapped."""

    nbytes = 0
    """Bytes of the map to come. Written by the owner, before the load is registered."""
    serial = 0
    """The serial of the region to come; 0 until the load is registered. Written under the lock."""
    reserved = -1
    """Bytes reserved in the ledger, or -1 if there is no reservation. Written under the lock."""
    only_if_room = False
    """Whether to map only if that takes no eviction and no waiting. Written by the owner, before the load is
    registered."""
    descriptor: Descriptor | None = None
    """The descriptor to map by: the one that the file keeps, taken under the lock, or one that the owner opens."""
    mapping: mmap.mmap | None = None
    """The map, until it is published. Written by the owner."""
    failures = 0
    """How many attempts to open or map the system refused. Written by the owner."""


@final
class Unload(InFlight):
    """A region that is being unmapped."""

    victim: Frame | None = None
    """The region; None if none was chosen. Written under the lock, when the unload is registered."""
    mapping: mmap.mmap | None = None
    """The map of the victim, which the owner closes."""
    evicts = False
    """Whether the unload counts as an eviction: it makes room for another region."""
    successor: Load | None = None
    """The load that gets the room of the victim when the unload is completed."""


def close_unless_viewed(mapping: mmap.mmap) -> bool:
    """Close ``mapping`` and return True, unless a view of it is alive: then nothing changes, and False is returned."""
    try:
        mapping.close()
    except BufferError:
        return False
    return True
