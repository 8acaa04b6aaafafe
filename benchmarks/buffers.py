"""Buffers: bytes and slices of a file as one sequence."""

from typing import Final

import smmap

import smmap_typed
from benchmarks.contest import Factory, Line, Row, Target, Turn, timed
from benchmarks.stage import BLOCK, MIB, Manager, Stage, bare_map, ours, theirs

__all__ = ["ROWS"]

BYTES: Final = 200_000
SLICES: Final = 60_000
LONG_SLICES: Final = 10


def buffer_of(
    manager: Manager, window: int, stage: Stage
) -> "smmap.SlidingWindowMapBuffer | smmap_typed.SlidingWindowMapBuffer":
    """A buffer of the whole file."""
    cursor = manager(window, 0).make_cursor(stage.file.__fspath__())
    if isinstance(cursor, smmap.WindowCursor):
        return smmap.SlidingWindowMapBuffer(cursor)
    return smmap_typed.SlidingWindowMapBuffer(cursor)


def byte(manager: Manager) -> Factory:
    """One byte of a buffer that has one window."""

    def make(stage: Stage) -> Turn:
        buffer = buffer_of(manager, -1, stage)

        def work() -> None:
            for index in range(BYTES):
                buffer[index]

        return timed(BYTES, work)

    return make


def bare_byte(stage: Stage) -> Turn:
    """One byte of a map."""
    whole = bare_map(stage.file)

    def work() -> None:
        for index in range(BYTES):
            whole[index]

    return timed(BYTES, work)


def short_slice(manager: Manager) -> Factory:
    """64 bytes of a buffer that has one window."""

    def make(stage: Stage) -> Turn:
        buffer = buffer_of(manager, -1, stage)

        def work() -> None:
            for index in range(SLICES):
                buffer[index : index + BLOCK]

        return timed(SLICES, work)

    return make


def bare_short_slice(stage: Stage) -> Turn:
    """64 bytes of a map."""
    whole = bare_map(stage.file)

    def work() -> None:
        for index in range(SLICES):
            whole[index : index + BLOCK]

    return timed(SLICES, work)


def long_slice(manager: Manager) -> Factory:
    """4 MiB of a buffer with windows of 1 MiB."""

    def make(stage: Stage) -> Turn:
        buffer = buffer_of(manager, MIB, stage)

        def work() -> None:
            for _ in range(LONG_SLICES):
                buffer[4 * MIB : 8 * MIB]

        return timed(LONG_SLICES, work)

    return make


def bare_long_slice(stage: Stage) -> Turn:
    """The same slice of one map of the whole file."""
    whole = bare_map(stage.file)

    def work() -> None:
        for _ in range(LONG_SLICES):
            whole[4 * MIB : 8 * MIB]

    return timed(LONG_SLICES, work)


ROWS: Final = (
    Row(
        "byte",
        {"smmap": byte(theirs), "ours": byte(ours), "bare": bare_byte},
        (Line("`buf[i]`", at_least=Target(2.5, 5), at_most=Target(compiled=1.3)),),
    ),
    Row(
        "short slice",
        {"smmap": short_slice(theirs), "ours": short_slice(ours), "bare": bare_short_slice},
        (Line("`buf[i:i+64]` in one window", at_least=Target(2, 5), at_most=Target(compiled=2)),),
    ),
    Row(
        "long slice",
        {"ours": long_slice(ours), "bare": bare_long_slice},
        (Line("`buf[i:i+4 MiB]` over four windows", smmap=None, at_most=Target(1.5, 1.3)),),
    ),
    # smmap leaves malloc in a state in which the others are faster or slower, so it has a row of its own.
    Row(
        "long slice of smmap",
        {"smmap": long_slice(theirs), "ours": long_slice(ours)},
        (Line("the same, beside smmap", bare=None),),
        short=False,
    ),
)
