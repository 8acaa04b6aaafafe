"""Scans: a file from its first byte to its last."""

import zlib
from collections.abc import Iterator
from typing import Final

from benchmarks.contest import Factory, Line, Row, Turn, timed
from benchmarks.stage import FILE_SIZE, KIB, MIB, Manager, Stage, bare_map, ours, theirs

__all__ = ["CHUNK", "ROWS", "SCAN_WINDOWS", "beside", "check"]

CHUNK: Final = 256 * KIB
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


def beside(what: str, *rivals: str) -> tuple[Line, ...]:
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
        beside("scan of 1 GiB", "one map", "numpy.memmap", "read", "readinto"),
        rounds=7,
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
)
