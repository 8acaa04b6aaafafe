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
    """The windows of ``window_size`` bytes that a file of any size is cut into, 0 for one window over the whole file.

    Windows start at every multiple of ``half``, so neighbours overlap by half, and every request of up to half a
    window lies in one of them whole. The starts count off in turn as even and odd ones: the even windows alone cover
    the file, the odd ones cover the edges between them.
    """

    window_size: int
    """Bytes, a multiple of the allocation granularity, or 0."""
    span: int
    """Bytes of a window before it is cut by the end of the file."""
    half: int
    """Distance between the starts of neighbouring windows, in bytes."""
    stride: int
    """Distance between the starts of neighbouring even windows, in bytes."""
    reach: int
    """Bytes that a request of size 0 is promised to see, up to the end of the file."""

    @classmethod
    def of(cls, window_size: int) -> Self:
        """The grid for windows of ``window_size`` bytes, rounded up to the allocation granularity."""
        size = align_to_mmap(window_size, round_up=True)
        if not size:
            return cls(0, sys.maxsize, sys.maxsize, sys.maxsize, sys.maxsize)
        half = max(align_to_mmap(size // 2, round_up=False), ALLOCATIONGRANULARITY)
        return cls(size, size, half, 2 * half, size // 2)

    def wanted_end(self, offset: int, size: int, file_size: int) -> int:
        """Where a request ends that must not be cut: after ``size`` bytes, or ``reach`` for 0, or with the file."""
        return min(offset + (size or self.reach), file_size)

    def start(self, offset: int, stop: int) -> int:
        """The start of the window that serves the bytes from ``offset`` to ``stop``, a wanted end beyond ``offset``."""
        even = offset - offset % self.stride
        if stop > even + self.span:
            odd = even + self.half
            if offset >= odd:
                return odd
        return even

    def size(self, start: int, file_size: int) -> int:
        """Bytes of the window that begins at ``start``: full size, or up to the end of the file."""
        return min(self.span, file_size - start)
