"""What other processes do for a test. The functions are here, so that a new interpreter can import them."""

import hashlib
import os
import pickle
import sys
from pathlib import Path
from typing import Final, NamedTuple

from smmap_typed import (
    FileChangedError,
    MappedFile,
    SlidingWindowMapBuffer,
    SlidingWindowMapManager,
    StaticWindowMapManager,
    WindowCursor,
)
from smmap_typed.testing import check_invariants, in_threads
from smmap_typed.values import ManagerStats
from support import mapped_bytes_of

__all__ = [
    "MIB",
    "Hashed",
    "close",
    "count_managers",
    "describe",
    "hash_part",
    "hash_range",
    "keep_mapped",
    "keep_one_alive",
    "meet_a_limit",
    "read",
    "read_by_window",
    "read_twice",
    "send_back",
    "share",
    "unpickle_many",
    "use",
]

MIB: Final = 1024 * 1024

Manager = SlidingWindowMapManager


def read(cursor: WindowCursor, buffer: SlidingWindowMapBuffer, file: MappedFile, size: int) -> tuple[bytes, ...]:
    """What each of them gives first."""
    return cursor.read(0, size), buffer[:size], file.read(size)


def read_twice(cursor: WindowCursor) -> tuple[str, bytes]:
    """The error of the first use, which must come here and not while the cursor is unpickled; and what is there now."""
    try:
        cursor.read(0, 1)
    except FileChangedError as error:
        return str(error), Path(str(cursor.path_or_fd())).read_bytes()
    return "", cursor.read(0, cursor.file_size())


def share(manager: Manager, cursor: WindowCursor, buffer: SlidingWindowMapBuffer, file: MappedFile) -> ManagerStats:
    """What their manager has done after all three of them have read one window."""
    manager.collect()
    manager.reset_stats()
    read(cursor, buffer, file, 10)
    check_invariants(manager)
    return manager.stats()


def describe(manager: StaticWindowMapManager) -> tuple[object, ...]:
    """Its settings, as far as it tells them."""
    return (
        type(manager).__name__,
        manager.window_size(),
        manager.max_mapped_memory_size(),
        manager.max_file_handles(),
    )


def keep_mapped(manager: Manager, path: Path) -> tuple[int, int]:
    """How many maps the manager has made before this task and after it, which needs one window."""
    before = manager.stats().maps
    manager.make_cursor(path).read(0, 1)
    return before, manager.stats().maps


def close(manager: Manager) -> bool:
    """Close it; whether it was open."""
    was_open = "closed" not in repr(manager)
    manager.close()
    return was_open


def meet_a_limit(manager: Manager, path: Path) -> None:
    """Pin three windows, which is more than the manager allows."""
    cursors = [manager.make_cursor(path) for _ in range(3)]
    for number, cursor in enumerate(cursors):
        cursor.use_region(number * manager.window_size(), 1)


def send_back(manager: Manager, cursor: WindowCursor) -> tuple[Manager, WindowCursor]:
    """Just that."""
    return manager, cursor


def read_by_window(cursor: WindowCursor) -> tuple[bytes, int]:
    """What is read, and how many bytes of the file are mapped for it."""
    content = cursor.use_region(0, 5).buffer().tobytes()
    return content, mapped_bytes_of(Path(str(cursor.path_or_fd())))


def count_managers(pickled: bytes, threads: int) -> int:
    """How many managers there are after so many threads have unpickled the same one at once."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        found: list[object] = in_threads(threads, lambda _: pickle.loads(pickled))
    finally:
        sys.setswitchinterval(before)
    return len({id(manager) for manager in found})


def unpickle_many(cursors: list[bytes]) -> list[int]:
    """Unpickle cursors of one file and different managers, one after the other; after each, how much of it is mapped.

    Each is dropped before the next one comes.
    """
    mapped: list[int] = []
    for pickled in cursors:
        cursor: WindowCursor = pickle.loads(pickled)
        cursor.use_region(0, 1)
        path = Path(str(cursor.path_or_fd()))
        del cursor
        mapped.append(mapped_bytes_of(path))
    return mapped


def keep_one_alive(cursor: bytes, others: list[bytes]) -> bool:
    """Whether a manager is still found while a cursor of it lives, though many others have arrived since."""
    first: WindowCursor = pickle.loads(cursor)
    region = first.use_region(0, 1).region()
    unpickle_many(others)
    second: WindowCursor = pickle.loads(cursor)
    return region is not None and second.use_region(0, 1).region() is region


class Hashed(NamedTuple):
    """What a task found, and in which process and by which manager."""

    digest: str
    process: int
    manager: int
    peak_bytes: int


def hash_range(manager: Manager, cursor: WindowCursor, begin: int, size: int) -> Hashed:
    """Hash a part of a file by views."""
    digest = hashlib.blake2b()
    for offset in range(begin, begin + size, MIB):
        digest.update(cursor.view(offset, MIB))
    return _hashed(manager, digest.hexdigest())


def hash_part(manager: Manager, part: SlidingWindowMapBuffer) -> Hashed:
    """Hash all of a buffer, and release its window: the scheduler may keep the buffer."""
    digest = hashlib.blake2b()
    with part:
        for view in part.views():
            digest.update(view)
    return _hashed(manager, digest.hexdigest())


def _hashed(manager: Manager, digest: str) -> Hashed:
    return Hashed(digest, os.getpid(), id(manager), manager.stats().peak_mapped_bytes)


def use(cursor: WindowCursor) -> bytes:
    """Read all."""
    return cursor.read(0, cursor.file_size())
