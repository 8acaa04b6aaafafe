"""``smmap-typed stat``: prints which file a name leads to, and the windows in which the file would be read."""

import os
from typing import Final

import typer

from smmap_typed._pool.grid import Grid
from smmap_typed.cli.options import MAX_HANDLES, MAX_MEMORY, Files, MaxHandles, MaxMemory, ReadBy, WindowSize, window_of
from smmap_typed.cli.sizes import size_text
from smmap_typed.cli.terminal import Output, complain, printable, reason
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["stat_files"]

_FAILED: Final = 2


def stat_files(
    files: Files,
    *,
    window_size: WindowSize = None,
    max_memory: MaxMemory = MAX_MEMORY,
    max_handles: MaxHandles = MAX_HANDLES,
    reader: ReadBy = "auto",
) -> None:
    """Print the identity and the size of each FILE, and its windows with these settings.

    Several names of one file have the same identity and share their windows. The command maps nothing. The exit status
    is 2 if a file does not exist or cannot be examined.
    """
    output = Output()
    status = 0
    with SlidingWindowMapManager(window_of(window_size, max_memory), max_memory, max_handles, reader=reader) as manager:
        for name in files:
            try:
                lines = _lines(manager, name)
            except OSError as error:
                status = _FAILED
                complain(f"{printable(name)}: {reason(error)}")
            else:
                output.write(b"file      " + output.name(name) + b"\n" + "".join(lines).encode())
    raise typer.Exit(status)


def _lines(manager: SlidingWindowMapManager, name: str) -> list[str]:
    size = manager.make_cursor(name).file_size()
    status = os.stat(name)
    return [
        f"identity  device {status.st_dev}, inode {status.st_ino}\n",
        f"size      {size_text(size)} ({size} bytes)\n",
        f"windows   {_windows(manager, size)}\n",
        f"limits    {size_text(manager.max_mapped_memory_size())}, {manager.max_file_handles()} windows\n",
    ]


def _windows(manager: SlidingWindowMapManager, size: int) -> str:
    if not size:
        return "none"
    grid = Grid.of(manager.window_size())
    if size <= grid.half:
        return f"1 of {size_text(size)}"
    return f"{-(-size // grid.half)} of {size_text(min(grid.span, size))}, one every {size_text(grid.half)}"
