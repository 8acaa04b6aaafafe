"""The settings of a manager under test."""

import sys
from typing import NamedTuple

from smmap_typed import ALLOCATIONGRANULARITY
from smmap_typed._arguments import handle_limit
from smmap_typed._platform import DEFAULT_MEMORY_SIZE

__all__ = ["ManagerSettings"]

_LARGEST_UNIT = 64 * ALLOCATIONGRANULARITY


class ManagerSettings(NamedTuple):
    """The settings with which the factory makes a manager and the machine makes its reference model.

    They are arguments of ``SlidingWindowMapManager`` and follow the same rules, except that ``window_size`` is required
    and must not be negative.
    """

    window_size: int
    """In bytes; 0 for whole files."""
    max_memory_size: int = 0
    """In bytes; 0 for the default."""
    max_open_handles: int = sys.maxsize
    """The largest number of regions; ``sys.maxsize`` for the default, which depends on the system."""
    strict_memory: bool = False
    """Whether the memory limit is hard."""

    def window(self) -> int:
        """The bytes of a window as ``manager.window_size()`` reports them: rounded up to the allocation granularity."""
        if self.window_size < 0:
            raise ValueError(f"window_size must be 0 for whole files, or positive, got {self.window_size}")
        return -(-self.window_size // ALLOCATIONGRANULARITY) * ALLOCATIONGRANULARITY

    def memory(self) -> int:
        """The memory limit as ``manager.max_mapped_memory_size()`` reports it."""
        return self.max_memory_size or DEFAULT_MEMORY_SIZE

    def handles(self) -> int:
        """The handle limit as ``manager.max_file_handles()`` reports it."""
        return handle_limit(self.max_open_handles)

    def unit(self) -> int:
        """The unit of file sizes and offsets, in bytes: a quarter of a window, in whole granules."""
        granules = self.window() // (4 * ALLOCATIONGRANULARITY)
        return min(max(granules, 1) * ALLOCATIONGRANULARITY, _LARGEST_UNIT)

    def scaled(self, place: int) -> int:
        """Scale a number of bytes from granules to units; a number near an edge stays near one."""
        half = ALLOCATIONGRANULARITY // 2
        granules, beside = divmod(place + half, ALLOCATIONGRANULARITY)
        return min(granules * self.unit() + beside - half, sys.maxsize)
