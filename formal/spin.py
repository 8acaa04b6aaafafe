"""Run SPIN on the model: generate the verifier, compile it, search all states, or follow a trace.

Needs ``spin`` and ``gcc`` on the PATH.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from formal.recording import Program, Step

__all__ = ["IS_AVAILABLE", "Configuration", "Follower", "Result", "search"]

MODEL: Final = Path(__file__).with_name("pool.pml")

IS_AVAILABLE: Final = shutil.which("spin") is not None and shutil.which("gcc") is not None
"""Whether the tools are here."""

_DEPTH: Final = 400_000
"""Steps of the longest path that is searched. One that is longer would be reported as not exhausted."""

_UNBOUNDED: Final = 100_000
_SECONDS: Final = 24 * 3600


@dataclass(frozen=True)
class Configuration:
    """Bounds of the model, and the operations that its threads may choose."""

    name: str
    bounds: str
    """The macros of the model, separated by spaces, as in ``NT=2 VIEWS``."""
    is_fair: bool = False
    """Whether to look, instead of for a wrong state, for a run under weak fairness in which a call never returns."""
    is_deep: bool = False
    """Whether it takes more than about two minutes."""
    gigabytes: int = 4
    """How much memory it may take."""


@dataclass(frozen=True)
class Result:
    """What a search has found."""

    states: int
    seconds: float
    error: str
    """What is violated; empty if nothing is."""
    is_exhausted: bool
    """Whether all states were visited."""
    output: str


def search(configuration: Configuration, folder: Path, mutation: str = "") -> Result:
    """Search all states of a configuration, of a model with ``mutation`` if one is named. Runs in an empty folder."""
    macros = [*configuration.bounds.split(), *([mutation] if mutation else [])]
    options = ["-DCOLLAPSE", f"-DMEMLIM={configuration.gigabytes * 1024}"]
    if configuration.is_fair:
        # Rounds of fair scheduling, at least the number of processes and two.
        macros, options = [*macros, "FAIRNESS"], [*options, "-DNFAIR=8"]
    else:
        options.append("-DSAFETY")
    verifier = _compile(folder, [f"-D{macro}" for macro in macros], options)
    arguments = [f"-m{_DEPTH}", *(["-a", "-f"] if configuration.is_fair else [])]
    output = _run([str(verifier), *arguments], folder)
    error = re.search(r"pan:1: (.*) \(at depth", output)
    states = re.search(r"(\d+) states, stored", output)
    seconds = re.search(r"elapsed time (\S+) seconds", output)
    if states is None or seconds is None:
        raise RuntimeError(f"the verifier of {configuration.name} has no result:\n{output}")
    is_cut = "max search depth too small" in output or "Search not completed" in output or "out of memory" in output
    return Result(
        int(states.group(1)), float(seconds.group(1)), error.group(1) if error else "", not is_cut and not error, output
    )


class Follower:
    """Tells whether the model has a trace, for the traces of one program. Compiles the model once."""

    def __init__(self, program: Program, folder: Path) -> None:
        self._folder: Final = folder
        self._verifier: Final = _compile(folder, program.flags(), ["-DSAFETY"])

    def accepted(self, steps: Sequence[Step]) -> int:
        """Return how many of the steps the model follows: all of them if it has this trace."""
        trace = self._folder / "trace"
        trace.write_text("".join(f"{' '.join(map(str, step))}\n" for step in steps))
        output = _run([str(self._verifier), f"-m{_UNBOUNDED}", "-E", "-n"], self._folder, {"TRACE": str(trace)})
        if "trace: accepted" in output:
            return len(steps)
        followed = re.search(r"trace: (\d+) of", output)
        if followed is None:
            raise RuntimeError(f"the verifier does not say how far it came:\n{output}")
        # A property of the model may fail after the last step that it follows.
        return min(int(followed.group(1)), len(steps) - 1)


def _compile(folder: Path, macros: Sequence[str], options: Sequence[str]) -> Path:
    _run(["spin", "-a", *macros, str(MODEL)], folder)
    # To optimise takes gcc minutes for this program, and a search is hardly faster.
    _run(["gcc", "-O0", "-w", "-DVECTORSZ=2048", *options, "-o", "pan", "pan.c"], folder)
    return folder / "pan"


def _run(command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    if done.returncode and "pan" not in command[0]:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}")
    return done.stdout
