"""``smmap-typed find``: prints the offsets at which bytes or a regular expression occur in files."""

import os
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Final

import typer

from smmap_typed.cli.finding import Found, Literal, Pattern, Regex, TooLongError, search
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
    size_option,
    window_of,
)
from smmap_typed.cli.terminal import Output, complain, fail, printable, reason
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["find"]

_LONGEST: Final = 4096
_NOT_FOUND: Final = 1
_FAILED: Final = 2


def find(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="What to search for.", show_default=False)],
    files: Files,
    *,
    as_hex: Annotated[bool, typer.Option("--hex", help="PATTERN is hexadecimal, with or without spaces.")] = False,
    as_regex: Annotated[
        bool, typer.Option("--regex", help="PATTERN is a regular expression of Python's re, on bytes.")
    ] = False,
    max_length: Annotated[
        int,
        typer.Option(
            parser=size_option,
            metavar="SIZE",
            show_default="4KiB",
            help="With --regex: maximum bytes that a match may look at; a longer match is an error.",
        ),
    ] = _LONGEST,
    count: Annotated[bool, typer.Option("--count", help="Print the number of matches instead.")] = False,
    threads: Threads = THREADS,
    window_size: WindowSize = None,
    max_memory: MaxMemory = MAX_MEMORY,
    max_handles: MaxHandles = MAX_HANDLES,
    reader: ReadBy = "auto",
) -> None:
    """Print the offset of each occurrence of PATTERN in each FILE, in order and without overlap.

    With several files, each offset follows the name of its file. The exit status is 0 if there is a match, 1 if there
    is none, and 2 if a file could not be read.
    """
    wanted = _pattern(pattern, max_length, as_hex=as_hex, as_regex=as_regex)
    with (
        SlidingWindowMapManager(window_of(window_size, max_memory), max_memory, max_handles, reader=reader) as manager,
        closing(search(manager, files, wanted, threads)) as found,
    ):
        try:
            status = _print_all(found, named=len(files) > 1, count=count)
        except TooLongError as error:
            fail(str(error))
    raise typer.Exit(status)


def _pattern(pattern: str, max_length: int, *, as_hex: bool, as_regex: bool) -> Pattern:
    if as_hex and as_regex:
        raise typer.BadParameter("--hex and --regex exclude each other")
    if not pattern:
        raise typer.BadParameter("PATTERN is empty")
    if as_regex:
        try:
            return Regex(re.compile(os.fsencode(pattern)), max_length)
        except re.error as error:
            raise typer.BadParameter(f"{pattern!r} is not a regular expression: {error}") from error
    if not as_hex:
        return Literal(os.fsencode(pattern))
    try:
        needle = bytes.fromhex(pattern)
    except ValueError:
        needle = b""
    if not needle:
        raise typer.BadParameter(f"{pattern!r} is not hexadecimal; write bytes as 'ff d8 ff' or ffd8ff")
    return Literal(needle)


def _print_all(found: Iterator[Found], *, named: bool, count: bool) -> int:
    """Print matches as they arrive, and return the exit status."""
    output = Output()
    total = in_file = 0
    failed = False
    for piece in found:
        if piece.error is not None:
            failed = True
            in_file = 0
            complain(f"{printable(piece.path)}: {reason(piece.error)}")
            continue
        total += len(piece.offsets)
        in_file += len(piece.offsets)
        prefix = output.name(piece.path) + b":" if named else b""
        if not count:
            output.write(b"".join(b"%s%d\n" % (prefix, offset) for offset in piece.offsets))
        elif piece.last:
            output.write(b"%s%d\n" % (prefix, in_file))
        if piece.last:
            in_file = 0
    if failed:
        return _FAILED
    return 0 if total else _NOT_FOUND
