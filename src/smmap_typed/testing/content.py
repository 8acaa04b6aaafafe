"""Content that tells where each of its bytes came from, so that a misplaced one is seen."""

import sys
from array import array
from pathlib import Path

__all__ = ["pattern", "write_pattern"]


def pattern(size: int, seed: int = 0, offset: int = 0) -> bytes:
    """``size`` bytes in which every aligned group of eight tells its own offset and the ``seed`` of its file.

    Any slice of eight or more bytes occurs at one place of one file only. With ``offset`` they are those from there on.
    """
    first, beside = divmod(offset, 8)
    tag = (seed & 0xFFFF) << 48
    # As an array: a machine makes megabytes of this in each example.
    groups = array("Q", range(tag | first, (tag | first) + (beside + size + 7) // 8))
    if sys.byteorder == "little":  # pragma: no branch - as what measures is
        groups.byteswap()
    return groups.tobytes()[beside : beside + size]


def write_pattern(path: Path, size: int, seed: int = 0) -> bytes:
    """Make a file of ``size`` bytes of ``pattern`` at ``path``, and return its content."""
    data = pattern(size, seed)
    path.write_bytes(data)
    return data
