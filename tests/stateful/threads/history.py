"""Histories: what several threads called and got, and when, as values.

A *call* is an operation with its outcome, and the moments of its invocation and its response as the thread itself saw
them: the first is taken before the call begins, the second after it has ended. So if one call's response comes before
another's invocation, it really came first. The clock is the system's monotonic one: it needs neither a lock nor the
GIL, which would order the very threads that are watched.

A *step* is what a call does at one instant, by a sequential specification. Most calls are one step. Some are several by
their contract, in the order in which they are listed, each at an instant of its own between invocation and response.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar, final

__all__ = ["Call", "History", "Step"]

Operation_co = TypeVar("Operation_co", covariant=True)
State = TypeVar("State", bound=Hashable)


@final
@dataclass(frozen=True, eq=False)
class Call(Generic[Operation_co]):
    """One call of one thread, from its invocation to its response."""

    thread: int
    operation: Operation_co
    outcome: object
    """What it returned, or the class of what it raised."""
    invoked: int
    returned: int
    """Both in nanoseconds, or any other number that only grows."""


@final
@dataclass(frozen=True, eq=False)
class Step(Generic[State]):
    """What ``call`` does at one instant."""

    call: Call[object]
    apply: Callable[[State], Iterable[State]]
    """The states that may follow a state, given the call's outcome; none if the outcome is impossible there."""
    reads: frozenset[str] = frozenset()
    """The parts of the state that decide whether the outcome is possible, and what follows."""
    writes: frozenset[str] = frozenset()
    """The parts of the state that may differ afterwards."""


History: TypeAlias = tuple[tuple[Step[State], ...], ...]
"""The steps of each thread, in the order in which it made them."""
