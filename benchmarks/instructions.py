"""Instruction counts: what one operation of the hottest rows runs, as callgrind counts it, beside a stored count.

A process with two turns of a row, less a process with one, is one turn, without the start of the interpreter. Hashes
are the same each time (``PYTHONHASHSEED=0``). What the kernel does is not counted.

Counts are steadier than ratios of times. Five runs of each row and build, while other processes kept both cores busy,
gave the same count to the last digit, but once one that was 0.2 % higher; runs in other folders differ by 0.2 %, too.
Ratios of the same rows, under the same load, differed by up to 13 % by the thread's clock, and by up to 163 % by the
clock on the wall. But a count knows nothing of what an instruction costs, nor of the kernel's, and is true for one
interpreter only: so it stands beside the ratios, not in their place.
"""

import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.counted import OPERATIONS
from benchmarks.run import ROOT, Build
from benchmarks.stage import Stage

__all__ = ["STORED", "Counts", "circumstances", "count_all", "dump", "load", "more"]

STORED: Final = Path(__file__).with_name("instructions.json")
MARGIN: Final = 1.05
_COLLECTED: Final = re.compile(r"Collected : (\d+)")
_PATIENCE_SECONDS: Final = 300
Counts: TypeAlias = dict[str, dict[str, float]]
"""Instructions of one operation, by build and row."""


def circumstances() -> str:
    """What a count depends on beside the library: another interpreter runs other instructions."""
    return f"CPython {'.'.join(platform.python_version_tuple()[:2])}, {platform.machine()}"


def missing_tool() -> str | None:
    """Why nothing can be counted here; None if it can."""
    return None if shutil.which("valgrind") else "there is no valgrind"


def run(key: str, build: Build, turns: int, folder: Path) -> int:
    """The instructions of a process that does so many turns."""
    done = subprocess.run(
        (
            *("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"),
            *(sys.executable, "-m", "benchmarks.counted", key, str(turns), str(folder)),
        ),
        cwd=ROOT,
        env=build.environment(),
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    collected = _COLLECTED.search(done.stderr)
    if done.returncode or collected is None:
        sys.exit(f"{key}, {build.name}: callgrind failed:\n{done.stderr}")
    return int(collected[1])


def count(key: str, build: Build, folder: Path) -> float:
    """The instructions of one operation of a row."""
    once, twice = (run(key, build, turns, folder) for turns in (1, 2))
    return round((twice - once) / OPERATIONS[key], 1)


def count_all(builds: list[Build], folder: Path) -> Counts:
    """Those of every row that has a stored count, for each build."""
    if reason := missing_tool():
        sys.exit(f"instructions cannot be counted: {reason}")
    # Or the first process would make the file, and the second find it.
    assert Stage(folder).file.exists()
    counts: Counts = {}
    for build in builds:
        counts[build.name] = {}
        for key in OPERATIONS:
            print(f"instructions of {key}, {build.name} ...", file=sys.stderr, flush=True)
            counts[build.name][key] = count(key, build, folder)
    return counts


def more(counts: Counts, stored: Counts, margin: float = MARGIN) -> list[str]:
    """Every row that runs more instructions than its stored count and a margin, or that was not counted."""
    return [
        complaint
        for build in counts
        for key in OPERATIONS
        if (complaint := _complaint(key, build, counts[build].get(key), stored.get(build, {}).get(key), margin))
    ]


def _complaint(key: str, build: str, found: float | None, known: float | None, margin: float) -> str | None:
    name = f"instructions of {key}, {build}"
    if found is None:
        return f"{name}: not counted"
    if known is None:
        return f"{name}: {found:,.0f}, and there is no stored count"
    if found > known * margin:
        return f"{name}: {found:,.0f}, which is more than {margin:g} times {known:,.0f}"
    return None


def load(path: Path) -> Counts:
    """Stored counts; SystemExit if they are those of another interpreter."""
    stored: dict[str, str | Counts] = json.loads(path.read_text())
    under, counts = stored["circumstances"], stored["counts"]
    if under != circumstances() or isinstance(counts, str):
        sys.exit(f"{path.name} has the counts of {under}, and this is {circumstances()}: --set-floors stores new ones")
    return counts


def dump(counts: Counts, path: Path) -> None:
    """Store counts."""
    content = {"circumstances": circumstances(), "counts": counts}
    path.write_text(json.dumps(content, indent=2) + "\n")
