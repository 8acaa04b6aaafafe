"""The figures of ``docs/performance.md``: the table between its two markers, made from the stored results."""

import hashlib
from pathlib import Path
from typing import Final

import pyperf

from benchmarks.report import BUILDS, markdown
from benchmarks.rows import ROWS
from benchmarks.store import Results

__all__ = ["digest", "load", "write"]

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs/performance.md"
RESULTS: Final = ROOT / "benchmarks/results"
BEGIN: Final = "<!-- figures: written by python -m benchmarks.plot -->"
END: Final = "<!-- end of the figures -->"


def stored() -> list[Path]:
    """Every file of results; SystemExit if there is none."""
    return sorted(RESULTS.glob("*.json")) or _exit(f"nothing in {RESULTS}: measure with python -m benchmarks --json")


def _exit(message: str) -> list[Path]:
    raise SystemExit(message)


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
    parts = [
        f"{known.get('python_implementation', 'python')} {known.get('python_version', '')}".replace(
            "cpython", "CPython"
        ),
        f"{known.get('cpu_count', 'unknown')} processors ({known.get('cpu_model_name', 'of an unknown model')})",
        str(known.get("platform", "an unknown system")),
        *(f"{name} {known.get(f'{name}_version', 'unknown')}" for name in ("smmap", "gitdb", "mypy")),
    ]
    return f"Measured with {', '.join(parts)}."


def figures(results: Results) -> str:
    """What stands between the markers."""
    rows = [row for row in ROWS.values() if row.key in results.rows()]
    return f"{machine(results)}\n\n{markdown(results, rows, list(BUILDS))}"


def write(results: Results) -> None:
    """Put the figures into the page, and leave the rest of it as it is."""
    head, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE} has no {BEGIN} and {END}")
    PAGE.write_text(f"{head}{BEGIN}\n\n{figures(results)}\n\n{END}{tail}")
