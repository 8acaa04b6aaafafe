"""The buffer: a file, or a part of it, as a sequence of bytes over windows that slide by themselves."""

import copy
import operator
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self, SupportsIndex, final, overload

from typing_extensions import Buffer, override

from smmap_typed._cursor import WindowCursor
from smmap_typed._position import NOWHERE, UNASSOCIATED, Position, check_range

__all__ = ["SlidingWindowMapBuffer"]

# Searches and iteration copy the file in pieces of this size: small enough for the processor's cache, large enough
# that the cost of a piece does not matter.
_PIECE: int = 256 * 1024


@final
class SlidingWindowMapBuffer(Sequence[int]):
    """``size`` bytes of a file from ``offset`` as a ``Sequence[int]``; index 0 is the byte at ``offset``.

    Indexing, slicing (with steps), iteration, ``in``, ``index``, ``count``, ``find`` and ``bytes(buffer)`` do what
    they do on the ``bytes`` object with the same content; a slice is always ``bytes``. The buffer moves a cursor of its
    own, a copy of the one that it is given, so that two buffers on one cursor do not disturb each other.

    :param cursor: a cursor on the file, or None to bind the buffer later with ``begin_access``.
    :param offset: bytes from the start of the file.
    :param size: bytes; as far as the file goes, if that is less.
    :param flags: more flags for ``os.open``.
    :raises ValueError: if a number is negative, or no byte of the file lies at ``offset``.
    :raises OSError: as ``WindowCursor.use_region``.

    Any number of threads may read one buffer at once.
    """

    __slots__ = ("__weakref__", "_access", "_cursor")

    def __init__(
        self, cursor: WindowCursor | None = None, offset: int = 0, size: int = sys.maxsize, flags: int = 0
    ) -> None:
        self._cursor: WindowCursor | None = None
        # Replaced whole: the buffer's own position, where the bytes begin in the file, how many, flags for os.open.
        self._access: tuple[Position, int, int, int] = (UNASSOCIATED, 0, 0, 0)
        if cursor is not None and not self.begin_access(cursor, offset, size, flags):
            if not cursor.is_associated():
                raise ValueError("the cursor has no file; get one from make_cursor()")
            raise ValueError(f"offset {offset} is not inside the file of {cursor.file_size()} bytes")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end_access()

    @override
    def __repr__(self) -> str:
        position, begin, length, _ = self._access
        if position is UNASSOCIATED:
            return "<SlidingWindowMapBuffer without a file>"
        return f"<SlidingWindowMapBuffer of {length} bytes at {begin} of {position.source.target!r}>"

    def begin_access(
        self, cursor: WindowCursor | None = None, offset: int = 0, size: int = sys.maxsize, flags: int = 0
    ) -> bool:
        """Bind the buffer to ``size`` bytes at ``offset`` of the cursor's file, or of its own file again.

        Returns False, and changes nothing, if there is no file or no byte of it lies at ``offset``. Parameters and
        errors are those of the class.
        """
        check_range(offset, size)
        own = self._cursor if cursor is None else copy.copy(cursor)
        if own is None or not own.is_associated():
            return False
        length = min(size, own.file_size() - offset)
        if length < 0 or offset == own.file_size():
            return False
        own.use_region(offset, length, flags)
        self._cursor = own
        self._access = (own._position, offset, length, flags)
        return True

    def end_access(self) -> None:
        """Release the window; the buffer is empty until ``begin_access``. Any number of times; takes no lock."""
        position, begin, _, flags = self._access
        self._access = (position, begin, 0, flags)
        if position is not UNASSOCIATED:
            position.place = NOWHERE

    def cursor(self) -> WindowCursor | None:
        """The buffer's own cursor, None before it was given one."""
        return self._cursor

    @override
    def __len__(self) -> int:
        return self._access[2]

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...

    @overload
    def __getitem__(
        self, index: "slice[SupportsIndex | None, SupportsIndex | None, SupportsIndex | None]"
    ) -> bytes: ...

    @override
    def __getitem__(
        self, index: "SupportsIndex | slice[SupportsIndex | None, SupportsIndex | None, SupportsIndex | None]"
    ) -> int | bytes:
        position, begin, length, _ = self._access
        if isinstance(index, slice):
            start, stop, step = index.indices(length)
            if step != 1:
                return self._stepped(range(start, stop, step))
            start += begin
            stop += begin
            view, hold, _, _ = position.place
            low = hold.begin
            # One window holds it: the whole of a hit.
            if low <= start < stop <= hold.limit:
                return view[start - low : stop - low].tobytes()
            # Not to keep its window pinned meanwhile.
            del view
            return self._read(start - begin, stop - begin)
        number = operator.index(index)
        if number < 0:
            number += length
        if not 0 <= number < length:
            raise IndexError(f"index {index} is out of range for {length} bytes")
        number += begin
        view, hold, _, _ = position.place
        low = hold.begin
        if low <= number < hold.limit:
            return view[number - low]
        del view
        return self._read(number - begin, number - begin + 1)[0]

    @override
    def __iter__(self) -> Iterator[int]:
        for piece in self._pieces(0, len(self)):
            yield from piece

    @override
    def __reversed__(self) -> Iterator[int]:
        for stop in range(len(self), 0, -_PIECE):
            yield from reversed(self._read(max(stop - _PIECE, 0), stop))

    @override
    def __contains__(self, value: object) -> bool:
        if isinstance(value, (SupportsIndex, Buffer)):
            return self.find(value) >= 0
        raise TypeError(f"a bytes-like object or an integer is required, not {type(value).__name__!r}")

    def __bytes__(self) -> bytes:
        return self._read(0, len(self))

    def find(
        self, sub: Buffer | SupportsIndex, start: SupportsIndex | None = None, end: SupportsIndex | None = None, /
    ) -> int:
        """The lowest index at which ``sub`` begins and lies inside ``[start, end)``, or -1. O(bytes)."""
        return next(self._matches(_needle(sub), start, end), -1)

    def rfind(
        self, sub: Buffer | SupportsIndex, start: SupportsIndex | None = None, end: SupportsIndex | None = None, /
    ) -> int:
        """The highest index at which ``sub`` begins and lies inside ``[start, end)``, or -1. O(bytes)."""
        needle = _needle(sub)
        low, high = self._range(start, end)
        if high - low < len(needle):
            return -1
        # The last place for a match to begin in, and one piece less each time.
        last = high - len(needle)
        while last >= low:
            first = max(last - _PIECE + 1, low)
            found = self._read(first, last + len(needle)).rfind(needle)
            if found >= 0:
                return first + found
            last = first - 1
        return -1

    @override
    def index(
        self, sub: Buffer | SupportsIndex, start: SupportsIndex | None = None, end: SupportsIndex | None = None, /
    ) -> int:
        """As ``find``, but ValueError if ``sub`` is not there."""
        found = self.find(sub, start, end)
        if found < 0:
            raise ValueError(f"{_needle(sub)!r} is not in the buffer")
        return found

    @override
    def count(
        self, sub: Buffer | SupportsIndex, start: SupportsIndex | None = None, end: SupportsIndex | None = None, /
    ) -> int:
        """How often ``sub`` occurs inside ``[start, end)`` without overlap. O(bytes)."""
        needle = _needle(sub)
        low, high = self._range(start, end)
        if not needle:
            return max(high - low + 1, 0)
        if len(needle) == 1:
            return sum(piece.count(needle) for piece in self._pieces(low, high))
        return sum(1 for _ in self._matches(needle, start, end))

    def startswith(
        self,
        prefix: Buffer | tuple[Buffer, ...],
        start: SupportsIndex | None = None,
        end: SupportsIndex | None = None,
        /,
    ) -> bool:
        """Whether the bytes inside ``[start, end)`` begin with ``prefix``, or with one of several."""
        if isinstance(prefix, tuple):
            return any(self.startswith(one, start, end) for one in prefix)
        head = bytes(prefix)
        low, high = self._range(start, end)
        return high - low >= len(head) and self._read(low, low + len(head)) == head

    def readinto(self, target: Buffer, start: int = 0) -> int:
        """Copy the bytes from index ``start`` on into ``target``; how many, less than its length only at the end.

        One window is pinned at a time. ValueError if ``start`` is negative, TypeError if ``target`` is read-only.
        """
        check_range(start, 0)
        with memoryview(target) as whole, whole.cast("B") as room:
            if room.readonly:
                raise TypeError("readinto needs a writable buffer, got a read-only one")
            position, begin, length, flags = self._access
            done = 0
            stop = min(start + len(room), length)
            if start < stop:
                with _travelling(position, begin + stop - 1, flags):
                    for piece in position.pieces(begin + start, begin + stop):
                        room[done : done + len(piece)] = piece
                        done += len(piece)
            return done

    def _range(self, start: SupportsIndex | None, end: SupportsIndex | None) -> tuple[int, int]:
        """``start`` and ``end`` as ``bytes.find`` takes them: negative from the end, cut at the ends, maybe crossed."""
        length = len(self)
        low = 0 if start is None else operator.index(start)
        high = length if end is None else operator.index(end)
        return max(low + length, 0) if low < 0 else low, min(high + length if high < 0 else high, length)

    def _matches(self, needle: bytes, start: SupportsIndex | None, end: SupportsIndex | None) -> Iterator[int]:
        """Where ``needle`` begins, from the left and without overlap."""
        at, high = self._range(start, end)
        if not needle and at <= high:
            yield at
        if not needle:
            return
        while high - at >= len(needle):
            # Long enough for a match that begins in the piece and ends in the next.
            piece = self._read(at, min(at + _PIECE + len(needle) - 1, high))
            begin = 0
            while (found := piece.find(needle, begin)) >= 0:
                yield at + found
                begin = found + len(needle)
            at += max(_PIECE, begin)

    def _pieces(self, low: int, high: int) -> Iterator[bytes]:
        for start in range(low, high, _PIECE):
            yield self._read(start, min(start + _PIECE, high))

    def _stepped(self, indices: range) -> bytes:
        """The bytes at ``indices``, read in pieces, so that a large step over a huge file costs little memory."""
        at_once = max(_PIECE // abs(indices.step), 1)
        parts: list[bytes] = []
        for first in range(0, len(indices), at_once):
            some = indices[first : first + at_once]
            low, high = min(some[0], some[-1]), max(some[0], some[-1])
            parts.append(self._read(low, high + 1)[:: abs(some.step)][:: 1 if some.step > 0 else -1])
        return b"".join(parts)

    def _read(self, low: int, high: int) -> bytes:
        """The bytes between two indices that are in range. The buffer's cursor moves there, if one window has them."""
        position, begin, _, flags = self._access
        if low >= high:
            return b""
        low += begin
        high += begin
        hold = position.place[1]
        if not hold.begin <= low < high <= hold.limit:
            position.move(low, high - low, flags)
        view, hold, _, _ = position.place
        if hold.begin <= low < high <= hold.limit:
            return view[low - hold.begin : high - hold.begin].tobytes()
        # More than one window has, or another thread has moved the cursor on.
        del view
        with _travelling(position, high - 1, flags):
            return position.read(low, high - low)


@contextmanager
def _travelling(position: Position, last: int, flags: int) -> Generator[None]:
    """Let go of the buffer's own window, so that one is pinned at a time, and stand on the byte at ``last`` at the end.

    After an exception the cursor is back where it was, if that is still mapped.
    """
    # Not even a throw-away name may keep the memoryview, which is the pin.
    hold, start, stop = position.place[1:]
    position.place = NOWHERE
    try:
        yield
    except BaseException:
        position.stand(hold, start, stop)
        raise
    position.move(last, 1, flags)


def _needle(sub: Buffer | SupportsIndex) -> bytes:
    """What to search for, as ``bytes`` methods take it: bytes-like, or one byte as a number."""
    if isinstance(sub, SupportsIndex):
        number = operator.index(sub)
        if not 0 <= number < 256:  # noqa: PLR2004 - a byte
            raise ValueError(f"byte must be in range(0, 256), got {number}")
        return bytes((number,))
    return bytes(sub)
