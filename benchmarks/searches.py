"""Searches: from match to match, and for what is nowhere, in a file of 20 MB that is in memory."""

import mmap
import operator
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.contest import Factory, Line, Row, Target, Turn, timed
from benchmarks.stage import WINDOW, Stage, bare_map
from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager

__all__ = ["ROWS"]

LINE: Final = b"x" * 71 + b"\n"
LINES: Final = 277_776
END: Final = b"\n"
NOWHERE: Final = b"\nxy"
MATCHES: Final = re.compile(rb"x+\n")
NO_MATCHES: Final = re.compile(rb"[yz]+\n")
LONGEST: Final = 128

Find = Callable[..., int]
"""``find`` or ``rfind`` of a buffer or a map."""


def text(stage: Stage) -> Path:
    """20 MB of lines, made once."""
    path = stage.folder / "text"
    if not path.exists():
        path.write_bytes(LINE * LINES)
    return path


def buffer_of(stage: Stage, window: int) -> SlidingWindowMapBuffer:
    """A buffer of all of it, which is known to be in memory."""
    buffer = SlidingWindowMapBuffer(SlidingWindowMapManager(window).make_cursor(text(stage)))
    assert buffer.find(NOWHERE) < 0
    return buffer


def forwards(find: Find) -> None:
    """From the beginning of the file, from match to match."""
    place = found = 0
    while (place := find(END, place) + 1) > 0:
        found += 1
    assert found == LINES


def backwards(find: Find) -> None:
    """From its end."""
    place, found = len(LINE) * LINES, 0
    while (place := find(END, 0, place)) >= 0:
        found += 1
    assert found == LINES


def once(find: Find) -> None:
    """What is not there."""
    assert find(NOWHERE) < 0


def contestants(
    searched: Callable[[SlidingWindowMapBuffer], Callable[[], object]],
    bare: Callable[[mmap.mmap], Callable[[], object]],
    operations: int,
) -> dict[str, Factory]:
    """A buffer of one window, one of small windows, and a map."""

    def ours(stage: Stage, window: int) -> Turn:
        act = searched(buffer_of(stage, window))
        return timed(operations, lambda: act())  # noqa: PLW0108 - a function, whose code ``timed`` copies

    def theirs(stage: Stage) -> Turn:
        act = bare(bare_map(text(stage)))
        return timed(operations, lambda: act())  # noqa: PLW0108 - as above

    return {"ours": partial(ours, window=-1), "64 KiB": partial(ours, window=WINDOW), "bare": theirs}


def row(key: str, name: str, limit: float, contestants: dict[str, Factory]) -> Row:
    """A row of two lines; with small windows, twice as much is allowed."""
    lines = (
        Line(name, smmap=None, at_most=Target(limit, limit)),
        Line(f"{name}, windows of 64 KiB", ours="64 KiB", smmap=None, at_most=Target(2 * limit, 2 * limit)),
    )
    return Row(key, contestants, lines, rounds=5, short=False)


def all_of(pattern: re.Pattern[bytes], expected: int) -> dict[str, Factory]:
    """All matches of a regular expression."""

    def searched(buffer: SlidingWindowMapBuffer) -> Callable[[], object]:
        def act() -> None:
            assert sum(1 for _ in buffer.finditer(pattern, longest=LONGEST)) == expected

        return act

    def bare(whole: mmap.mmap) -> Callable[[], object]:
        def act() -> None:
            assert sum(1 for _ in pattern.finditer(whole)) == expected

        return act

    return contestants(searched, bare, max(expected, 1))


ROWS: Final = (
    row(
        "find many",
        "`find` from match to match",
        3,
        contestants(lambda buffer: partial(forwards, buffer.find), lambda whole: partial(forwards, whole.find), LINES),
    ),
    row(
        "rfind many",
        "`rfind` from match to match",
        3,
        contestants(
            lambda buffer: partial(backwards, buffer.rfind), lambda whole: partial(backwards, whole.rfind), LINES
        ),
    ),
    row(
        "count many",
        "`count`; bare is `find` from match to match",
        3,
        contestants(lambda buffer: lambda: buffer.count(END), lambda whole: partial(forwards, whole.find), LINES),
    ),
    row(
        "find none",
        "`find` of what is nowhere",
        1.1,
        contestants(lambda buffer: partial(once, buffer.find), lambda whole: partial(once, whole.find), 1),
    ),
    row(
        "rfind none",
        "`rfind` of what is nowhere",
        1.1,
        contestants(lambda buffer: partial(once, buffer.rfind), lambda whole: partial(once, whole.rfind), 1),
    ),
    row(
        "count none",
        "`count` of what is nowhere; bare is `find`",
        1.1,
        contestants(lambda buffer: lambda: buffer.count(NOWHERE), lambda whole: partial(once, whole.find), 1),
    ),
    row(
        "in none",
        "`in` of what is nowhere; bare is `find`",
        1.1,
        contestants(
            lambda buffer: lambda: operator.contains(buffer, NOWHERE), lambda whole: partial(once, whole.find), 1
        ),
    ),
    row("finditer many", "`finditer`", 1.5, all_of(MATCHES, LINES)),
    row("finditer none", "`finditer` of what is nowhere", 1.5, all_of(NO_MATCHES, 0)),
)
