"""Floors: figures below which no row may fall, whatever is changed; stored in floors.json, for each build.

A floor is a figure once measured and a margin, so that what differs from run to run passes and a step back does not.
Targets are something else: they say what is to be reached.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.contest import Row
from benchmarks.judging import SPEED, Cell, cells
from benchmarks.store import Results

__all__ = ["FLOORS", "below", "load", "of"]

FLOORS: Final = Path(__file__).with_name("floors.json")
MARGIN: Final = 1.25
"""Of a ratio of times."""
EXACT_MARGIN: Final = 1.03
"""Of bytes and of instructions, which differ from run to run by less."""
Floors: TypeAlias = dict[str, dict[str, float]]
"""By build, and by line and kind of figure."""


def measured(results: Results, rows: Iterable[Row], build: str) -> dict[str, Cell]:
    """Every figure of a build that can have a floor, by the name of the floor."""
    return {
        f"{line.name}, {cell.kind}": cell
        for row in rows
        for line in row.lines
        for cell in cells(results, row, line, build)
        if cell.value is not None
    }


def of(results: Results, rows: list[Row]) -> Floors:
    """Floors for what was measured."""
    return {
        build: {name: floor(cell) for name, cell in measured(results, rows, build).items()}
        for build in results.builds()
    }


def floor(cell: Cell) -> float:
    """The figure, with its margin. What is promised in seconds is its own floor."""
    assert cell.value is not None
    if cell.unit == "second" and cell.limit is not None:
        return cell.limit
    margin = EXACT_MARGIN if cell.unit in {"byte", "integer"} else MARGIN
    return float(f"{cell.value / margin if cell.kind == SPEED else cell.value * margin:.3g}")


def below(results: Results, rows: list[Row], floors: Floors) -> list[str]:
    """Every figure that is worse than its floor, with both."""
    return [
        f"{name}, {build}: {cell.number(cell.value or 0)}, and the floor is {cell.number(limits[name])}"
        for build in results.builds()
        for limits in [floors.get(build, {})]
        for name, cell in measured(results, rows, build).items()
        if name in limits and not cell.keeps(limits[name])
    ]


def load(path: Path) -> Floors:
    """From a file."""
    floors: Floors = json.loads(path.read_text())
    return floors


def dump(floors: Floors, path: Path) -> None:
    """To a file."""
    path.write_text(json.dumps(floors, indent=2, ensure_ascii=False) + "\n")
