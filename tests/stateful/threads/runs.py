"""Runs: a program performed once, by threads that run freely or step by step, and judged.

What is proved of each run: the calls on each file can be explained one by one; the invariants hold at the end, and,
step by step, between any two turns, when no more maps are open than the books say; when all is given back, the books
and the kernel show nothing. What is not: the schedules that were not drawn; what threads do inside one call of C, or
inside one line where they are stepped; and, since they are stepped on one interpreter at a time, processors that
reorder memory.
"""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from smmap_typed.testing import check_invariants, in_threads
from stateful.threads.history import Call
from stateful.threads.judgement import judge
from stateful.threads.operations import Operation, Program
from stateful.threads.stage import Stage
from stateful.threads.stepper import Turn, stepping

__all__ = ["run_freely", "run_stepped"]


@contextmanager
def _staged(program: Program) -> Generator[Stage]:
    stage = Stage(program)
    try:
        yield stage
        stage.settle()
    finally:
        stage.close()


@contextmanager
def _switching_often() -> Generator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def run_freely(program: Program) -> None:
    """As the system schedules it, which is another way each time."""
    with _staged(program) as stage:

        def act(thread: int) -> list[Call[Operation]]:
            return [stage.call(thread, operation) for operation in program.threads[thread]]

        with _switching_often():
            calls = in_threads(len(program.threads), act)
        judge(program, stage.disk, calls)


def run_stepped(program: Program, schedule: Sequence[Turn], *, every_line: bool) -> None:
    """As ``schedule`` says, the same way each time."""
    calls: list[list[Call[Operation]]] = [[] for _ in program.threads]
    with stepping(schedule, every_line=every_line) as stepper, _staged(program) as stage:

        def act(thread: int) -> None:
            for operation in program.threads[thread]:
                stepper.point()
                calls[thread].append(stage.call(thread, operation))

        def look() -> None:
            check_invariants(stage.manager)
            assert stepper.open_maps() <= stage.manager.num_file_handles()

        stepper.run(stage.manager._core.evictor.lock, len(calls), act, look)
        judge(program, stage.disk, calls)
