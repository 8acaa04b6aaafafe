"""Times several ways to read one file: the work of ``bench``. Does not depend on the terminal."""

import importlib.util
import mmap
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar, final

from smmap_typed.manager import SlidingWindowMapManager
from smmap_typed.readers import ReaderName

__all__ = ["READ_SIZE", "STEP", "Result", "race"]

STEP: Final = 1024 * 1024
"""Bytes of one sequential read."""
READ_SIZE: Final = 4096
"""Bytes of one random read."""

T = TypeVar("T")

Read = Callable[[int, int], bytes]
"""Takes an offset and a size; returns up to that many bytes."""


@final
@dataclass(frozen=True, slots=True)
class Result:
    """The times of one way of reading, in seconds: medians over all rounds."""

    name: str
    sequential: float
    """To read the whole file from front to back."""
    scattered: float
    """For one random read."""


Limits = tuple[int, int, int]
"""The sizes of a window and of all that is mapped, in bytes, and the number of windows."""


def race(path: str, size: int, limits: Limits, reader: ReaderName, rounds: int, reads: int) -> list[Result]:
    """Time each way of reading a file of ``size`` bytes, ``rounds`` times in turn.

    So a disturbance affects all ways alike. Only this library reads by ``reader``.
    """
    chance = random.Random(0)  # noqa: S311 - a read pattern is no secret
    places = [chance.randrange(size) for _ in range(reads)]
    with ExitStack() as stack:
        ways = {name: stack.enter_context(way) for name, way in _ways(path, size, limits, reader)}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for read in ways.values():
            # Read once without timing, to bring the file into the page cache.
            _sequential(read, size)
        for _ in range(rounds):
            for name, read in ways.items():
                times[name].append((_timed(_sequential, read, size), _timed(_scattered, read, places) / reads))
    return [
        Result(name, statistics.median(each[0] for each in taken), statistics.median(each[1] for each in taken))
        for name, taken in times.items()
    ]


def _timed(act: Callable[[Read, T], None], read: Read, subject: T) -> float:
    begin = time.perf_counter()
    act(read, subject)
    return time.perf_counter() - begin


def _sequential(read: Read, size: int) -> None:
    for offset in range(0, size, STEP):
        read(offset, STEP)


def _scattered(read: Read, places: list[int]) -> None:
    for place in places:
        read(place, READ_SIZE)


def _ways(
    path: str, size: int, limits: Limits, reader: ReaderName
) -> Iterator[tuple[str, AbstractContextManager[Read]]]:
    """Yield each way of reading with its name: this library, smmap if it is installed, and the system's own ways.

    A file that cannot be mapped is read without those that only map, and a block device without smmap, which takes it
    for empty.
    """
    yield "smmap_typed", _smmap_typed(path, limits, reader)
    if _can_be_mapped(path, size):
        if importlib.util.find_spec("smmap") is not None and os.stat(path).st_size:
            yield "smmap", _smmap(path, limits)
        yield "one mmap", _one_mmap(path, size)
    if sys.platform != "win32":  # pragma: no branch - Linux measures
        yield "pread", _pread(path)


def _can_be_mapped(path: str, size: int) -> bool:
    try:
        with _one_mmap(path, size):
            return True
    except OSError:
        return False


@contextmanager
def _smmap_typed(path: str, limits: Limits, reader: ReaderName) -> Generator[Read]:
    with SlidingWindowMapManager(*limits, reader=reader) as manager, manager.make_cursor(path) as cursor:
        yield cursor.read


@contextmanager
def _smmap(path: str, limits: Limits) -> Generator[Read]:
    import smmap  # noqa: PLC0415 - it may be missing

    manager = smmap.SlidingWindowMapManager(*limits)
    cursor = manager.make_cursor(path)

    def read(offset: int, size: int) -> bytes:
        # A region may end before the request does; the rest comes from the next region.
        parts: list[bytes] = []
        while size and cursor.use_region(offset, size).is_valid():
            part = bytes(cursor.buffer()[:size])
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return b"".join(parts)

    yield read
    cursor.unuse_region()
    manager.collect()


@contextmanager
def _one_mmap(path: str, size: int) -> Generator[Read]:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as mapping:
        yield lambda offset, size: mapping[offset : offset + size]


if sys.platform != "win32":  # pragma: no branch - Linux measures

    @contextmanager
    def _pread(path: str) -> Generator[Read]:
        with open(path, "rb") as file:
            descriptor = file.fileno()
            yield lambda offset, size: os.pread(descriptor, size, offset)
