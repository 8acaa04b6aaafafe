"""Pins: what keeps a region mapped.

A cursor that stands on a region owns a memoryview of the region's whole map, made for it alone.
Its pin is a weak reference to that memoryview. While the memoryview lives the region is pinned; when it dies, by a
move, a release, or because the cursor was dropped in whatever thread at whatever moment, the weak reference's callback
appends the pin to the core's queue of released pins. That callback is ``deque.append``: C all the way, so no signal
can strike in it, no lock is taken, nothing can be lost, and the queue holds the releases of all files in their true
order, which is what an exact LRU needs.

**Pinning without a lock.** A reader adds its pin to the region's set and then looks for the tombstone in the same set;
an evictor adds the tombstone and then looks for pins in the same set, and takes the tombstone back if there is one.
Whichever comes second sees the first, so a region is never unmapped under a pin, and both sides may give way, which
costs a retry and nothing else. One set, not two attributes: that needs no fence and no GIL.

Designs that do not work: a counter in the region (``n += 1`` loses increments); a ``__del__`` in Python on the cursor
(a signal's exception can strike inside and the pin is lost); one token for each cursor (two threads that move one
cursor to one region would share it, and the loser would take away the winner's pin).

Never compiled: a native class could not be a weak reference.
"""

import weakref
from typing import final

__all__ = ["Pin"]


@final
class Pin(weakref.ref[memoryview]):
    """One acquisition of a region: a weak reference to the memoryview that its cursor owns."""

    __slots__ = ("serial",)

    serial: int
    """Which hold it belongs to, negative once it is withdrawn. A number, since a reference would close a cycle through
    the set of pins."""

    # By identity: a memoryview hashes by its bytes, and dead references must stay findable.
    __hash__ = object.__hash__
    __eq__ = object.__eq__
