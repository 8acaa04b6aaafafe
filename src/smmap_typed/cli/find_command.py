"""``smmap-typed find``: prints the offsets at which bytes or a regular expression occur in files."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final

from smmap_typed.cli.finding import Found, Literal, Pattern, Regex, TooLongError, search
from smmap_typed.cli.options import ThreadArguments, add_manager_options, add_threads, make_manager, size_option
from smmap_typed.cli.parsing import Parser
from smmap_typed.cli.terminal import FAILED, NOT_SO, Output, complain, fail, printable, reason

__all__ = ["main"]

_ABOUT: Final = """Print the offset of each occurrence of PATTERN in each FILE, in order and without overlap. A FILE
of - is standard input. With several files, each offset follows the name of its file. The exit status is 0 if there is a
match, 1 if there is none, and 2 if a file could not be read."""
_LONGEST: Final = 4096


class _Arguments(ThreadArguments):
    as_hex: bool
    as_regex: bool
    max_length: int | None
    count: bool


def main(words: Sequence[str]) -> int:
    """Run the command, and return its exit status."""
    parser = Parser("find [OPTIONS] PATTERN FILE...", _ABOUT, "smmap-typed find --hex 'ff d8 ff' disk.img")
    parser.add_argument(
        "--hex", action="store_true", dest="as_hex", help="PATTERN is hexadecimal, with or without spaces"
    )
    parser.add_argument(
        "--regex", action="store_true", dest="as_regex", help="PATTERN is a regular expression of Python's re, on bytes"
    )
    parser.add_argument(
        "--max-length",
        type=size_option,
        metavar="SIZE",
        help="with --regex: maximum bytes that a match may look at; a longer match is an error (default: 4KiB)",
    )
    parser.add_argument("--count", action="store_true", help="print the number of matches instead")
    add_threads(parser)
    add_manager_options(parser)
    arguments = parser.parse(words, _Arguments())
    pattern, *files = arguments.operands
    try:
        wanted = _pattern(pattern, arguments)
    except ValueError as error:
        parser.error(str(error))
    with (
        make_manager(arguments) as manager,
        closing(search(manager, files, wanted, arguments.threads, only_counts=arguments.count)) as found,
    ):
        try:
            return _print_all(found, named=len(files) > 1, count=arguments.count)
        except TooLongError as error:
            fail(str(error))


def _pattern(pattern: str, arguments: _Arguments) -> Pattern:
    """Return what to search for; raise ValueError if there can be no such pattern."""
    if arguments.as_hex and arguments.as_regex:
        raise ValueError("--hex and --regex exclude each other")
    if arguments.max_length is not None and not arguments.as_regex:
        raise ValueError("--max-length has no effect without --regex")
    if not pattern:
        raise ValueError("PATTERN is empty")
    if arguments.as_regex:
        longest = _LONGEST if arguments.max_length is None else arguments.max_length
        try:
            return Regex(re.compile(os.fsencode(pattern)), longest)
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    if not arguments.as_hex:
        return Literal(os.fsencode(pattern))
    try:
        needle = bytes.fromhex(pattern)
    except ValueError:
        needle = b""
    if not needle:
        raise ValueError(f"{pattern!r} is not hexadecimal; write bytes as 'ff d8 ff' or ffd8ff")
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
        total += piece.count
        in_file += piece.count
        prefix = output.name(piece.path) + b":" if named else b""
        if not count:
            # No loop in Python: there may be millions of matches.
            line = prefix.replace(b"%", b"%%") + b"%d\n"
            output.write(b"".join(map(line.__mod__, piece.offsets)))
        elif piece.last:
            output.write(b"%s%d\n" % (prefix, in_file))
        if piece.last:
            in_file = 0
    if failed:
        return FAILED
    return 0 if total else NOT_SO
