"""The kernel as a judge: what this process really has mapped and open. It can be heard on Linux alone."""

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
"""Whether there is ``/proc``, which every function here reads."""

DESCRIPTORS_PER_REGION: Final = 0 if sys.version_info >= (3, 13) else 1
"""Before CPython 3.13 every map keeps a duplicate of its file's descriptor."""


class MappedRange(NamedTuple):
    """One line of ``/proc/self/maps``."""

    inode: int
    """Its number; for anonymous memory the number of the map."""
    offset: int
    """In the file, bytes."""
    size: int
    """Bytes, whole pages."""


def mapped_ranges(name: str) -> Iterator[MappedRange]:
    """What is mapped of the files whose path begins with ``name``, deleted ones too."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if name in line:
            addresses, _, offset, _, inode, _ = line.split(maxsplit=5)
            low, high = (int(address, 16) for address in addresses.split("-"))
            yield MappedRange(int(inode), int(offset, 16), high - low)


def mapped_pages(directory: Path) -> Counter[tuple[int, int]]:
    """How often each page of the files in ``directory`` is mapped, by inode and offset.

    By pages, because the kernel merges neighbouring maps of one file.
    """
    pages: Counter[tuple[int, int]] = Counter()
    for inode, offset, size in mapped_ranges(f"{directory}/"):
        pages.update((inode, page) for page in range(offset, offset + size, ALLOCATIONGRANULARITY))
    return pages


def open_inodes(device: int) -> Counter[int]:
    """How many descriptors are open on each inode of ``device``."""
    inodes: Counter[int] = Counter()
    for name in os.listdir("/proc/self/fd"):
        try:
            status = os.fstat(int(name))
        except OSError:
            # The descriptor of the listing itself.
            continue
        inodes[status.st_ino] += status.st_dev == device
    return inodes
