"""Pins: what keeps a region mapped.

A cursor that is on a region owns a memoryview of the region's whole map, made for that cursor alone. Its pin is a weak
reference to the memoryview. The region is pinned while the memoryview lives. The memoryview dies when the cursor moves,
is released or is dropped, in any thread and at any moment. Then the callback of the weak reference appends the pin to
the pool's queue of released pins. The callback is ``deque.append``, which is C from end to end: no signal handler can
run in it, it takes no lock, and no release is lost. The queue has the releases of all files in their true order, as an
exact LRU needs it.

**Pinning without a lock.** A reading thread adds its pin to the region's set, and then looks for the tombstone in the
same set. An evicting thread adds the tombstone, and then looks for pins in the same set; if there is one, it removes
the tombstone. Whichever thread comes second sees the first, so a region is not unmapped under a pin. If both see each
other, both withdraw, and the reading thread tries again under the lock. Since there is one set, and not two attributes,
this relies on neither memory fences nor the GIL.

Designs that do not work: a counter in the region (``n += 1`` loses increments); a ``__del__`` in Python on the cursor
(an exception of a signal handler can strike in it, and the pin is lost); one token per cursor (two threads that move
one cursor to one region would share the token, and the release of one would remove the pin of the other).

This module is not compiled: a native class cannot be a weak reference.
"""

import weakref
from typing import final

__all__ = ["Pin"]


@final
class Pin(weakref.ref[memoryview]):
    """One acquisition of a region: a weak reference to the memoryview that its cursor owns."""

    __slots__ = ("serial",)

    serial: int
    """The serial of its frame, negative once the pin is withdrawn. A reference to the frame would close a cycle through
    the frame's set of pins."""

    # Compare by identity: a weak reference takes the hash of its memoryview, which is that of all the bytes, and a dead
    # reference must still be found.
    __hash__ = object.__hash__
    __eq__ = object.__eq__
