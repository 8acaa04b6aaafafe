"""What an import costs, in an interpreter of its own each time."""

import subprocess
import sys
from typing import Final

from benchmarks.contest import Factory, Line, Row, Turn
from benchmarks.stage import Stage

__all__ = ["ROWS"]

_CLOCK: Final = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"


def statement(code: str) -> Factory:
    """The seconds of one statement in a new interpreter."""

    def make(_: Stage) -> Turn:
        def turn() -> float:
            command = (sys.executable, "-c", _CLOCK.format(code))
            return float(subprocess.run(command, capture_output=True, check=True).stdout)

        return turn

    return make


ROWS: Final = (
    Row(
        "import",
        {
            "smmap": statement("import smmap"),
            "ours": statement("import smmap_typed"),
            "bare": statement("import dataclasses, pathlib, typing_extensions"),
        },
        (Line("import; bare is that of dataclasses, pathlib, typing_extensions"),),
        short=False,
    ),
)
