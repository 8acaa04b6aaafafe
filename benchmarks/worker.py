"""A worker: the process in which one row is measured with one build of the library.

``python -m benchmarks.worker measure ROW BUILD FOLDER ROUNDS RESULTS``. Which build that is, ``PYTHONPATH`` decides;
here it is made sure.
"""

import sys
from pathlib import Path

import pyperf

import smmap_typed
from benchmarks.contest import Unavailable, measure
from benchmarks.descriptors import allow_descriptors
from benchmarks.rows import ROWS
from benchmarks.stage import Stage
from benchmarks.store import benchmarks_of

__all__ = ["NOT_HERE", "library_here", "main"]

NOT_HERE = 75
"""The exit status for a row that this machine cannot show."""


def library_here() -> dict[str, str]:
    """The version of the library that this process has, and whether it is compiled."""
    compiled = bool(smmap_typed.COMPILED)
    return {"smmap_typed_version": smmap_typed.__version__, "smmap_typed_build": "compiled" if compiled else "pure"}


def check_build(build: str) -> None:
    """SystemExit if the library is not the build that it is said to be."""
    found = library_here()["smmap_typed_build"]
    if build in {"pure", "compiled"} and build != found:
        sys.exit(f"the build called {build} is {found}: {smmap_typed.__file__}")


def main(key: str, build: str, folder: str, rounds: str, results: str) -> None:
    """Measure a row and write what came of it; 0 rounds for as many as the row has."""
    check_build(build)
    row = ROWS[key]
    try:
        allow_descriptors(row)
        outcomes = measure(row, Stage(Path(folder)), int(rounds) or row.rounds)
    except Unavailable as reason:
        print(reason, file=sys.stderr)
        sys.exit(NOT_HERE)
    benchmarks = benchmarks_of(row, build, library_here(), outcomes)
    if not benchmarks:
        sys.exit("; ".join(f"{name}: {outcome.failure}" for name, outcome in outcomes.items()))
    pyperf.BenchmarkSuite(benchmarks).dump(results, replace=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
