"""Descriptors: an open file, closed when the last reference to it goes.

Threads use a kept descriptor to map, while other threads may decide to keep it no longer. A use count in Python would
need a lock. Instead the interpreter counts references, as it does for maps: a thread that has taken the object may use
the number, and no other thread can close it meanwhile. This also works when a manager is dropped without ``close``, and
when a signal handler raises.

The descriptor is closed by the callback of a weak reference, which is C from end to end, like the release of a pin (see
``pin``). In a ``__del__`` in Python, an exception of a signal handler could strike, and the descriptor would be lost.
"""

import os
import weakref
from functools import partial
from typing import Final, final

__all__ = ["Descriptor"]

_closings: Final[dict[int, weakref.ref["Descriptor"]]] = {}
"""The weak reference that closes each descriptor, by ``id``. Not kept in the object itself, since the garbage collector
does not call the callback of a weak reference that is garbage, too."""


@final
class Descriptor:
    """Owns one open descriptor, once it has been given one. Safe in any thread.

    The object is made before the file is opened: ``descriptor.numbers.append(os.open(...))`` leaves no moment between
    the call and the ownership at which an exception of a signal handler could lose the number.
    """

    __slots__ = ("__weakref__", "numbers")

    def __init__(self) -> None:
        self.numbers: Final[list[int]] = []
        """The number of the descriptor; empty until it is open."""
        mine = id(self)
        # One step of the zip takes the entry out and then closes; `next` takes the dead reference for its default.
        # `os.close` is looked up now, so that a test that replaces os.open and os.close gets its own number back.
        closing = zip(map(_closings.pop, (mine,)), map(os.close, self.numbers), strict=False)
        _closings[mine] = weakref.ref(self, partial(next, closing))

    @property
    def number(self) -> int:
        """The number for system calls. It stays open as long as the caller holds a reference to this object."""
        return self.numbers[0]
