"""Regions: mapped windows as users see them."""

import mmap
import weakref
from dataclasses import dataclass
from typing import SupportsIndex, final

from typing_extensions import override

from smmap_typed._arguments import integer
from smmap_typed._pool import Frame
from smmap_typed.values import Window

__all__ = ["Region", "region_of"]


@final
@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Region:
    """A mapped window, frozen and compared by identity.

    Holding a region pins nothing: it is unmapped when the manager needs room. Safe in any thread.
    """

    _frame: Frame

    @override
    def __repr__(self) -> str:
        state = "" if self._frame.is_mapped() else ", unmapped"
        return f"<Region of {self._frame.size} bytes at {self._frame.begin}{state}>"

    def __copy__(self) -> "Region":
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> "Region":
        del memo
        return self

    @override
    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a region cannot be pickled, since it is mapped in this process; pickle its window or a cursor")

    @property
    def window(self) -> Window:
        """The range of the file that is mapped."""
        return Window(self._frame.begin, self._frame.size)

    def ofs_begin(self) -> int:
        """The absolute offset of the first byte."""
        return self._frame.begin

    def ofs_end(self) -> int:
        """The absolute offset one past the last byte."""
        return self._frame.begin + self._frame.size

    def size(self) -> int:
        """The size in bytes."""
        return self._frame.size

    def includes_ofs(self, ofs: SupportsIndex) -> bool:
        """Whether the byte at absolute offset ``ofs`` lies inside the region.

        :raises TypeError: if ``ofs`` is not an integer.
        """
        return self.ofs_begin() <= integer("ofs", ofs) < self.ofs_end()

    def client_count(self) -> int:
        """Count 1 for the manager and 1 for each cursor on the region; 0 once it is unmapped. O(cursors on it)."""
        return 1 + self._frame.live_pins() if self._frame.is_mapped() else 0

    def map(self) -> mmap.mmap:
        """The ``mmap`` object itself, whose slices are ``bytes``; it is closed when the region is unmapped.

        :raises RegionUnmappedError: once the region is unmapped.
        :raises io.UnsupportedOperation: with a reader that copies, as ``"pread"`` does, since no file is mapped then.
        """
        return self._frame.map()

    def buffer(self) -> memoryview:
        """A read-only view of the whole region, without a copy. The region stays mapped while the view lives.

        :raises RegionUnmappedError: once the region is unmapped.
        """
        try:
            return self._frame.view()
        except ValueError:
            raise self._frame.unmapped_error() from None


def region_of(frame: Frame) -> Region:
    """Return the Region of ``frame``: the same object as long as anybody holds it. Lock-free."""
    region = _first_alive(frame)
    if region is None:
        # Two threads may both append one; both then return the first that is alive.
        mine = Region(frame)
        frame.regions.append(weakref.ref(mine, frame.regions.remove))
        region = _first_alive(frame) or mine
    return region


def _first_alive(frame: Frame) -> Region | None:
    regions = (reference() for reference in frame.regions.copy())
    return next((region for region in regions if isinstance(region, Region)), None)
