"""The benchmarks: what is promised, and that the check of the floors fails when it should. All figures are made up."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest
from benchmarks import floors, instructions
from benchmarks.__main__ import main
from benchmarks.contest import Outcome, Row
from benchmarks.counted import OPERATIONS
from benchmarks.judging import cells
from benchmarks.report import BUILDS
from benchmarks.rows import ROWS, short_rows
from benchmarks.store import Results, benchmarks_of
from benchmarks.worker import check_build, library_here
from pyperf import Benchmark

TARGETS: Final[dict[str, tuple[float | None, float | None, float | None, float | None]]] = {
    "`use_region(o, 64).buffer()`, current window": (2.5, 6, None, 1.4),
    "the same among 256 mapped windows": (1.5, 4, None, None),
    "a miss, 64 live windows": (1.3, 1.4, None, 1.6),
    "a miss, 4,096 live windows": (15, 18, None, 1.6),
    "its growth from 64 to 4,096": (None, None, 1.2, 1.2),
    "`buf[i]`": (2.5, 5, None, 1.3),
    "`buf[i:i+64]` in one window": (2, 5, None, 2),
    "`buf[i:i+4 MiB]` over four windows": (None, None, 1.5, 1.3),
    "`cursor.read` of 64 B, in memory; bare is `os.pread`": (None, None, None, None),
    "`cursor.read` of 64 B, in memory; bare is a slice of a map": (None, None, None, None),
    "`cursor.read` of 4 KiB, in memory; bare is `os.pread`": (None, None, None, None),
    "`cursor.read` of 4 KiB, in memory; bare is a slice of a map": (None, None, None, None),
    "`cursor.view` of 64 B; bare is a slice of a memoryview": (None, None, None, None),
    "`cursor.read` of random 4 KiB of 1 GiB; bare is `os.pread`": (None, None, None, None),
    "the same, room for 64 MiB": (None, None, 3, 1.7),
    **{
        f"first reads of {size} in order, by {who}; bare is an unbuffered file": (None, None, *most)
        for size, most in (("32 KiB", (1.5, 1.2)), ("64 KiB", (None, None)), ("1 MiB", (1.15, 1.05)))
        for who in ("cursor", "buffer", "file object")
    },
    **{
        f"first reads of {size} in order, by {who}; bare is an unbuffered file": (None, None, None, None)
        for size in ("32 KiB", "64 KiB", "1 MiB")
        for who in ("open()", "one map")
    },
    "lines of a file object; bare is `open`": (None, None, None, None),
    "make a cursor, use it, drop it": (0.33, 0.45, None, 1.6),
    "map and collect 2,000 windows": (5, 6, None, None),
    "8 threads among 64 windows; bare is 1 thread": (1.3, 2.5, 1.1, 1.1),
    "longest round while an open takes 500 ms": (None, None, 0.020, 0.020),
    "gitdb reading a whole pack, 1 thread": (1.0, 1.05, None, None),
    "bytes of an idle region": (None, None, 1024, 1024),
    "bytes of a cursor, unused": (None, None, 200, 200),
    "bytes of a cursor, in use": (None, None, 800, 800),
}
"""Times smmap's speed, pure and compiled, and to the bare operation or in bytes and seconds, pure and compiled."""

HIT: Final = "`use_region(o, 64).buffer()`, current window"
Change = Callable[[dict[str, Outcome]], None]
"""What happened to the contestants of a row."""


def outcomes_of(row: Row) -> dict[str, Outcome]:
    """Each contestant had the same three turns; smmap needs four times as long, the bare operation half as long."""
    costs = {"smmap": 0.004, "ours": 0.001}
    return {name: Outcome([costs.get(name.partition(" ")[0], 0.0005)] * 3) for name in row.contestants}


def results_of(changes: Mapping[str, Change]) -> Results:
    """All rows of the short run with both builds, but for the changes to some rows, by key."""
    benchmarks: list[Benchmark] = []
    for row in short_rows():
        for build in BUILDS:
            outcomes = outcomes_of(row)
            changes.get(row.key, nothing)(outcomes)
            benchmarks += benchmarks_of(row, build, {}, outcomes)
    return Results.of(benchmarks)


def nothing(outcomes: dict[str, Outcome]) -> None:
    """All is as it was."""


def slower(outcomes: dict[str, Outcome]) -> None:
    """The library needs twice as long."""
    outcomes["ours"] = Outcome([0.002] * 3)


def a_little_slower(outcomes: dict[str, Outcome]) -> None:
    """Within the margin."""
    outcomes["ours"] = Outcome([0.0011] * 3)


def ours_fails(outcomes: dict[str, Outcome]) -> None:
    """The library raised."""
    outcomes["ours"] = Outcome(failure="OSError: too bad")


def not_measured(outcomes: dict[str, Outcome]) -> None:
    """The row was passed over."""
    outcomes.clear()


def smmap_fails(outcomes: dict[str, Outcome]) -> None:
    """As it can with threads."""
    outcomes["smmap"] = Outcome(failure="AssertionError: too bad")


@pytest.fixture
def floor_file(tmp_path: Path) -> Path:
    """Floors for the results without any change."""
    path = tmp_path / "floors.json"
    results = results_of({})
    floors.dump(floors.of(results, short_rows()), path)
    return path


def check(results: Results, floor_file: Path) -> int:
    """The exit status of ``--check``."""
    stored = floor_file.with_name("results.json")
    results.dump(stored)
    return main(["--stored", str(stored), "--check", "--floors", str(floor_file)])


