"""``smmap-typed bench``: compares this library with smmap, one big map and ``pread``; prints a table or draws it."""

import io
import sys
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from smmap_typed.cli.options import (
    MAX_HANDLES,
    MAX_MEMORY,
    MaxHandles,
    MaxMemory,
    OneFile,
    ReadBy,
    WindowSize,
    window_of,
)
from smmap_typed.cli.racing import Result, race
from smmap_typed.cli.sizes import size_text
from smmap_typed.cli.terminal import Output, console, fail, fail_on, printable
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["bench"]

_PICTURE_WIDTH: Final = 80
_TABLE_WIDTH: Final = 60


def bench(
    file: OneFile,
    *,
    rounds: Annotated[int, typer.Option(min=1, metavar="N", help="Number of rounds; medians are shown.")] = 5,
    reads: Annotated[int, typer.Option(min=1, metavar="N", help="Random reads in each round.")] = 10_000,
    svg: Annotated[
        str, typer.Option(metavar="OUT", help="Also draw the table into this file.", show_default=False)
    ] = "",
    window_size: WindowSize = None,
    max_memory: MaxMemory = MAX_MEMORY,
    max_handles: MaxHandles = MAX_HANDLES,
    reader: ReadBy = "auto",
) -> None:
    """Compare ways to read FILE from the page cache: all of it in steps of 1 MiB, and 4 KiB at random places.

    The ways are this library, smmap if it is installed, one mmap of the whole file, and pread. A ratio above 1 means
    that a way takes that many times as long as this library.
    """
    try:
        with SlidingWindowMapManager() as probe:
            size = probe.make_cursor(file).file_size()
        if not size:
            fail(f"{printable(file)}: an empty file has nothing to read")
        # Shown on a terminal only, and removed at the end: a large file takes a while.
        with console(sys.stderr).status(f"{rounds} rounds"):
            limits = window_of(window_size, max_memory), max_memory, max_handles
            results = race(file, size, limits, reader, rounds, reads)
    except OSError as error:
        fail_on(file, error)
    title = f"{printable(file)}: {size_text(size)}, medians of {rounds}"
    sequential, scattered = _sequential(results, size), _scattered(results)
    whole = _table(results, sequential | scattered)
    is_narrow = sys.stdout.isatty() and console(sys.stdout).width < _TABLE_WIDTH
    _print(title, [_table(results, sequential), _table(results, scattered)] if is_narrow else [whole])
    if svg:
        _draw(title, whole, svg)


_Columns = dict[str, list[tuple[str, str]]]
"""By heading, for each way of reading: a figure, and its ratio to the figure of this library."""


def _sequential(results: list[Result], size: int) -> _Columns:
    own = results[0].sequential
    figures = [(f"{size / each.sequential / 1024**2:.0f} MiB/s", f"{each.sequential / own:.2f}") for each in results]
    return {"front to back": figures}


def _scattered(results: list[Result]) -> _Columns:
    own = results[0].scattered
    return {"at random": [(f"{each.scattered * 1e6:.2f} µs", f"{each.scattered / own:.2f}") for each in results]}


def _table(results: list[Result], columns: _Columns) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("ratio", justify="right", no_wrap=True)
    for place, each in enumerate(results):
        table.add_row(each.name, *(text for figures in columns.values() for text in figures[place]))
    return table


def _print(title: str, tables: list[Table]) -> None:
    """Print plain lines; the caller has split the table if the terminal is too narrow for it."""
    lines = Console(file=io.StringIO(), width=_PICTURE_WIDTH, record=True, color_system=None)
    lines.print(*tables, sep="\n")
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
