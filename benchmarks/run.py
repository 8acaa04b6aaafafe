"""Runs: a worker process for each row of each build, one after the other."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyperf

from benchmarks.contest import Row
from benchmarks.worker import NOT_HERE

__all__ = ["Build", "Runner"]

_ROOT: Final = Path(__file__).parents[1]
_PATIENCE_SECONDS: Final = 600


@dataclass(frozen=True)
class Build:
    """A build of the library."""

    name: str
    folder: Path | None
    """Where it is installed; None if it is the one that this interpreter finds."""

    def environment(self) -> dict[str, str]:
        """That of a process which is to find it."""
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        if self.folder is not None:
            environment["PYTHONPATH"] = str(self.folder.resolve())
        return environment


@dataclass(frozen=True)
class Runner:
    """Runs workers that share a folder for their files."""

    folder: Path
    rounds: int = 0
    """Of each row; 0 for as many as it has."""

    def measure(self, row: Row, build: Build) -> list[pyperf.Benchmark]:
        """What a row showed; nothing, and a message, if it could not be measured."""
        results = self.folder / "results.json"
        command = (row.key, build.name, str(self.folder), str(self.rounds), str(results))
        return _load(results) if self._works("benchmarks.worker", row, build, command) else []

    def _works(self, module: str, row: Row, build: Build, arguments: tuple[str, ...]) -> bool:
        done = subprocess.run(
            (sys.executable, "-m", module, *arguments),
            cwd=_ROOT,
            env=build.environment(),
            stderr=subprocess.PIPE,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        if done.returncode == 0:
            return True
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        if done.returncode != NOT_HERE:
            last = f"FAILED: {last}"
        print(f"{row.key}, {build.name}: {last}", file=sys.stderr)
        return False


def _load(path: Path) -> list[pyperf.Benchmark]:
    benchmarks = pyperf.BenchmarkSuite.load(str(path)).get_benchmarks()
    path.unlink()
    return benchmarks
