"""Indexing: one byte or one slice of a span, the hot path of a buffer.

A class of its own since it is compiled: a native class cannot be a ``Sequence`` without being open to weak references
that mypyc does not clear.
"""

import operator
from typing import Final, SupportsIndex, TypeAlias, final, overload

from smmap_typed._platform import mypyc_attr
from smmap_typed._span import UNBOUND, Span

__all__ = ["Indexed"]

Slice: TypeAlias = "slice[SupportsIndex | None, SupportsIndex | None, SupportsIndex | None]"

# Compiled code has it at hand; a built-in's name it looks up at each use.
_slice: Final = slice


@mypyc_attr(allow_interpreted_subclasses=True)
class Indexed:
    """What is indexed as the bytes of a span."""

    __slots__ = ("_span",)

    def __init__(self) -> None:
        # Replaced whole. Read it once in each method.
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
        # isinstance() takes twice as long to say no as to say yes.
        if type(index) is not int and isinstance(index, _slice):
            # What indices() makes of it, without the call where nothing is to be made.
            low, high, step = index.start, index.stop, index.step
            if not (type(low) is int and type(high) is int and 0 <= low <= high <= length and step is None):
                low, high, step = index.indices(length)
                if step != 1:
                    return span.picked(range(low, high, step))
            place = span.position.place
            hold = place[1]
            begin = hold.begin
            first, last = low + span.begin, high + span.begin
            # One window holds it: the whole of a hit. A slice of the map, which is bytes at once.
            if begin <= first < last <= hold.limit:
                mapping = hold.mapping
                if mapping is not None:
                    try:
                        return mapping[first - begin : last - begin]
                    except ValueError:
                        # Closed. Compiled code lets go of the place, whose view keeps the map open, as soon as it does
                        # not use it any more, so the window can have been unmapped since.
                        pass
            # Not to keep its window pinned meanwhile.
            del place
            return span.read(low, high)
        number = index if type(index) is int else operator.index(index)
        if number < 0:
            number += length
        if not 0 <= number < length:
            raise IndexError(f"index {index} is out of range for {length} bytes")
        view, hold, _start, _stop = span.position.place
        offset = number + span.begin
        begin = hold.begin
        if begin <= offset < hold.limit:
            return view[offset - begin]
        # Not to keep its window pinned meanwhile.
        del view
        return span.read(number, number + 1)[0]
