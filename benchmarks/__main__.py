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

from benchmarks import floors, instructions
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
    instructions: bool
    set_floors: bool
    floors: Path
    counts: Path
    rounds: int
    json: Path | None
    stored: Path | None


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
    add("--instructions", action="store_true", help="count instructions, too, of the hottest rows; needs valgrind")
    add("--set-floors", action="store_true", help="store floors for what was measured")
    add("--floors", type=Path, default=floors.FLOORS, metavar="FILE", help="where the floors are stored")
    add("--counts", type=Path, default=instructions.STORED, metavar="FILE", help="where the instruction counts are")
    add("--rounds", type=int, default=0, help="of each row")
    add("--json", type=Path, metavar="FILE", help="store all values, for pyperf")
    add("--stored", type=Path, metavar="FILE", help="measure nothing: the values are in this file, from --json")
    return parser.parse_args(arguments, Arguments())


def usable(builds: list[Build]) -> list[Build]:
    """The builds that are what their names say.

    What should be compiled is pure where there was nothing to compile it with: then the table goes without it. Any
    other difference is a mistake.
    """
    found = {build.name: build.kind() for build in builds}
    wrong = [name for name in found if name in BUILDS and found[name] != name]
    if "pure" in wrong:
        sys.exit("the build called pure is compiled")
    return [build for build in builds if build.name not in wrong]


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
    builds = usable(options.build) if options.build else [Build(library_here()["smmap_typed_build"], None)]
    results = Results.load(options.stored) if options.stored else measure(rows, builds, options.rounds)
    names = results.builds() if options.stored else [build.name for build in builds]
    print(table(results, rows, list(BUILDS)))
    if len(builds) < len(options.build):
        print("\nThe compiled build is pure here: there was no C compiler, no mypyc or no GIL where it was made.")
    if options.json is not None:
        results.dump(options.json)
    print_list("Targets that are missed:", missed(results, rows))
    counts = count(builds) if options.instructions else {}
    if options.set_floors:
        floors.dump(floors.of(results, rows), options.floors)
        if counts:
            instructions.dump(counts, options.counts)
    if not options.check:
        return 0
    worse = floors.below(results, rows, names, floors.load(options.floors))
    if counts:
        worse += instructions.more(counts, instructions.load(options.counts))
    print_list("Worse than the floor:", worse)
    return 1 if worse else 0


def count(builds: list[Build]) -> instructions.Counts:
    """The instructions of the hottest rows."""
    with tempfile.TemporaryDirectory() as folder:
        counts = instructions.count_all(builds, Path(folder))
    for build, of_rows in counts.items():
        print_list(f"Instructions of one operation, {build}:", [f"{key}: {of_rows[key]:,.0f}" for key in of_rows])
    return counts


def print_list(title: str, items: list[str]) -> None:
    """A heading and its lines."""
    print("\n".join(["", title, *(items or ["none"])]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
