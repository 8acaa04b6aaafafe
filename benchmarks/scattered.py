"""Reads of a page at random places of a file."""

import os
import random
import sys
from typing import Final

from benchmarks.contest import Factory, Line, Row, Turn, timed
from benchmarks.scans import SCAN_WINDOWS, beside
from benchmarks.stage import FILE_SIZE, KIB, MIB, Manager, Stage, bare_map, ours, theirs

__all__ = ["ROWS"]

READS: Final = 5_000
PAGE: Final = 4 * KIB


def places() -> list[int]:
    """Where to read, in pages of the file's first part, which is in the page cache."""
    return [PAGE * page for page in random.Random(2).choices(range(FILE_SIZE // PAGE), k=READS)]


def random_reads(manager: Manager, window: int, memory: int) -> Factory:
    """4 KiB at random places, as ``bytes``."""

    def make(stage: Stage) -> Turn:
        cursor = manager(window, memory).make_cursor(stage.full_file.__fspath__())
        offsets = places()

        def work() -> None:
            for offset in offsets:
                bytes(cursor.use_region(offset, PAGE).buffer())

        return timed(READS, work)

    return make


def random_pread(stage: Stage) -> Turn:
    """The same by ``os.pread``."""
    descriptor = os.open(stage.full_file, os.O_RDONLY)
    offsets = places()

    def work() -> None:
        if sys.platform != "win32":
            for offset in offsets:
                os.pread(descriptor, PAGE, offset)

    return timed(READS, work)


def random_map(stage: Stage) -> Turn:
    """The same from one map."""
    whole = bare_map(stage.full_file)
    offsets = places()

    def work() -> None:
        for offset in offsets:
            whole[offset : offset + PAGE]

    return timed(READS, work)


ROWS: Final = (
    Row(
        "random reads",
        {
            "smmap": random_reads(theirs, -1, 0),
            "ours": random_reads(ours, -1, 0),
            "one map": random_map,
            "os.pread": random_pread,
        },
        beside("random 4 KiB", "one map", "os.pread"),
        short=False,
    ),
    Row(
        "random windows",
        {
            **{name: random_reads(ours, size, 64 * MIB) for name, size in SCAN_WINDOWS.items() if size <= 64 * MIB},
            "one map": random_map,
        },
        tuple(
            Line(f"random 4 KiB, windows of {name}, room for 64 MiB", ours=name, smmap=None, bare="one map")
            for name, size in SCAN_WINDOWS.items()
            if size <= 64 * MIB
        ),
        rounds=7,
        short=False,
        descriptors=3_000,
    ),
)
