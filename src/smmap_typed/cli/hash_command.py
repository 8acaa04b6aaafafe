"""``smmap-typed hash``: prints checksums, or checks those of a file, as ``sha256sum`` does."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import fields

from smmap_typed import ManagerStats
from smmap_typed.cli.bar import Bar
from smmap_typed.cli.checking import Expected, parse_checksums
from smmap_typed.cli.hashing import Checksum, check_algorithm, checksum_line, checksums, escaped
from smmap_typed.cli.options import ThreadArguments, add_manager_options, add_threads, make_manager
from smmap_typed.cli.parsing import Parser
from smmap_typed.cli.progress import progress_bar
from smmap_typed.cli.standard_input import STANDARD_INPUT
from smmap_typed.cli.terminal import FAILED, NOT_SO, Output, complain, fail_on, printable, reason
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["main"]

_ABOUT = """Print the checksum of each FILE in the format of sha256sum, or check those that FILE lists. A FILE of - is
standard input. One manager reads all files, within its limits. The exit status is 1 if a checksum is not the listed
one, and 2 if a file could not be read."""


class _Arguments(ThreadArguments):
    check: bool
    algorithm: str | None
    stats: bool


def main(words: Sequence[str]) -> int:
    """Run the command, and return its exit status."""
    parser = Parser("hash [OPTIONS] FILE...", _ABOUT, "smmap-typed hash --threads 4 *.iso > SHA256SUMS")
    parser.add_argument("--check", action="store_true", help="check the checksums that each FILE lists")
    parser.add_argument(
        "--algorithm",
        type=_algorithm,
        metavar="NAME",
        help="a hashlib algorithm with a digest of fixed size (default: sha256, or with --check what the line names)",
    )
    parser.add_argument("--stats", action="store_true", help="print the manager's statistics on stderr")
    add_threads(parser)
    add_manager_options(parser)
    arguments = parser.parse(words, _Arguments())
    with make_manager(arguments) as manager:
        if arguments.check:
            status = max([_check(manager, name, arguments) for name in arguments.operands])
        else:
            status = _hash(manager, arguments)
        if arguments.stats:
            _print_stats(manager.stats())
    return status


def _algorithm(name: str) -> str:
    try:
        return check_algorithm(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _hash(manager: SlidingWindowMapManager, arguments: _Arguments) -> int:
    """Print each checksum as it arrives, and return the exit status."""
    algorithm = arguments.algorithm or "sha256"
    wanted = [(name, algorithm) for name in arguments.operands]
    output = Output()
    status = 0
    with (
        progress_bar(arguments.operands) as bar,
        closing(checksums(manager, wanted, arguments.threads, bar.advance)) as due,
    ):
        for result in due:
            with bar.aside():
                if result.error is None:
                    output.write(checksum_line(result, printable if output.is_terminal else escaped))
                else:
                    status = FAILED
                    complain(f"{printable(result.path)}: {reason(result.error)}")
            bar.file_done()
    return status


def _check(manager: SlidingWindowMapManager, name: str, arguments: _Arguments) -> int:
    """Check the files that the file ``name`` lists, and return the exit status."""
    try:
        text = sys.stdin.buffer.read() if name == STANDARD_INPUT else _content(name)
    except OSError as error:
        fail_on(name, error)
    expected, improper = parse_checksums(text, arguments.algorithm)
    if not expected:
        complain(f"{printable(name)}: no properly formatted checksum lines found")
        return FAILED
    wanted = [(os.fsdecode(line.name), line.algorithm) for line in expected]
    with (
        progress_bar([path for path, _ in wanted]) as bar,
        closing(checksums(manager, wanted, arguments.threads, bar.advance)) as due,
    ):
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
    if unread:
        return FAILED
    return NOT_SO if mismatched else 0


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
