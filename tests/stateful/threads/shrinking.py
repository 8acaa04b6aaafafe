"""Shrinking: what is left of a history that cannot be explained when everything is gone that does not matter.

A history that was recorded cannot be played again, so nothing is run here. Steps are left out, and what remains is
still evidence against the whole, because only such steps are left out as could be left out of an order that explains
it: steps that write nothing that any remaining step reads. For then the remaining steps of that order, in the same
order, still have the same outcomes. A write that somebody reads is never left out: its reader would be as hard to
explain without it.
"""

from collections.abc import Hashable
from typing import TypeVar

from stateful.threads.history import History, Step
from stateful.threads.linearizability import explain

__all__ = ["shrink"]

State = TypeVar("State", bound=Hashable)


def shrink(history: History[State], initial: State) -> History[State]:
    """The same history without the steps that are not needed to contradict the specification."""
    shrunk = True
    while shrunk:
        shrunk = False
        for step in [step for steps in history for step in steps]:
            smaller = _without(history, step)
            if not _is_read(step, smaller) and not explain(smaller, initial).complete:
                history, shrunk = smaller, True
    return history


def _without(history: History[State], step: Step[State]) -> History[State]:
    return tuple(tuple(other for other in steps if other is not step) for steps in history)


def _is_read(step: Step[State], history: History[State]) -> bool:
    """Whether any step of ``history`` depends on what ``step`` writes."""
    return any(step.writes & other.reads for steps in history for other in steps)
