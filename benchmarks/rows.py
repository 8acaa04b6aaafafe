"""The rows: one operation each, done by smmap, by this library, and bare.

A contestant is made by a factory, which sets the stage and returns a function; each call of that does the operation so
many times and returns the seconds for one. All contestants of a row run on the same file.
"""

import mmap
import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import smmap

import smmap_typed

__all__ = ["KIB", "MIB", "ROWS", "WINDOW", "Contestant", "Factory", "Manager", "Row", "make_file"]

KIB: Final = 1024
MIB: Final = 1024 * KIB
WINDOW: Final = 64 * KIB
FILE_SIZE: Final = 1024 * MIB
FILLED: Final = 64 * MIB

Contestant = Callable[[], float]
"""Does the operation some times; the seconds that one took."""
Factory = Callable[[Path], Contestant]
Manager = Callable[[int, int], "smmap.SlidingWindowMapManager | smmap_typed.SlidingWindowMapManager"]
"""A manager with so many bytes of window and of memory."""


@dataclass(frozen=True)
class Row:
    """One line of the table, with what is to be reached."""

    name: str
    smmap: Factory | None
    ours: Factory
    bare: Factory | None
    at_least: float | None = None
    """How many times smmap's speed."""
    at_most: float | None = None
    """How many times the time of the bare operation."""


def make_file(folder: Path) -> Path:
    """A sparse file of 1 GiB, the first 64 MiB of it in the page cache."""
    path = folder / "file"
    with path.open("wb") as file:
        file.write(random.Random(0).randbytes(MIB) * (FILLED // MIB))
        file.truncate(FILE_SIZE)
    return path


def _theirs(window: int, memory: int) -> smmap.SlidingWindowMapManager:
    return smmap.SlidingWindowMapManager(window, memory)


def _ours(window: int, memory: int) -> smmap_typed.SlidingWindowMapManager:
    return smmap_typed.SlidingWindowMapManager(window, memory)


def _timed(operations: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) / operations


def hit(manager: Manager) -> Factory:
    """``use_region`` and ``buffer`` in the window that the cursor is on."""

    def make(path: Path) -> Contestant:
        cursor = manager(-1, 0).make_cursor(path.__fspath__())
        cursor.use_region(0, 64)

        def work() -> None:
            for offset in range(20_000):
                cursor.use_region(offset, 64).buffer()

        return lambda: _timed(20_000, work)

    return make


def move(manager: Manager) -> Factory:
    """The same with a random move among 256 mapped windows each time."""

    def make(path: Path) -> Contestant:
        cursor = manager(WINDOW, FILE_SIZE).make_cursor(path.__fspath__())
        offsets = [window * WINDOW for window in range(256)]
        for offset in offsets:
            cursor.use_region(offset, 64)
        places = random.Random(1).choices(offsets, k=10_000)

        def work() -> None:
            for offset in places:
                cursor.use_region(offset, 64).buffer()

        return lambda: _timed(len(places), work)

    return make


def _windows(start: int) -> Iterator[int]:
    """Offsets of windows that are not mapped, for ever."""
    while True:
        yield from range(start * WINDOW, FILE_SIZE, WINDOW)
        start = 0


def miss(manager: Manager, live: int) -> Factory:
    """A window that is not mapped, with ``live`` windows mapped and room for no more: one is evicted for each."""

    def make(path: Path) -> Contestant:
        cursor = manager(WINDOW, live * WINDOW).make_cursor(path.__fspath__())
        for window in range(live):
            cursor.use_region(window * WINDOW, 64)
        offsets = _windows(live)

        def work() -> None:
            for _ in range(50):
                cursor.use_region(next(offsets), 64)

        return lambda: _timed(50, work)

    return make


def bare_miss(live: int) -> Factory:
    """open, mmap and close, and unmapping the oldest of ``live`` maps."""

    def make(path: Path) -> Contestant:
        maps: deque[mmap.mmap] = deque()
        offsets = _windows(0)

        def one() -> None:
            descriptor = os.open(path, os.O_RDONLY)
            maps.append(mmap.mmap(descriptor, WINDOW, access=mmap.ACCESS_READ, offset=next(offsets)))
            os.close(descriptor)

        def work() -> None:
            for _ in range(50):
                one()
                maps.popleft().close()

        for _ in range(live):
            one()
        return lambda: _timed(50, work)

    return make


def long_slice(manager: Manager) -> Factory:
    """A slice of 4 MiB of a buffer with windows of 1 MiB."""

    def make(path: Path) -> Contestant:
        cursor = manager(MIB, 0).make_cursor(path.__fspath__())
        buffer: smmap.SlidingWindowMapBuffer | smmap_typed.SlidingWindowMapBuffer
        if isinstance(cursor, smmap.WindowCursor):
            buffer = smmap.SlidingWindowMapBuffer(cursor)
        else:
            buffer = smmap_typed.SlidingWindowMapBuffer(cursor)
        return lambda: _timed(1, lambda: buffer[4 * MIB : 8 * MIB])

    return make


def bare_long_slice(path: Path) -> Contestant:
    """The same slice of one map of the whole file."""
    with path.open("rb") as file:
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return lambda: _timed(1, lambda: whole[4 * MIB : 8 * MIB])


def brief_cursor(manager: Manager) -> Factory:
    """Make a cursor, use a window that is mapped, drop it. Here that looks at the file; smmap does not."""

    def make(path: Path) -> Contestant:
        owner = manager(MIB, 0)
        name = path.__fspath__()
        keeper = owner.make_cursor(name).use_region(0, 64)

        def work() -> None:
            for _ in range(2_000):
                owner.make_cursor(name).use_region(0, 64)
            keeper.size()

        return lambda: _timed(2_000, work)

    return make


ROWS: Final = (
    Row("use_region + buffer, current window", hit(_theirs), hit(_ours), None, at_least=2.5),
    Row("the same among 256 mapped windows", move(_theirs), move(_ours), None, at_least=1.5),
    Row("a miss, 64 live windows", miss(_theirs, 64), miss(_ours, 64), bare_miss(64)),
    Row(
        "a miss, 4,096 live windows",
        miss(_theirs, 4096),
        miss(_ours, 4096),
        bare_miss(4096),
        at_least=15,
        at_most=1.8,
    ),
    Row("a slice of 4 MiB over four windows", long_slice(_theirs), long_slice(_ours), bare_long_slice, at_most=1.5),
    Row("make a cursor, use it, drop it", brief_cursor(_theirs), brief_cursor(_ours), None),
)
