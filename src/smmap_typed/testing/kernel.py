"""The maps and open descriptors of this process, as the kernel reports them. Works on Linux only."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from smmap_typed import ALLOCATIONGRANULARITY

__all__ = [
    "DESCRIPTORS_PER_REGION",
    "IS_HEARD",
    "MappedRange",
    "mapped_pages",
    "mapped_ranges",
    "open_inodes",
]

IS_HEARD: Final = sys.platform == "linux"
"""Whether this system has ``/proc``, which the functions here read."""

DESCRIPTORS_PER_REGION: Final = 0 if sys.version_info >= (3, 13) else 1
"""Before CPython 3.13, each map keeps a duplicate of its file's descriptor."""


class MappedRange(NamedTuple):
    """One line of ``/proc/self/maps``."""

    inode: int
    """The number of the file's inode; for anonymous memory, the number of the map."""
    offset: int
    """Offset in the file, in bytes."""
    size: int
    """Size in bytes, in whole pages."""


def mapped_ranges(name: str) -> Iterator[MappedRange]:
    """Yield the maps whose line contains ``name``, such as the path of a directory; includes deleted files."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if name in line:
            addresses, _, offset, _, inode, _ = line.split(maxsplit=5)
            low, high = (int(address, 16) for address in addresses.split("-"))
            yield MappedRange(int(inode), int(offset, 16), high - low)


def mapped_pages(directory: Path) -> Counter[tuple[int, int]]:
    """Count how often each page of the files in ``directory`` is mapped, by inode and offset.

    Counts pages, because the kernel merges neighbouring maps of one file.
    """
    pages: Counter[tuple[int, int]] = Counter()
    for inode, offset, size in mapped_ranges(f"{directory}/"):
        pages.update((inode, page) for page in range(offset, offset + size, ALLOCATIONGRANULARITY))
    return pages


def open_inodes(device: int) -> Counter[int]:
    """Count the open descriptors of each inode on ``device``."""
    inodes: Counter[int] = Counter()
    for name in os.listdir("/proc/self/fd"):
        try:
            status = os.fstat(int(name))
        except OSError:
            # The descriptor of the listing itself.
            continue
        inodes[status.st_ino] += status.st_dev == device
    return inodes
