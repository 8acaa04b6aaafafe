"""Who goes next: the regions that no cursor was on when their last pin was drained, oldest release first.

Pinned regions cannot be evicted, so a hit need not be recorded at all: the last use of an idle region ended when its
last pin went. A region that was pinned again since stays in the queue until an evictor meets it and takes it out; its
next release puts it at the end. Every operation is amortised O(1), whatever the number of regions.

All of it is guarded by the manager's lock.
"""

from collections import OrderedDict
from collections.abc import Container
from typing import Final, final

from smmap_typed._hold import TOMBSTONE, Hold

__all__ = ["IdleQueue"]


@final
class IdleQueue:
    """Regions in the order of their last release."""

    __slots__ = ("holds",)

    def __init__(self) -> None:
        self.holds: Final[OrderedDict[int, Hold]] = OrderedDict()
        """By serial. An OrderedDict, since the first key of a plain dict costs O(n) after many deletions at the
        front."""

    def oldest(self, refused: Container[int]) -> Hold | None:
        """The idle region released longest ago, left in its place.

        Passes over what ``refused`` names by serial: regions that views turned out to keep mapped. Amortised O(1) plus
        the number of regions passed over.
        """
        pinned: list[Hold] = []
        found: Hold | None = None
        for serial, hold in self.holds.items():
            if TOMBSTONE in hold.pins or serial in refused:
                continue
            # No pin at all is the usual case.
            if not (hold.pins and hold.is_pinned()):
                found = hold
                break
            pinned.append(hold)
        for hold in pinned:
            del self.holds[hold.serial]
        return found
