"""``smmap-typed hash``: prints checksums, or checks those of a file, as ``sha256sum`` does."""

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from typing import Annotated

import typer

from smmap_typed import ManagerStats
from smmap_typed.cli.checking import Expected, parse_checksums
from smmap_typed.cli.hashing import Checksum, check_algorithm, checksum_line, checksums, escaped
from smmap_typed.cli.options import (
    MAX_HANDLES,
    MAX_MEMORY,
    THREADS,
    Files,
    MaxHandles,
    MaxMemory,
    ReadBy,
    Threads,
    WindowSize,
    window_of,
)
from smmap_typed.cli.progress import Bar, progress_bar
from smmap_typed.cli.terminal import Output, complain, fail_on, printable, reason
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["hash_files"]


def _algorithm(name: str) -> str:
    try:
        return check_algorithm(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def hash_files(
    files: Files,
    *,
    check: Annotated[bool, typer.Option("--check", help="Check the checksums in each FILE; - is stdin.")] = False,
    threads: Threads = THREADS,
    window_size: WindowSize = None,
    max_memory: MaxMemory = MAX_MEMORY,
    max_handles: MaxHandles = MAX_HANDLES,
    reader: ReadBy = "auto",
    algorithm: Annotated[
        str, typer.Option(callback=_algorithm, metavar="NAME", help="A hashlib algorithm with a digest of fixed size.")
    ] = "sha256",
    stats: Annotated[bool, typer.Option("--stats", help="Print the manager's statistics on stderr.")] = False,
) -> None:
    """Print the checksum of each FILE in the format of sha256sum, or check those that FILE lists.

    One manager reads all files, within its limits. The exit status is 1 if a file could not be read, or if its checksum
    is not the listed one.
    """
    with SlidingWindowMapManager(window_of(window_size, max_memory), max_memory, max_handles, reader=reader) as manager:
        if check:
            status = max([_check(manager, name, algorithm, threads) for name in files])
        else:
            with progress_bar(files) as bar, closing(checksums(manager, files, algorithm, threads, bar.advance)) as due:
                status = _print_all(due, bar)
        if stats:
            _print_stats(manager.stats())
    raise typer.Exit(status)


def _print_all(results: Iterator[Checksum], bar: Bar) -> int:
    """Print each result as it arrives, and return the exit status."""
    output = Output()
    status = 0
    for result in results:
        with bar.aside():
            if result.error is None:
                output.write(checksum_line(result))
            else:
                status = 1
                complain(f"{printable(result.path)}: {reason(result.error)}")
        bar.file_done()
    return status


def _check(manager: SlidingWindowMapManager, name: str, algorithm: str, threads: int) -> int:
    """Check the files that the file ``name`` lists, and return the exit status."""
    try:
        text = sys.stdin.buffer.read() if name == "-" else _content(name)
    except OSError as error:
        fail_on(name, error)
    expected, improper = parse_checksums(text, hashlib.new(algorithm).digest_size)
    if not expected:
        complain(f"{printable(name)}: no properly formatted checksum lines found")
        return 1
    paths = [os.fsdecode(line.name) for line in expected]
    with progress_bar(paths) as bar, closing(checksums(manager, paths, algorithm, threads, bar.advance)) as due:
        return _judge_all(expected, due, bar, improper)


def _content(name: str) -> bytes:
    with open(name, "rb") as file:
        return file.read()


def _judge_all(expected: list[Expected], results: Iterator[Checksum], bar: Bar, improper: int) -> int:
    output = Output()
    unread = mismatched = 0
    for line, result in zip(expected, results, strict=True):
        verdict = "OK" if result.digest == line.digest else "FAILED"
        with bar.aside():
            if result.error is not None:
                unread += 1
                verdict = "FAILED open or read"
                complain(f"{printable(result.path)}: {reason(result.error)}")
            elif verdict == "FAILED":
                mismatched += 1
            output.write(_checked_name(output, result.path) + f": {verdict}\n".encode())
        bar.file_done()
    _warn(improper, "line is improperly formatted", "lines are improperly formatted")
    _warn(unread, "listed file could not be read", "listed files could not be read")
    _warn(mismatched, "computed checksum did NOT match", "computed checksums did NOT match")
    return 1 if unread or mismatched else 0


def _checked_name(output: Output, path: str) -> bytes:
    """Return the name as ``sha256sum --check`` prints it: escaped only if it would take more than one line."""
    if output.is_terminal:
        return output.name(path)
    return os.fsencode(f"\\{escaped(path)}" if "\n" in path else path)


def _warn(count: int, one: str, many: str) -> None:
    if count:
        complain(f"WARNING: {count} {one if count == 1 else many}")


def _print_stats(stats: ManagerStats) -> None:
    """Print one line for each figure, except the files: they are closed, or about to be."""
    for field in fields(stats):
        if field.name != "files":
            sys.stderr.write(f"{field.name} {getattr(stats, field.name)}\n")
