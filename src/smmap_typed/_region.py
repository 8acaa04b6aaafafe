"""Regions: windows that are mapped, as their users see them."""

import mmap
import weakref
from dataclasses import dataclass
from typing import final

from typing_extensions import override

from smmap_typed._hold import Hold
from smmap_typed._window import Window

__all__ = ["Region", "region_of"]


@final
@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Region:
    """A window that is mapped: frozen, compared by identity.

    Who uses it is the manager's knowledge, not the region's. Holding a region pins nothing. Safe in any thread.
    """

    _hold: Hold

    @override
    def __repr__(self) -> str:
        state = "" if self._hold.is_mapped() else ", unmapped"
        return f"<Region of {self._hold.size} bytes at {self._hold.begin}{state}>"

    @property
    def window(self) -> Window:
        """The range of the file that it maps."""
        return Window(self._hold.begin, self._hold.size)

    def ofs_begin(self) -> int:
        """First byte, absolute in the file."""
        return self._hold.begin

    def ofs_end(self) -> int:
        """One past the last byte, absolute in the file."""
        return self._hold.begin + self._hold.size

    def size(self) -> int:
        """Bytes."""
        return self._hold.size

    def includes_ofs(self, ofs: int) -> bool:
        """Whether the byte at ``ofs`` lies inside."""
        return self.ofs_begin() <= ofs < self.ofs_end()

    def client_count(self) -> int:
        """1 for the manager and 1 for each cursor on it; 0 once it is unmapped. O(cursors on it)."""
        return 1 + self._hold.live_pins() if self._hold.is_mapped() else 0

    def map(self) -> mmap.mmap:
        """The map itself, whose slices are ``bytes``; it is closed when the region is evicted.

        :raises RegionUnmappedError: once it is unmapped.
        :raises io.UnsupportedOperation: with a reader that copies, as ``"pread"`` does: then nothing is mapped.
        """
        return self._hold.map()

    def buffer(self) -> memoryview:
        """A read-only view of the whole region, without a copy; it keeps the region mapped while it lives.

        :raises RegionUnmappedError: once it is unmapped.
        """
        try:
            return self._hold.view()
        except ValueError:
            raise self._hold.unmapped_error() from None


def region_of(hold: Hold) -> Region:
    """The region of that hold: one object as long as anybody has it. Lock-free."""
    region = _first_face(hold)
    if region is None:
        # Two threads may both append; both then take the first.
        mine = Region(hold)
        hold.faces.append(weakref.ref(mine, hold.faces.remove))
        region = _first_face(hold) or mine
    return region


def _first_face(hold: Hold) -> Region | None:
    faces = (reference() for reference in hold.faces.copy())
    return next((face for face in faces if isinstance(face, Region)), None)
