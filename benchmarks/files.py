"""Many files: a cursor on one of them at random, under a handle limit."""

import os
import random
from pathlib import Path
from typing import Final

import smmap

import smmap_typed
from benchmarks.contest import Factory, Line, Row, Turn, timed
from benchmarks.stage import BLOCK, KIB, Stage

__all__ = ["COUNTS", "ROWS"]

COUNTS: Final = (10, 100, 1_000, 10_000)
HANDLES: Final = 1_024
USES: Final = 2_000
SIZE: Final = 4 * KIB


def files(stage: Stage, count: int) -> list[str]:
    """So many small files, made once."""
    folder: Path = stage.folder / "files"
    folder.mkdir(exist_ok=True)
    paths = [folder / str(number) for number in range(count)]
    for path in paths:
        if not path.exists():
            path.write_bytes(bytes(SIZE))
    return [path.__fspath__() for path in paths]


def chosen(stage: Stage, count: int) -> list[str]:
    """Which ones are used, one after the other."""
    return random.Random(3).choices(files(stage, count), k=USES)


def use(kind: "type[smmap.SlidingWindowMapManager | smmap_typed.SlidingWindowMapManager]", count: int) -> Factory:
    """A cursor, 64 bytes, and gone."""

    def make(stage: Stage) -> Turn:
        owner = kind(-1, 0, HANDLES)
        paths = chosen(stage, count)

        def work() -> None:
            for path in paths:
                owner.make_cursor(path).use_region(0, BLOCK).buffer()

        return timed(USES, work)

    return make


def bare_use(count: int) -> Factory:
    """open, read and close."""

    def make(stage: Stage) -> Turn:
        paths = chosen(stage, count)

        def work() -> None:
            for path in paths:
                descriptor = os.open(path, os.O_RDONLY)
                os.read(descriptor, BLOCK)
                os.close(descriptor)

        return timed(USES, work)

    return make


ROWS: Final = tuple(
    Row(
        f"{count} files",
        {
            "smmap": use(smmap.SlidingWindowMapManager, count),
            "ours": use(smmap_typed.SlidingWindowMapManager, count),
            "bare": bare_use(count),
        },
        (Line(f"one of {count:,} files, 1,024 handles; bare is open, read and close"),),
        rounds=11,
        short=False,
        descriptors=3_000,
    )
    for count in COUNTS
)
