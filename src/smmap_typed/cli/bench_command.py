"""``smmap-typed bench``: compares this library with smmap, one big map and ``pread`` on a file, as table or picture."""

import io
import sys
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from smmap_typed.cli.options import MAX_HANDLES, MAX_MEMORY, WINDOW_SIZE, MaxHandles, MaxMemory, OneFile, WindowSize
from smmap_typed.cli.racing import Result, race
from smmap_typed.cli.sizes import size_text
from smmap_typed.cli.terminal import Output, fail, fail_on, printable
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["bench"]

_PICTURE_WIDTH: Final = 80


def bench(
    file: OneFile,
    *,
    rounds: Annotated[int, typer.Option(min=1, metavar="N", help="How often; medians are shown.")] = 5,
    reads: Annotated[int, typer.Option(min=1, metavar="N", help="Reads at random in each round.")] = 10_000,
    svg: Annotated[
        str, typer.Option(metavar="OUT", help="Draw the table into this file, too.", show_default=False)
    ] = "",
    window_size: WindowSize = WINDOW_SIZE,
    max_memory: MaxMemory = MAX_MEMORY,
    max_handles: MaxHandles = MAX_HANDLES,
) -> None:
    """Compare ways to read FILE, which is in memory by then: all of it in steps of 1 MiB, and 4 KiB at random.

    The ways are this library, smmap if it is installed, one mmap of the whole file, and pread. A ratio above 1 says how
    many times as long it takes as this library.
    """
    try:
        with SlidingWindowMapManager() as probe:
            size = probe.make_cursor(file).file_size()
        if not size:
            fail(f"{printable(file)}: an empty file has nothing to read")
        results = race(file, window_size, max_memory, max_handles, rounds, reads)
    except OSError as error:
        fail_on(file, error)
    title = f"{printable(file)}: {size_text(size)}, medians of {rounds}"
    _print(title, _table(results, size))
    if svg:
        _draw(title, _table(results, size), svg)


def _table(results: list[Result], size: int) -> Table:
    own = results[0]
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in ("front to back", "ratio", "at random", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in results:
        table.add_row(
            each.name,
            f"{size / each.sequential / 1024**2:.0f} MiB/s",
            f"{each.sequential / own.sequential:.2f}",
            f"{each.scattered * 1e6:.2f} µs",
            f"{each.scattered / own.scattered:.2f}",
        )
    return table


def _print(title: str, table: Table) -> None:
    """As lines, the same on a terminal and in a pipe: the table is narrower than any terminal."""
    lines = Console(file=io.StringIO(), width=_PICTURE_WIDTH, record=True, color_system=None)
    lines.print(table)
    text = "\n".join(line.rstrip() for line in lines.export_text().splitlines())
    Output().write(f"{title}\n{text}\n".encode(sys.stdout.encoding or "utf-8", "replace"))


def _draw(title: str, table: Table, path: str) -> None:
    drawn = Console(file=io.StringIO(), width=_PICTURE_WIDTH, record=True)
    drawn.print(table)
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(drawn.export_svg(title=title))
    except OSError as error:
        fail_on(path, error)
