"""Floors: figures below which no row may fall, whatever is changed; stored in floors.json, for each build.

A floor is a figure once measured and a margin, so that what differs from run to run passes and a step back does not.
Targets are something else: they say what is to be reached. Only rows of the short run have floors: the others hang on
the disk and on the page cache.

Three runs of the short table differed by at most 13 % in any ratio of one thread, on two cores that up to five busy
processes shared with them. A margin of 25 % is twice that. Ratios of threads improve under load, since more threads get
more of a busy machine; the margin is above what they show on an idle one.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.contest import Row
from benchmarks.judging import SPEED, Cell, cells
from benchmarks.store import Results

__all__ = ["FLOORS", "below", "dump", "load", "of"]

FLOORS: Final = Path(__file__).with_name("floors.json")
MARGIN: Final = 1.25
"""Of a ratio of times."""
EXACT_MARGIN: Final = 1.03
"""Of bytes, which hardly differ from run to run."""
LONGEST_WAIT: Final = 0.25
"""Seconds. The one figure that is a time went from 0.008 to 0.07 under load; an open that blocks others costs 0.5."""
Floors: TypeAlias = dict[str, dict[str, float]]
"""By build, and by line and kind of figure."""


def guarded(rows: Iterable[Row]) -> list[Row]:
    """Those rows that can have floors."""
    return [row for row in rows if row.short]


def due(results: Results, rows: Iterable[Row], build: str) -> Iterator[tuple[str, Cell]]:
    """Every figure that a build should have, measured or not, with the name of its floor."""
    for row in guarded(rows):
        for line in row.lines:
            for cell in cells(results, row, line, build):
                if cell.due:
                    yield f"{line.name}, {cell.kind}", cell


def of(results: Results, rows: list[Row]) -> Floors:
    """Floors for what was measured."""
    return {
        build: {name: floor(cell) for name, cell in due(results, rows, build) if cell.value is not None}
        for build in results.builds()
    }


def floor(cell: Cell) -> float:
    """The figure, with its margin."""
    assert cell.value is not None
    if cell.unit == "second":
        return LONGEST_WAIT
    margin = EXACT_MARGIN if cell.unit == "byte" else MARGIN
    return float(f"{cell.value / margin if cell.kind == SPEED else cell.value * margin:.3g}")


def below(results: Results, rows: list[Row], builds: Iterable[str], floors: Floors) -> list[str]:
    """Every figure of ``builds`` that is worse than its floor, that is missing, or that has no floor."""
    return [
        f"{name}, {build}: {complaint}"
        for build in builds
        for name, cell in due(results, rows, build)
        if (complaint := _complaint(cell, floors.get(build, {}).get(name)))
    ]


def _complaint(cell: Cell, limit: float | None) -> str | None:
    if cell.fails:
        return None
    if cell.value is None:
        return "was not measured"
    if limit is None:
        return f"{cell.number(cell.value)}, and there is no floor"
    if cell.keeps(limit):
        return None
    return f"{cell.number(cell.value)}, and the floor is {cell.number(limit)}"


def load(path: Path) -> Floors:
    """From a file."""
    floors: Floors = json.loads(path.read_text())
    return floors


def dump(floors: Floors, path: Path) -> None:
    """To a file."""
    path.write_text(json.dumps(floors, indent=2, ensure_ascii=False) + "\n")
