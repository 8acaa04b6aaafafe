"""How a scenario is explored: every interleaving with few preemptions, and schedules of byte codes at random.

DPOR (dynamic partial-order reduction) runs one interleaving of each class of equivalent ones, as far as it sees what
conflicts; schedules at random see whatever there is, but not all of it. Time is virtual, so that a waiter's next look
comes when nobody else can run.
"""

import mmap
import os
import random
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from operator import methodcaller
from pathlib import Path
from types import MemberDescriptorType
from typing import Final, Protocol

import frontrun
import pytest
from frontrun import _opcode_observer
from frontrun.bytecode import run_with_schedule

from races.descriptors import Watched
from races.fixture import Fixture, WatchedMap
from races.visible import VisibleDeque
from smmap_typed._pool import tables

__all__ = ["Outcome", "explore_at_random", "explore_systematically"]

PREEMPTIONS: Final = 2
"""How often a thread may be interrupted in one interleaving. Two show most races (Musuvathi and Qadeer, "Iterative
context bounding for systematic testing of multithreaded programs", PLDI 2007)."""

SECONDS: Final = 60.0
"""Until an interleaving that does not end is an error. It takes 0.03 s; a machine may be busy with something else."""

LONGEST_BURST: Final = 500
"""Byte codes: about what a thread of a scenario takes from its first to its last."""

LONGEST_SCHEDULE: Final = 4000
"""Byte codes. Afterwards frontrun goes on by itself, with short bursts."""


class Outcome(Protocol):
    """What frontrun reports, whose own functions return Any."""

    property_holds: bool | None
    num_explored: int

    def assert_holds(self, msg_prefix: str = "") -> None:
        """Raise unless every interleaving that was explored ended well."""
        ...


def explore_systematically(kind: type[Fixture], folder: Path, most: int) -> Outcome:
    """Play all interleavings that differ in what is seen of them, or ``most`` of them, spread over the whole."""
    with _watched(), _everything_visible():
        outcome: Outcome = frontrun.explore(
            setup=lambda: kind(folder),
            workers=_threads(kind),
            invariant=kind.end,
            strategy="dpor",
            preemption_bound=PREEMPTIONS,
            max_executions=most,
            search="bit-reversal",
            detect_io=False,
            clock="virtual",
            reproduce_on_failure=0,
            timeout_per_run=SECONDS,
            deadlock_timeout=SECONDS,
        )
    return outcome


def explore_at_random(kind: type[Fixture], folder: Path, attempts: int, first: int = 0) -> int:
    """Play so many schedules that switch threads between any two byte codes; how many there were.

    Threads run in bursts of 1 to ``LONGEST_BURST`` byte codes, as many short ones as long ones, since a race may need
    two interruptions within a line, or one by all that another thread does. An error tells the number of its schedule:
    to play that alone, let it be the ``first`` of one attempt.
    """
    with _watched():
        for number in range(first, first + attempts):
            fixture = run_with_schedule(
                _bursts(random.Random(number), len(kind.threads())),
                lambda: kind(folder),
                _threads(kind),
                detect_io=False,
                clock="virtual",
                timeout=SECONDS,
                deadlock_timeout=SECONDS,
            )
            try:
                fixture.end()
            except AssertionError as error:
                raise AssertionError(f"schedule {number} of {kind.__name__}: {error}") from error
    return attempts


def _bursts(chance: random.Random, threads: int) -> list[int]:
    schedule: list[int] = []
    while len(schedule) < LONGEST_SCHEDULE:
        schedule += [chance.randrange(threads)] * int(LONGEST_BURST ** chance.random())
    return schedule


def _threads(kind: type[Fixture]) -> list[Callable[[Fixture], None]]:
    return [methodcaller("play", name) for name in kind.threads()]


@contextmanager
def _watched() -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmap, "mmap", WatchedMap)
        patch.setattr(os, "pread", Watched.pread)
        patch.setattr(os, "close", Watched.close)
        yield


@contextmanager
def _everything_visible() -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_opcode_observer, "_safe_getattr", _slot_or_attribute)
        patch.setattr(tables, "deque", VisibleDeque)
        yield


_attribute: Final = _opcode_observer._safe_getattr


def _slot_or_attribute(owner: object, name: str) -> object:
    """What frontrun asks for when it follows ``a.b.c``; by itself it stops at slots, since they are descriptors."""
    slot = getattr(type(owner), name, None)
    if isinstance(slot, MemberDescriptorType):
        with suppress(AttributeError):
            return slot.__get__(owner)
        return None
    return _attribute(owner, name)
