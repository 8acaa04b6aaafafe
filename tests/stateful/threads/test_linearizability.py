"""The checker itself: it tells what can be explained from what cannot, as trying every order does, and shows why."""

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Final, Literal, NamedTuple, TypeAlias

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from stateful.threads.history import Call, History, Step
from stateful.threads.linearizability import explain
from stateful.threads.shrinking import shrink
from stateful.threads.timeline import timeline

# Hypothesis declares what its decorators return with an Any.
# mypy: disallow-any-decorated=False

Registers: TypeAlias = tuple[int, int]
"""The state of two registers, the simplest objects that can be read stale."""

INITIAL: Final[Registers] = (0, 0)


class Access(NamedTuple):
    """One call on a register: a read that returned ``value``, a write of it, or a write that may have got lost."""

    kind: Literal["read", "write", "maybe"]
    register: int
    value: int
    invoked: int
    returned: int


def read(value: int, invoked: int, returned: int, register: int = 0) -> Access:
    return Access("read", register, value, invoked, returned)


def write(value: int, invoked: int, returned: int, register: int = 0) -> Access:
    return Access("write", register, value, invoked, returned)


def step_of(thread: int, access: Access) -> Step[Registers]:
    kind, register, value, invoked, returned = access

    def apply(state: Registers) -> list[Registers]:
        if kind == "read":
            return [state] if state[register] == value else []
        written = (value, state[1]) if register == 0 else (state[0], value)
        return [written] if kind == "write" else [written, state]

    cell = frozenset({f"register {register}"})
    outcome = value if kind == "read" else None
    call = Call(thread, f"{kind} {register}", outcome, invoked, returned)
    return Step(call, apply, cell if kind == "read" else frozenset(), frozenset() if kind == "read" else cell)


def history_of(threads: Sequence[Sequence[Access]]) -> History[Registers]:
    return tuple(tuple(step_of(number, access) for access in accesses) for number, accesses in enumerate(threads))


def can_be_explained(history: History[Registers]) -> bool:
    """The same by brute force: whether any order of all steps does."""
    steps = [(thread, index, step) for thread, steps in enumerate(history) for index, step in enumerate(steps)]
    return any(_is_in_time(order) and _leads_on(order) for order in permutations(steps))


def _is_in_time(order: Sequence[tuple[int, int, Step[Registers]]]) -> bool:
    for position, (thread, index, step) in enumerate(order):
        for other_thread, other_index, other in order[position + 1 :]:
            if other.call.returned < step.call.invoked or (other_thread == thread and other_index < index):
                return False
    return True


def _leads_on(order: Sequence[tuple[int, int, Step[Registers]]]) -> bool:
    states = {INITIAL}
    for _, _, step in order:
        states = {after for state in states for after in step.apply(state)}
    return bool(states)


@pytest.mark.parametrize(
    ("threads", "linearizable"),
    [
        # A read beside a write may see it, or not.
        ([[write(1, 0, 9)], [read(0, 1, 2), read(1, 3, 4)]], True),
        # But no read after one that saw it may miss it.
        ([[write(1, 0, 9)], [read(1, 1, 2), read(0, 3, 4)]], False),
        ([[write(1, 0, 9)], [read(1, 1, 2)], [read(0, 3, 4)]], False),
        # A write that has returned is seen.
        ([[write(1, 0, 1)], [read(0, 2, 3)]], False),
        ([[write(1, 0, 2)], [read(0, 1, 3)]], True),
        # Two readers of two writes agree on their order.
        ([[write(1, 0, 9)], [write(2, 0, 9)], [read(1, 1, 2), read(2, 3, 4)], [read(1, 5, 6)]], False),
        ([[write(1, 0, 9)], [write(2, 0, 9)], [read(1, 1, 2), read(2, 3, 4)], [read(2, 5, 6)]], True),
        # What nobody wrote is not read.
        ([[write(1, 0, 9)], [read(7, 1, 2)]], False),
        # Two registers, each of which saw its write before the other's: sequentially consistent, but not in time.
        ([[write(1, 0, 1, 0), read(0, 2, 3, 1)], [write(1, 0, 1, 1), read(0, 2, 3, 0)]], False),
        # A step that would change nothing now is not to be taken at once: here the first write comes last.
        ([[write(0, 0, 9)], [write(1, 1, 2), read(1, 3, 4), read(0, 5, 6)]], True),
        ([], True),
    ],
)
def test_known_histories(threads: list[list[Access]], linearizable: bool) -> None:
    history = history_of(threads)
    assert explain(history, INITIAL).complete == can_be_explained(history) == linearizable


def accesses() -> st.SearchStrategy[list[list[Access]]]:
    """Up to six calls of three threads, those of one thread in turn."""

    def timed(kinds: list[list[tuple[Literal["read", "write", "maybe"], int, int, int, int]]]) -> list[list[Access]]:
        threads: list[list[Access]] = []
        for calls in kinds:
            now, accesses = 0, list[Access]()
            for kind, register, value, pause, length in calls:
                accesses.append(Access(kind, register, value, now + pause, now + pause + length))
                now += pause + length + 1
            threads.append(accesses)
        return threads

    kind: st.SearchStrategy[Literal["read", "write", "maybe"]] = st.sampled_from(["read", "read", "write", "maybe"])
    call = st.tuples(kind, st.integers(0, 1), st.integers(0, 2), st.integers(0, 3), st.integers(0, 6))
    return st.lists(st.lists(call, max_size=2), max_size=3).map(timed)


@given(accesses())
def test_the_search_decides_as_brute_force_does(threads: list[list[Access]]) -> None:
    history = history_of(threads)
    explanation = explain(history, INITIAL)
    event(f"linearizable: {explanation.complete}")
    assert explanation.complete == can_be_explained(history)
    # What it says can be explained, can: the order is in time, and leads to the state that it names.
    order = [(thread, history[thread].index(step), step) for step in explanation.order for thread in [step.call.thread]]
    assert _is_in_time(order)
    assert explanation.state in _states_after(explanation.order)
    assert explanation.complete == (len(order) == sum(map(len, history)))


def _states_after(order: Sequence[Step[Registers]]) -> Iterator[Registers]:
    states = {INITIAL}
    for step in order:
        states = {after for state in states for after in step.apply(state)}
    yield from states


@given(accesses())
def test_what_shrinking_leaves_is_evidence(threads: list[list[Access]]) -> None:
    """It cannot be explained if and only if the whole cannot, and no more of it may be left out."""
    history = history_of(threads)
    shrunk = shrink(history, INITIAL)
    assert can_be_explained(shrunk) == can_be_explained(history)
    if not can_be_explained(history):
        assert shrink(shrunk, INITIAL) == shrunk


def test_a_failure_is_shown_as_a_table_of_what_matters() -> None:
    """A stale read beside the write that an earlier read has seen; the other register and thread do not matter."""
    history = history_of(
        [
            [write(1, 0, 10), read(1, 11, 12)],
            [read(0, 1, 2), read(1, 3, 4), write(2, 5, 6, 1), read(0, 7, 8)],
            [read(2, 7, 8, 1)],
        ]
    )
    shrunk = shrink(history, INITIAL)
    assert timeline(step.call for steps in shrunk for step in steps).splitlines() == [
        "thread 0   thread 1",
        "write 0",
        "|          read 0",
        "|          `-> 1",
        "|          read 0",
        "|          `-> 0",
        "`-> None",
    ]
