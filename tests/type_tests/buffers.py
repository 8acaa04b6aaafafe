"""Types of the buffer, a ``Sequence[int]`` whose slices are ``bytes``: checked by mypy and pyright, never run.

Each ignore marks a call that must be refused: an ignore that is not needed is an error in both checkers.
"""

import array
import sys
from collections.abc import Iterator, Sequence
from typing import assert_type

from smmap_typed import SlidingWindowMapBuffer, WindowCursor


def making(cursor: WindowCursor) -> None:
    assert_type(SlidingWindowMapBuffer(), SlidingWindowMapBuffer)
    assert_type(SlidingWindowMapBuffer(cursor, 0, sys.maxsize, 0), SlidingWindowMapBuffer)
    assert_type(SlidingWindowMapBuffer(cursor=cursor, offset=0, size=10, flags=0), SlidingWindowMapBuffer)


def access(buffer: SlidingWindowMapBuffer, cursor: WindowCursor) -> None:
    assert_type(buffer.begin_access(), bool)
    assert_type(buffer.begin_access(cursor, 0, 10, 0), bool)
    assert_type(buffer.begin_access(cursor=cursor, offset=0, size=10, flags=0), bool)
    assert_type(buffer.end_access(), None)
    assert_type(buffer.cursor(), WindowCursor | None)


def items(buffer: SlidingWindowMapBuffer, some: slice, true: bool) -> None:
    assert_type(buffer[0], int)
    assert_type(buffer[-1], int)
    assert_type(buffer[true], int)
    assert_type(buffer[:], bytes)
    assert_type(buffer[1:2], bytes)
    assert_type(buffer[::-2], bytes)
    assert_type(buffer[None:None:None], bytes)
    assert_type(buffer[some], bytes)
    assert_type(buffer[0:4].hex(), str)


def sequence(buffer: SlidingWindowMapBuffer) -> Sequence[int]:
    assert_type(len(buffer), int)
    assert_type(iter(buffer), Iterator[int])
    assert_type(reversed(buffer), Iterator[int])
    assert_type(list(buffer), list[int])
    # mypy takes the items for all that may be looked for in a sequence, except in bytes itself.
    assert_type(b"needle" in buffer, bool)  # type: ignore[comparison-overlap]
    assert_type(10 in buffer, bool)
    assert_type(bytes(buffer), bytes)
    match buffer:
        case [first, *_]:
            assert_type(first, int)
        case _:
            pass
    return buffer


def searching(buffer: SlidingWindowMapBuffer) -> None:
    assert_type(buffer.find(b"needle"), int)
    assert_type(buffer.find(memoryview(b"needle"), 1, None), int)
    assert_type(buffer.rfind(10, None, 9), int)
    assert_type(buffer.index(10), int)
    assert_type(buffer.index(b"needle", 1, 9), int)
    assert_type(buffer.count(10), int)
    assert_type(buffer.count(bytearray(b"needle"), 1, 9), int)
    assert_type(buffer.startswith(b"PACK"), bool)
    assert_type(buffer.startswith((b"PACK", b"\xfftOc"), 1, 9), bool)


def copying(buffer: SlidingWindowMapBuffer) -> None:
    assert_type(buffer.readinto(bytearray(10)), int)
    assert_type(buffer.readinto(array.array("I", [0]), start=3), int)


def leaving(buffer: SlidingWindowMapBuffer) -> int:
    with buffer as same:
        assert_type(same, SlidingWindowMapBuffer)
        return 1
    # Not reached, which both checkers must know: a buffer's context swallows no exception.


def refused(buffer: SlidingWindowMapBuffer, cursor: WindowCursor) -> None:
    SlidingWindowMapBuffer("name")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SlidingWindowMapBuffer(cursor, None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SlidingWindowMapBuffer(cursor, length=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    buffer["0"]  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    buffer[0.5]  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    buffer[0, 1]  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    buffer[0] = 1  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    buffer[0:2].tobytes()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    buffer.append(1)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    buffer.find("needle")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    buffer.find(sub=b"needle")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    buffer.startswith("PACK")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    buffer.startswith([b"PACK"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    buffer.readinto([1, 2])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    buffer.cursor().size()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    if sys.version_info < (3, 12):
        # From then on a buffer has memory.
        bytearray(b"").find(buffer)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Buffer(SlidingWindowMapBuffer):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    """Final: wrap it instead."""
