"""Threads that are stepped by a schedule, and what runs.py judges of them.

Deterministic, so that Hypothesis shrinks a failing program and its schedule to a few calls and preemptions.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateful.threads.operations import Program, ReaderName
from stateful.threads.programs import Scarce, Subject, programs, schedules
from stateful.threads.runs import run_stepped
from stateful.threads.stepper import Turn

# Hypothesis declares what its decorators return with an Any.
# mypy: disallow-any-decorated=False

# Making a program costs more than to run it.
SCHEDULES = 3


@pytest.mark.timeout(0)  # the deep profile searches for hours; each run is short
@pytest.mark.parametrize("every_line", [False, True], ids=["calls", "lines"])
@pytest.mark.parametrize("subject", ["changing", "rebinding"])
@pytest.mark.parametrize(("reader", "scarce"), [("mmap", ""), ("mmap", "handles"), ("pread", "")])
def test_stepped_threads_are_linearizable(
    reader: ReaderName, scarce: Scarce, subject: Subject, every_line: bool
) -> None:
    @given(
        programs(reader, scarce, subject, 3),
        st.lists(schedules(every_line=every_line), min_size=SCHEDULES, max_size=SCHEDULES),
    )
    def run(program: Program, schedules: list[list[Turn]]) -> None:
        for schedule in schedules:
            run_stepped(program, schedule, every_line=every_line)

    run()
