"""Programs and schedules: what Hypothesis draws.

Most operations are about one shared cursor of one file, since what does not meet cannot disagree; and files are so
small that two windows are most of one. Operations are drawn from a catalogue, which is much faster than to draw each
of their numbers.
"""

from functools import cache
from typing import Final, Literal, TypeAlias

from hypothesis import strategies as st

from stateful.threads.operations import QUERIES, Operation, Program, ReaderName, Setting
from stateful.threads.stepper import Turn
from support import GRANULE

__all__ = ["Scarce", "Subject", "programs", "schedules"]

Scarce: TypeAlias = Literal["", "handles", "memory"]
Subject: TypeAlias = Literal["changing", "rebinding"]
"""What else a program does: it changes files, or makes cursors and buffers other ones. Not both: a call that is
overtaken when its cursor or buffer becomes another one finishes on the old one, which shows only if files change."""

HALF: Final = GRANULE // 2
REQUESTS: Final = [
    *[(0, 1), (GRANULE, 8), (2 * GRANULE, 100), (GRANULE - 4, 8), (GRANULE + HALF, GRANULE), (3 * GRANULE + 1, HALF)],
    *[(0, 0), (HALF, 2 * GRANULE), (2 * GRANULE - 1, 3 * GRANULE), (4 * GRANULE, 0), (5 * GRANULE, 1)],
]
"""Offsets and sizes: inside a granule, across an edge, longer than a window, up to the end of the file and past it."""
# Whole halves of granules, so that an append never crosses a page: the system shows it in one step.
FILE_SIZES: Final = [halves * HALF for halves in range(4, 11)]
COUNTS: Final = [2, 2, 2, 3, 3, 4]
SLOTS: Final = [0, 0, 0, 0, 0, 1]
MANY: Final = 3


@cache
def _catalogue(subject: Subject, shared: int, own: int) -> list[Operation]:
    """What a thread may do that has a cursor of its own and shares the first ones; as often as it is likely."""
    catalogue: list[Operation] = []
    for slot in SLOTS:
        for cursor in (0, 0, 0, *range(shared), own):
            catalogue += [
                *[Operation("use_region", slot, cursor, *request) for request in REQUESTS],
                *[Operation("read", slot, cursor, *request) for request in REQUESTS[:8]],
                *[Operation("view", slot, cursor, *request) for request in REQUESTS[:4]],
                *[Operation(query, slot, cursor, GRANULE) for query in QUERIES],
                *[Operation("buffer", slot, cursor)] * MANY,
                *[Operation(name, slot, cursor) for name in ("unuse_region", "file_size")],
                Operation("copy", slot, own, source=cursor),
            ]
            if subject == "rebinding":
                catalogue += [Operation("assign", slot, cursor, source=source) for source in {0, shared - 1, own}]
        catalogue += [
            *[Operation("make_cursor", slot, own)] * MANY,
            *[Operation("slice", slot, 0, *request) for request in REQUESTS],
            *[Operation("index", slot, offset=offset) for offset, _ in REQUESTS],
            *[Operation("collect"), Operation("check")] * MANY,
        ]
        if subject == "rebinding":
            catalogue += [Operation("begin_access", slot, 0, *request) for request in REQUESTS]
            catalogue += [Operation("end_access", slot), Operation("length", slot)] * MANY
        else:
            catalogue += [Operation("replace", slot, size=size) for size in FILE_SIZES] * MANY
            catalogue += [Operation("append", slot, size=HALF)] * MANY * MANY
    return catalogue


@st.composite
def programs(draw: st.DrawFn, reader: ReaderName, scarce: Scarce, subject: Subject, most: int) -> Program:
    """Programs of two to four threads with up to ``most`` operations each."""
    window = draw(st.sampled_from([1, 2, 3])) * GRANULE
    sizes = (draw(st.sampled_from(FILE_SIZES)), draw(st.sampled_from(FILE_SIZES)))
    setting = Setting(reader, window, draw(st.sampled_from([1, 2])) * window, scarce, sizes)
    shared = draw(st.sampled_from([1, 1, 2]))
    threads = tuple(
        tuple(draw(st.lists(st.sampled_from(_catalogue(subject, shared, shared + thread)), min_size=1, max_size=most)))
        for thread in range(draw(st.sampled_from(COUNTS)))
    )
    return Program(setting, shared, threads)


def schedules(*, every_line: bool) -> st.SearchStrategy[list[Turn]]:
    """One to three preemptions, at any point of an operation: the first use of a file takes 200 lines."""
    longest = 220 if every_line else 12
    turns = [Turn(choice, points) for points in range(1, longest + 1) for choice in (0, 0, 1)]
    return st.lists(st.sampled_from(turns), min_size=1, max_size=3)
