"""``python -m benchmarks``: run every row and print the ratios beside what is to be reached.

Contestants take turns, so that a slow moment of the machine strikes all of them; each ratio is the median over the
rounds. In the rows of threads the bare operation is the same by one thread. Times are not printed, since on shared
machines they mean nothing; except one, which is a promise: how long a reader waits at most while a file opens slowly.
"""

import gc
import math
import resource
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.rows import ROWS, Factory, Row, make_file
from benchmarks.threads import THREAD_ROWS, worst_round

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

ROUNDS = 21
WORST_ROUND = 20
"""Milliseconds, at most."""


def allow_many_descriptors() -> None:
    """Before CPython 3.13 each map costs one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def measure(row: Row, path: Path) -> tuple[float | None, float | None]:
    """How many times smmap's speed, and how many times the time of the bare operation."""

    def ratio(numerator: Factory | None, denominator: Factory | None) -> float | None:
        if numerator is None or denominator is None:
            return None
        above, below = numerator(path), denominator(path)
        ratios: list[float] = []
        for _ in range(ROUNDS):
            gc.collect()
            try:
                ratios.append(above() / below())
            except BaseExceptionGroup:
                # smmap in threads.
                return math.nan
        return statistics.median(ratios)

    return ratio(row.smmap, row.ours), ratio(row.ours, row.bare)


def cell(measured: float | None, target: float | None, *, more_is_better: bool) -> str:
    """A figure, what it is to be, and whether it is."""
    if measured is None:
        return "-"
    if math.isnan(measured):
        return "fails"
    if target is None:
        return f"{measured:.2f}"
    reached = measured >= target if more_is_better else measured <= target
    return f"{measured:.2f} ({'>=' if more_is_better else '<='} {target:g}: {'yes' if reached else 'NO'})"


def main() -> None:
    """Print the table."""
    allow_many_descriptors()
    print(f"{'':38} {'times smmap':>24} {'to the bare operation':>24}")
    with tempfile.TemporaryDirectory() as folder:
        path = make_file(Path(folder))
        for row in (*ROWS, *THREAD_ROWS):
            to_smmap, to_bare = measure(row, path)
            left = cell(to_smmap, row.at_least, more_is_better=True)
            right = cell(to_bare, row.at_most, more_is_better=False)
            print(f"{row.name:38} {left:>24} {right:>24}", flush=True)
        worst = cell(worst_round(path), WORST_ROUND, more_is_better=False)
        print(f"{'ms of a round while an open takes 500':38} {'-':>24} {worst:>24}")


if __name__ == "__main__":
    main()
