"""Reads that wait for storage: of a local disk, and of a file system that answers late, by one thread and by many.

Nothing of the file is in the page cache, and no page is read twice. A bystander is one more thread, which reads
nothing: how long it stands still at most tells what a reader's wait costs everybody else.
"""

import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Final, Literal

import pytest

from benchmarks.cold import drop_from_cache, make_cold
from benchmarks.contest import Factory, Line, Row, Target, Turn, Unavailable
from benchmarks.reads import PAGE
from benchmarks.stage import FILE_SIZE, MIB, Stage, bare_map, ours, theirs
from fuse_server import fuse_mount
from smmap_typed.testing import in_threads

__all__ = ["LOCAL", "ROWS", "SLOW", "THREADS", "name_of"]

LOCAL: Final = "local storage"
SLOW: Final = "slow storage"
THREADS: Final = (1, 4, 16)
LOCAL_READS: Final = 1_600
"""By all threads of a turn together."""
FAULTING_READS: Final = 96
"""By faults in a map, each of which reads ahead for milliseconds."""
SLOW_SIZE: Final = 64 * MIB
SLOW_SECONDS: Final = 0.01
SLOW_READS: Final = 480
SLOW_FAULTING_READS: Final = 64
ROUNDS: Final = 5
PATIENCE_SECONDS: Final = 300

Read = Callable[[int], object]
"""Reads a page at an offset."""
Reader = Callable[[Path], AbstractContextManager[Callable[[], Read]]]
"""Opens a file for what makes a function for each thread. Nothing stays mapped or open after it."""


@contextmanager
def by_pread(path: Path) -> Generator[Callable[[], Read]]:
    """``os.pread`` of one descriptor."""
    if sys.platform != "win32":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            yield lambda: lambda offset: os.pread(descriptor, PAGE, offset)
        finally:
            os.close(descriptor)
    else:
        raise NotImplementedError


@contextmanager
def by_map(path: Path) -> Generator[Callable[[], Read]]:
    """Slices of one map."""
    with bare_map(path) as whole:
        yield lambda: lambda offset: whole[offset : offset + PAGE]


@contextmanager
def by_cursor(path: Path, advice: Literal["random"] | None = None) -> Generator[Callable[[], Read]]:
    """``cursor.read`` of a cursor for each thread."""
    with ours(-1, 0) as manager:

        def make() -> Read:
            read = manager.make_cursor(path, advice=advice).read
            return lambda offset: read(offset, PAGE)

        yield make


def by_advised_cursor(path: Path) -> AbstractContextManager[Callable[[], Read]]:
    """The same with advice for reads at random places."""
    return by_cursor(path, "random")


@contextmanager
def by_smmap(path: Path) -> Generator[Callable[[], Read]]:
    """``use_region`` and ``buffer`` of smmap, by a cursor for each thread."""
    manager = theirs(-1, 0)

    def make() -> Read:
        cursor = manager.make_cursor(str(path))
        return lambda offset: bytes(cursor.use_region(offset, PAGE).buffer())

    yield make
    manager.collect()


READERS: Final[dict[str, Reader]] = {
    "os.pread": by_pread,
    "ours": by_cursor,
    "advised": by_advised_cursor,
    "one map": by_map,
    "smmap": by_smmap,
}
FAULTING: Final = ("one map", "smmap")


def name_of(who: str, threads: int) -> str:
    """A contestant's name."""
    return f"{who} {threads}"


def rate(reader: Reader, path: Path, pages: list[int], threads: int) -> float:
    """Seconds for one of so many reads by so many threads."""

    def act(number: int) -> tuple[float, float]:
        read = make()
        began = time.perf_counter()
        for page in pages[number::threads]:
            read(page * PAGE)
        return began, time.perf_counter()

    with reader(path) as make:
        times = in_threads(threads, act, PATIENCE_SECONDS)
    return (max(ended for _, ended in times) - min(began for began, _ in times)) / len(pages)


def stall(reader: Reader, path: Path, pages: list[int], threads: int) -> float:
    """The seconds for which a bystander of the same reads stood still at most."""
    done, ended = threading.Event(), count(1)

    def act(number: int) -> float:
        worst = 0.0
        if number < threads:
            read = make()
            for page in pages[number::threads]:
                read(page * PAGE)
            if next(ended) == threads:
                done.set()
            return worst
        last = time.perf_counter()
        while not done.is_set():
            now = time.perf_counter()
            worst, last = max(worst, now - last), now
        return worst

    with reader(path) as make:
        return in_threads(threads + 1, act, PATIENCE_SECONDS)[-1]


