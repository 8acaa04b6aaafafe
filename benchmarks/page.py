"""The figures of ``docs/performance.md``: the table between its two markers, made from the stored results."""

import hashlib
from pathlib import Path
from typing import Final

import pyperf

from benchmarks.contest import Line, Row
from benchmarks.judging import cells
from benchmarks.report import BUILDS, markdown
from benchmarks.rows import ROWS
from benchmarks.store import Results

__all__ = ["ROOT", "digest", "load", "name_of", "write"]

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs/performance.md"
RESULTS: Final = ROOT / "benchmarks/results"
BEGIN: Final = "<!-- figures: written by python -m benchmarks.plot -->"
END: Final = "<!-- end of the figures -->"
NAMES: Final = {
    "move": "`use_region(o, 64).buffer()`, among 256 mapped windows",
    "long slice of smmap": "`buf[i:i+4 MiB]` over four windows",
}
"""Of rows whose lines have names that lean on the line before."""


def stored() -> list[Path]:
    """Every file of results; SystemExit if there is none."""
    paths = sorted(RESULTS.glob("*.json"))
    if not paths:
        raise SystemExit(f"no results in {RESULTS}: measure with python -m benchmarks --full --json FILE")
    return paths


def load() -> Results:
    """All stored results as one. pyperf refuses a row that two files have of one build."""
    suites = [pyperf.BenchmarkSuite.load(str(path)) for path in stored()]
    return Results.of([benchmark for suite in suites for benchmark in suite.get_benchmarks()])


def digest() -> str:
    """What tells these results from others; it stands in each picture."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in stored())).hexdigest()


def machine(results: Results) -> str:
    """One sentence on where and with what this was measured."""
    known = results.suite.get_metadata()
    libraries = [f"{name} {known[f'{name}_version']}" for name in ("smmap", "gitdb", "mypy")]
    processors = f"{known['cpu_count']} processors ({known.get('cpu_model_name', 'model unknown')})"
    python = f"{known['python_implementation']} {known['python_version']}".replace("cpython", "CPython")
    here = [python, *libraries, processors, str(known["platform"])]
    return f"Measured with {', '.join(here)}."


def figures(results: Results) -> str:
    """What stands between the markers."""
    rows = [row for row in ROWS.values() if row.key in results.rows()]
    blocks = [machine(results), markdown(results, rows, list(BUILDS)), *(behind(results, rows, one) for one in BUILDS)]
    return "\n\n".join(blocks)


def name_of(row: Row, line: Line) -> str:
    """What a line is called where it stands alone: without its rival, and whole."""
    return NAMES.get(row.key) or line.name.partition(", beside")[0].partition("; bare")[0]


def behind(results: Results, rows: list[Row], build: str) -> str:
    """One sentence on where smmap is faster."""
    slower = [
        name_of(row, line)
        for row in rows
        for line in row.lines
        if row.unit == "second" and (speed := cells(results, row, line, build)[0].value) is not None and speed < 1
    ]
    return f"smmap is faster than the {build} build in: {'; '.join(dict.fromkeys(slower)) or 'no row'}."


def write(results: Results) -> None:
    """Put the figures into the page, and leave the rest of it as it is."""
    head, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE} has no {BEGIN} and {END}")
    PAGE.write_text(f"{head}{BEGIN}\n\n{figures(results)}\n\n{END}{tail}")
