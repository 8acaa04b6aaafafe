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
    """Whether smmap breaks there, and this library does not."""
    due: bool = True
    """Whether the line has this kind of figure at all."""

    @property
    def reached(self) -> bool:
        """Whether the promise is kept; True without one."""
        return self.limit is None or self.fails or self.keeps(self.limit)

    def keeps(self, floor: float) -> bool:
        """Whether there is a figure that is at least as good as that."""
        if self.value is None:
            return False
        return self.value >= floor if self.kind == SPEED else self.value <= floor

    def number(self, value: float) -> str:
        """A number as it is to be read."""
        if self.unit == "second":
            return f"{value / MILLISECOND:.3g} ms"
        return f"{value:,.0f} B" if self.unit == "byte" else f"{value:.{self.digits(value)}f}"

    def digits(self, value: float) -> int:
        """Digits behind the point: two, or more where a figure that misses its limit would be rounded to it."""
        missed = value != self.limit and not self.reached
        return next(digits for digits in range(2, 17) if not (missed and round(value, digits) == self.limit))

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
    works = (row.key, build, line.ours) in results.values
    fails = works and f"{line.smmap}: " in results.failures.get((row.key, build), "")
    speed = Cell(SPEED, faster, line.at_least.of(build), fails=fails, due=line.smmap is not None)
    if line.figure:
        figure = results.figure(row.key, build, line.ours)
        return speed, Cell(COST, figure, line.at_most.of(build), unit=row.unit)
    cost = results.ratio(row.key, build, line.ours, line.bare)
    return speed, Cell(COST, cost, line.at_most.of(build), due=line.bare is not None)
