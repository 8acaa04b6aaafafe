"""Memory: bytes of Python objects for a region and for a cursor, as tracemalloc counts them."""

import gc
import tracemalloc
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from benchmarks.contest import Factory, Line, Row, Target, Turn
from benchmarks.stage import BLOCK, FILE_SIZE, WINDOW, Manager, Stage, ours, theirs

__all__ = ["ROWS"]

COUNT: Final = 1_000
ROUNDS: Final = 3
Cursor = AbstractContextManager[object]


def traced(add: Callable[[], object]) -> float:
    """Bytes that stay allocated when ``add`` has made so many things, for each of them."""
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    kept = add()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    del kept
    return (after - before) / COUNT


def idle_region(manager: Manager) -> Factory:
    """A region that no cursor is on, with the object of its map, and its share of the tables."""

    def make(stage: Stage) -> Turn:
        name = stage.file.__fspath__()

        def turn() -> float:
            tracemalloc.start()
            owner = manager(WINDOW, FILE_SIZE)
            cursor = owner.make_cursor(name)
            cursor.use_region(0, BLOCK)

            def add() -> None:
                for window in range(1, COUNT + 1):
                    cursor.use_region(window * WINDOW, BLOCK)

            size = traced(add)
            cursor.unuse_region()
            owner.collect()
            tracemalloc.stop()
            return size

        return turn

    return make


def cursors(manager: Manager, *, in_use: bool) -> Factory:
    """A cursor, all on one file, which is named by one object; in use they are all on one region."""

    def make(stage: Stage) -> Turn:
        name = stage.file.__fspath__()

        def turn() -> float:
            tracemalloc.start()
            owner = manager(WINDOW, FILE_SIZE)
            keeper = owner.make_cursor(name).use_region(0, BLOCK)
            kept: list[Cursor | None] = [None] * COUNT

            def add() -> None:
                for number in range(COUNT):
                    cursor = owner.make_cursor(name)
                    kept[number] = cursor.use_region(number, BLOCK) if in_use else cursor

            size = traced(add)
            keeper.unuse_region()
            kept.clear()
            owner.collect()
            tracemalloc.stop()
            return size

        return turn

    return make


ROWS: Final = (
    Row(
        "idle region",
        {"smmap": idle_region(theirs), "ours": idle_region(ours)},
        (Line("bytes of an idle region", bare=None, figure=True, at_most=Target(1024, 1024)),),
        unit="byte",
        rounds=ROUNDS,
        descriptors=2_200,
    ),
    Row(
        "unused cursor",
        {"smmap": cursors(theirs, in_use=False), "ours": cursors(ours, in_use=False)},
        (Line("bytes of a cursor, unused", bare=None, figure=True, at_most=Target(200, 200)),),
        unit="byte",
        rounds=ROUNDS,
    ),
    Row(
        "cursor in use",
        {"smmap": cursors(theirs, in_use=True), "ours": cursors(ours, in_use=True)},
        (Line("bytes of a cursor, in use", bare=None, figure=True, at_most=Target(800, 800)),),
        unit="byte",
        rounds=ROUNDS,
    ),
)
