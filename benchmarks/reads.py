"""Reads: copies of bytes that are in the page cache, beside ``os.pread``, a map, and an unbuffered file."""

import os
import random
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

import smmap_typed
from benchmarks.contest import NO_TARGET, Factory, Line, Row, Target, Turn, timed
from benchmarks.stage import BLOCK, FILE_SIZE, KIB, MIB, Stage, bare_map, ours

__all__ = ["PAGE", "ROWS", "pread"]

READS: Final = 20_000
RANDOM_READS: Final = 5_000
PAGE: Final = 4 * KIB
SCANNED: Final = 64 * MIB
CHUNKS: Final = {"32 KiB": 32 * KIB, "64 KiB": 64 * KIB, "1 MiB": MIB}
SCAN_TARGETS: Final = {"32 KiB": Target(1.5, 1.2), "64 KiB": NO_TARGET, "1 MiB": Target(1.15, 1.05)}
LINE: Final = 64
"""Bytes of a line of text."""
LINES: Final = 60_000
PLACES: Final = [PAGE * page for page in random.Random(2).choices(range(FILE_SIZE // PAGE), k=RANDOM_READS)]
Read = Callable[[int], object]
"""Reads at an offset, which is the next one."""


def pread(path: os.PathLike[str]) -> Callable[[int, int], bytes]:
    """``os.pread`` of a file, which Windows does not have."""
    if sys.platform != "win32":
        return partial(os.pread, os.open(path, os.O_RDONLY))
    raise NotImplementedError


def cursor_on(stage: Stage) -> smmap_typed.WindowCursor:
    """A cursor that is on the one window of the file."""
    return ours(-1, 0).make_cursor(stage.full_file).use_region(0, BLOCK)


def hot_read(size: int) -> Factory:
    """``cursor.read`` of the same bytes again and again."""

    def make(stage: Stage) -> Turn:
        read = cursor_on(stage).read

        def work() -> None:
            for _ in range(READS):
                read(MIB, size)

        return timed(READS, work)

    return make


def hot_pread(size: int) -> Factory:
    """The same by ``os.pread``."""

    def make(stage: Stage) -> Turn:
        read = pread(stage.full_file)

        def work() -> None:
            for _ in range(READS):
                read(size, MIB)

        return timed(READS, work)

    return make


def hot_slice(size: int) -> Factory:
    """The same as a slice of a map."""

    def make(stage: Stage) -> Turn:
        whole = bare_map(stage.full_file)

        def work() -> None:
            for _ in range(READS):
                whole[MIB : MIB + size]

        return timed(READS, work)

    return make


def hot_view(stage: Stage) -> Turn:
    """``cursor.view`` of the same bytes again and again."""
    view = cursor_on(stage).view

    def work() -> None:
        for _ in range(READS):
            view(MIB, BLOCK)

    return timed(READS, work)


def bare_view(stage: Stage) -> Turn:
    """A slice of the view of a map."""
    view = memoryview(bare_map(stage.full_file))

    def work() -> None:
        for _ in range(READS):
            view[MIB : MIB + BLOCK]

    return timed(READS, work)


def random_reads(memory: int) -> Factory:
    """``cursor.read`` at random places, with so many bytes of memory for windows."""

    def make(stage: Stage) -> Turn:
        read = smmap_typed.SlidingWindowMapManager(max_memory_size=memory).make_cursor(stage.full_file).read

        def work() -> None:
            for offset in PLACES:
                read(offset, PAGE)

        return timed(RANDOM_READS, work)

    return make


def random_pread(stage: Stage) -> Turn:
    """The same by ``os.pread``."""
    read = pread(stage.full_file)

    def work() -> None:
        for offset in PLACES:
            read(PAGE, offset)

    return timed(RANDOM_READS, work)


def first_scan(reader: Callable[[Path, int], Read], chunk: int) -> Factory:
    """The first bytes of the file in order, by what has not read them before."""

    def make(stage: Stage) -> Turn:
        def turn() -> float:
            read = reader(stage.full_file, chunk)
            began = time.thread_time()
            for offset in range(0, SCANNED, chunk):
                read(offset)
            return (time.thread_time() - began) * chunk / SCANNED

        return turn

    return make


def by_raw_file(path: Path, chunk: int) -> Read:
    """``read`` of an unbuffered file."""
    read = path.open("rb", buffering=0).read
    return lambda _: read(chunk)


def by_buffered_file(path: Path, chunk: int) -> Read:
    """``read`` of a file as ``open`` makes it."""
    read = path.open("rb").read
    return lambda _: read(chunk)


def by_map(path: Path, chunk: int) -> Read:
    """Slices of a new map."""
    whole = bare_map(path)
    return lambda offset: whole[offset : offset + chunk]


def by_file_object(path: Path, chunk: int) -> Read:
    """``read`` of a new manager's file object."""
    read = ours(-1, 0).open(path).read
    return lambda _: read(chunk)


def by_cursor(path: Path, chunk: int) -> Read:
    """``read`` of a new manager's cursor."""
    read = ours(-1, 0).make_cursor(path).read
    return lambda offset: read(offset, chunk)


def by_buffer(path: Path, chunk: int) -> Read:
    """Slices of a new manager's buffer."""
    buffer = smmap_typed.SlidingWindowMapBuffer(ours(-1, 0).make_cursor(path))
    return lambda offset: buffer[offset : offset + chunk]


def lines_of(opened: Callable[[str], Iterable[bytes]]) -> Factory:
    """All lines of a text."""

    def make(stage: Stage) -> Turn:
        path = stage.folder / "lines"
        path.write_bytes((b"a line of text".ljust(LINE - 1) + b"\n") * LINES)
        name = path.__fspath__()

        def work() -> None:
            for _line in opened(name):
                pass

        return timed(LINES, work)

    return make


def open_by_us(name: str) -> Iterable[bytes]:
    """A new manager's file object."""
    return ours(-1, 0).open(name)


def open_plainly(name: str) -> Iterable[bytes]:
    """A file as ``open`` makes it."""
    return Path(name).open("rb")


def hot(name: str, size: int) -> Row:
    """A row of one size."""
    return Row(
        f"hot read {name}",
        {"ours": hot_read(size), "os.pread": hot_pread(size), "one map": hot_slice(size)},
        (
            Line(f"`cursor.read` of {name}, in memory; bare is `os.pread`", smmap=None, bare="os.pread"),
            Line(f"`cursor.read` of {name}, in memory; bare is a slice of a map", smmap=None, bare="one map"),
        ),
    )


def scan(name: str, chunk: int) -> Row:
    """A row of one size."""
    by_us = {"cursor": by_cursor, "buffer": by_buffer, "file object": by_file_object}
    readers = {**by_us, "open()": by_buffered_file, "one map": by_map}
    return Row(
        f"first scan {name}",
        {**{who: first_scan(reader, chunk) for who, reader in readers.items()}, "bare": first_scan(by_raw_file, chunk)},
        tuple(
            Line(
                f"first reads of {name} in order, by {who}; bare is an unbuffered file",
                ours=who,
                smmap=None,
                at_most=SCAN_TARGETS[name] if who in by_us else NO_TARGET,
            )
            for who in readers
        ),
    )


ROWS: Final = (
    hot("64 B", BLOCK),
    hot("4 KiB", PAGE),
    Row(
        "hot view",
        {"ours": hot_view, "bare": bare_view},
        (Line("`cursor.view` of 64 B; bare is a slice of a memoryview", smmap=None),),
    ),
    Row(
        "random reads by read",
        {"ours": random_reads(0), "little room": random_reads(64 * MIB), "os.pread": random_pread},
        (
            Line("`cursor.read` of random 4 KiB of 1 GiB; bare is `os.pread`", smmap=None, bare="os.pread"),
            Line(
                "the same, room for 64 MiB",
                ours="little room",
                smmap=None,
                bare="os.pread",
                at_most=Target(3, 1.7),
            ),
        ),
        rounds=11,
    ),
    *(scan(name, chunk) for name, chunk in CHUNKS.items()),
    Row(
        "lines",
        {"ours": lines_of(open_by_us), "bare": lines_of(open_plainly)},
        (Line("lines of a file object; bare is `open`", smmap=None),),
        rounds=11,
    ),
)
