"""What all tests share: content that tells where a byte came from, and the kernel as the judge."""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["GRANULE", "descriptors_of", "mapped_bytes_of", "mapped_ranges_of", "open_descriptor", "pattern", "write_pattern"]

GRANULE: Final = mmap.ALLOCATIONGRANULARITY
"""Bytes: what windows are aligned to."""


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


@contextmanager
def open_descriptor(path: Path) -> Iterator[int]:
    """A descriptor of ``path`` for reading."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def mapped_ranges_of(path: Path) -> list[tuple[int, int]]:
    """What the kernel has mapped of ``path`` in this process: (file offset, bytes), by address.

    The kernel merges neighbours, so compare bytes rather than the number of ranges. Sizes are whole pages.
    """
    inode = os.stat(path).st_ino
    ranges = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, _, offset, _, number, *_ = line.split(maxsplit=5)
        if int(number) == inode:
            low, high = (int(address, 16) for address in addresses.split("-"))
            ranges.append((int(offset, 16), high - low))
    return ranges


def mapped_bytes_of(path: Path) -> int:
    """Bytes, in whole pages, that the kernel has mapped of ``path`` in this process."""
    return sum(size for _, size in mapped_ranges_of(path))


def descriptors_of(path: Path) -> int:
    """How many descriptors this process has open on ``path``."""
    status = os.stat(path)
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            other = os.stat(f"/proc/self/fd/{name}")
        except OSError:
            continue
        count += (other.st_dev, other.st_ino) == (status.st_dev, status.st_ino)
    return count
