"""``smmap-typed map``: draws which windows of a file are mapped, and how old they are, while it is read."""

import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Annotated, Final

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from smmap_typed import WindowCursor
from smmap_typed.cli.drawing import ASCII, BLOCKS, PatternName, ages, offsets, picture
from smmap_typed.cli.options import MAX_HANDLES, MaxHandles, OneFile, ReadBy, size_option
from smmap_typed.cli.sizes import parse_size, size_text
from smmap_typed.cli.terminal import Output, console, fail, fail_on, printable
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["map_file"]

_READ_SIZE: Final = parse_size("4KiB")
_ROWS: Final = 8
# Lines of text around the picture on a narrow terminal, which wraps them, and the line of the cursor.
_FIGURES: Final = 7
_PIPED_WIDTH: Final = 72
_FRAME_SECONDS: Final = 0.1


def _read_size(value: object) -> int:
    if not (size := size_option(value)):
        raise typer.BadParameter("a read has at least 1 byte")
    return size


def map_file(
    file: OneFile,
    *,
    pattern: Annotated[
        PatternName, typer.Option("--pattern", metavar="HOW", help="How to read: sequential, random or zipf.")
    ] = "sequential",
    reads: Annotated[int, typer.Option(min=1, metavar="N", help="Number of reads.")] = 100_000,
    read_size: Annotated[
        int, typer.Option(parser=_read_size, metavar="SIZE", help="Bytes of one read.", show_default="4KiB")
    ] = _READ_SIZE,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the random numbers.")] = 0,
    window_size: Annotated[
        int,
        typer.Option(
            parser=size_option,
            metavar="SIZE",
            help="Bytes of one window.",
            show_default="1/64 of FILE, at most 1/4 of --max-memory",
        ),
    ] = 0,
    max_memory: Annotated[
        int, typer.Option(parser=size_option, metavar="SIZE", help="Bytes mapped at once.", show_default="1/4 of FILE")
    ] = 0,
    max_handles: MaxHandles = MAX_HANDLES,
    reader: ReadBy = "auto",
) -> None:
    """Draw which windows of FILE are mapped, and how old they are, while a pattern of reads runs.

    On a terminal the picture is updated as the reads run; elsewhere only the final picture is printed.
    """
    try:
        with SlidingWindowMapManager() as probe:
            size = probe.make_cursor(file).file_size()
        if not size:
            fail(f"{printable(file)}: an empty file has no windows")
        memory = max_memory or -(-size // 4)
        window = window_size or max(min(-(-size // 64), memory // 4), 1)
        with (
            SlidingWindowMapManager(window, memory, max_handles, reader=reader) as manager,
            manager.make_cursor(file) as cursor,
        ):
            _run(_Scene(manager, file, size), cursor, offsets(pattern, size, read_size, reads, seed), read_size)
    except OSError as error:
        fail_on(file, error)


class _Scene:
    """The picture and the figures of a manager that reads one file."""

    def __init__(self, manager: SlidingWindowMapManager, name: str, size: int) -> None:
        self._manager: Final = manager
        self._title: Final = f"{printable(name)}: {size_text(size)}, windows of {size_text(manager.window_size())}"
        self._size: Final = size
        encoding = (sys.stdout.encoding or "").lower()
        self._signs: Final = BLOCKS if encoding.startswith("utf") else ASCII

    def lines(self, reads: int, width: int, rows: int = _ROWS) -> list[str]:
        """Return the picture in at most ``rows`` lines, and the figures, all ``width`` columns wide."""
        stats = self._manager.stats()
        cells = min(-(-self._size // max(self._manager.window_size() // 2, 1)), width * rows)
        drawn = picture(ages(self._manager), self._size, cells, self._signs)
        # A read that spans several windows counts once for each window.
        hits = 100 * stats.hits / stats.acquisitions if stats.acquisitions else 0.0
        new, old, none = self._signs[0], self._signs[-2], self._signs[-1]
        mapped = f"{stats.handles} mapped ({size_text(stats.mapped_bytes)})"
        return [
            self._title,
            *(drawn[start : start + width] for start in range(0, cells, width)),
            *textwrap.wrap(f"newest {new} to oldest {old} of {mapped}, {none} not mapped", width),
            *textwrap.wrap(
                f"{reads} reads, {hits:.1f} % in mapped windows, {stats.maps} maps, {stats.evictions} evictions", width
            ),
        ]


def _run(scene: _Scene, cursor: WindowCursor, places: Iterator[int], read_size: int) -> None:
    screen = console(sys.stdout, width=_PIPED_WIDTH)
    moving = screen.is_terminal and not screen.is_dumb_terminal
    live = Live(console=screen, auto_refresh=False, vertical_overflow="crop") if moving else None
    # Leave room for the ^C that the terminal shows at the cursor: after a full line it would move the picture up.
    width = max(screen.width - 3, 1)
    rows = max(min(_ROWS, screen.height - _FIGURES), 1)
    reads = 0
    due = 0.0
    with live or nullcontext():
        for place in places:
            with cursor.view(place, read_size) as view:
                # Touch the view, so that its page is really read.
                view[:1].tobytes()
            reads += 1
            if live is not None and time.monotonic() >= due:
                live.update(_frame(scene.lines(reads, width, rows)), refresh=True)
                due = time.monotonic() + _FRAME_SECONDS
        if live is not None:
            live.update(_frame(scene.lines(reads, width, rows)), refresh=True)
    if live is None:
        Output().write("".join(f"{line}\n" for line in scene.lines(reads, _PIPED_WIDTH)).encode())


def _frame(lines: list[str]) -> Group:
    return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))
