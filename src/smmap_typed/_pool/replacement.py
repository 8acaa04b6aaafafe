"""Replacement: choose the idle region to evict when room is needed.

The pool tells the policy when the last pin of a region was released and when a region is gone, and the policy names the
region to evict. Hits are not reported: a pinned region cannot be evicted, and the use of an idle region ended when its
last pin was released. A region that was pinned again since stays in the policy's order until the policy meets it as a
victim and passes it over.

Reads are served from idle regions, too. They only set a mark in the frame (``Frame.referenced``), which costs them next
to nothing. A policy that honours it gives such a region a second chance, as the CLOCK algorithm does (F. J. Corbato,
"A Paging Experiment with the Multics System", 1968).

To use another policy, give the pool another subclass of ``Replacement``. All of it is guarded by the pool's lock.
"""

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Container, Iterable, Sequence
from typing import Final, final

from typing_extensions import override

from smmap_typed._compiling import mypyc_attr
from smmap_typed._pool.frame import TOMBSTONE, Frame

__all__ = ["LRU", "Replacement"]


@mypyc_attr(allow_interpreted_subclasses=True)
class Replacement:
    """The interface of a replacement policy. The pool calls its methods under the lock.

    This is a base class rather than a protocol, because compiled code looks up each member of a protocol by name.
    """

    __slots__ = ()

    @abstractmethod
    def released(self, frames: Sequence[Frame]) -> None:
        """Note that the last pins of ``frames`` were released, in this order.

        One call reports all the releases of a drain, since a call per release would make moves slower.
        """

    @abstractmethod
    def restored(self, frame: Frame) -> None:
        """Note that ``frame`` is idle after all. It keeps its place if it has one, else it was released just now."""

    @abstractmethod
    def forgotten(self, frame: Frame) -> None:
        """Forget ``frame``, which is gone. It may be unknown to the policy."""

    @abstractmethod
    def victim(self, refused: Container[int]) -> Frame | None:
        """Return the idle region to evict next, leaving it in its place; None if there is none.

        It must have no live pin and no tombstone. Its serial must not be in ``refused``: views keep those mapped.
        """

    @abstractmethod
    def order(self) -> Iterable[Frame]:
        """Return the known regions in the order of eviction. Some may be pinned again."""


@final
class LRU(Replacement):
    """Evicts the least recently used region: the one whose last pin was released first.

    A region that was read without a pin since it was looked at last is passed over once, and is then the last in order.

    The operations are amortised O(1) per region, except that ``order`` is O(regions).
    """

    __slots__ = ("_frames",)

    def __init__(self) -> None:
        self._frames: Final[OrderedDict[int, Frame]] = OrderedDict()
        """Unpinned regions by serial, least recently released first. An OrderedDict, since finding the first key of a
        plain dict takes O(n) after many deletions at the front."""

    @override
    def released(self, frames: Sequence[Frame]) -> None:
        known = self._frames
        for frame in frames:
            serial = frame.serial
            known[serial] = frame
            known.move_to_end(serial)

    @override
    def restored(self, frame: Frame) -> None:
        self._frames.setdefault(frame.serial, frame)

    @override
    def forgotten(self, frame: Frame) -> None:
        self._frames.pop(frame.serial, None)

    @override
    def victim(self, refused: Container[int]) -> Frame | None:
        """Return the first idle region that was not read meanwhile.

        Amortised O(1) plus the number of refused or tombstoned regions before it.
        """
        known = self._frames
        pinned: list[Frame] = []
        read: list[Frame] = []
        found: Frame | None = None
        for serial, frame in known.items():
            if TOMBSTONE in frame.pins or serial in refused:
                continue
            # Usually there is no pin at all.
            if frame.pins and frame.is_pinned():
                pinned.append(frame)
            elif frame.referenced:
                read.append(frame)
            else:
                found = frame
                break
        for frame in pinned:
            del known[frame.serial]
        for frame in read:
            frame.referenced = False
            known.move_to_end(frame.serial)
        # If all of them were read, the first is the last in order by now, and no other comes before it.
        return read[0] if found is None and read else found

    @override
    def order(self) -> Iterable[Frame]:
        frames = list(self._frames.values())
        # Sorting keeps the order of equals.
        return sorted(frames, key=lambda frame: frame.referenced)
