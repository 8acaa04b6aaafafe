"""Scans: a file from its first byte to its last, and reads at random places."""

import mmap
import os
import random
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from benchmarks.contest import Factory, Line, Row, Turn, Unavailable, timed
from benchmarks.stage import FILE_SIZE, KIB, MIB, Manager, Stage, bare_map, ours, theirs

__all__ = ["ROWS", "SCAN_WINDOWS"]

# What it takes to empty the page cache is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

CHUNK: Final = 256 * KIB
READS: Final = 5_000
PAGE: Final = 4 * KIB
COLD_SIZE: Final = 128 * MIB
SCAN_WINDOWS: Final = {
    f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB": size
    for size in (64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB, FILE_SIZE)
}
SCANNED: Final = 256 * MIB
"""Of the file, by each window size."""
SMALL_CHUNK: Final = 32 * KIB
"""Half of the smallest window, so that no window cuts it."""
FOUR_WINDOWS: Final = 4
Chunk = bytes | bytearray | memoryview
Scan = Callable[[], object]


def check(chunks: Iterator[Chunk]) -> int:
    """A checksum, so that each byte is looked at."""
    result = 0
    for chunk in chunks:
        result = zlib.crc32(chunk, result)
    return result


def with_cursor(manager: Manager, window: int, memory: int, size: int, chunk: int) -> Factory:
    """A new cursor each time, moved on chunk by chunk."""

    def make(stage: Stage) -> Turn:
        owner = manager(window, memory)
        path = stage.full_file.__fspath__()

        def chunks() -> Iterator[Chunk]:
            cursor = owner.make_cursor(path)
            for offset in range(0, size, chunk):
                yield cursor.use_region(offset, chunk).buffer()

        def work() -> None:
            check(chunks())

        return timed(1, work)

    return make


def with_read(stage: Stage) -> Turn:
    """``read`` of an unbuffered file."""

    def chunks() -> Iterator[Chunk]:
        with stage.full_file.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def work() -> None:
        check(chunks())

    return timed(1, work)


def with_readinto(stage: Stage) -> Turn:
    """``readinto`` of an unbuffered file into one buffer."""
    buffer = bytearray(CHUNK)

    def chunks() -> Iterator[Chunk]:
        with stage.full_file.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                yield buffer

    def work() -> None:
        check(chunks())

    return timed(1, work)


def with_one_map(size: int, chunk: int) -> Factory:
    """Slices of the view of one map, which stays mapped, as the library's windows do."""

    def make(stage: Stage) -> Turn:
        view = memoryview(bare_map(stage.full_file))

        def chunks() -> Iterator[Chunk]:
            for offset in range(0, size, chunk):
                yield view[offset : offset + chunk]

        def work() -> None:
            check(chunks())

        return timed(1, work)

    return make


def with_numpy(stage: Stage) -> Turn:
    """Slices of one ``numpy.memmap``."""
    import numpy as np  # noqa: PLC0415 - no other row needs it, and none is to pay for it

    array = np.memmap(stage.full_file, dtype=np.uint8, mode="r")

    def chunks() -> Iterator[Chunk]:
        for offset in range(0, FILE_SIZE, CHUNK):
            yield array[offset : offset + CHUNK].data

    def work() -> None:
        check(chunks())

    return timed(1, work)


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


def bytes_from_disk() -> int:
    """What this process has made the kernel read from a disk so far."""
    if sys.platform != "linux":
        raise Unavailable("the kernel does not tell what came from the disk")
    with open("/proc/self/io", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("read_bytes"))


def drop_from_cache(stage: Stage) -> None:
    """Ask the kernel to forget the file."""
    if sys.platform != "linux":
        raise Unavailable("this system has no posix_fadvise")
    descriptor = os.open(stage.full_file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def cold(scan: Callable[[Stage], Scan]) -> Factory:
    """A scan of a part of the file that is not in the page cache, which is made sure."""

    def make(stage: Stage) -> Turn:
        run = scan(stage)

        def turn() -> float:
            drop_from_cache(stage)
            before = bytes_from_disk()
            began = time.perf_counter()
            run()
            seconds = time.perf_counter() - began
            if bytes_from_disk() - before < COLD_SIZE * 9 // 10:
                raise Unavailable("the kernel keeps the file in its cache")
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


def _lines(what: str, *rivals: str) -> tuple[Line, ...]:
    """A line for each rival; the first has smmap's figure, too."""
    return tuple(
        Line(f"{what}, beside {rival}", smmap=None if number else "smmap", bare=rival)
        for number, rival in enumerate(rivals)
    )


ROWS: Final = (
    Row(
        "scan",
        {
            "smmap": with_cursor(theirs, -1, 0, FILE_SIZE, CHUNK),
            "ours": with_cursor(ours, -1, 0, FILE_SIZE, CHUNK),
            "one map": with_one_map(FILE_SIZE, CHUNK),
            "numpy.memmap": with_numpy,
            "read": with_read,
            "readinto": with_readinto,
        },
        _lines("scan of 1 GiB", "one map", "numpy.memmap", "read", "readinto"),
        rounds=7,
        short=False,
    ),
    Row(
        "cold scan",
        {
            "smmap": cold(cold_cursor(theirs)),
            "ours": cold(cold_cursor(ours)),
            "one map": cold(cold_map),
            "read": cold(cold_read),
        },
        _lines("scan of 128 MiB, cold", "one map", "read"),
        rounds=7,
        short=False,
    ),
    Row(
        "random reads",
        {
            "smmap": random_reads(theirs, -1, 0),
            "ours": random_reads(ours, -1, 0),
            "one map": random_map,
            "os.pread": random_pread,
        },
        _lines("random 4 KiB", "one map", "os.pread"),
        short=False,
    ),
    Row(
        "windows",
        {
            **{
                name: with_cursor(ours, size, FOUR_WINDOWS * size, SCANNED, SMALL_CHUNK)
                for name, size in SCAN_WINDOWS.items()
            },
            "one map": with_one_map(SCANNED, SMALL_CHUNK),
        },
        tuple(
            Line(f"scan, windows of {name}, room for four", ours=name, smmap=None, bare="one map")
            for name in SCAN_WINDOWS
        ),
        rounds=7,
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
