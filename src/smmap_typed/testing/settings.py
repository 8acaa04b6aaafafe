"""Settings: what a manager under test is asked for."""

import sys
from typing import NamedTuple

from smmap_typed import ALLOCATIONGRANULARITY
from smmap_typed._platform import DEFAULT_MEMORY_SIZE

__all__ = ["ManagerSettings"]

_LARGEST_UNIT = 64 * ALLOCATIONGRANULARITY


class ManagerSettings(NamedTuple):
    """What the reference model is told of a manager, and the factory is to make it with.

    The arguments of ``SlidingWindowMapManager``, by the same rules, but that ``window_size`` must be said.
    """

    window_size: int
    """Bytes, 0 for whole files."""
    max_memory_size: int = 0
    """Bytes, 0 for the default."""
    max_open_handles: int = sys.maxsize
    """Regions."""
    strict_memory: bool = False
    """Whether the memory limit is hard."""

    def window(self) -> int:
        """Bytes of a window as ``manager.window_size()`` reports them: rounded up to the allocation granularity."""
        if self.window_size < 0:
            raise ValueError(f"window_size must be 0 for whole files, or positive, got {self.window_size}")
        return -(-self.window_size // ALLOCATIONGRANULARITY) * ALLOCATIONGRANULARITY

    def memory(self) -> int:
        """The memory limit as ``manager.max_mapped_memory_size()`` reports it."""
        return self.max_memory_size or DEFAULT_MEMORY_SIZE

    def unit(self) -> int:
        """Bytes in which the machines think, so that files have some windows: a quarter of one, in whole granules."""
        granules = self.window() // (4 * ALLOCATIONGRANULARITY)
        return min(max(granules, 1) * ALLOCATIONGRANULARITY, _LARGEST_UNIT)

    def scaled(self, place: int) -> int:
        """A number of bytes that was drawn for granules, in units: beside the edge of one if it was beside one."""
        half = ALLOCATIONGRANULARITY // 2
        granules, beside = divmod(place + half, ALLOCATIONGRANULARITY)
        return min(granules * self.unit() + beside - half, sys.maxsize)
