"""Output to stdout and stderr: lines, messages and names, safe for pipes and for terminals."""

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
"""The status that the shell reports for a program that SIGPIPE ended: 128 + 13."""

# sha256sum escapes these characters, so that each file has one line whatever its name.
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r"})


class Output:
    """Unbuffered bytes to stdout. If they cannot be written, the program ends, silently or with one line."""

    def __init__(self) -> None:
        self.is_terminal: Final = sys.stdout.isatty()

    def write(self, data: bytes) -> None:
        """Write all of ``data``; Exit(141) if the reader has gone, one line and Exit(1) after another error."""
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
        """Return ``path`` for one line: escaped as by sha256sum, and with only printable characters on a terminal."""
        return (printable(path) if self.is_terminal else path.translate(_ESCAPES)).encode(
            sys.getfilesystemencoding(), "surrogateescape"
        )


def silence(stream: TextIO) -> None:
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


def complain(message: str) -> None:
    """Print one line on stderr. If that fails, only the exit status reports the problem."""
    try:
        sys.stderr.write(f"smmap-typed: {message}\n")
        sys.stderr.flush()
    except OSError:
        silence(sys.stderr)


def fail(message: str) -> NoReturn:
    """Print one line on stderr, and exit with status 2."""
    complain(message)
    raise typer.Exit(_USAGE_ERROR)


def fail_on(path: str, error: OSError) -> NoReturn:
    """Print the name and the error of ``path`` on stderr, and exit with status 2."""
    fail(f"{printable(path)}: {reason(error)}")


def reason(error: OSError) -> str:
    """Return the message of ``error``, without its number and file name."""
    return error.strerror or str(error)


def console(stream: TextIO, *, width: int | None = None) -> Console:
    """Return a console of rich for ``stream``. Only ``stream`` decides whether it is a terminal; NO_COLOR is respected.

    Piped output is not wrapped, unless ``width`` is given.
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