Measure = Callable[[Reader, Path, list[int], int], float]


def local(measure: Measure, who: str, threads: int) -> Factory:
    """Of the full file, from the disk of the folder for temporary files."""
    reads = FAULTING_READS if who in FAULTING else LOCAL_READS
    if measure is stall:
        # A bystander keeps the GIL for milliseconds, each time a reader wants it back.
        reads //= 3

    def make(stage: Stage) -> Turn:
        seeds = count()

        def turn() -> float:
            make_cold(stage)
            pages = random.Random(next(seeds)).sample(range(FILE_SIZE // PAGE), reads)
            return measure(READERS[who], stage.full_file, pages, threads)

        return turn

    return make


def slow(measure: Measure, who: str, threads: int) -> Factory:
    """Of a file system that answers each read after 10 ms."""
    reads = SLOW_FAULTING_READS if who in FAULTING or threads == 1 else SLOW_READS

    def make(stage: Stage) -> Turn:
        seeds = count()

        def turn() -> float:
            pages = random.Random(next(seeds)).sample(range(SLOW_SIZE // PAGE), reads)
            with tempfile.TemporaryDirectory(dir=stage.folder) as folder, mounted(Path(folder)) as path:
                return measure(READERS[who], path, pages, threads)

        return turn

    return make


@contextmanager
def mounted(folder: Path) -> Generator[Path]:
    """A file whose storage is slow; Unavailable where nothing can be mounted."""
    try:
        with fuse_mount(folder) as mount:
            with (mount.behind / "file").open("wb") as file:
                file.truncate(SLOW_SIZE)
            mount.disturb_reads(delay=SLOW_SECONDS)
            path = mount.path / "file"
            yield path
            drop_from_cache(path)
    except pytest.skip.Exception as reason:
        raise Unavailable(str(reason)) from None


def contest(place: Callable[[Measure, str, int], Factory], measure: Measure, *readers: str) -> dict[str, Factory]:
    """All numbers of threads of some readers."""
    return {name_of(who, threads): place(measure, who, threads) for who in readers for threads in THREADS}


def line(what: str, who: str, threads: int, rival: str, most: float | None) -> Line:
    """One line: what so many threads of a reader cost beside as many of a rival."""
    noun = "1 thread" if threads == 1 else f"{threads} threads"
    advised = ", advised" if who == "advised" else ""
    return Line(
        f"{what} by {noun}{advised}; bare is {rival}",
        ours=name_of(who, threads),
        smmap=None,
        bare=name_of(rival, threads),
        at_most=Target(most, most),
    )


ROWS: Final = (
    Row(
        LOCAL,
        contest(local, rate, "os.pread", "ours", "advised", "one map", "smmap"),
        (
            *(
                line("cold random 4 KiB", who, threads, "os.pread", 1.43)
                for who in ("ours", "advised")
                for threads in THREADS
            ),
            *(line("cold random 4 KiB", "ours", threads, "one map", None) for threads in THREADS),
        ),
        rounds=ROUNDS,
        short=False,
    ),
    Row(
        f"bystander of {LOCAL}",
        contest(local, stall, "os.pread", "ours", "one map"),
        tuple(line("a bystander's longest wait beside these", "ours", threads, "os.pread", 3) for threads in THREADS),
        rounds=ROUNDS,
        short=False,
    ),
    Row(
        SLOW,
        contest(slow, rate, "os.pread", "ours", "one map", "smmap"),
        tuple(
            line("4 KiB of storage that answers in 10 ms", "ours", threads, rival, most)
            for rival, most in (("os.pread", 1.11), ("one map", 0.111))
            for threads in THREADS[-1:]
        ),
        rounds=ROUNDS,
        short=False,
    ),
    Row(
        f"bystander of {SLOW}",
        contest(slow, stall, "os.pread", "ours", "one map"),
        tuple(
            line("a bystander's longest wait beside slow reads", "ours", threads, rival, None)
            for rival in ("os.pread", "one map")
            for threads in THREADS[-1:]
        ),
        rounds=ROUNDS,
        short=False,
    ),
)
