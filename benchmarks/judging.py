"""Judging: the figures of a line beside what was to be reached."""

from dataclasses import dataclass
from typing import Final

from benchmarks.contest import Line, Row
from benchmarks.store import Results

__all__ = ["COST", "SPEED", "Cell", "cells"]

SPEED: Final = "times smmap"
COST: Final = "to the bare operation"
MILLISECOND: Final = 0.001


@dataclass(frozen=True)
class Cell:
    """One figure of a line in one build."""

    kind: str
    """``SPEED``, of which more is better, or ``COST``, of which less is."""
    value: float | None
    """None if it was not measured."""
    limit: float | None
    """None if nothing was promised."""
    unit: str = ""
    """Of a figure that is no ratio."""
    fails: bool = False
    """Whether smmap breaks there."""

    @property
    def reached(self) -> bool:
        """Whether the promise is kept; True without one."""
        if self.limit is None or self.fails:
            return True
        if self.value is None:
            return False
        return self.value >= self.limit if self.kind == SPEED else self.value <= self.limit

    def keeps(self, floor: float) -> bool:
        """Whether the figure is at least as good as that; True if there is none."""
        if self.value is None:
            return True
        return self.value >= floor if self.kind == SPEED else self.value <= floor

    def number(self, value: float) -> str:
        """A number as it is to be read."""
        if self.unit == "second":
            return f"{value / MILLISECOND:.3g} ms"
        return f"{value:,.0f} B" if self.unit == "byte" else f"{value:.2f}"

    def text(self) -> str:
        """The figure, what it is to be, and whether it is."""
        if self.value is None:
            return "smmap fails" if self.fails else "-"
        if self.limit is None:
            return self.number(self.value)
        sign = "≥" if self.kind == SPEED else "≤"
        limit = self.number(self.limit) if self.unit else f"{self.limit:g}"
        return f"{self.number(self.value)} ({sign} {limit}: {'yes' if self.reached else 'NO'})"


def cells(results: Results, row: Row, line: Line, build: str) -> tuple[Cell, Cell]:
    """How many times smmap's speed, and how many times the cost of the bare operation."""
    faster = results.ratio(row.key, build, line.smmap, line.ours)
    fails = f"{line.smmap}: " in results.failures.get((row.key, build), "")
    speed = Cell(SPEED, faster, line.at_least.of(build), fails=fails)
    if line.figure:
        figure = results.figure(row.key, build, line.ours)
        return speed, Cell(COST, figure, line.at_most.of(build), unit=row.unit)
    return speed, Cell(COST, results.ratio(row.key, build, line.ours, line.bare), line.at_most.of(build))
