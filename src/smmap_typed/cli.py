"""The command line: ``python -m smmap_typed hash FILE...``, with the extra ``cli`` (typer).

Each command is one function here that turns arguments into calls and results into lines; the work is elsewhere.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from typing import Annotated, Final

import typer

from smmap_typed._hashing import Checksum, check_algorithm, checksum_line, checksums, escaped, parse_size
from smmap_typed._stats import ManagerStats
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["app"]

# What the shell reports of programs that these signals end: 128 + SIGINT, 128 + SIGPIPE.
_INTERRUPTED: Final = 130
_NOBODY_READS: Final = 141

_THREADS: Final = os.cpu_count() or 1
_WINDOW_SIZE: Final = parse_size("64MiB")
_MAX_MEMORY: Final = parse_size("1GiB")

app: Final = typer.Typer(
    help="Read big files through windows in memory, under limits, with any number of threads.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _commands() -> None:
    """Typer gives a lone command no name of its own, unless there is a callback."""


def _size(value: object) -> int:
    # Defaults come as numbers, arguments as text.
    try:
        return parse_size(str(value))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _algorithm(name: str) -> str:
    try:
        return check_algorithm(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@app.command("hash", epilog="Example: python -m smmap_typed hash --threads 4 *.iso > SHA256SUMS")
def hash_files(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files to read.", show_default=False)],
    *,
    threads: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Files read at once, at most --max-handles.", show_default="one per CPU"),
    ] = _THREADS,
    window_size: Annotated[
        int,
        typer.Option(parser=_size, metavar="SIZE", help="Bytes of one window; 0: whole files.", show_default="64MiB"),
    ] = _WINDOW_SIZE,
    max_memory: Annotated[
        int, typer.Option(parser=_size, metavar="SIZE", help="Bytes mapped at once.", show_default="1GiB")
    ] = _MAX_MEMORY,
    max_handles: Annotated[int, typer.Option(min=1, metavar="N", help="Windows mapped at once.")] = 64,
    algorithm: Annotated[
        str, typer.Option(callback=_algorithm, metavar="NAME", help="Any of hashlib with a digest of fixed size.")
    ] = "sha256",
    stats: Annotated[bool, typer.Option("--stats", help="Print what the manager did to stderr.")] = False,
) -> None:
    """Print the checksum of each FILE in the format of sha256sum.

    All files are read through one manager, under its limits. The exit status is 1 if a file could not be read.
    """
    with SlidingWindowMapManager(window_size, max_memory, max_handles) as manager:
        with closing(checksums(manager, files, algorithm, threads)) as results:
            status = _print_all(results)
        if stats:
            _print_stats(manager.stats())
    raise typer.Exit(status)


def _print_all(results: Iterator[Checksum]) -> int:
    """Print each result as it comes; the exit status."""
    status = 0
    try:
        for result in results:
            if result.error is None:
                sys.stdout.buffer.write(checksum_line(result))
                sys.stdout.buffer.flush()
            else:
                status = 1
                _complain(f"{escaped(result.path)}: {result.error.strerror or result.error}")
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OSError as error:
        _forget_output()
        if isinstance(error, BrokenPipeError):
            return _NOBODY_READS
        _complain(f"cannot write: {error.strerror}")
        return 1
    return status


def _forget_output() -> None:
    """Point stdout to nowhere: what it still buffers would fail again, and noisily, when the interpreter exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _complain(message: str) -> None:
    sys.stderr.write(f"smmap-typed: {message}\n")


def _print_stats(stats: ManagerStats) -> None:
    """One line for each figure, files aside: they are closed, or about to be."""
    for field in fields(stats):
        if field.name != "files":
            sys.stderr.write(f"{field.name} {getattr(stats, field.name)}\n")
