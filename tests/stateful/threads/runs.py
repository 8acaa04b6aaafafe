"""Runs: a program performed once, by threads that run freely or step by step, and judged.

What is shown of each run: the calls on each file can be explained one by one; the invariants hold at the end, and,
step by step, between any two turns, when no more maps are open than the books say, and no system call is made under the
manager's lock; when all is given back, the books and the kernel show nothing, and no two collects counted one region.

What is not: schedules that were not drawn; for stepped threads, whatever interleaves inside one line or one call of C,
and inside the sections under the lock; for free ones, whatever this interpreter, with its GIL or without, and this
machine did not do just then.
"""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import count

from smmap_typed.testing import check_invariants, in_threads
from stateful.threads.fixture import Fixture
from stateful.threads.history import Call
from stateful.threads.judgement import judge
from stateful.threads.operations import Operation, Program
from stateful.threads.stepper import Turn, stepping

__all__ = ["run_all_schedules", "run_freely", "run_stepped"]


@contextmanager
def _staged(program: Program) -> Generator[Fixture]:
    fixture = Fixture(program)
    try:
        yield fixture
        fixture.complete()
    finally:
        fixture.close()


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
    with _staged(program) as fixture:

        def act(thread: int) -> list[Call[Operation]]:
            return [fixture.call(thread, operation) for operation in program.threads[thread]]

        with _switching_often():
            calls = in_threads(len(program.threads), act)
        judge(program, fixture.disk, calls)


def run_stepped(program: Program, schedule: Sequence[Turn], *, every_line: bool) -> int:
    """As ``schedule`` says, the same way each time; how many of its turns ended in a preemption."""
    calls: list[list[Call[Operation]]] = [[] for _ in program.threads]
    try:
        with stepping(schedule, every_line=every_line) as stepper, _staged(program) as fixture:

            def act(thread: int) -> None:
                for operation in program.threads[thread]:
                    stepper.point()
                    calls[thread].append(fixture.call(thread, operation))

            def look() -> None:
                check_invariants(fixture.manager)
                assert stepper.open_maps() <= fixture.manager.num_file_handles()

            stepper.run(fixture.manager._pool.monitor.lock, len(calls), act, look)
            judge(program, fixture.disk, calls)
    except Exception as error:
        error.add_note(f"{program}\n{schedule}, every_line={every_line}")
        raise
    return stepper.preemptions


def run_all_schedules(program: Program, preemptions: int, *, every_line: bool, begun: tuple[Turn, ...] = ()) -> None:
    """As every schedule says that goes on from ``begun`` with up to so many preemptions."""
    threads = len(program.threads)
    # The last one in the circle ran just now: to let it go on would be no preemption.
    for choice in range(threads - bool(begun)):
        for points in count(1):
            schedule = (*begun, Turn(choice, points))
            if run_stepped(program, schedule, every_line=every_line) < len(schedule):
                break
            if preemptions > 1:
                run_all_schedules(program, preemptions - 1, every_line=every_line, begun=schedule)
