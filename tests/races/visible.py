"""A queue whose operations a search for interleavings can see.

DPOR looks for steps of byte code that touch the same attribute. Releases reach their queue through the callback of a
weak reference, which is C all the way, so a thread that drops its last reference seems to touch nothing. In this queue
each operation also reads or writes an attribute, beside the real one.
"""

from collections import deque
from typing import TypeVar

from typing_extensions import override

__all__ = ["VisibleDeque"]

T = TypeVar("T")


class VisibleDeque(deque[T]):
    """A queue of releases."""

    changes = 0

    @override
    def append(self, x: T) -> None:
        self.changes += 1
        super().append(x)

    @override
    def popleft(self) -> T:
        self.changes += 1
        return super().popleft()

    @override
    def clear(self) -> None:
        self.changes += 1
        super().clear()

    @override
    def __len__(self) -> int:
        return super().__len__() if self.changes >= 0 else 0
