"""A strict code base that uses what is new: one cursor for all threads, checked and never run.

mypy refuses any expression in it whose type is Any.
"""

import errno
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import PathLike
from typing import Protocol

from smmap_typed import (
    FileChangedError,
    HandleLimitError,
    ManagerStats,
    SlidingWindowMapBuffer,
    SlidingWindowMapManager,
    StaticWindowMapManager,
    Window,
    WindowCursor,
)


class Readable(Protocol):
    """What these functions need of a cursor; a test's double needs no more."""

    def read(self, offset: int, size: int) -> bytes: ...
    def file_size(self) -> int: ...


def pieces(file: Readable, size: int) -> Iterator[bytes]:
    for offset in range(0, file.file_size(), size):
        yield file.read(offset, size)


def checksum(manager: StaticWindowMapManager, path: PathLike[str], size: int = 1 << 20) -> str:
    digest = hashlib.sha256()
    with manager.make_cursor(path) as cursor:
        for piece in pieces(cursor, size):
            digest.update(piece)
    return digest.hexdigest()


def checksums(paths: Sequence[PathLike[str]], threads: int) -> tuple[list[str], ManagerStats]:
    with SlidingWindowMapManager(max_open_handles=threads) as manager, ThreadPoolExecutor(threads) as pool:
        return list(pool.map(partial(checksum, manager), paths)), manager.stats()


def first_line(cursor: WindowCursor, windows: Sequence[Window]) -> bytes:
    with SlidingWindowMapBuffer(cursor, min(windows).offset) as buffer:
        end = buffer.find(b"\n")
        return buffer[: end if end >= 0 else None]


def read_again(manager: StaticWindowMapManager, path: str) -> memoryview | None:
    cursor = manager.make_cursor(path)
    try:
        return cursor.view(0, 100)
    except FileChangedError as error:
        print(error.target, error.reason)
    except HandleLimitError as error:
        print(error.pinned, error.limit, error.errno == errno.EMFILE)
    return None
