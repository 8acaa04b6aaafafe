"""Results, as pyperf keeps them: one benchmark for each contestant of a row in a build, its values by round.

``python -m pyperf show`` and ``compare_to`` read the files. What pyperf knows of machine and interpreter stands in
their metadata, except what changes from minute to minute or names the machine.
"""

import statistics
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from typing import Final

import pyperf

from benchmarks.contest import Outcome, Row, median_ratio

__all__ = ["Results", "benchmarks_of"]

_LEFT_OUT: Final = {
    *("boot_time", "command_max_rss", "cpu_freq", "cpu_temp", "date", "duration", "hostname", "load_avg_1min"),
    *("mem_max_rss", "python_executable", "runnable_threads", "uptime"),
}
_DIGITS: Final = 5


def versions() -> dict[str, str]:
    """What is compared, and what compiled it; "none" for what is not installed."""
    return {f"{name.replace('-', '_')}_version": _version(name) for name in ("smmap", "gitdb", "mypy")}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def surroundings() -> dict[str, str | int | float]:
    """What pyperf tells of the machine and the interpreter, and our versions."""
    collected = pyperf.Run([1.0], metadata={"name": "nothing"}).get_metadata()
    return {name: value for name, value in collected.items() if name not in _LEFT_OUT} | versions()


def benchmarks_of(
    row: Row, build: str, library: dict[str, str], outcomes: dict[str, Outcome]
) -> list[pyperf.Benchmark]:
    """One for each contestant that was measured; the failures of the others stand in the metadata of all."""
    common = surroundings() | library | {"row": row.key, "build": build, "unit": row.unit}
    failures = "; ".join(f"{name}: {outcome.failure}" for name, outcome in outcomes.items() if outcome.failure)
    if failures:
        common["failures"] = failures
    return [_benchmark(common, name, outcome.values) for name, outcome in outcomes.items() if outcome.values]


def _benchmark(common: dict[str, str | int | float], contestant: str, values: list[float]) -> pyperf.Benchmark:
    name = f"{common['row']}: {contestant} ({common['build']})"
    metadata = common | {"name": name, "contestant": contestant}
    rounded = [float(f"{value:.{_DIGITS}g}") for value in values]
    return pyperf.Benchmark([pyperf.Run(rounded, metadata=metadata, collect_metadata=False)])


@dataclass(frozen=True)
class Results:
    """The values of a suite, by row, build and contestant."""

    suite: pyperf.BenchmarkSuite
    values: dict[tuple[str, str, str], list[float]]
    failures: dict[tuple[str, str], str]
    """By row and build."""

    @classmethod
    def of(cls, benchmarks: list[pyperf.Benchmark]) -> "Results":
        """From benchmarks, new or loaded."""
        values: dict[tuple[str, str, str], list[float]] = {}
        failures: dict[tuple[str, str], str] = {}
        for benchmark in benchmarks:
            metadata = benchmark.get_metadata()
            row, build, contestant = (str(metadata[name]) for name in ("row", "build", "contestant"))
            values[row, build, contestant] = list(benchmark.get_values())
            failures[row, build] = str(metadata.get("failures", ""))
        return cls(pyperf.BenchmarkSuite(benchmarks), values, failures)

    @classmethod
    def load(cls, path: Path) -> "Results":
        """From a file."""
        return cls.of(pyperf.BenchmarkSuite.load(str(path)).get_benchmarks())

    def dump(self, path: Path) -> None:
        """To a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.suite.dump(str(path), replace=True)

    def builds(self) -> list[str]:
        """Pure first."""
        return sorted({build for _, build, _ in self.values}, key=lambda build: (build != "pure", build))

    def rows(self) -> list[str]:
        """In the order in which they were measured."""
        return [row for row, _ in groupby(row for row, _, _ in self.values)]

    def ratio(self, row: str, build: str, above: str | None, below: str | None) -> float | None:
        """The median of the ratios of the rounds, None if one of both was not measured."""
        over = self.values.get((row, build, above or ""))
        under = self.values.get((row, build, below or ""))
        return median_ratio(over, under) if over and under else None

    def figure(self, row: str, build: str, contestant: str) -> float | None:
        """The median of what a contestant's turns cost, None if it was not measured."""
        values = self.values.get((row, build, contestant))
        return statistics.median(values) if values else None
