"""Programs and schedules: what Hypothesis draws.

Most operations are about one shared cursor of one file, since what does not meet cannot disagree; and files are so
small that two windows are most of one. Operations are drawn from a catalogue, which is much faster than to draw each
of their numbers.
"""

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

from hypothesis import strategies as st

from stateful.threads.operations import QUERIES, Operation, Program, ReaderName, Setting
from stateful.threads.stepper import Turn
from support import GRANULE

__all__ = ["NARROW", "TINY", "WIDE", "Scarce", "Subject", "programs", "programs_by_seed", "schedules"]

T = TypeVar("T")

Scarce: TypeAlias = Literal["", "handles", "memory"]
Subject: TypeAlias = Literal["changing", "rebinding"]
"""What else a program does: it changes files, or makes cursors and buffers other ones. Not both: a call that is
overtaken when its cursor or buffer becomes another one finishes on the old one, which shows only if files change."""

HALF: Final = GRANULE // 2
# Inside a granule and across an edge; then longer than a window, up to the end of the file, and past it.
FEW_REQUESTS: Final = ((0, 1), (2 * GRANULE, 100), (GRANULE - 4, 8))
MORE_REQUESTS: Final = (
    *[(GRANULE, 8), (GRANULE + HALF, GRANULE), (3 * GRANULE + 1, HALF), (HALF, 2 * GRANULE)],
    *[(0, 0), (2 * GRANULE - 1, 3 * GRANULE), (4 * GRANULE, 0), (5 * GRANULE, 1)],
)
# Whole halves of granules, so that an append never crosses a page: the system shows it in one step.
FILE_SIZES: Final = tuple(halves * HALF for halves in range(4, 11))
# How many of an operation that has no numbers are as likely as one that has.
MANY: Final = 3


class Scope(NamedTuple):
    """How much a program is about; everything is as likely as it is often there."""

    slots: tuple[int, ...]
    requests: tuple[tuple[int, int], ...]
    """Offsets and sizes."""
    shared: tuple[int, ...]
    """Cursors of a file that all threads share."""
    threads: tuple[int, ...]
    operations: tuple[int, ...]
    """Of one thread."""


WIDE: Final = Scope((0, 0, 0, 0, 0, 1), FEW_REQUESTS + MORE_REQUESTS, (1, 1, 2), (2, 2, 2, 3, 3, 4), (1, 2, 3, 4, 5, 6))
"""For threads that run freely: much can happen in one run."""
NARROW: Final = Scope((0,), FEW_REQUESTS, (1,), (2, 2, 2, 3, 4), (1, 2, 2, 3))
"""For threads that are stepped: few runs are spent on what is not about the same cursor."""
TINY: Final = NARROW._replace(threads=(2,), operations=(1, 2))
"""For threads that are stepped through every line."""


@cache
def _catalogue(scope: Scope, subject: Subject, shared: int, own: int) -> list[Operation]:
    """What a thread may do that has a cursor of its own and shares the first ones."""
    catalogue: list[Operation] = []
    for slot in scope.slots:
        for cursor in (0, 0, 0, *range(shared), own):
            catalogue += [
                *[Operation("use_region", slot, cursor, *request) for request in scope.requests],
                *[Operation("read", slot, cursor, *request) for request in scope.requests],
                *[Operation("view", slot, cursor, *request) for request in FEW_REQUESTS],
                *[Operation(query, slot, cursor, GRANULE) for query in QUERIES],
                *[Operation("buffer", slot, cursor)] * MANY,
                *[Operation(name, slot, cursor) for name in ("unuse_region", "file_size")],
                Operation("copy", slot, own, source=cursor),
            ]
            if subject == "rebinding":
                catalogue += [Operation("assign", slot, cursor, source=source) for source in (0, own)]
        catalogue += [
            *[Operation("make_cursor", slot, own)] * MANY,
            *[Operation("slice", slot, 0, *request) for request in scope.requests],
            *[Operation("index", slot, offset=offset) for offset, _ in scope.requests],
            *[Operation("collect"), Operation("check")] * MANY,
        ]
        if subject == "rebinding":
            catalogue += [Operation("begin_access", slot, 0, *request) for request in scope.requests]
            catalogue += [Operation("end_access", slot), Operation("length", slot)] * MANY
        else:
            catalogue += [Operation("replace", slot, size=size) for size in FILE_SIZES]
            catalogue += [Operation("append", slot, size=HALF)] * MANY
    return catalogue


class Choose(Protocol):
    """Whoever decides."""

    def __call__(self, items: Sequence[T], /) -> T:
        """One of ``items``."""
        ...


def compose(choose: Choose, scope: Scope, reader: ReaderName, scarce: Scarce, subject: Subject) -> Program:
    """A program of so many threads with so many operations each."""
    window = choose([1, 2, 3]) * GRANULE
    memory = choose([1, 2]) * window
    setting = Setting(reader, window, memory, scarce, (choose(FILE_SIZES), choose(FILE_SIZES)))
    shared = choose(scope.shared)
    threads = tuple(
        tuple(choose(_catalogue(scope, subject, shared, shared + thread)) for _ in range(choose(scope.operations)))
        for thread in range(choose(scope.threads))
    )
    return Program(setting, shared, threads)


@st.composite
def programs(draw: st.DrawFn, scope: Scope, reader: ReaderName, scarce: Scarce, subject: Subject) -> Program:
    """Programs that Hypothesis can shrink."""

    def choose(items: Sequence[T]) -> T:
        return draw(st.sampled_from(items))

    return compose(choose, scope, reader, scarce, subject)


def programs_by_seed(scope: Scope, reader: ReaderName, scarce: Scarce, subject: Subject) -> st.SearchStrategy[Program]:
    """Programs with nothing in common: what is not shrunk needs none of the variations that Hypothesis tries."""
    seeds = st.integers(0, 2**64 - 1)
    return seeds.map(lambda seed: compose(Random(seed).choice, scope, reader, scarce, subject))


def schedules() -> st.SearchStrategy[list[Turn]]:
    """One to three preemptions, at any system call of an operation."""
    turns = [Turn(choice, points) for points in range(1, 10) for choice in (0, 0, 1)]
    return st.lists(st.sampled_from(turns), min_size=1, max_size=3)
