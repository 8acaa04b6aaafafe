"""``smmap-typed bench``: compares this library with smmap, one big map and ``pread``; prints a table, and plots it."""

import shutil
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from smmap_typed.cli.options import ManagerArguments, add_manager_options, at_least_one, window_of
from smmap_typed.cli.parsing import Parser
from smmap_typed.cli.plotting import plot
from smmap_typed.cli.racing import Result, race
from smmap_typed.cli.sizes import size_text
from smmap_typed.cli.terminal import Output, can_move, console, fail, fail_on, printable
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["main"]

_ABOUT: Final = """Compare ways to read FILE from the page cache: all of it in steps of 1 MiB, and 4 KiB at random
places. The ways are this library, smmap if it is installed, one mmap of the whole file, and pread. A ratio above 1
means that a way takes that many times as long as this library. The exit status is 2 if the file cannot be read."""
_TABLE_WIDTH: Final = 60


class _Arguments(ManagerArguments):
    rounds: int
    reads: int
    svg: str


def main(words: Sequence[str]) -> int:
    """Run the command, and return its exit status."""
    parser = Parser("bench [OPTIONS] FILE", _ABOUT, "smmap-typed bench --svg bench.svg big.pack")
    parser.add_argument(
        "--rounds",
        type=at_least_one,
        default=5,
        metavar="N",
        help="number of rounds; medians are shown (default: %(default)s)",
    )
    parser.add_argument(
        "--reads",
        type=at_least_one,
        default=10_000,
        metavar="N",
        help="random reads in each round (default: %(default)s)",
    )
    parser.add_argument("--svg", default="", metavar="OUT", help="also plot the figures into this file")
    add_manager_options(parser)
    arguments = parser.parse_files(words, _Arguments())
    (file,) = arguments.operands
    try:
        size, results = _race(file, arguments)
    except OSError as error:
        fail_on(file, error)
    title = f": {size_text(size)}, medians of {arguments.rounds}"
    columns = [_sequential(results, size), _scattered(results)]
    is_narrow = sys.stdout.isatty() and shutil.get_terminal_size().columns < _TABLE_WIDTH
    tables = [[each] for each in columns] if is_narrow else [columns]
    lines = [line for table in tables for line in _table(results, table)]
    output = Output()
    text = "".join(f"{line}\n" for line in lines).encode(sys.stdout.encoding or "utf-8", "replace")
    output.write(output.name(file) + title.encode() + b"\n" + text)
    if arguments.svg:
        _plot(printable(file) + title, results, columns, arguments.svg)
    return 0


def _race(file: str, arguments: _Arguments) -> tuple[int, list[Result]]:
    """Return the size of the file, and the times of each way to read it."""
    with SlidingWindowMapManager() as probe:
        size = probe.make_cursor(file).file_size()
    if not size:
        fail(f"{printable(file)}: an empty file has nothing to read")
    limits = window_of(arguments.window_size, arguments.max_memory), arguments.max_memory, arguments.max_handles
    with _waiting(f"{arguments.rounds} rounds"):
        return size, race(file, size, limits, arguments.reader, arguments.rounds, arguments.reads)


def _waiting(text: str) -> AbstractContextManager[object]:
    """Show ``text`` on a terminal meanwhile: a large file takes a while."""
    return console(sys.stderr).status(text) if can_move(sys.stderr) else nullcontext()


_Column = tuple[str, list[tuple[str, float]]]
"""A heading, and for each way of reading: a figure, and how many times as long it takes as this library."""


def _sequential(results: list[Result], size: int) -> _Column:
    own = results[0].sequential
    return (
        "front to back",
        [(f"{size / each.sequential / 1024**2:.0f} MiB/s", each.sequential / own) for each in results],
    )


def _scattered(results: list[Result]) -> _Column:
    own = results[0].scattered
    return "at random", [(f"{each.scattered * 1e6:.2f} µs", each.scattered / own) for each in results]


def _table(results: list[Result], columns: list[_Column]) -> list[str]:
    """Return the lines of a table with a row for each way of reading."""
    cells = [["", *(text for heading, _ in columns for text in (heading, "ratio"))]]
    for place, each in enumerate(results):
        taken = [figures[place] for _, figures in columns]
        cells.append([each.name, *(text for figure, ratio in taken for text in (figure, f"{ratio:.2f}"))])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *(map(str.rjust, row[1:], widths[1:]))]).rstrip() for row in cells]


def _plot(title: str, results: list[Result], columns: list[_Column], path: str) -> None:
    """Plot how long each way takes: shorter bars are better."""
    panels = [
        (
            f"{heading}, shorter is better",
            [
                (each.name, ratio, f"{figure} ({ratio:.2f})")
                for each, (figure, ratio) in zip(results, figures, strict=True)
            ],
        )
        for heading, figures in columns
    ]
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(plot(title, panels))
    except OSError as error:
        fail_on(path, error)
