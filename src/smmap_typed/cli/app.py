"""The application: selects the command, and turns errors into lines on stderr and an exit status."""

import shutil
import signal
import sys
import textwrap
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final, cast

import smmap_typed
from smmap_typed.cli.parsing import UsageError
from smmap_typed.cli.terminal import FAILED, INTERRUPTED, Output, complain, complete_streams, show_cursor

__all__ = ["run"]

_PROGRAM: Final = "smmap-typed"
_USAGE: Final = f"{_PROGRAM} COMMAND [OPTIONS] FILE..."
_COMMANDS: Final = {
    "hash": "print the checksums of files, or check them",
    "find": "print where bytes or a regular expression occur",
    "stat": "print the windows in which files would be read",
    "map": "draw which windows are mapped while a file is read",
    "bench": "compare ways to read a file",
}
"""By name of the command, what it does. Its module, ``NAME_command``, has a function ``main``."""

_ABOUT: Final = "Read big files through windows in memory, under limits, with any number of threads."
_WIDEST: Final = 80


def run() -> None:
    """Run the command line on ``sys.argv``, and exit with its status (SystemExit)."""
    complete_streams()
    try:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            # Up to here, Ctrl-C ended the process at once. From here on it is an exception: bars have to be removed.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        status = _dispatch(sys.argv[1:])
    except UsageError as error:
        status = FAILED
        complain(str(error), f"Usage: {error.usage}", f"Try '{error.program} --help'.")
    except KeyboardInterrupt:
        status = INTERRUPTED
        # Ctrl-C may have struck after rich hid the cursor, and before rich was ready to show it again.
        show_cursor()
    sys.exit(status)


def _dispatch(words: Sequence[str]) -> int:
    """Run the command that ``words`` name, and return its status."""
    if not words:
        raise UsageError("missing command", _PROGRAM, _USAGE)
    name, *rest = words
    if name in _COMMANDS:
        return _main(name)(rest)
    if name == "--version":
        Output().write(f"{_PROGRAM} {smmap_typed.__version__}\n".encode())
        return 0
    if name in {"--help", "-h"}:
        Output().write(_help().encode())
        return 0
    kind = "option before the command" if name.startswith("-") else "command"
    raise UsageError(f"no such {kind}: {name}", _PROGRAM, _USAGE)


def _main(name: str) -> Callable[[Sequence[str]], int]:
    """Import the module of a command, and return its function."""
    return cast("Callable[[Sequence[str]], int]", import_module(f"smmap_typed.cli.{name}_command").main)


def _help() -> str:
    width = min(shutil.get_terminal_size().columns, _WIDEST) - 2
    lines = [
        *textwrap.wrap(f"usage: {_USAGE}", width, subsequent_indent=" " * 9),
        "",
        *textwrap.wrap(_ABOUT, width),
        "",
        "commands:",
    ]
    entries = [*_COMMANDS.items(), ("", ""), ("--version", "print the version and exit"), ("--help", "print this help")]
    for name, words in entries:
        lines += textwrap.wrap(f"  {name:11}{words}", width, subsequent_indent=" " * 13) or [""]
    lines += ["", *textwrap.wrap(f"'{_PROGRAM} COMMAND --help' tells more.", width)]
    lines += ["", *textwrap.wrap(f"Example: {_PROGRAM} hash *.iso > SHA256SUMS", width)]
    return "\n".join(lines) + "\n"
