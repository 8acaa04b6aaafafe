"""What goes to the terminal: lines, complaints and names, so that they pipe well and cannot upset a screen."""

import os
import sys
from typing import Final, NoReturn, TextIO

import typer
from rich.console import Console

__all__ = [
    "NOBODY_READS",
    "Output",
    "complain",
    "complete_streams",
    "console",
    "fail",
    "fail_on",
    "printable",
    "reason",
    "silence",
]

_USAGE_ERROR: Final = 2
NOBODY_READS: Final = 141
"""What the shell reports of a program that SIGPIPE ends: 128 + 13."""

# How sha256sum keeps one line for each file, whatever its name.
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r"})


class Output:
    """Bytes to stdout: written at once, and an error of stdout ends the program quietly or in one line."""

    def __init__(self) -> None:
        self.is_terminal: Final = sys.stdout.isatty()

    def write(self, data: bytes) -> None:
        """Write ``data`` whole; Exit(141) if nobody reads, Exit(1) with a line if it cannot be written."""
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except OSError as error:
            silence(sys.stdout)
            if isinstance(error, BrokenPipeError):
                raise typer.Exit(NOBODY_READS) from None
            complain(f"cannot write: {error.strerror}")
            raise typer.Exit(1) from None

    def name(self, path: str) -> bytes:
        """``path`` for a line: its very bytes but for line ends, and on a terminal nothing that steers one."""
        return (printable(path) if self.is_terminal else path.translate(_ESCAPES)).encode(
            sys.getfilesystemencoding(), "surrogateescape"
        )


def silence(stream: TextIO) -> None:
    """Point ``stream`` to nowhere: what it still buffers would fail again, and noisily, when the interpreter exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def complete_streams() -> None:
    """Open the standard streams that the program was started without, as by ``>&-``, where Python has None.

    For reading, whatever they are for: stdin is then empty, and what is written fails as it does for other programs.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDONLY), mode, closefd=False))


def printable(text: str) -> str:
    r"""``text`` with what is not printable written as in Python: ``\n``, ``\x1b``, and bytes that are no UTF-8.

    >>> printable("a\x1b[31m" + chr(0xDCFF))
    'a\\x1b[31m\\xff'
    """
    return "".join(_printable_character(character) for character in text)


def _printable_character(character: str) -> str:
    if character.isprintable():
        return r"\\" if character == "\\" else character
    # os.fsdecode turns the byte 0xff, where it is no UTF-8, into U+DCFF.
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else repr(character)[1:-1]  # noqa: PLR2004


def complain(message: str) -> None:
    """One line on stderr; where that cannot be written, the exit status has to say it alone."""
    try:
        sys.stderr.write(f"smmap-typed: {message}\n")
        sys.stderr.flush()
    except OSError:
        silence(sys.stderr)


def fail(message: str) -> NoReturn:
    """One line on stderr, and status 2."""
    complain(message)
    raise typer.Exit(_USAGE_ERROR)


def fail_on(path: str, error: OSError) -> NoReturn:
    """The same for what befell ``path``."""
    fail(f"{printable(path)}: {reason(error)}")


def reason(error: OSError) -> str:
    """What went wrong, without number and name."""
    return error.strerror or str(error)


def console(stream: TextIO, *, width: int | None = None) -> Console:
    """Where rich draws: it decides by ``stream`` alone whether that is a terminal, and obeys NO_COLOR.

    What is piped is not wrapped, unless to ``width``.
    """
    is_terminal = stream.isatty()
    return Console(
        file=stream,
        force_terminal=is_terminal,
        width=None if is_terminal else width or 10_000,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not is_terminal,
    )
