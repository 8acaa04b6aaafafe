"""The stage: the file that all contestants read, and the managers that they read it with."""

import mmap
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import smmap

import smmap_typed

__all__ = ["BLOCK", "FILE_SIZE", "KIB", "MIB", "WINDOW", "Manager", "Stage", "bare_map", "ours", "theirs"]

KIB: Final = 1024
MIB: Final = 1024 * KIB
WINDOW: Final = 64 * KIB
BLOCK: Final = 64
"""Bytes of a small request."""
FILE_SIZE: Final = 1024 * MIB
_FILLED: Final = 64 * MIB

Manager = Callable[[int, int], "smmap.SlidingWindowMapManager | smmap_typed.SlidingWindowMapManager"]
"""A manager with so many bytes of window and of memory."""


@dataclass(frozen=True)
class Stage:
    """A folder that the processes of one run share, one after the other."""

    folder: Path

    @property
    def file(self) -> Path:
        """A sparse file of 1 GiB, the first 64 MiB of it written, and so in the page cache."""
        return self._made("file", _FILLED)

    @property
    def full_file(self) -> Path:
        """A file of 1 GiB without holes."""
        return self._made("full", FILE_SIZE)

    def _made(self, name: str, written: int) -> Path:
        path = self.folder / name
        if not path.exists():
            with path.open("wb") as file:
                content = random.Random(0).randbytes(MIB)
                for _ in range(written // MIB):
                    file.write(content)
                file.truncate(FILE_SIZE)
        return path


def theirs(window: int, memory: int) -> smmap.SlidingWindowMapManager:
    """A manager of smmap."""
    return smmap.SlidingWindowMapManager(window, memory)


def ours(window: int, memory: int) -> smmap_typed.SlidingWindowMapManager:
    """A manager of this library."""
    return smmap_typed.SlidingWindowMapManager(window, memory)


def bare_map(path: Path) -> mmap.mmap:
    """One map of the whole file."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
