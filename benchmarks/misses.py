"""Misses: what it costs to map a window, and to unmap one for it."""

import mmap
import os
from collections import deque
from collections.abc import Iterator
from typing import Final

from benchmarks.contest import Factory, Line, Row, Target, Turn, timed
from benchmarks.stage import BLOCK, FILE_SIZE, WINDOW, Manager, Stage, ours, theirs

__all__ = ["CURVE", "ROWS"]

MISSES: Final = 500
COLLECTED: Final = 2_000
CURVE: Final = (64, 256, 1_024, 4_096)
"""Live windows; more at once than one process may have descriptors for on most machines."""


def offsets_of_windows(start: int) -> Iterator[int]:
    """Offsets of windows that are not mapped, for ever."""
    while True:
        yield from range(start * WINDOW, FILE_SIZE, WINDOW)
        start = 0


def miss(manager: Manager, live: int) -> Factory:
    """A window that is not mapped, with ``live`` windows mapped and room for no more: one is evicted for each."""

    def make(stage: Stage) -> Turn:
        cursor = manager(WINDOW, live * WINDOW).make_cursor(stage.file.__fspath__())
        for window in range(live):
            cursor.use_region(window * WINDOW, BLOCK)
        offsets = offsets_of_windows(live)

        def work() -> None:
            for _ in range(MISSES):
                cursor.use_region(next(offsets), BLOCK)

        return timed(MISSES, work)

    return make


def bare_miss(live: int) -> Factory:
    """open, mmap and close, and unmapping the oldest of ``live`` maps."""

    def make(stage: Stage) -> Turn:
        path = stage.file.__fspath__()
        offsets = offsets_of_windows(live)
        maps = deque(map_window(path, window * WINDOW) for window in range(live))

        def work() -> None:
            for _ in range(MISSES):
                descriptor = os.open(path, os.O_RDONLY)
                maps.append(mmap.mmap(descriptor, WINDOW, access=mmap.ACCESS_READ, offset=next(offsets)))
                os.close(descriptor)
                maps.popleft().close()

        return timed(MISSES, work)

    return make


def map_window(path: str, offset: int) -> mmap.mmap:
    """One window, as whoever has no library maps it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return mmap.mmap(descriptor, WINDOW, access=mmap.ACCESS_READ, offset=offset)
    finally:
        os.close(descriptor)


def map_and_collect(manager: Manager) -> Factory:
    """Map many windows one after the other, and collect them."""

    def make(stage: Stage) -> Turn:
        owner = manager(WINDOW, FILE_SIZE)
        cursor = owner.make_cursor(stage.file.__fspath__())

        def work() -> None:
            for window in range(COLLECTED):
                cursor.use_region(window * WINDOW, BLOCK)
            cursor.unuse_region()
            owner.collect()

        return timed(COLLECTED, work)

    return make


def bare_map_and_collect(stage: Stage) -> Turn:
    """open, mmap and close for each window, and then unmapping them all."""
    path = stage.file.__fspath__()

    def work() -> None:
        maps: list[mmap.mmap] = []
        for window in range(COLLECTED):
            descriptor = os.open(path, os.O_RDONLY)
            maps.append(mmap.mmap(descriptor, WINDOW, access=mmap.ACCESS_READ, offset=window * WINDOW))
            os.close(descriptor)
        for one in maps:
            one.close()

    return timed(COLLECTED, work)


def contest(live: int) -> dict[str, Factory]:
    """The three contestants, with so many windows mapped."""
    return {"smmap": miss(theirs, live), "ours": miss(ours, live), "bare": bare_miss(live)}


def curve() -> dict[str, Factory]:
    """The three contestants for each number of live windows."""
    return {f"{who} {live}": make for live in CURVE for who, make in contest(live).items()}


ROWS: Final = (
    Row(
        "miss 64",
        contest(64),
        (Line("a miss, 64 live windows", at_least=Target(1.3, 1.4), at_most=Target(compiled=1.6)),),
        descriptors=1_000,
    ),
    Row(
        "miss 4096",
        {**contest(4_096), "ours 64": miss(ours, 64)},
        (
            Line("a miss, 4,096 live windows", at_least=Target(15, 18), at_most=Target(compiled=1.6)),
            Line("its growth from 64 to 4,096", smmap=None, bare="ours 64", at_most=Target(1.2, 1.2)),
        ),
        descriptors=13_000,
    ),
    Row(
        "collect",
        {"smmap": map_and_collect(theirs), "ours": map_and_collect(ours), "bare": bare_map_and_collect},
        (Line("map and collect 2,000 windows", at_least=Target(5, 6)),),
        rounds=15,
        descriptors=7_000,
    ),
    Row(
        "miss curve",
        curve(),
        tuple(
            Line(f"a miss, {live:,} live windows", f"ours {live}", f"smmap {live}", f"bare {live}") for live in CURVE
        ),
        rounds=11,
        short=False,
        descriptors=17_000,
    ),
)
