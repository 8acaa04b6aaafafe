"""Searching: what ``bytes.find``, ``re.finditer`` and their relatives do on bytes in memory, on a span in pieces."""

import operator
import re
from collections.abc import Iterator
from itertools import chain, islice, repeat
from typing import Final, SupportsIndex, final

from typing_extensions import Buffer, override

from smmap_typed._handles.span import PIECE, Span

__all__ = [
    "BufferMatch",
    "Needle",
    "bounds",
    "content",
    "count",
    "first_match",
    "last_match",
    "needle_of",
    "pattern_matches",
]

Needle = Buffer | SupportsIndex
"""What can be searched for: a bytes-like object, or one byte as a number."""


# Bytes of the first piece of a search. The pieces grow, so that a match that is near costs no copy of what is far.
_FIRST_PIECE: Final = 4096

# Matches of a regular expression that are found before the first of them is handed out: few enough that all of them fit
# in the processor's cache.
_BATCH: Final = 256


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


def first_match(span: Span, needle: bytes, low: int, high: int) -> int:
    """Return the lowest index at which ``needle`` begins, or -1."""
    size = _FIRST_PIECE
    while high - low >= len(needle):
        found, reached = span.find_in_window(needle, low, high)
        if found >= 0:
            return found
        if reached > low:
            size = _following(size, reached - low)
            low = reached
            continue
        # Longer than a piece, so that a match may begin in this piece and end in the next.
        found = span.read(low, min(low + size + len(needle) - 1, high)).find(needle)
        if found >= 0:
            return low + found
        low += size
        size = min(4 * size, PIECE)
    return -1


def last_match(span: Span, needle: bytes, low: int, high: int) -> int:
    """Return the highest index at which ``needle`` begins, or -1."""
    size = _FIRST_PIECE
    while high - low >= len(needle):
        found, reached = span.rfind_in_window(needle, low, high)
        if found >= 0:
            return found
        if reached < high:
            size = _following(size, high - reached)
            high = reached
            continue
        first = max(high - size - len(needle) + 1, low)
        found = span.read(first, high).rfind(needle)
        if found >= 0:
            return first + found
        high = first + len(needle) - 1
        size = min(4 * size, PIECE)
    return -1


def _following(size: int, searched: int) -> int:
    """Return the size of the next piece, after so many bytes were searched in the window itself.

    A short piece leads to the next window, which may be in memory as well. Where hardly more is known than what the
    pieces before have read, they go on growing.
    """
    return _FIRST_PIECE if searched >= size else size


def count(span: Span, needle: bytes, low: int, high: int) -> int:
    """Count the occurrences of ``needle`` that do not overlap."""
    if not needle:
        return max(high - low + 1, 0)
    total = 0
    # Only what has a match is copied.
    while (found := first_match(span, needle, low, high)) >= 0:
        stop = min(found + max(PIECE, len(needle)), high)
        # ``bytes.count`` would not tell where the last occurrence ends, from where on the next piece counts.
        parts = span.read(found, stop).split(needle)
        total += len(parts) - 1
        low = stop - min(len(parts[-1]), len(needle) - 1)
    return total


@final
class BufferMatch(tuple[int, re.Match[bytes]]):
    """A match of a regular expression in a buffer, an immutable value: ``first`` and ``match`` as a tuple."""

    # A tuple, since that is made in C, and there may be millions of matches; and not a NamedTuple, which is made in
    # Python.

    __slots__ = ()

    @override
    def __repr__(self) -> str:
        return f"<BufferMatch from {self.start} to {self.end}: {self.match[0]!r}>"

    @property
    def start(self) -> int:
        """Index of its first byte in the buffer."""
        return self[0] + self[1].start()

    @property
    def end(self) -> int:
        """Index one past its last byte in the buffer."""
        return self[0] + self[1].end()

    @property
    def first(self) -> int:
        """Index in the buffer of the first byte of the copy in which the match was found.

        The offsets of ``match`` count from there: a group begins at ``first + match.start(group)``.
        """
        return self[0]

    @property
    def match(self) -> re.Match[bytes]:
        """The match itself, with its groups."""
        return self[1]


def pattern_matches(span: Span, pattern: re.Pattern[bytes], longest: int, low: int, high: int) -> Iterator[BufferMatch]:
    """Yield what ``pattern.finditer`` finds between two indices, if no match examines more than ``longest`` bytes."""
    return chain.from_iterable(_batches(span, pattern, longest, low, high))


def _batches(
    span: Span, pattern: re.Pattern[bytes], longest: int, low: int, high: int
) -> Iterator[Iterator[BufferMatch]]:
    """Yield the matches in batches, since a loop in Python over them all would take as long as the search.

    Pieces overlap by ``longest`` bytes on both sides. A match is sure if it begins so early in its piece that it cannot
    examine the end of the piece. A match that begins later is left to the next piece.
    """
    while low <= high:
        first = max(low - longest, 0)
        stop = min(low + max(PIECE, 4 * longest), high)
        sure = high if stop == high else stop - longest - 1
        found = pattern.finditer(span.read(first, stop), low - first)
        low = sure + 1
        while batch := list(islice(found, _BATCH)):
            is_last = first + batch[-1].start() > sure
            while batch and first + batch[-1].start() > sure:
                batch.pop()
            if batch:
                low = max(low, first + batch[-1].end())
                yield map(BufferMatch, zip(repeat(first), batch))
                # Before the next batch is made, which can have their memory.
                batch.clear()
            if is_last:
                break
