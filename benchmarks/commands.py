"""``python -m benchmarks.commands``: the commands ``find`` and ``hash`` beside grep and openssl.

Each runs as a process on a file of 256 MiB that is in the page cache. What counts is processor time, of user and
system, so that other processes disturb little; a figure is the median of the ratios of its rounds. The time that the
command needs for nothing, which is mostly that of the interpreter, is taken off for "work".
"""

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.stage import MIB

__all__ = ["COMMANDS", "Command", "main"]

SIZE: Final = 256 * MIB
WORDS: Final = (
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "omega",
)
WORDS_IN_LINE: Final = 12
LINES: Final = 20_000
"""After so many the text begins again."""
OURS: Final = (sys.executable, "-m", "smmap_typed")


@dataclass(frozen=True)
class Command:
    """One of our commands, and what people would use in its place; a file name follows either."""

    name: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    at_most: float
    """How many times the processor time of theirs the work may take."""


COMMANDS: Final = (
    Command("count, many", ("find", "--count", "alpha"), ("grep", "-c", "alpha"), 1.5),
    Command("count, none", ("find", "--count", "alphabeta"), ("grep", "-c", "alphabeta"), 1.5),
    Command("offsets, many", ("find", "alpha"), ("grep", "-obF", "alpha"), 2),
    Command("offsets, fewer", ("find", "alpha beta"), ("grep", "-obF", "alpha beta"), 2),
    Command("regex, many", ("find", "--regex", "al[a-z]+ beta"), ("grep", "-obE", "al[a-z]+ beta"), 3),
    Command("regex, many, no plain bytes", ("find", "--regex", "[lm][a-z]+da"), ("grep", "-obE", "[lm][a-z]+da"), 3),
    Command("regex, none", ("find", "--regex", "alpha q[a-z]+"), ("grep", "-obE", "alpha q[a-z]+"), 3),
    Command("sha256", ("hash",), ("openssl", "dgst", "-sha256"), 1.1),
)


def write_text(path: Path) -> None:
    """Lines of words, the same each time."""
    chance = random.Random(1)
    block = "".join(" ".join(chance.choices(WORDS, k=WORDS_IN_LINE)) + "\n" for _ in range(LINES)).encode()
    with path.open("wb") as file:
        for written in range(0, SIZE, len(block)):
            file.write(block[: SIZE - written])


def processor_time(command: Sequence[str], output: Path) -> float:
    """Seconds of user and system that a process takes. It writes to a file: grep would not search for /dev/null."""
    if sys.platform != "win32":
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with output.open("wb") as out:
            subprocess.run(command, stdout=out, check=False, env={**os.environ, "LC_ALL": "C"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    raise NotImplementedError


def line_of(command: Command, path: Path, start: float, rounds: int) -> str:
    """The figures of one command."""
    output = path.with_name("output")
    times = [
        (
            processor_time([*OURS, *command.ours, str(path)], output),
            processor_time([*command.theirs, str(path)], output),
        )
        for _ in range(rounds)
    ]
    work = statistics.median((ours - start) / theirs for ours, theirs in times)
    whole = statistics.median(ours / theirs for ours, theirs in times)
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    verdict = "yes" if work <= command.at_most else "NO"
    return (
        f"| {command.name} | `{' '.join(command.theirs)}` | {work:.2f} (≤ {command.at_most:g}: {verdict}) "
        f"| {whole:.2f} | {ours:.2f} s | {theirs:.2f} s |"
    )


def main(arguments: Sequence[str]) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser("benchmarks.commands", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("--rounds", type=int, default=5, help="of each command")
    options = parser.parse_args(arguments)
    rounds: int = options.rounds
    with tempfile.TemporaryDirectory() as folder:
        path, nothing = Path(folder, "text"), Path(folder, "nothing")
        write_text(path)
        nothing.write_bytes(b"x")
        find = [*OURS, "find", "--count", "y", str(nothing)]
        start = statistics.median(processor_time(find, nothing.with_name("output")) for _ in range(rounds))
        print(f"start-up: {start:.3f} s\n")
        print("| command | beside | work | with start-up | ours | theirs |\n|---|---|---|---|---|---|")
        for command in COMMANDS:
            if shutil.which(command.theirs[0]) is not None:
                print(line_of(command, path, start, rounds), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
