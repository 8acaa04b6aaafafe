"""Checksums of many files through one shared manager: the work of the ``hash`` command, without its command line.

Uses the public API only. Pure but for ``checksums`` itself, which reads files in threads of its own.
"""

import hashlib
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Final, final

from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["Checksum", "check_algorithm", "checksum_line", "checksums", "escaped"]

# How sha256sum keeps one line for each file, whatever its name.
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r"})

# Bytes that are hashed before a thread looks whether it should stop: some milliseconds.
_STEP: Final = 8 * 1024 * 1024


@final
@dataclass(frozen=True, slots=True)
class Checksum:
    """What became of one file."""

    path: str
    """As it was given."""
    digest: str
    """Lower-case hexadecimal; empty if there is an error."""
    error: OSError | None
    """Why there is no digest."""


def checksums(
    manager: SlidingWindowMapManager,
    paths: Sequence[str],
    algorithm: str,
    threads: int,
    advance: Callable[[int], object] = int,
) -> Generator[Checksum, None, None]:
    """The checksum of each path, in their order and each as soon as it is due, read by ``threads`` threads.

    Each thread pins one window at a time, so that no more than ``threads`` are pinned at any instant, and a manager
    with a lower handle limit gets only as many threads. Closing the iterator stops the threads. They call ``advance``
    with the number of bytes that they have just read.
    """
    stop = Event()
    pool = ThreadPoolExecutor(min(threads, manager.max_file_handles()), "hash")
    try:
        futures = [pool.submit(_checksum, manager, path, algorithm, stop, advance) for path in paths]
        for future in futures:
            yield future.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _checksum(
    manager: SlidingWindowMapManager, path: str, algorithm: str, stop: Event, advance: Callable[[int], object]
) -> Checksum:
    try:
        return Checksum(path, _digest(manager, path, algorithm, stop, advance), None)
    except OSError as error:
        return Checksum(path, "", error)


def _digest(
    manager: SlidingWindowMapManager, path: str, algorithm: str, stop: Event, advance: Callable[[int], object]
) -> str:
    hasher = hashlib.new(algorithm)
    offset = 0
    with manager.make_cursor(path) as cursor:
        while cursor.use_region(offset).is_valid():
            with cursor.buffer() as view:
                for start in range(0, len(view), _STEP):
                    if stop.is_set():
                        raise CancelledError
                    # No name for the slice: one that outlives it would keep the window pinned.
                    hasher.update(view[start : start + _STEP])
                    advance(min(_STEP, len(view) - start))
                offset += len(view)
            # Before the next window is pinned: two at once in each thread could be more than the handle limit.
            cursor.unuse_region()
    if not offset:
        # Files in /proc and /sys have content and say that they are empty.
        with open(path, "rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest()
    return hasher.hexdigest()


def checksum_line(checksum: Checksum) -> bytes:
    """The line that ``sha256sum`` prints: a backslash in front says that the name is escaped."""
    name = escaped(checksum.path)
    mark = "" if name == checksum.path else "\\"
    return os.fsencode(f"{mark}{checksum.digest}  {name}\n")


def escaped(path: str) -> str:
    """``path`` on one line, with its backslashes, line feeds and carriage returns escaped."""
    return path.translate(_ESCAPES)


def check_algorithm(name: str) -> str:
    """``name`` again, if ``hashlib`` has an algorithm of that name with a digest of fixed size; ValueError if not."""
    try:
        fixed = hashlib.new(name).digest_size > 0
    except ValueError:
        fixed = False
    if not fixed:
        known = sorted(each for each in hashlib.algorithms_guaranteed if not each.startswith("shake"))
        raise ValueError(f"{name!r} is not an algorithm with a digest of fixed size; there are {', '.join(known)}")
    return name
