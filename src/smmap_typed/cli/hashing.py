"""Checksums of many files through one shared manager: the work of ``hash``.

Uses only the public API. Pure except for ``checksums``, which reads files in its own threads.
"""

import hashlib
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Final, final

from smmap_typed.exceptions import UnsizedFileError
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["Checksum", "check_algorithm", "checksum_line", "checksums", "escaped"]

# sha256sum escapes these characters, so that each file has one line whatever its name.
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r"})

# Bytes that a thread hashes before it checks whether it should stop: this takes some milliseconds.
_STEP: Final = 8 * 1024 * 1024


@final
@dataclass(frozen=True, slots=True)
class Checksum:
    """The checksum of one file, or the error."""

    path: str
    """The path as it was given."""
    digest: str
    """In lower-case hexadecimal; empty if there is an error."""
    error: OSError | None
    """Why there is no digest."""


def checksums(
    manager: SlidingWindowMapManager,
    paths: Sequence[str],
    algorithm: str,
    threads: int,
    advance: Callable[[int], object] = int,
) -> Generator[Checksum, None, None]:
    """Yield the checksum of each path, in order and each as soon as it is available, computed by ``threads`` threads.

    Each thread pins one window at a time. If the manager's handle limit is lower than ``threads``, there are only as
    many threads as handles. Closing the iterator stops the threads. They call ``advance`` with the number of bytes that
    they have just read.
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
        try:
            return Checksum(path, _digest(manager, path, algorithm, stop, advance), None)
        except UnsizedFileError:
            # A file of /proc or /sys. The error comes before any of its bytes were hashed.
            with open(path, "rb") as file:
                return Checksum(path, hashlib.file_digest(file, algorithm).hexdigest(), None)
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
                    # The slice has no name: a name that outlives this step would keep the window pinned.
                    hasher.update(view[start : start + _STEP])
                    advance(min(_STEP, len(view) - start))
                offset += len(view)
            # Release it before pinning the next window: two windows in each thread could exceed the handle limit.
            cursor.unuse_region()
    return hasher.hexdigest()


def checksum_line(checksum: Checksum) -> bytes:
    """Return the line that ``sha256sum`` prints. A backslash at the start means that the name is escaped."""
    name = escaped(checksum.path)
    mark = "" if name == checksum.path else "\\"
    return os.fsencode(f"{mark}{checksum.digest}  {name}\n")


def escaped(path: str) -> str:
    """Return ``path`` on one line, with its backslashes, line feeds and carriage returns escaped."""
    return path.translate(_ESCAPES)


def check_algorithm(name: str) -> str:
    """Return ``name``; raise ValueError unless ``hashlib`` has such an algorithm with a digest of fixed size."""
    try:
        fixed = hashlib.new(name).digest_size > 0
    except ValueError:
        fixed = False
    if not fixed:
        known = sorted(each for each in hashlib.algorithms_guaranteed if not each.startswith("shake"))
        raise ValueError(f"{name!r} is not an algorithm with a digest of fixed size; there are {', '.join(known)}")
    return name
