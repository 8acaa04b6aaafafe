"""What threads cost each other: a move when others move, too, and the longest wait while a file opens slowly."""

import os
import random
import threading
import time
from typing import Final
from unittest import mock

import smmap_typed
from benchmarks.contest import Factory, Line, Row, Target, Turn
from benchmarks.stage import BLOCK, WINDOW, Manager, Stage, ours, theirs
from smmap_typed.testing import in_threads

__all__ = ["COUNTS", "ROWS"]

WINDOWS: Final = 64
MOVES: Final = 40_000
"""In one turn of a contestant, by all its threads together."""
COUNTS: Final = (1, 2, 4, 8)
OPEN_SECONDS: Final = 0.5
READERS: Final = 2
RUNS: Final = 5


def moves(manager: Manager, threads: int) -> Factory:
    """``use_region`` and ``buffer`` at random among 64 mapped windows, by threads that have a cursor each."""

    def make(stage: Stage) -> Turn:
        owner = manager(WINDOW, WINDOWS * WINDOW)
        cursors = [owner.make_cursor(stage.file.__fspath__()) for _ in range(threads)]
        offsets = [window * WINDOW for window in range(WINDOWS)]
        for offset in offsets:
            cursors[0].use_region(offset, BLOCK)
        places = [random.Random(number).choices(offsets, k=MOVES // threads) for number in range(threads)]

        def move(number: int) -> tuple[float, float]:
            cursor = cursors[number]
            began = time.perf_counter()
            for offset in places[number]:
                cursor.use_region(offset, BLOCK).buffer()
            return began, time.perf_counter()

        def turn() -> float:
            times = in_threads(threads, move)
            return (max(ended for _, ended in times) - min(began for began, _ in times)) / MOVES

        return turn

    return make


def slow_open(stage: Stage) -> Turn:
    """The longest round of two threads, while a third waits for the open of another file.

    A round is a hit, a move to a mapped window, a window that must be mapped, and a ``collect``.
    """
    path = stage.file
    slow = stage.folder / "slow"
    slow.write_bytes(bytes(WINDOW))

    def turn() -> float:
        manager = smmap_typed.SlidingWindowMapManager(WINDOW)
        inside, done = threading.Event(), threading.Event()
        real_open = os.open

        def open_slowly(target: str, flags: int) -> int:
            if target == str(slow):
                inside.set()
                time.sleep(OPEN_SECONDS)
            return real_open(target, flags)

        def act(number: int) -> float:
            if number == READERS:
                manager.make_cursor(slow).use_region(0, BLOCK)
                done.set()
                return 0.0
            cursor = manager.make_cursor(path)
            first, worst = 2 * number * WINDOW, 0.0
            inside.wait()
            while not done.is_set():
                began = time.perf_counter()
                cursor.use_region(first, BLOCK).use_region(first + BLOCK, BLOCK).use_region(first + WINDOW, BLOCK)
                manager.collect()
                worst = max(worst, time.perf_counter() - began)
            return worst

        with mock.patch("os.open", open_slowly):
            return max(in_threads(READERS + 1, act))

    return turn


def contest(*counts: int) -> dict[str, Factory]:
    """Smmap and this library, by so many threads each."""
    return {
        f"{who} {count}": moves(manager, count)
        for who, manager in (("smmap", theirs), ("ours", ours))
        for count in counts
    }


ROWS: Final = (
    Row(
        "8 threads",
        {**contest(8), "ours 1": moves(ours, 1)},
        (
            Line(
                "8 threads among 64 windows; bare is 1 thread",
                "ours 8",
                "smmap 8",
                "ours 1",
                at_least=Target(1.3, 2.5),
                at_most=Target(1.1, 1.1),
            ),
        ),
    ),
    Row(
        "slow open",
        {"ours": slow_open},
        (
            Line(
                "longest round while an open takes 500 ms",
                smmap=None,
                bare=None,
                figure=True,
                at_most=Target(0.020, 0.020),
            ),
        ),
        rounds=RUNS,
    ),
    Row(
        "threads",
        contest(*COUNTS),
        tuple(
            Line(f"{count} threads among 64 windows; bare is 1 thread", f"ours {count}", f"smmap {count}", "ours 1")
            for count in COUNTS[1:]
        ),
        short=False,
    ),
)
