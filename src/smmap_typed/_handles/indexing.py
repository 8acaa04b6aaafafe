"""Indexing: one byte or one slice of a span, or the next occurrence of something: the hot paths of a buffer.

The class is apart from the buffer so that it can be compiled: a native class that derives from ``Sequence`` would
accept weak references, which mypyc does not clear.
"""

import operator
from typing import Final, SupportsIndex, TypeAlias, final, overload

from smmap_typed._compiling import mypyc_attr
from smmap_typed._handles.search import Needle, bounds, first_match, last_match, needle_of
from smmap_typed._handles.span import UNBOUND, Span
from smmap_typed._pool import MOST_COPIED

__all__ = ["Indexed"]

Slice: TypeAlias = "slice[SupportsIndex | None, SupportsIndex | None, SupportsIndex | None]"

# Compiled code reads a Final directly, but looks up the name of a built-in at each use.
_slice: Final = slice
_most_copied: Final = MOST_COPIED

# Bytes. A match that is no further away is near. What is not near is searched for with more calls.
_NEAR: Final = 4096


@mypyc_attr(allow_interpreted_subclasses=True)
class Indexed:
    """The compiled part of a buffer: indexes and slices the bytes of a span, and finds what is near."""

    __slots__ = ("_span",)

    def __init__(self) -> None:
        # Replaced as a whole, so a method should read it only once.
        self._span: Span = UNBOUND

    @final
    def __len__(self) -> int:
        return self._span.length

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...

    @overload
    def __getitem__(self, index: Slice) -> bytes: ...

    @final
    def __getitem__(self, index: "SupportsIndex | Slice") -> int | bytes:
        span = self._span
        length = span.length
        # The exact type comes first: isinstance() takes twice as long for an int, which is no slice, as for a slice.
        if type(index) is not int and isinstance(index, _slice):
            # Bounds that are in range, without a step, are what indices() would return, so the call is saved.
            low, high, step = index.start, index.stop, index.step
            if not (type(low) is int and type(high) is int and 0 <= low <= high <= length and step is None):
                low, high, step = index.indices(length)
                if step != 1:
                    return span.picked(range(low, high, step))
            placement = span.state.placement
            frame = placement[1]
            run = frame.resident.run
            first, last = low + span.begin, high + span.begin
            # A hit: the slice is known to be in memory. A slice of the map is bytes, without a memoryview in between.
            # Where there is no GIL, the name ``placement`` keeps the window mapped.
            if run.begin <= first < last <= run.end and last - first <= _most_copied:
                data = frame.copy(first, last)
                if data is not None:
                    return data
            # This name would keep its window pinned during the read.
            del placement
            return span.read(low, high)
        number = index if type(index) is int else operator.index(index)
        if number < 0:
            number += length
        if not 0 <= number < length:
            raise IndexError(f"index {index} is out of range for {length} bytes")
        view, frame, _start, _stop = span.state.placement
        offset = number + span.begin
        run = frame.resident.run
        if run.begin <= offset < run.end:
            return view[offset - frame.begin]
        # This name would keep its window pinned during the read.
        del view
        return span.read(number, number + 1)[0]

    @final
    def find(self, sub: Needle, start: SupportsIndex | None = None, end: SupportsIndex | None = None, /) -> int:
        """Return the lowest index at which ``sub`` is found inside ``[start, end)``, or -1. O(bytes)."""
        span = self._span
        low = 0 if start is None else start
        # A program that goes from match to match gives no end.
        if end is None and type(low) is int and type(sub) is bytes and low >= 0:
            # Where there is no GIL, this name keeps the window mapped.
            placement = span.state.placement
            frame = placement[1]
            run = frame.resident.run
            begin = span.begin
            first = begin + low
            last = first + _NEAR
            if last > run.end:
                last = run.end
            if last > span.end:
                last = span.end
            mapping = frame.mapping
            if run.begin <= first < last and mapping is not None:
                base = frame.begin
                try:
                    found = mapping.find(sub, first - base, last - base)
                except ValueError:
                    # The map is closed, or a signal handler has raised the error.
                    if not mapping.closed:
                        raise
                    found = -1
                if found >= 0:
                    return found + base - begin
            # These names would keep the window pinned, or its map open, during the search.
            del placement, mapping
            return first_match(span, sub, low, span.length)
        return first_match(span, needle_of(sub), *bounds(span.length, start, end))

    @final
    def rfind(self, sub: Needle, start: SupportsIndex | None = None, end: SupportsIndex | None = None, /) -> int:
        """Return the highest index at which ``sub`` is found inside ``[start, end)``, or -1. O(bytes)."""
        span = self._span
        # A program that goes backwards from match to match gives an end.
        if type(end) is int and type(start) is int and type(sub) is bytes and 0 <= start <= end <= span.length:
            placement = span.state.placement
            frame = placement[1]
            run = frame.resident.run
            begin = span.begin
            last = begin + end
            first = last - _NEAR
            if first < run.begin:
                first = run.begin
            if first < begin + start:
                first = begin + start
            mapping = frame.mapping
            if first < last <= run.end and mapping is not None:
                base = frame.begin
                try:
                    found = mapping.rfind(sub, first - base, last - base)
                except ValueError:
                    if not mapping.closed:
                        raise
                    found = -1
                if found >= 0:
                    return found + base - begin
            del placement, mapping
            return last_match(span, sub, start, end)
        return last_match(span, needle_of(sub), *bounds(span.length, start, end))
