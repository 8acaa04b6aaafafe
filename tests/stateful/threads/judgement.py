"""Judgement: whether what the threads of a program got can be explained, file by file."""

from collections.abc import Sequence

from smmap_typed.testing.disk import Disk
from stateful.threads.history import Call
from stateful.threads.linearizability import explain
from stateful.threads.operations import Operation, Program
from stateful.threads.shrinking import shrink
from stateful.threads.specification import Specification
from stateful.threads.timeline import timeline

__all__ = ["NotLinearizableError", "judge"]


class NotLinearizableError(AssertionError):
    """No order of the calls on a file explains what they returned."""


def judge(program: Program, disk: Disk, threads: Sequence[Sequence[Call[Operation]]]) -> None:
    """Raise NotLinearizableError, with the table of what matters, unless the calls on each file can be ordered."""
    for slot in range(len(program.setting.sizes)):
        specification = Specification(program, disk, slot)
        history = specification.history(threads)
        if explain(history, specification.initial).complete:
            continue
        history = shrink(history, specification.initial)
        explanation = explain(history, specification.initial)
        # A call of several steps is one line.
        calls = dict.fromkeys(step.call for steps in history for step in steps)
        raise NotLinearizableError(
            f"no order explains these calls on file {slot} ({program.setting}):\n"
            f"{timeline(calls)}\n"
            f"what can be explained: {', '.join(_told(step.call) for step in explanation.order)}\n"
            f"which leads to {explanation.state}"
        )


def _told(call: Call[object]) -> str:
    return f"thread {call.thread} {call.operation}"
