"""Searching: what ``bytes.find``, ``re.finditer`` and their relatives do on bytes in memory, on a span in pieces."""

import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, SupportsIndex, final

from typing_extensions import Buffer

from smmap_typed._handles.span import PIECE, Span

__all__ = [
    "BufferMatch",
    "Needle",
    "bounds",
    "content",
    "count",
    "first_match",
    "last_match",
    "matches",
    "needle_of",
    "pattern_matches",
]

Needle = Buffer | SupportsIndex
"""What can be searched for: a bytes-like object, or one byte as a number."""


# Bytes of the first piece of a search. The pieces grow, so that a match that is near costs no copy of what is far.
_FIRST_PIECE: Final = 4096


def needle_of(sub: Needle) -> bytes:
    """Return ``sub`` as bytes; ValueError for a number that is not a byte."""
    # The usual case. To ask whether an object has the method of a protocol takes longer than a short search.
    if type(sub) is bytes:
        return sub
    if isinstance(sub, SupportsIndex):
        number = operator.index(sub)
        if not 0 <= number < 256:  # noqa: PLR2004 - a byte
            raise ValueError(f"byte must be in range(0, 256), got {number}")
        return bytes((number,))
    return content(sub)


def content(sub: Buffer) -> bytes:
    """Return the bytes of a bytes-like object; TypeError for anything else, numbers and lists included."""
    with memoryview(sub) as view:
        return view.tobytes()


def bounds(length: int, start: SupportsIndex | None, end: SupportsIndex | None) -> tuple[int, int]:
    """Interpret ``start`` and ``end`` as ``bytes.find`` does: negative numbers count from the end.

    Both results are at least 0, and the upper bound is at most ``length``. The lower bound may be above the upper one.
    """
    low = 0 if start is None else operator.index(start)
    high = length if end is None else operator.index(end)
    return max(low + length, 0) if low < 0 else low, max(high + length, 0) if high < 0 else min(high, length)


def matches(span: Span, needle: bytes, low: int, high: int) -> Iterator[int]:
    """Yield the indices at which ``needle`` begins, from the left and without overlap; an empty one only at ``low``."""
    if not needle:
        yield from [low] if low <= high else []
        return
    size = _FIRST_PIECE
    while high - low >= len(needle):
        # Longer than a piece, so that a match may begin in this piece and end in the next.
        piece = span.read(low, min(low + size + len(needle) - 1, high))
        begin = 0
        while (found := piece.find(needle, begin)) >= 0:
            yield low + found
            begin = found + len(needle)
        low += max(size, begin)
        size = min(4 * size, PIECE)


def first_match(span: Span, needle: bytes, low: int, high: int) -> int:
    """Return the lowest index at which ``needle`` begins, or -1."""
    if 0 < len(needle) <= high - low:
        found, low = span.search_in_window(needle, low, high)
        if found >= 0:
            return found
    return next(matches(span, needle, low, high), -1)


def last_match(span: Span, needle: bytes, low: int, high: int) -> int:
    """Return the highest index at which ``needle`` begins, or -1."""
    # The last index at which a match may begin. It goes down by a piece each time.
    last = high - len(needle)
    size = _FIRST_PIECE
    while last >= low:
        first = max(last - size + 1, low)
        size = min(4 * size, PIECE)
        found = span.read(first, last + len(needle)).rfind(needle)
        if found >= 0:
            return first + found
        last = first - 1
    return -1


def count(span: Span, needle: bytes, low: int, high: int) -> int:
    """Count the occurrences of ``needle`` that do not overlap."""
    if not needle:
        return max(high - low + 1, 0)
    if len(needle) == 1:
        return sum(piece.count(needle) for piece in span.pieces(low, high))
    return sum(1 for _ in matches(span, needle, low, high))


@final
@dataclass(frozen=True, slots=True)
class BufferMatch:
    """A match of a regular expression in a buffer, an immutable value."""

    start: int
    """Index of its first byte in the buffer."""
    end: int
    """Index one past its last byte in the buffer."""
    match: re.Match[bytes]
    """The match itself, with its groups. It was found in a copy of a piece, and its own offsets count from the start of
    that copy."""


def pattern_matches(span: Span, pattern: re.Pattern[bytes], longest: int, low: int, high: int) -> Iterator[BufferMatch]:
    """Yield what ``pattern.finditer`` finds between two indices, if no match examines more than ``longest`` bytes.

    Pieces overlap by ``longest`` bytes on both sides. A match is sure if it begins so early in its piece that it cannot
    examine the end of the piece. A match that begins later is left to the next piece.
    """
    while low <= high:
        first = max(low - longest, 0)
        stop = min(low + max(PIECE, 4 * longest), high)
        sure = high if stop == high else stop - longest - 1
        piece = span.read(first, stop)
        following = sure + 1
        for match in pattern.finditer(piece, low - first):
            if first + match.start() > sure:
                break
            following = max(following, first + match.end())
            yield BufferMatch(first + match.start(), first + match.end(), match)
        low = following
