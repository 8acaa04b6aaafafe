"""What the histories found once, each as the few calls that show it, with every schedule of one preemption."""

from typing import Final

import pytest

from stateful.threads.operations import Name, Operation, Program, Setting
from stateful.threads.runs import run_all_schedules
from support import GRANULE

pytestmark = pytest.mark.pure

MOVE: Final = Operation("use_region", offset=2 * GRANULE, size=100)
REPLACE: Final = Operation("replace", size=4 * GRANULE)
SETTING: Final = Setting("mmap", GRANULE, GRANULE, "", (3 * GRANULE, 3 * GRANULE))


@pytest.mark.parametrize("query", ["ofs_begin", "ofs_end", "region", "buffer"])
def test_a_query_answers_for_one_place(query: Name) -> None:
    """A cursor that is placed meanwhile is told to be invalid, or where it stands; never the place before all."""
    run_all_schedules(Program(SETTING, 1, ((MOVE,), (Operation(query),))), 1, every_line=True)


def test_a_copy_of_a_cursor_that_is_just_placed_does_not_mix_two_files() -> None:
    """It stands on the first file, so that is what it sees."""
    # On the second thread's own cursor.
    copied = tuple(Operation(name, cursor=2) for name in ("copy", "buffer", "file_size"))
    run_all_schedules(Program(SETTING, 1, ((MOVE, REPLACE), copied)), 1, every_line=True)
