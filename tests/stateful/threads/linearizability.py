"""Linearizability: whether some order of the steps explains every outcome and contradicts no clock.

The search is that of J. M. Wing and C. Gong, "Testing and Verifying Concurrent Objects" (Journal of Parallel and
Distributed Computing 17, 1993): take any step that nothing else must precede, go on from the states that follow, and go
back when nothing can be taken. As G. Lowe proposes in "Testing for linearizability" (Concurrency and Computation 29,
2016), no pair of steps taken and state reached is visited twice. Since each thread makes its steps in order, how many
each has made tells which were taken.

Two things keep it fast. The histories of objects that share nothing are searched one by one, which decides the same
(A. Horn and D. Kroening, "Faster linearizability checking via P-compositionality", FORTE 2015); that partition is the
caller's. And a step that never writes is taken as soon as it can be, without an alternative: whatever order explains
the rest still does with that step put before it.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar, final

from stateful.threads.history import History, Step

__all__ = ["Explanation", "explain"]

State = TypeVar("State", bound=Hashable)

# How many steps each thread has made, and the state that they led to.
Configuration: TypeAlias = tuple[tuple[int, ...], State]


@final
@dataclass(frozen=True)
class Explanation(Generic[State]):
    """An order of steps that explains a history, or as much of it as can be explained."""

    order: tuple[Step[State], ...]
    state: State
    """Where the order leads."""
    complete: bool
    """Whether it explains the whole history: whether that is linearizable."""


def explain(history: History[State], initial: State) -> Explanation[State]:
    """The first order found that explains ``history`` from the state ``initial``, or a longest one that begins to."""
    first: Configuration[State] = ((0,) * len(history), initial)
    # Where each configuration was reached from, which is also the record of those that were visited.
    origins: dict[Configuration[State], tuple[Configuration[State], Step[State]] | None] = {first: None}
    furthest = first
    waiting = [first]
    total = sum(map(len, history))
    while waiting and sum(furthest[0]) < total:
        configuration = waiting.pop()
        if sum(configuration[0]) > sum(furthest[0]):
            furthest = configuration
        for following, step in _moves(history, configuration):
            if following not in origins:
                origins[following] = (configuration, step)
                waiting.append(following)
    order: list[Step[State]] = []
    origin = origins[furthest]
    while origin is not None:
        order.append(origin[1])
        origin = origins[origin[0]]
    return Explanation(tuple(reversed(order)), furthest[1], sum(furthest[0]) == total)


def _moves(
    history: History[State], configuration: Configuration[State]
) -> list[tuple[Configuration[State], Step[State]]]:
    """The configurations that one more step leads to."""
    made, state = configuration
    following: list[tuple[Configuration[State], Step[State]]] = []
    for thread, step in _next_steps(history, made):
        progress = (*made[:thread], made[thread] + 1, *made[thread + 1 :])
        after = [((progress, one), step) for one in step.apply(state)]
        if after and not step.writes:
            return after
        following += after
    return following


def _next_steps(history: History[State], made: tuple[int, ...]) -> list[tuple[int, Step[State]]]:
    """Each thread's next step, unless another thread's call, of which a step is left, ended before it began."""
    left = [(thread, history[thread][count]) for thread, count in enumerate(made) if count < len(history[thread])]
    deadline = min((step.call.returned for _, step in left), default=0)
    return [(thread, step) for thread, step in left if step.call.invoked <= deadline]
