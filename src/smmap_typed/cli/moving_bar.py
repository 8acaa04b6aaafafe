"""The progress bar on a terminal: bytes, rate and files. Needs rich."""

import os
import stat
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final, final

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text
from typing_extensions import override

from smmap_typed.cli.bar import Bar
from smmap_typed.cli.sizes import size_text
from smmap_typed.cli.terminal import console

__all__ = ["moving_bar"]

# Columns of the bar itself, and of the figures beside it. If they filled the line, the ^C that the terminal shows after
# them would move the line up, and it could not be removed.
_LONGEST_BAR: Final = 40
_SHORTEST_BAR: Final = 4
_BESIDE: Final = 50


@final
class _MovingBar(Bar):
    """The progress of reading ``paths``."""

    def __init__(self, progress: Progress, paths: Sequence[str]) -> None:
        self._progress: Final = progress
        self._files: Final = len(paths)
        self._done = 0
        self._task: Final = progress.add_task("", total=_total(paths) or None, files=f"0/{self._files}")

    @override
    def advance(self, nbytes: int) -> None:
        """Count ``nbytes`` more bytes."""
        self._progress.advance(self._task, nbytes)

    @override
    def file_done(self) -> None:
        """Count one more file."""
        self._done += 1
        self._progress.update(self._task, files=f"{self._done}/{self._files}")

    @override
    @contextmanager
    def aside(self) -> Generator[None]:
        """Remove the bar from the screen while the caller writes lines to stdout or stderr."""
        self._progress.stop()
        yield
        self._progress.start()


@final
class _Bytes(ProgressColumn):
    """Bytes done, total and rate, all in powers of 1024; the columns of rich do that only for the first two."""

    @override
    def render(self, task: Task) -> Text:
        total = "" if task.total is None else f" of {size_text(int(task.total))}"
        speed = f", {size_text(int(task.speed))}/s" if task.speed else ""
        return Text(f"{size_text(int(task.completed))}{total}{speed}")


@contextmanager
def moving_bar(paths: Sequence[str]) -> Generator[Bar]:
    """Show a bar on stderr inside the block."""
    screen = console(sys.stderr)
    columns = (
        BarColumn(bar_width=max(min(_LONGEST_BAR, screen.width - _BESIDE), _SHORTEST_BAR)),
        _Bytes(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[files]} files", table_column=Column(no_wrap=True)),
    )
    with Progress(*columns, console=screen, transient=True) as progress:
        yield _MovingBar(progress, paths)


def _total(paths: Sequence[str]) -> int:
    return sum(_size_of(path) for path in paths)


def _size_of(path: str) -> int:
    try:
        status = os.stat(path)
    except OSError:
        return 0
    if stat.S_ISBLK(status.st_mode):
        return _device_size(path)
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _device_size(path: str) -> int:
    try:
        with open(path, "rb", buffering=0) as device:
            return device.seek(0, os.SEEK_END)
    except OSError:
        return 0
