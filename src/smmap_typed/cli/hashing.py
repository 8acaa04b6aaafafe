"""Checksums of many files through one shared manager: the work of ``hash``.

Uses only the public API. Pure except for ``checksums``, which reads files in its own threads.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Final, final

from smmap_typed.cli.standard_input import STANDARD_INPUT
from smmap_typed.exceptions import UnsizedFileError
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["Checksum", "check_algorithm", "checksum_line", "checksums", "escaped"]

# sha256sum escapes these characters, so that each file has one line whatever its name.
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r"})

# Bytes of one read: the processor's cache has room for them. Between two reads, a thread checks whether it should stop.
_BLOCK: Final = 1024 * 1024


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
    wanted: Sequence[tuple[str, str]],
    threads: int,
    advance: Callable[[int], object] = int,
) -> Generator[Checksum, None, None]:
    """Yield the checksum of each wanted path by its algorithm, in order and each as soon as it is available.

    There are ``threads`` threads. Closing the iterator stops them. They call ``advance`` with the number of bytes that
    they have just read.
    """
    stop = Event()
    pool = ThreadPoolExecutor(threads, "hash")
    try:
        futures = [
            None if path == STANDARD_INPUT else pool.submit(_checksum, manager, path, algorithm, stop, advance)
            for path, algorithm in wanted
        ]
        for future, (_, algorithm) in zip(futures, wanted, strict=True):
            # Read standard input in this thread, which Ctrl-C interrupts: a thread of the pool might wait for ever.
            yield _checksum_of_input(algorithm) if future is None else future.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _checksum_of_input(algorithm: str) -> Checksum:
    hasher = hashlib.new(algorithm)
    try:
        while data := sys.stdin.buffer.read(_BLOCK):
            hasher.update(data)
    except OSError as error:
        return Checksum(STANDARD_INPUT, "", error)
    return Checksum(STANDARD_INPUT, hasher.hexdigest(), None)


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
    with manager.open(path) as file, memoryview(bytearray(_BLOCK)) as room:
        while count := file.readinto(room):
            if stop.is_set():
                raise CancelledError
            hasher.update(room[:count])
            advance(count)
    return hasher.hexdigest()


def checksum_line(checksum: Checksum, escape: Callable[[str], str]) -> bytes:
    """Return the line that ``sha256sum`` prints. A backslash at the start means that ``escape`` changed the name."""
    name = escape(checksum.path)
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
