"""Parsing the words of one command. Wrong ones raise ``UsageError``, for which the application prints the usage.

The options go through argparse. The operands do not: argparse loses count of them when they stand between options, and
there is a ``--`` as well.
"""

import argparse
import functools
import shutil
import textwrap
from collections.abc import Sequence
from typing import Final, NoReturn, TypeVar, final

from typing_extensions import override

from smmap_typed.cli.standard_input import STANDARD_INPUT
from smmap_typed.cli.terminal import Output

__all__ = ["Arguments", "Parser", "UsageError"]

_WIDEST: Final = 80


@final
class UsageError(Exception):
    """The words of a command make no sense; the message says why.

    :param program: the words whose help tells more.
    :param usage: how they are used.
    """

    def __init__(self, message: str, program: str, usage: str) -> None:
        super().__init__(message)
        self.program: Final = program
        self.usage: Final = usage


class Arguments(argparse.Namespace):
    """The operands of a command; its options are attributes of a subclass."""

    operands: list[str]
    """The words that are not options, in order."""


A = TypeVar("A", bound=Arguments)


class Parser(argparse.ArgumentParser):
    """The options and operands of one command.

    :param usage: the command with its operands, as in ``"find [OPTIONS] PATTERN FILE..."``.
    :param about: what the command does, for its help.
    :param example: a command to learn from.
    """

    def __init__(self, usage: str, about: str, example: str) -> None:
        width = min(shutil.get_terminal_size().columns, _WIDEST) - 2
        super().__init__(
            prog=f"smmap-typed {usage.partition(' ')[0]}",
            usage=textwrap.fill(
                f"smmap-typed {usage}", width, initial_indent=" " * 7, subsequent_indent=" " * 9
            ).lstrip(),
            description=about,
            epilog=f"Example: {example}",
            formatter_class=functools.partial(argparse.HelpFormatter, width=width, max_help_position=26),
            allow_abbrev=False,
        )
        self._usage: Final = f"smmap-typed {usage}"
        self._names: Final = [word for word in usage.split() if word[0].isalpha()][1:]

    def parse(self, words: Sequence[str], arguments: A) -> A:
        """Store what ``words`` say in ``arguments``, and return it. Options may stand before or behind operands.

        :raises UsageError: if an option is unknown or its value is wrong, or if there are too many operands or too few.
        :raises SystemExit: after ``--help``.
        """
        end = words.index("--") if "--" in words else len(words)
        _, operands = self.parse_known_args(words[:end], arguments)
        for word in operands:
            if word.startswith("-") and word != "-":
                self.error(f"no such option: {word}")
        arguments.operands = [*operands, *words[end + 1 :]]
        given, needed = len(arguments.operands), len(self._names)
        if given < needed:
            self.error(f"missing argument: {self._names[given].removesuffix('...')}")
        if given > needed and not self._names[-1].endswith("..."):
            self.error(f"too many arguments: {' '.join(arguments.operands[needed:])}")
        return arguments

    def parse_files(self, words: Sequence[str], arguments: A) -> A:
        """Do the same for a command that cannot read standard input."""
        if STANDARD_INPUT in self.parse(words, arguments).operands:
            self.error("standard input (-) cannot be read here; write ./- for a file of that name")
        return arguments

    @override
    def error(self, message: str) -> NoReturn:
        """Raise UsageError. Commands call it for mistakes that only they can find."""
        raise UsageError(message, self.prog, self._usage)

    @override
    def print_help(self, file: object = None) -> None:
        """Print the help on stdout. If that fails, the program ends as after any other failed write."""
        Output().write(self.format_help().encode())
