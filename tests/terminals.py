"""Running the command line: in pipes, and on a pseudo-terminal of a given width."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyte

from support import SECONDS

__all__ = ["ENTRY_POINT", "ROWS", "environment", "rendered", "run", "run_on_terminal", "run_python_on_terminal"]

ENTRY_POINT: Final = str(Path(sys.executable).with_name("smmap-typed"))
"""What pip installed."""
ROWS: Final = 24
"""Lines of a terminal."""


def environment(columns: int) -> dict[str, str]:
    """Warnings are errors, as in tests; no colours are asked for or forbidden."""
    settings = {"PYTHONWARNINGS": "error", "COLUMNS": str(columns), "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
    return {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}} | settings


def run(folder: Path, *arguments: str | bytes) -> "subprocess.CompletedProcess[bytes]":
    """Run the entry point with ``arguments`` in ``folder``, its output piped."""
    command = (ENTRY_POINT, *arguments)
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(80),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=SECONDS,
    )


def run_on_terminal(
    folder: Path,
    *arguments: str | bytes,
    columns: int = 80,
    interrupt_at: bytes = b"",
    extra: dict[str, str] | None = None,
) -> tuple[int, str]:
    """The same with stdin, stdout and stderr on a terminal: exit status, and everything that was written to it.

    As soon as ``interrupt_at`` is on the screen, somebody presses Ctrl-C.
    """
    return _run_on_terminal(folder, (ENTRY_POINT, *arguments), columns, interrupt_at, extra or {})


def run_python_on_terminal(folder: Path, code: str) -> tuple[int, str]:
    """Run ``code`` in a new interpreter in the same way."""
    return _run_on_terminal(folder, (sys.executable, "-c", code), 80, b"", {})


def _run_on_terminal(
    folder: Path, command: Sequence[str | bytes], columns: int, interrupt_at: bytes, extra: dict[str, str]
) -> tuple[int, str]:
    master, slave = _terminal(columns)
    variables = environment(columns) | extra
    # The terminal is to be the one that controls the process, so that a key can interrupt it.
    with subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        pass_fds=(slave,),
        preexec_fn=lambda: _log_in(slave),  # noqa: PLW1509 - one call of C, and no test has threads at this moment
    ) as process:
        os.close(slave)
        written = b""
        try:
            while data := _read(master):
                written += data
                if interrupt_at and interrupt_at in written:
                    os.write(master, b"\x03")
                    interrupt_at = b""
            process.wait(SECONDS)
        finally:
            # A command that does not end fails this test, and does not stop the others.
            process.kill()
            os.close(master)
    return process.returncode, written.decode()


def rendered(written: str, columns: int) -> list[str]:
    """The lines that a terminal shows in the end of what was written to it, those below the last aside."""
    screen = pyte.Screen(columns, ROWS)
    pyte.Stream(screen).feed(written)
    return "\n".join(line.rstrip() for line in screen.display).rstrip("\n").split("\n")


if sys.platform != "win32":

    def _log_in(slave: int) -> None:
        os.login_tty(slave)

    def _terminal(columns: int) -> tuple[int, int]:
        """Both sides of a new terminal."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        return master, slave

else:

    def _log_in(slave: int) -> None:
        raise NotImplementedError(slave)

    def _terminal(columns: int) -> tuple[int, int]:
        """Windows has no such terminals."""
        raise NotImplementedError(columns)


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:
        # Linux says EIO when nobody has the other side open any more.
        return b""
