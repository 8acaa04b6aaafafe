"""Content that tells where each of its bytes came from, so that a misplaced one is seen."""

from pathlib import Path

__all__ = ["pattern", "write_pattern"]


def pattern(size: int, seed: int = 0) -> bytes:
    """``size`` bytes in which every aligned group of eight tells its own offset and the ``seed`` of its file.

    Any slice of eight or more bytes occurs at one place of one file only.
    """
    return b"".join((((seed & 0xFFFF) << 48) | index).to_bytes(8, "big") for index in range((size + 7) // 8))[:size]


def write_pattern(path: Path, size: int, seed: int = 0) -> bytes:
    """Make a file of ``size`` bytes of ``pattern`` at ``path``, and return its content."""
    data = pattern(size, seed)
    path.write_bytes(data)
    return data
