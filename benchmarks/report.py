"""The table: a line for each comparison, with both builds beside each other."""

from collections.abc import Collection, Iterable
from typing import Final

from benchmarks.contest import Row
from benchmarks.judging import COST, SPEED, cells
from benchmarks.store import Results

__all__ = ["BUILDS", "is_repeated", "line_of", "markdown", "missed", "table"]

BUILDS: Final = ("pure", "compiled")
_WIDTH: Final = 21
_NAME_WIDTH: Final = 46


def columns(builds: Iterable[str]) -> list[tuple[str, int]]:
    """Build, and which of its two cells: all speeds first."""
    builds = list(builds)
    return [(build, 0) for build in builds] + [(build, 1) for build in builds]


def head(builds: Iterable[str]) -> list[str]:
    """The names of the columns."""
    return [f"{build}: {(SPEED, COST)[which]}" for build, which in columns(builds)]


def texts(results: Results, row: Row, builds: list[str]) -> list[list[str]]:
    """The lines of a row: its name and its cells."""
    return [
        [line.name, *(cells(results, row, line, build)[which].text() for build, which in columns(builds))]
        for line in row.lines
    ]


def line_of(fields: list[str]) -> str:
    """One line of the table on the terminal."""
    name, *rest = fields
    return f"{name.replace('`', ''):{_NAME_WIDTH}}" + "".join(f" {field:>{_WIDTH}}" for field in rest)


def table(results: Results, rows: Iterable[Row], builds: list[str]) -> str:
    """The table for the terminal."""
    short = [name.replace("the bare operation", "bare") for name in head(builds)]
    lines = [["", *short], *(fields for row in rows for fields in texts(results, row, builds))]
    return "\n".join(map(line_of, lines))


def is_repeated(name: str, shown: Collection[str]) -> bool:
    """Whether a line is shown already: a curve also has places that are rows of their own.

    A name that leans on the line above it is another one each time.
    """
    return name in shown and not name.startswith(("the same", "its "))


def markdown(results: Results, rows: Iterable[Row], builds: list[str]) -> str:
    """The table for a page; a target that is missed is bold."""
    lines = [["", *head(builds)], ["---"] * (1 + 2 * len(builds))]
    for row in rows:
        shown = {fields[0] for fields in lines}
        lines += [fields for fields in texts(results, row, builds) if not is_repeated(fields[0], shown)]
    return "\n".join(f"| {' | '.join(fields)} |" for fields in lines).replace("NO)", "**NO**)")


def missed(results: Results, rows: Iterable[Row]) -> list[str]:
    """Every promise that is not kept."""
    return [
        f"{line.name}, {build}: {cell.text()}"
        for row in rows
        for build in results.builds()
        for line in row.lines
        for cell in cells(results, row, line, build)
        if not cell.reached
    ]
