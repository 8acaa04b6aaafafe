"""The grid: which window of a file serves a request.

Pure arithmetic, no system calls and no state.
"""

import sys
from dataclasses import dataclass
from typing import Self, final

from smmap_typed._platform import ALLOCATIONGRANULARITY, align_to_mmap

__all__ = ["Grid"]


@final
@dataclass(frozen=True, slots=True)
class Grid:
    """Cuts files into windows of ``window_size`` bytes; 0 makes one window of the whole file.

    Windows start at the multiples of ``half``, so neighbours overlap by about half, and a request of up to half a
    window lies in one of them as a whole. Even and odd starts alternate: the even windows alone cover the file, and the
    odd ones cover the edges between them.
    """

    window_size: int
    """Bytes, a multiple of the allocation granularity, or 0."""
    span: int
    """The size in bytes of a window that the end of the file does not cut."""
    half: int
    """The distance in bytes between the starts of neighbouring windows."""
    stride: int
    """The distance in bytes between the starts of neighbouring even windows."""
    reach: int
    """How many bytes a request of size 0 is promised, unless the file ends first."""

    @classmethod
    def of(cls, window_size: int) -> Self:
        """Make the grid for windows of ``window_size`` bytes, rounded up to the allocation granularity."""
        size = align_to_mmap(window_size, round_up=True)
        if not size:
            return cls(0, sys.maxsize, sys.maxsize, sys.maxsize, sys.maxsize)
        half = max(align_to_mmap(size // 2, round_up=False), ALLOCATIONGRANULARITY)
        return cls(size, size, half, 2 * half, size // 2)

    def wanted_end(self, offset: int, size: int, file_size: int) -> int:
        """Return where a request should end: after ``size`` bytes, or ``reach`` bytes for 0, or at the file's end."""
        return min(offset + (size or self.reach), file_size)

    def start(self, offset: int, stop: int) -> int:
        """Return the start of the window for the bytes from ``offset`` to ``stop``, which is above ``offset``."""
        even = offset - offset % self.stride
        if stop > even + self.span:
            odd = even + self.half
            if offset >= odd:
                return odd
        return even

    def size(self, start: int, file_size: int) -> int:
        """Return the size in bytes of the window at ``start``: the full span, or up to the end of the file."""
        return min(self.span, file_size - start)
