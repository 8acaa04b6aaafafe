"""Scans of a file that is not in the page cache, where the kernel lets us have one."""

import mmap
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.contest import Factory, Line, Row, Target, Turn, Unavailable
from benchmarks.scans import CHUNK, beside, check
from benchmarks.stage import MIB, Manager, Stage, bare_map, ours, theirs

__all__ = ["ROWS", "drop_from_cache", "make_cold"]

COLD_SIZE: Final = 128 * MIB
SAMPLES: Final = 8
"""Few, since a sample can make the kernel read ahead, and that is no longer cold."""
ATTEMPTS: Final = 20
PAUSE_SECONDS: Final = 0.05
Scan = Callable[[], object]


def cached_part(stage: Stage) -> float:
    """How much of the scanned part is in the page cache, from 0 to 1, by a few samples.

    The kernel is asked for bytes that it need not wait for. What /proc/self/io counts is no judge: readahead for a
    map is not always counted as the process's own.
    """
    places = range(0, COLD_SIZE, COLD_SIZE // SAMPLES)
    descriptor = os.open(stage.full_file, os.O_RDONLY)
    try:
        return sum(is_cached(descriptor, place) for place in places) / len(places)
    finally:
        os.close(descriptor)


def is_cached(descriptor: int, offset: int) -> bool:
    """Whether a read there need not wait for the disk."""
    if sys.platform == "linux":
        try:
            return os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) == 1
        except BlockingIOError:
            return False
        except OSError as error:
            raise Unavailable(f"this file system does not tell what is cached: {error.strerror}") from error
    else:
        raise Unavailable("this system does not tell what is in its cache")


def drop_from_cache(path: Path) -> None:
    """Make the kernel forget the pages of a file that nobody maps, as far as it lets us."""
    if sys.platform == "linux":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def make_cold(stage: Stage) -> None:
    """Make the kernel forget the full file; Unavailable if it does not let us."""
    for _ in range(ATTEMPTS):
        drop_from_cache(stage.full_file)
        if cached_part(stage) == 0:
            return
        # What the kernel is just reading ahead cannot be dropped yet.
        time.sleep(PAUSE_SECONDS)
    raise Unavailable("the kernel does not let us empty its cache")


def cold(scan: Callable[[Stage], Scan]) -> Factory:
    """A scan of a part of the file that is not in the page cache before, and is there after it."""

    def make(stage: Stage) -> Turn:
        run = scan(stage)

        def turn() -> float:
            make_cold(stage)
            began = time.perf_counter()
            run()
            seconds = time.perf_counter() - began
            if cached_part(stage) < 1:
                raise Unavailable("the kernel does not keep what was read")
            return seconds

        return turn

    return make


def cold_cursor(manager: Manager) -> Callable[[Stage], Scan]:
    """By a manager of its own, since nothing that is mapped leaves the cache."""

    def make(stage: Stage) -> Scan:
        path = stage.full_file.__fspath__()

        def run() -> None:
            owner = manager(16 * MIB, 0)
            cursor = owner.make_cursor(path)
            check(cursor.use_region(offset, CHUNK).buffer() for offset in range(0, COLD_SIZE, CHUNK))
            cursor.unuse_region()
            owner.collect()

        return run

    return make


def cold_read_of_cursor(stage: Stage) -> Scan:
    """By ``cursor.read``, and a manager of its own."""

    def run() -> None:
        with ours(-1, 0) as manager:
            cursor = manager.make_cursor(stage.full_file)
            check(cursor.read(offset, CHUNK) for offset in range(0, COLD_SIZE, CHUNK))

    return run


def cold_map(stage: Stage) -> Scan:
    """By one map of the whole file."""

    def run() -> None:
        whole: mmap.mmap = bare_map(stage.full_file)
        with memoryview(whole) as view:
            check(view[offset : offset + CHUNK] for offset in range(0, COLD_SIZE, CHUNK))
        whole.close()

    return run


def cold_read(stage: Stage) -> Scan:
    """By ``read``."""

    def run() -> None:
        with stage.full_file.open("rb", buffering=0) as file:
            check(file.read(CHUNK) for _ in range(0, COLD_SIZE, CHUNK))

    return run


ROWS: Final = (
    Row(
        "cold scan",
        {
            "smmap": cold(cold_cursor(theirs)),
            "ours": cold(cold_cursor(ours)),
            "one map": cold(cold_map),
            "cursor.read": cold(cold_read_of_cursor),
            "read": cold(cold_read),
        },
        (
            *beside("scan of 128 MiB, cold", "one map", "read"),
            Line(
                "the same by `cursor.read`, beside read",
                ours="cursor.read",
                smmap=None,
                bare="read",
                at_most=Target(1.2, 1.2),
            ),
        ),
        rounds=7,
        short=False,
    ),
)
