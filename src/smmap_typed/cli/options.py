"""The options that commands share, and their defaults."""

import argparse
import os
from typing import Final, get_args

from smmap_typed.cli.parsing import Arguments, Parser
from smmap_typed.cli.sizes import parse_size
from smmap_typed.manager import SlidingWindowMapManager
from smmap_typed.readers import ReaderName

__all__ = ["ManagerArguments", "ThreadArguments", "add_manager_options", "add_threads", "at_least_one", "make_manager"]
__all__ += ["size_option", "window_of"]

_THREADS: Final = os.cpu_count() or 1
_MAX_HANDLES: Final = 64
_WINDOW_SIZE: Final = parse_size("64MiB")
_READERS: Final[tuple[ReaderName, ...]] = get_args(ReaderName)


class ManagerArguments(Arguments):
    """The options of the manager that reads."""

    window_size: int | None
    """Bytes; None if the command decides."""
    max_memory: int
    """Bytes."""
    max_handles: int
    reader: ReaderName


class ThreadArguments(ManagerArguments):
    """The options of commands that read in several threads."""

    threads: int


def size_option(text: str) -> int:
    """Parse a size for argparse."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def at_least_one(text: str) -> int:
    """Parse a number of at least 1 for argparse."""
    if text.isascii() and text.isdecimal() and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")


def add_manager_options(
    parser: Parser, *, window_size: str = "64MiB, at most 1/4 of --max-memory", max_memory: str = "1GiB"
) -> None:
    """Add the options of the manager.

    ``window_size`` is a phrase for the help. So may ``max_memory`` be; the value is then 0, and the command decides.
    """
    parser.add_argument(
        "--window-size",
        type=size_option,
        metavar="SIZE",
        help=f"bytes of one window; 0: whole files (default: {window_size})",
    )
    _add_size(parser, "--max-memory", "bytes mapped at once", max_memory)
    parser.add_argument(
        "--reader",
        choices=_READERS,
        default="auto",
        metavar="HOW",
        help="how to read: mmap, pread, or auto: pread where mmap is refused (default: %(default)s)",
    )
    parser.add_argument(
        "--max-handles",
        type=at_least_one,
        default=_MAX_HANDLES,
        metavar="N",
        help="windows mapped at once (default: %(default)s)",
    )


def _add_size(parser: Parser, name: str, words: str, default: str) -> None:
    try:
        size = parse_size(default)
    except ValueError:
        size = 0
    parser.add_argument(name, type=size_option, default=size, metavar="SIZE", help=f"{words} (default: {default})")


def add_threads(parser: Parser) -> None:
    """Add the number of threads."""
    parser.add_argument(
        "--threads",
        type=at_least_one,
        default=_THREADS,
        metavar="N",
        help="threads that read, at most --max-handles (default: one per CPU)",
    )


def make_manager(arguments: ManagerArguments) -> SlidingWindowMapManager:
    """Make the manager that the options describe."""
    limits = window_of(arguments.window_size, arguments.max_memory), arguments.max_memory, arguments.max_handles
    return SlidingWindowMapManager(*limits, reader=arguments.reader)


def window_of(window_size: int | None, max_memory: int) -> int:
    """Return the bytes of a window: those that were asked for, or 64 MiB, or a quarter of a small memory limit."""
    return min(_WINDOW_SIZE, max(max_memory // 4, 1)) if window_size is None else window_size
