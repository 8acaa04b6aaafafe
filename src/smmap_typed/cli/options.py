"""The arguments and options that commands share, and their defaults."""

import os
from typing import Annotated, Final

import typer

from smmap_typed.cli.sizes import parse_size
from smmap_typed.readers import ReaderName

__all__ = ["MAX_HANDLES", "MAX_MEMORY", "THREADS", "Files", "MaxHandles", "MaxMemory", "OneFile", "ReadBy", "Threads"]
__all__ += ["WindowSize", "size_option", "window_of"]

THREADS: Final = os.cpu_count() or 1
_WINDOW_SIZE: Final = parse_size("64MiB")
MAX_MEMORY: Final = parse_size("1GiB")
MAX_HANDLES: Final = 64


def size_option(value: object) -> int:
    """Parse the size given as an option; raise a usage error if it is not a size."""
    # Defaults arrive as numbers, arguments as text.
    try:
        return parse_size(str(value))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def window_of(window_size: int | None, max_memory: int) -> int:
    """Return the bytes of a window: those that were asked for, or 64 MiB, or a quarter of a small memory limit."""
    return min(_WINDOW_SIZE, max(max_memory // 4, 1)) if window_size is None else window_size


Files = Annotated[list[str], typer.Argument(metavar="FILE", help="Files to read.", show_default=False)]
OneFile = Annotated[str, typer.Argument(metavar="FILE", help="File to read.", show_default=False)]
WindowSize = Annotated[
    int | None,
    typer.Option(
        parser=size_option,
        metavar="SIZE",
        help="Bytes of one window; 0: whole files.",
        show_default="64MiB, at most 1/4 of --max-memory",
    ),
]
MaxMemory = Annotated[
    int, typer.Option(parser=size_option, metavar="SIZE", help="Bytes mapped at once.", show_default="1GiB")
]
MaxHandles = Annotated[int, typer.Option(min=1, metavar="N", help="Windows mapped at once.")]
ReadBy = Annotated[
    ReaderName,
    typer.Option("--reader", metavar="HOW", help="How to read: mmap, pread, or auto: pread where mmap is refused."),
]
Threads = Annotated[
    int, typer.Option(min=1, metavar="N", help="Threads that read, at most --max-handles.", show_default="one per CPU")
]