@pytest.mark.parametrize("change", [nothing, a_little_slower, smmap_fails])
def test_the_check_passes(change: Change, floor_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For the figures that the floors are made of, for those within the margin, and where smmap alone breaks."""
    assert check(results_of({"hit": change, "gitdb": change}), floor_file) == 0
    assert capsys.readouterr().out.endswith("Worse than the floor:\nnone\n")


def test_a_slow_row_fails_the_check(floor_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It names row, build, figure and floor, and nothing else."""
    assert check(results_of({"hit": slower}), floor_file) == 1
    _, _, complaints = capsys.readouterr().out.partition("Worse than the floor:\n")
    assert complaints.splitlines() == [
        f"{HIT}, times smmap, pure: 2.00, and the floor is 3.20",
        f"{HIT}, to the bare operation, pure: 4.00, and the floor is 2.50",
        f"{HIT}, times smmap, compiled: 2.00, and the floor is 3.20",
        f"{HIT}, to the bare operation, compiled: 4.00, and the floor is 2.50",
    ]


@pytest.mark.parametrize("change", [ours_fails, not_measured])
def test_a_missing_row_fails_the_check(change: Change, floor_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether the library broke in it, or it was not measured at all."""
    assert check(results_of({"gitdb": change}), floor_file) == 1
    _, _, complaints = capsys.readouterr().out.partition("Worse than the floor:\n")
    assert complaints.splitlines() == [
        f"gitdb reading a whole pack, 1 thread, times smmap, {build}: was not measured" for build in BUILDS
    ]


def test_a_build_of_which_nothing_was_measured_fails_the_check(floor_file: Path) -> None:
    """Every figure that it should have is missing."""
    rows = [ROWS["gitdb"]]
    results = Results.of(benchmarks_of(rows[0], "pure", {}, outcomes_of(rows[0])))
    assert floors.below(results, rows, ["pure"], floors.load(floor_file)) == []
    assert floors.below(results, rows, BUILDS, floors.load(floor_file)) == [
        "gitdb reading a whole pack, 1 thread, times smmap, compiled: was not measured"
    ]


def test_a_figure_without_a_floor_fails_the_check(floor_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Or a new row would never be guarded."""
    known = floors.load(floor_file)
    del known["pure"][f"{HIT}, times smmap"]
    floors.dump(known, floor_file)
    assert check(results_of({}), floor_file) == 1
    assert capsys.readouterr().out.endswith(f"\n{HIT}, times smmap, pure: 4.00, and there is no floor\n")


def test_bytes_have_a_small_margin(floor_file: Path) -> None:
    """They are the same in each run."""
    results = results_of({"unused cursor": a_little_slower})
    complaints = floors.below(results, short_rows(), ["pure"], floors.load(floor_file))
    assert [complaint.partition(":")[0] for complaint in complaints] == [
        "bytes of a cursor, unused, to the bare operation, pure"
    ]


def test_every_promise_has_its_line() -> None:
    """The table of the targets, as it was agreed on."""
    found = {
        line.name: (*(line.at_least.of(build) for build in BUILDS), *(line.at_most.of(build) for build in BUILDS))
        for row in short_rows()
        for line in row.lines
    }
    assert found == TARGETS


def test_a_line_compares_contestants_of_its_row() -> None:
    """Or its figure could never be measured."""
    for row in ROWS.values():
        for line in row.lines:
            assert {line.ours, line.smmap, line.bare} & set(row.contestants) >= {line.ours}
            for cell in cells(results_of_row(row), row, line, "pure"):
                assert (cell.value is not None) == cell.due


def results_of_row(row: Row) -> Results:
    """One row of the pure build."""
    return Results.of(benchmarks_of(row, "pure", {}, outcomes_of(row)))


def test_every_figure_has_a_stored_floor() -> None:
    """For both builds, and no floor is left over."""
    known = floors.load(floors.FLOORS)
    results = results_of({})
    for build in BUILDS:
        assert set(known[build]) == {name for name, _ in floors.due(results, short_rows(), build)}


def test_more_instructions_fail_the_check() -> None:
    """More than five in a hundred, or none counted, or none known."""
    stored = {"pure": dict.fromkeys(OPERATIONS, 1000.0)}
    assert instructions.more(stored, stored) == []
    counted = {"pure": {**stored["pure"], "hit": 1049.0, "byte": 1051.0, "move": 900.0}}
    del counted["pure"]["miss 64"]
    assert instructions.more(counted, stored) == [
        "instructions of miss 64, pure: not counted",
        "instructions of byte, pure: 1,051, which is more than 1.05 times 1,000",
    ]
    assert instructions.more({"pure": {**stored["pure"]}}, {})[0] == (
        "instructions of hit, pure: 1,000, and there is no stored count"
    )


def test_every_counted_row_has_a_stored_count() -> None:
    """For both builds, with what they were counted under."""
    content = json.loads(instructions.STORED.read_text())
    assert content["circumstances"].startswith("CPython ")
    assert {build: set(counts) for build, counts in content["counts"].items()} == {
        build: set(OPERATIONS) for build in BUILDS
    }


def test_counts_of_another_interpreter_are_refused(tmp_path: Path) -> None:
    """They could neither pass nor fail."""
    path = tmp_path / "counts.json"
    path.write_text(json.dumps({"circumstances": "CPython 2.7, vax", "counts": {}}))
    with pytest.raises(SystemExit, match=r"CPython 2\.7, vax"):
        instructions.load(path)
    instructions.dump({"pure": {"hit": 1.0}}, path)
    assert instructions.load(path) == {"pure": {"hit": 1.0}}


def test_a_worker_refuses_a_build_that_is_not_what_it_says() -> None:
    """Or the table would compare a build with itself."""
    here = library_here()["smmap_typed_build"]
    check_build(here)
    with pytest.raises(SystemExit, match=here):
        check_build("pure" if here == "compiled" else "compiled")
