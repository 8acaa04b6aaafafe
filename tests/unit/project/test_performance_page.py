"""The performance page shows what was measured: its table, and its pictures.

The table is worked out here once more from the stored values, so neither pyperf nor matplotlib is needed.
"""

import hashlib
import json
import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from benchmarks.contest import Line, Row, Target
from benchmarks.judging import COST, SPEED, Cell
from benchmarks.report import is_repeated
from benchmarks.rows import ROWS

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = ROOT / "docs/performance.md"
RESULTS: Final = sorted(ROOT.glob("benchmarks/results/*.json"))
PICTURES: Final = sorted(ROOT.glob("docs/pictures/*.svg"))
BUILDS: Final = ("pure", "compiled")
SHOWN: Final = re.compile(r"([\d.,]+)(?: (ms|B))?(?: \([≥≤] ([\d.,]+)(?: (?:ms|B))?: (yes|\*\*NO\*\*)\))?")

Values = dict[tuple[str, str, str], list[float]]
"""By row, build and contestant."""


class Shown(NamedTuple):
    """A cell of the table: the figure, its unit, and what it was to be, with whether it is."""

    value: str
    unit: str = ""
    target: str = ""
    reached: str = ""


def stored() -> Values:
    """Every value, by hand from pyperf's format: what benchmarks share stands once, in front."""
    values: Values = {}
    for path in RESULTS:
        suite = json.loads(path.read_text())
        for benchmark in suite["benchmarks"]:
            known = {**suite.get("metadata", {}), **benchmark.get("metadata", {})}
            for run in benchmark["runs"]:
                said = known | run.get("metadata", {})
                key = (said["row"], said["build"], said["contestant"])
                values.setdefault(key, []).extend(run["values"])
    return values


@pytest.fixture(scope="module")
def values() -> Values:
    return stored()


def test_a_figure_that_misses_its_target_is_not_rounded_to_it() -> None:
    assert Cell(SPEED, 1.2968, 1.3).text() == "1.297 (≥ 1.3: NO)"
    assert Cell(COST, 1.10004, 1.1).text() == "1.10004 (≤ 1.1: NO)"
    assert Cell(SPEED, 1.304, 1.3).text() == "1.30 (≥ 1.3: yes)"


def test_no_line_of_the_table_is_there_twice() -> None:
    names = [name for name, *_ in lines_of_the_table() if not name.startswith(("the same", "its "))]
    assert sorted(names) == sorted(set(names))


def lines_of_the_table() -> list[list[str]]:
    """The cells of each line of the table, without its head."""
    _, _, rest = PAGE.read_text().partition("<!-- figures: ")
    figures, _, _ = rest.partition("<!-- end of the figures -->")
    lines = [line.strip("|").split("|") for line in figures.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:]]


def paired(values: Values, row: Row, above: str | None, below: str | None, build: str) -> float | None:
    """The median of the ratios of the rounds, None if one of both was not measured."""
    over, under = values.get((row.key, build, above or "")), values.get((row.key, build, below or ""))
    if not (over and under):
        return None
    return statistics.median(one / other for one, other in zip(over, under, strict=True))


def speed(values: Values, row: Row, line: Line, build: str) -> Shown | None:
    """How many times smmap's speed."""
    ratio = paired(values, row, line.smmap, line.ours, build)
    if ratio is None:
        return None
    limit = line.at_least.of(build)
    reached = ratio >= (limit or 0)
    return judged(rounded(ratio, None if reached else limit), "", line.at_least, build, reached=reached)


def rounded(ratio: float, missed: float | None) -> str:
    """To two digits, or to as many as tell it from the target that it misses."""
    return next(text for digits in range(2, 17) if (text := f"{ratio:.{digits}f}") and float(text) != missed)


def cost(values: Values, row: Row, line: Line, build: str) -> Shown | None:
    """The cost in bare operations, or as it is."""
    if line.figure:
        figure = statistics.median(values[row.key, build, line.ours])
        text, unit = (f"{figure:,.0f}", "B") if row.unit == "byte" else (f"{figure * 1000:.3g}", "ms")
    else:
        ratio = paired(values, row, line.ours, line.bare, build)
        if ratio is None:
            return None
        limit = line.at_most.of(build)
        figure, text, unit = ratio, rounded(ratio, limit if limit is not None and ratio > limit else None), ""
    return judged(text, unit, line.at_most, build, reached=figure <= (line.at_most.of(build) or figure))


def judged(value: str, unit: str, target: Target, build: str, *, reached: bool) -> Shown:
    """A figure beside its target."""
    limit = target.of(build)
    if limit is None:
        return Shown(value, unit)
    text = {"ms": f"{limit * 1000:.3g}", "B": f"{limit:,.0f}"}.get(unit, f"{limit:g}")
    return Shown(value, unit, text, "yes" if reached else "**NO**")


def read_cell(cell: str) -> Shown | None:
    """A cell of the page."""
    if cell in {"-", "smmap fails"}:
        return None
    found = SHOWN.fullmatch(cell)
    assert found is not None, cell
    return Shown(*(group or "" for group in found.groups()))


def expected(values: Values) -> Iterator[tuple[str, list[Shown | None]]]:
    """Every line that the table is to have."""
    measured = {row for row, _, _ in values}
    shown: set[str] = set()
    for row in ROWS.values():
        if row.key in measured:
            for line in [line for line in row.lines if not is_repeated(line.name, shown)]:
                shown.add(line.name)
                figures = [figure(values, row, line, build) for figure in (speed, cost) for build in BUILDS]
                yield line.name, figures


def test_table_shows_what_was_measured(values: Values) -> None:
    shown = [(name, [read_cell(cell) for cell in cells]) for name, *cells in lines_of_the_table()]
    assert shown == list(expected(values))


@pytest.mark.parametrize("build", BUILDS)
def test_page_names_every_row_in_which_smmap_is_faster(values: Values, build: str) -> None:
    """By their names up to the rival; what is slower is in the table, of which this says nothing new."""
    slower = [
        re.split(", beside|; bare", line.name)[0]
        for row in ROWS.values()
        for line in row.lines
        if row.unit == "second" and (ratio := paired(values, row, line.smmap, line.ours, build)) and ratio < 1
    ]
    sentence = f"smmap is faster than the {build} build in: {'; '.join(dict.fromkeys(slower)) or 'no row'}."
    assert sentence in PAGE.read_text().splitlines()


def test_rows_were_measured_in_both_builds(values: Values) -> None:
    """So no line of the table is empty because a build was forgotten."""
    pure, compiled = ({row for row, build, _ in values if build == name} for name in BUILDS)
    assert pure == compiled
    assert {row.key for row in ROWS.values() if row.short} <= pure


def test_page_shows_every_picture_and_no_other() -> None:
    linked = re.findall(r"!\[[^\]]+\]\((pictures/[^)]+)\)", PAGE.read_text())
    assert sorted(linked) == [f"pictures/{path.name}" for path in PICTURES]
    assert linked


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_picture_was_drawn_from_the_stored_results(picture: Path) -> None:
    """Each has the digest of the results that it shows."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in RESULTS)).hexdigest()
    assert f"<dc:identifier>{digest}</dc:identifier>" in picture.read_text()
