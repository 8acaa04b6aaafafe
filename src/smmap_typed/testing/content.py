"""File content that identifies its own position, so that tests notice misplaced bytes."""

import sys
from array import array
from pathlib import Path

__all__ = ["pattern", "write_pattern"]


def pattern(size: int, seed: int = 0, offset: int = 0) -> bytes:
    """Return ``size`` bytes in which each aligned group of eight holds its own position and the ``seed`` of its file.

    A slice of fifteen or more bytes contains such a group. With ``offset``, the bytes are those from that offset on.
    """
    first, beside = divmod(offset, 8)
    tag = (seed & 0xFFFF) << 48
    # Use an array for speed: a machine makes megabytes of this in each example.
    groups = array("Q", range(tag | first, (tag | first) + (beside + size + 7) // 8))
    if sys.byteorder == "little":  # pragma: no branch - as what measures is
        groups.byteswap()
    return groups.tobytes()[beside : beside + size]


def write_pattern(path: Path, size: int, seed: int = 0) -> bytes:
    """Write ``size`` bytes of ``pattern`` to ``path``, and return them."""
    data = pattern(size, seed)
    path.write_bytes(data)
    return data
