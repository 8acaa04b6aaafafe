"""``python -m benchmarks``: measure every row, and print the figures beside what is to be reached.

Only ratios are printed, since times on shared machines mean nothing; except bytes, and one time that is a promise: how
long a reader waits at most while a file opens slowly.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyperf

from benchmarks import floors
from benchmarks.contest import Row
from benchmarks.report import BUILDS, missed, table
from benchmarks.rows import ROWS, rows_named, short_rows
from benchmarks.run import Build, Runner
from benchmarks.store import Results
from benchmarks.worker import library_here


class Arguments(argparse.Namespace):
    """What the command line says."""

    build: list[Build]
    row: list[str]
    full: bool
    check: bool
    set_floors: bool
    floors: Path
    rounds: int
    json: Path | None


def build_of(text: str) -> Build:
    """From NAME=FOLDER."""
    name, equals, folder = text.partition("=")
    if not (name and equals and Path(folder, "smmap_typed").is_dir()):
        raise argparse.ArgumentTypeError(f"expected NAME=FOLDER, a folder with smmap_typed in it, got {text!r}")
    return Build(name, Path(folder))


def parse(arguments: Sequence[str]) -> Arguments:
    """Read the command line."""
    parser = argparse.ArgumentParser("benchmarks", description=(__doc__ or "").partition(": ")[2])
    add = parser.add_argument
    add("--build", action="append", default=[], type=build_of, metavar="NAME=FOLDER", help="a build, pure or compiled")
    add("--row", action="append", default=[], choices=ROWS, metavar="ROW", help="this row; may be repeated")
    add("--full", action="store_true", help="every row, not only those with a target")
    add("--check", action="store_true", help="fail if a figure is worse than its floor")
    add("--set-floors", action="store_true", help="store floors for what was measured")
    add("--floors", type=Path, default=floors.FLOORS, metavar="FILE", help="where the floors are stored")
    add("--rounds", type=int, default=0, help="of each row")
    add("--json", type=Path, metavar="FILE", help="store all values, for pyperf")
    return parser.parse_args(arguments, Arguments())


def measure(rows: list[Row], builds: list[Build], rounds: int) -> Results:
    """All rows of all builds, one process after the other. A row goes by both builds before the next one."""
    benchmarks: list[pyperf.Benchmark] = []
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(Path(folder), rounds)
        for row in rows:
            print(f"{row.key} ...", end=" ", file=sys.stderr, flush=True)
            for build in builds:
                benchmarks += runner.measure(row, build)
    print(file=sys.stderr)
    if not benchmarks:
        sys.exit("nothing could be measured")
    return Results.of(benchmarks)


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; the exit status."""
    options = parse(arguments)
    rows = rows_named(options.row) or (list(ROWS.values()) if options.full else short_rows())
    builds = options.build or [Build(library_here()["smmap_typed_build"], None)]
    results = measure(rows, builds, options.rounds)
    print(table(results, rows, list(BUILDS)))
    if options.json is not None:
        results.dump(options.json)
    if options.set_floors:
        floors.dump(floors.of(results, rows), options.floors)
    print("\n".join(["", "Targets that are missed:", *(missed(results, rows) or ["none"])]))
    return check(results, rows, options.floors) if options.check else 0


def check(results: Results, rows: list[Row], path: Path) -> int:
    """Name what is below its floor; 1 if there is anything."""
    worse = floors.below(results, rows, floors.load(path))
    print("\n".join(["", "Worse than the floor:", *(worse or ["none"])]))
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
