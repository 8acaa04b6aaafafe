"""The judgement of stepped threads can fail: each of these small defects, put into the library, is found.

Two threads with a few calls each are tried with every schedule of one or two preemptions. Whoever adds a promise to the
specification, or a call to the programs, adds a defect that breaks it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

import pytest

from stateful.threads import defects
from stateful.threads.operations import Operation, Program, Setting
from stateful.threads.runs import run_all_schedules
from support import GRANULE

pytestmark = pytest.mark.pure

Defect: TypeAlias = Callable[[pytest.MonkeyPatch], None]
Thread: TypeAlias = tuple[Operation, ...]

MOVE: Final = Operation("use_region", size=8)
MOVE_ON: Final = Operation("use_region", offset=2 * GRANULE, size=100)
SHOW: Final = Operation("buffer")
# Views, since a read needs no window.
READ: Final = Operation("view", size=8)
READ_ON: Final = Operation("view", offset=2 * GRANULE, size=8)
SLICE: Final = Operation("slice", size=GRANULE)
REPLACE: Final = Operation("replace", size=4 * GRANULE)
COLLECT: Final = Operation("collect")
# Where nothing is kept of the second file, whoever maps must open it.
READ_SECOND, READ_ON_IN_SECOND, REPLACE_SECOND = (replace(one, slot=1) for one in (READ, READ_ON, REPLACE))
# On the cursor that the second thread has for itself.
COPY: Final = Operation("copy", cursor=2)
SHOW_COPY: Final = Operation("buffer", cursor=2)
FILE_SIZE_OF_COPY: Final = Operation("file_size", cursor=2)

AT_LINES: Final[list[tuple[Defect, Thread, Thread]]] = [
    (defects.tells_the_placement_in_two_looks, (MOVE_ON,), (Operation("ofs_begin"),)),
    (defects.copies_what_is_seen_before_the_placement, (MOVE, REPLACE), (COPY, SHOW_COPY, FILE_SIZE_OF_COPY)),
    (defects.moves_in_two_steps, (MOVE,), (SHOW,)),
    (defects.takes_the_view_and_its_bounds_one_by_one, (MOVE_ON,), (MOVE, SHOW)),
    (defects.trusts_that_it_is_where_it_moved, (SLICE,), (Operation("index", offset=2 * GRANULE),)),
    (defects.answers_from_two_bindings, (SLICE,), (Operation("begin_access", offset=GRANULE, size=8),)),
]
"""Each with the calls of two threads."""
AT_SYSTEM_CALLS: Final[list[tuple[Defect, Thread, Thread]]] = [
    (defects.counts_what_others_collect, (COLLECT,), (COLLECT,)),
    (defects.lets_go_before_it_has_the_new_window, (MOVE, MOVE_ON), (Operation("is_valid"),)),
    (defects.keeps_what_it_saw_itself, (READ,), (REPLACE, READ)),
    (defects.looks_at_the_path_and_then_opens, (READ_SECOND, COLLECT, READ_ON_IN_SECOND), (REPLACE_SECOND,)),
    (defects.maps_though_another_load_is_registered, (READ_ON,), (READ_ON,)),
    (defects.reserves_after_mapping, (READ_ON,), (READ,)),
    (defects.never_wakes_those_who_wait, (READ_ON,), (READ_ON,)),
    (defects.strikes_out_before_unmapping, (READ_ON,), (COLLECT,)),
]


@pytest.mark.parametrize(("defect", "first", "second"), AT_LINES)
def test_one_preemption_at_some_line_shows_this_defect(defect: Defect, first: Thread, second: Thread) -> None:
    assert_shown(defect, lambda: run_all_schedules(program_of(first, second), 1, every_line=True))


@pytest.mark.parametrize(("defect", "first", "second"), AT_SYSTEM_CALLS)
def test_two_preemptions_at_system_calls_show_this_defect(defect: Defect, first: Thread, second: Thread) -> None:
    assert_shown(defect, lambda: run_all_schedules(program_of(first, second), 2, every_line=False))


def program_of(*threads: Thread) -> Program:
    sizes = (3 * GRANULE, 3 * GRANULE)
    return Program(Setting("mmap", window=GRANULE, memory=GRANULE, scarce="", sizes=sizes), 1, threads)


def assert_shown(defect: Defect, run: Callable[[], None]) -> None:
    """The runs fail with the defect, and without it they do not."""
    with pytest.MonkeyPatch.context() as patch:
        defect(patch)
        with pytest.raises((AssertionError, ExceptionGroup)):
            run()
    run()
