"""Hits: what a cursor costs on windows that are mapped."""

import os
import random
from typing import Final

from benchmarks.contest import Factory, Line, Row, Target, Turn, timed
from benchmarks.stage import BLOCK, FILE_SIZE, MIB, WINDOW, Manager, Stage, bare_map, ours, theirs

__all__ = ["ROWS"]

HITS: Final = 60_000
MOVES: Final = 30_000
WINDOWS: Final = 256
CURSORS: Final = 5_000


def hit(manager: Manager) -> Factory:
    """``use_region`` and ``buffer`` in the window that the cursor is on."""

    def make(stage: Stage) -> Turn:
        cursor = manager(-1, 0).make_cursor(stage.file.__fspath__())
        cursor.use_region(0, BLOCK)

        def work() -> None:
            for offset in range(HITS):
                cursor.use_region(offset, BLOCK).buffer()

        return timed(HITS, work)

    return make


def bare_hit(stage: Stage) -> Turn:
    """A slice of a memoryview of one map."""
    view = memoryview(bare_map(stage.file))

    def work() -> None:
        for offset in range(HITS):
            view[offset : offset + BLOCK]

    return timed(HITS, work)


def move(manager: Manager) -> Factory:
    """The same with a random move among mapped windows each time."""

    def make(stage: Stage) -> Turn:
        cursor = manager(WINDOW, FILE_SIZE).make_cursor(stage.file.__fspath__())
        offsets = [window * WINDOW for window in range(WINDOWS)]
        for offset in offsets:
            cursor.use_region(offset, BLOCK)
        places = random.Random(1).choices(offsets, k=MOVES)

        def work() -> None:
            for offset in places:
                cursor.use_region(offset, BLOCK).buffer()

        return timed(MOVES, work)

    return make


def bare_move(stage: Stage) -> Turn:
    """A slice of one of as many views, found in a dict by the number of the window."""
    whole = memoryview(bare_map(stage.file))
    views = {window: whole[window * WINDOW : (window + 1) * WINDOW] for window in range(WINDOWS)}
    places = random.Random(1).choices([window * WINDOW for window in range(WINDOWS)], k=MOVES)

    def work() -> None:
        for offset in places:
            start = offset % WINDOW
            views[offset // WINDOW][start : start + BLOCK]

    return timed(MOVES, work)


def brief_cursor(manager: Manager) -> Factory:
    """Make a cursor, use a window that is mapped, drop it. Here that looks at the file; smmap does not."""

    def make(stage: Stage) -> Turn:
        owner = manager(MIB, 0)
        name = stage.file.__fspath__()
        keeper = owner.make_cursor(name).use_region(0, BLOCK)

        def work() -> None:
            for _ in range(CURSORS):
                owner.make_cursor(name).use_region(0, BLOCK)
            keeper.size()

        return timed(CURSORS, work)

    return make


def bare_look(stage: Stage) -> Turn:
    """``os.stat``, without which nobody knows that the file is the same."""
    name = stage.file.__fspath__()

    def work() -> None:
        for _ in range(CURSORS):
            os.stat(name)

    return timed(CURSORS, work)


ROWS: Final = (
    Row(
        "hit",
        {"smmap": hit(theirs), "ours": hit(ours), "bare": bare_hit},
        (
            Line(
                "`use_region(o, 64).buffer()`, current window",
                at_least=Target(2.5, 6),
                at_most=Target(compiled=1.4),
            ),
        ),
    ),
    Row(
        "move",
        {"smmap": move(theirs), "ours": move(ours), "bare": bare_move},
        (Line("the same among 256 mapped windows", at_least=Target(1.5, 4)),),
        descriptors=1_200,
    ),
    Row(
        "cursor",
        {"smmap": brief_cursor(theirs), "ours": brief_cursor(ours), "bare": bare_look},
        (Line("make a cursor, use it, drop it", at_least=Target(0.33, 0.45), at_most=Target(compiled=1.6)),),
    ),
)
