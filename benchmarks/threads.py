"""What threads cost each other: a move when others move, too, and the longest wait while a file opens slowly."""

import os
import random
import statistics
import threading
import time
from pathlib import Path
from typing import Final
from unittest import mock

import smmap

import smmap_typed
from benchmarks.rows import WINDOW, Contestant, Factory, Manager, Row
from smmap_typed.testing import in_threads

__all__ = ["THREAD_ROWS", "worst_round"]

WINDOWS: Final = 64
MOVES: Final = 80_000
"""In one turn of a contestant, by all its threads together."""
OPEN_SECONDS: Final = 0.5
READERS: Final = 2
RUNS: Final = 5


def moves(manager: Manager, threads: int) -> Factory:
    """``use_region`` and ``buffer`` at random among 64 mapped windows, by threads that have a cursor each."""

    def make(path: Path) -> Contestant:
        owner = manager(WINDOW, WINDOWS * WINDOW)
        cursors = [owner.make_cursor(path.__fspath__()) for _ in range(threads)]
        offsets = [window * WINDOW for window in range(WINDOWS)]
        for offset in offsets:
            cursors[0].use_region(offset, 64)
        places = [random.Random(number).choices(offsets, k=MOVES // threads) for number in range(threads)]

        def move(number: int) -> tuple[float, float]:
            cursor = cursors[number]
            began = time.perf_counter()
            for offset in places[number]:
                cursor.use_region(offset, 64).buffer()
            return began, time.perf_counter()

        def seconds_for_one() -> float:
            times = in_threads(threads, move)
            return (max(ended for _, ended in times) - min(began for began, _ in times)) / MOVES

        return seconds_for_one

    return make


def worst_round(path: Path) -> float:
    """Milliseconds of the longest round of two threads, while a third waits for the open of another file.

    A round is a hit, a move to a mapped window, a window that must be mapped, and a ``collect``. The median of some
    runs: that the machine had something else to do is nobody's fault here.
    """
    return statistics.median(_worst_round(path) for _ in range(RUNS)) * 1000


def _worst_round(path: Path) -> float:
    manager = smmap_typed.SlidingWindowMapManager(WINDOW)
    slow = path.with_name("slow")
    slow.write_bytes(bytes(WINDOW))
    inside, done = threading.Event(), threading.Event()
    real_open = os.open

    def slow_open(target: str, flags: int) -> int:
        if target == str(slow):
            inside.set()
            time.sleep(OPEN_SECONDS)
        return real_open(target, flags)

    def act(number: int) -> float:
        if number == READERS:
            manager.make_cursor(slow).use_region(0, 64)
            done.set()
            return 0.0
        cursor = manager.make_cursor(path)
        first, worst = 2 * number * WINDOW, 0.0
        inside.wait()
        while not done.is_set():
            began = time.perf_counter()
            cursor.use_region(first, 64).use_region(first + 64, 64).use_region(first + WINDOW, 64)
            manager.collect()
            worst = max(worst, time.perf_counter() - began)
        return worst

    with mock.patch("os.open", slow_open):
        return max(in_threads(READERS + 1, act))


THREAD_ROWS: Final = tuple(
    Row(
        f"64 mapped windows, {threads} threads to 1",
        moves(smmap.SlidingWindowMapManager, threads),
        moves(smmap_typed.SlidingWindowMapManager, threads),
        moves(smmap_typed.SlidingWindowMapManager, 1),
        at_most=1.15 if threads == 8 else None,
    )
    for threads in (2, 4, 8)
)
