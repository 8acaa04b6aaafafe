"""Output to stdout and stderr: lines, messages and names, safe for pipes and for terminals."""

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NoReturn, TextIO

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["FAILED", "INTERRUPTED", "NOT_SO", "Output", "can_move", "complain", "complete_streams", "console", "fail"]
__all__ += ["fail_on", "printable", "reason", "show_cursor"]

NOT_SO: Final = 1
"""The status if all could be read and the answer is no: there is no match, or a checksum differs."""
FAILED: Final = 2
"""The status if something could not be done: the words make no sense, or a file or the output failed."""
INTERRUPTED: Final = 130
"""The status that the shell reports for a program that SIGINT ended: 128 + 2."""
_NOBODY_READS: Final = 141
"""The status that the shell reports for a program that SIGPIPE ended: 128 + 13."""

_CURSOR_ON: Final = "\x1b[?25h"


class Output:
    """Unbuffered bytes to stdout. If they cannot be written, the program ends, silently or with one line."""

    def __init__(self) -> None:
        self.is_terminal: Final = sys.stdout.isatty()

    def write(self, data: bytes) -> None:
        """Write all of ``data``; SystemExit(141) if the reader has gone, one line and 2 after another error."""
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except OSError as error:
            _silence(sys.stdout)
            if isinstance(error, BrokenPipeError):
                sys.exit(_NOBODY_READS)
            fail(f"cannot write: {error.strerror}")

    def name(self, path: str) -> bytes:
        """Return ``path`` with only printable characters on a terminal, and as it is elsewhere."""
        return os.fsencode(printable(path) if self.is_terminal else path)


def _silence(stream: TextIO) -> None:
    """Redirect ``stream`` to the null device: flushing it at the interpreter's exit would fail again, noisily."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def complete_streams() -> None:
    """Open the standard streams that are missing (None in Python) because the program was started with ``>&-`` or so.

    All of them are opened for reading only: stdin is then empty, and writing to the others fails, as in other programs.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDONLY), mode, closefd=False))


def printable(text: str) -> str:
    r"""Return ``text`` with unprintable characters, and bytes that are not UTF-8, as Python escapes: ``\n``, ``\x1b``.

    >>> printable("a\x1b[31m" + chr(0xDCFF))
    'a\\x1b[31m\\xff'
    """
    return "".join(_printable_character(character) for character in text)


def _printable_character(character: str) -> str:
    if character.isprintable():
        return r"\\" if character == "\\" else character
    # os.fsdecode turns the byte 0xff into U+DCFF where it is not valid UTF-8.
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else repr(character)[1:-1]  # noqa: PLR2004


def complain(*lines: str) -> None:
    """Print lines on stderr, without unprintable characters. If that fails, only the exit status tells."""
    try:
        sys.stderr.write("".join(f"{_visible(line)}\n" for line in (f"smmap-typed: {lines[0]}", *lines[1:])))
        sys.stderr.flush()
    except OSError:
        _silence(sys.stderr)


def _visible(text: str) -> str:
    """Escape what could steer a terminal, and leave the backslashes of what is escaped already."""
    return "".join(character if character == "\\" else _printable_character(character) for character in text)


def fail(message: str) -> NoReturn:
    """Print one line on stderr, and exit with status 2."""
    complain(message)
    sys.exit(FAILED)


def fail_on(path: str, error: OSError) -> NoReturn:
    """Print the name and the error of ``path`` on stderr, and exit with status 2."""
    fail(f"{printable(path)}: {reason(error)}")


def reason(error: OSError) -> str:
    """Return the message of ``error``, without its number and file name."""
    return error.strerror or str(error)


def can_move(stream: TextIO) -> bool:
    """Whether bars and pictures can move on ``stream``: on a terminal that is not dumb, if rich is installed."""
    return _is_screen(stream) and find_spec("rich") is not None


def _is_screen(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


def show_cursor() -> None:
    """Show the cursor of each terminal that the program writes to."""
    for stream in (sys.stdout, sys.stderr):
        if _is_screen(stream):
            stream.write(_CURSOR_ON)
            stream.flush()


def console(stream: TextIO) -> "Console":
    """Return a console of rich for ``stream``, on which something can move. NO_COLOR is respected."""
    from rich.console import Console  # noqa: PLC0415 - it takes longer than the rest of a short command

    return Console(file=stream, force_terminal=True, highlight=False, markup=False, emoji=False)
