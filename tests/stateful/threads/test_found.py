"""What the histories found once, each as the few calls that show it, with every preemption of the second thread."""

from typing import Final

import pytest

from stateful.threads.operations import Name, Operation, Program, Setting
from stateful.threads.runs import run_stepped
from stateful.threads.stepper import Turn
from support import GRANULE

MOVE: Final = Operation("use_region", offset=2 * GRANULE, size=100)
REPLACE: Final = Operation("replace", size=4 * GRANULE)
SETTING: Final = Setting("mmap", GRANULE, GRANULE, "", (3 * GRANULE, 3 * GRANULE))

# Lines of the library in the calls of the second thread, and a few more.
LINES: Final = range(1, 60)


@pytest.mark.parametrize("query", ["ofs_begin", "ofs_end", "region", "buffer"])
def test_a_query_answers_for_one_place(query: Name) -> None:
    """A cursor that is placed meanwhile is told to be invalid, or where it stands; never the place before all."""
    for lines in LINES:
        run_stepped(Program(SETTING, 1, ((MOVE,), (Operation(query),))), [Turn(1, lines)], every_line=True)


def test_a_copy_of_a_cursor_that_is_just_placed_does_not_mix_two_files() -> None:
    """It stands on the first file, so that is what it sees."""
    # On the second thread's own cursor.
    copied = tuple(Operation(name, cursor=2) for name in ("copy", "buffer", "file_size"))
    for lines in LINES:
        run_stepped(Program(SETTING, 1, ((MOVE, REPLACE), copied)), [Turn(1, lines)], every_line=True)
