"""A contest: the contestants of one row take turns, round by round.

A ratio is taken within a round, and the figure of a row is the median of the ratios of its rounds: a slow moment of the
machine strikes all contestants of a round, and a slow round moves the median by one place. Hence no pytest-benchmark,
which runs one contestant after the other and keeps nothing that could be paired; and of pyperf only the store, since
its runner has a process for each contestant.
"""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Final, Literal

from benchmarks.stage import Stage

__all__ = [
    "NO_TARGET",
    "Factory",
    "Line",
    "Outcome",
    "Row",
    "Target",
    "Turn",
    "Unavailable",
    "measure",
    "median_ratio",
    "timed",
]

Turn = Callable[[], float]
"""Does the operation some times; what one cost, in the unit of the row."""
Factory = Callable[[Stage], Turn]
"""Sets the stage for one contestant."""


class Unavailable(Exception):  # noqa: N818 - no error: this machine cannot show the row
    """Why a row cannot be measured here."""


@dataclass(frozen=True)
class Target:
    """What is to be reached, for each build; None if nothing was promised."""

    pure: float | None = None
    compiled: float | None = None

    def of(self, build: str) -> float | None:
        """That of one build; a build of another name has none."""
        return {"pure": self.pure, "compiled": self.compiled}.get(build)


NO_TARGET: Final = Target()


@dataclass(frozen=True)
class Line:
    """One line of the table: contestants of a row, and what is to be reached."""

    name: str
    ours: str = "ours"
    smmap: str | None = "smmap"
    bare: str | None = "bare"
    figure: bool = False
    """Whether what it costs is itself shown, and judged, in the place of the ratio to the bare operation."""
    at_least: Target = NO_TARGET
    """How many times smmap's speed."""
    at_most: Target = NO_TARGET
    """How many times the cost of the bare operation."""


@dataclass(frozen=True)
class Row:
    """One contest. All contestants read the same bytes of the same file in the same loop."""

    key: str
    contestants: Mapping[str, Factory]
    lines: tuple[Line, ...]
    unit: Literal["second", "byte"] = "second"
    rounds: int = 21
    short: bool = True
    """Whether the short run has it."""
    descriptors: int = 256
    """How many must be allowed; before CPython 3.13 each map costs one."""


@dataclass(frozen=True)
class Outcome:
    """What one contestant's turns cost, in the order of the rounds."""

    values: list[float] = field(default_factory=list[float])
    failure: str = ""
    """Why there are none."""


def timed(operations: int, work: Callable[[], object]) -> Turn:
    """A turn of ``work``, which does the operation so many times."""
    work = _with_code_of_its_own(work)

    def turn() -> float:
        began = time.perf_counter()
        work()
        return (time.perf_counter() - began) / operations

    return turn


def _with_code_of_its_own(work: Callable[[], object]) -> Callable[[], object]:
    """The same function with a code object that nothing else runs.

    The interpreter specialises code for the types that it meets, so contestants that shared a loop would undo each
    other's specialisation turn by turn.
    """
    assert isinstance(work, FunctionType)
    code = work.__code__.replace()
    return FunctionType(code, work.__globals__, work.__name__, work.__defaults__, work.__closure__)


def measure(row: Row, stage: Stage, rounds: int) -> dict[str, Outcome]:
    """Let all contestants of ``row`` take turns; a first round, which warms up, does not count."""
    outcomes = {name: Outcome() for name in row.contestants}
    turns: dict[str, Turn] = {}
    for name, make in row.contestants.items():
        try:
            turns[name] = make(stage)
            turns[name]()
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - threads break smmap in many ways
            outcomes[name] = _failed(turns, name, error)
    for number in range(rounds):
        gc.collect()
        _round(turns, outcomes, number)
    return outcomes


def _round(turns: dict[str, Turn], outcomes: dict[str, Outcome], number: int) -> None:
    """One turn of each; another one begins each time."""
    names = list(turns)
    first = number % max(len(names), 1)
    for name in names[first:] + names[:first]:
        try:
            outcomes[name].values.append(turns[name]())
        except Exception as error:  # noqa: BLE001 - as above
            outcomes[name] = _failed(turns, name, error)


def _failed(turns: dict[str, Turn], name: str, error: Exception) -> Outcome:
    turns.pop(name, None)
    return Outcome(failure=f"{type(error).__name__}: {error}".partition("\n")[0])


def median_ratio(above: list[float], below: list[float]) -> float:
    """The median of the ratios of the rounds."""
    return statistics.median(one / other for one, other in zip(above, below, strict=True))
