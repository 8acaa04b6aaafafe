"""The options that commands share, and their defaults."""

import argparse
import os
from typing import Final

from smmap_typed.cli.parsing import Arguments, Parser
from smmap_typed.cli.sizes import parse_size
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["ManagerArguments", "ThreadArguments", "add_manager_options", "add_threads", "at_least_one", "make_manager"]
__all__ += ["size_option"]

_THREADS: Final = os.cpu_count() or 1
_MAX_HANDLES: Final = 64


class ManagerArguments(Arguments):
    """The options of the manager that reads."""

    window_size: int
    """Bytes."""
    max_memory: int
    """Bytes."""
    max_handles: int


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


def add_manager_options(parser: Parser, *, window_size: str = "64MiB", max_memory: str = "1GiB") -> None:
    """Add the options of the manager.

    A default that is not a size is a phrase for the help; the value is then 0, and the command decides.
    """
    _add_size(parser, "--window-size", "bytes of one window; 0: whole files", window_size)
    _add_size(parser, "--max-memory", "bytes mapped at once", max_memory)
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
    return SlidingWindowMapManager(arguments.window_size, arguments.max_memory, arguments.max_handles)
