"""Threads that are stepped by a schedule, and what runs.py judges of them.

Deterministic: Hypothesis shrinks a failing program and its schedule to a few calls and preemptions, or replays it.
"""

import pytest
from hypothesis import given, settings

from stateful.threads.operations import Program, ReaderName
from stateful.threads.programs import NARROW, TINY, Scarce, Subject, programs, programs_by_seed, schedules
from stateful.threads.runs import run_all_schedules, run_stepped
from stateful.threads.stepper import Turn

pytestmark = pytest.mark.pure

# Hypothesis declares what its decorators return with an Any.
# mypy: disallow-any-decorated=False


@pytest.mark.timeout(0)  # the deep profile searches for hours; each run is short
@pytest.mark.parametrize("subject", ["changing", "rebinding"])
@pytest.mark.parametrize(("reader", "scarce"), [("mmap", ""), ("mmap", "handles"), ("pread", "")])
def test_threads_preempted_at_system_calls_are_linearizable(
    reader: ReaderName, scarce: Scarce, subject: Subject
) -> None:
    @settings(max_examples=2 * settings().max_examples)  # each is one short run
    @given(programs(NARROW, reader, scarce, subject), schedules())
    def run(program: Program, schedule: list[Turn]) -> None:
        run_stepped(program, schedule, every_line=False)

    run()


@pytest.mark.timeout(0)  # the deep profile searches for hours; each run is short
@pytest.mark.parametrize("subject", ["changing", "rebinding"])
@pytest.mark.parametrize("reader", ["mmap", "pread"])
def test_threads_preempted_at_any_one_line_are_linearizable(reader: ReaderName, subject: Subject) -> None:
    """Two threads with one or two operations each, and every schedule of one preemption: there is little to shrink."""

    @settings(max_examples=settings().max_examples // 25)  # each is a hundred runs
    @given(programs_by_seed(TINY, reader, "", subject))
    def run(program: Program) -> None:
        run_all_schedules(program, 1, every_line=True)

    run()
