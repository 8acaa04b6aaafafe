"""Buffers: all or part of a file as a sequence of bytes, read through a window that moves as needed.

Indexing and slicing, the hot path, are in ``indexing``.
"""

import copy
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self, SupportsIndex, TypeAlias, final

from typing_extensions import Buffer, override

from smmap_typed._arguments import natural
from smmap_typed._handles.cursor import WindowCursor
from smmap_typed._handles.indexing import Indexed
from smmap_typed._handles.search import (
    BufferMatch,
    Needle,
    bounds,
    content,
    count,
    needle_of,
    pattern_matches,
)
from smmap_typed._handles.span import UNBOUND, Span
from smmap_typed._handles.state import NOWHERE

__all__ = ["SlidingWindowMapBuffer"]

Index: TypeAlias = SupportsIndex | None


@final
class SlidingWindowMapBuffer(Indexed, Sequence[int]):
    """``size`` bytes of a file from ``offset`` as a ``Sequence[int]``; index 0 is the byte at ``offset``.

    Indexing, slicing (with steps), iteration, ``in``, ``index``, ``count``, ``find`` and ``bytes(buffer)`` work as on a
    ``bytes`` object with the same content; a slice is always ``bytes``. The buffer moves its own copy of the cursor
    that it is given, so two buffers made from one cursor do not disturb each other.

    :param cursor: a cursor on the file, or None to bind the buffer later with ``begin_access``.
    :param offset: bytes from the start of the file.
    :param size: bytes; cut at the end of the file.
    :param flags: additional flags for ``os.open``.
    :raises ValueError: if a number is negative, or if ``offset`` is at or past the end of the file.
    :raises TypeError: if a number is not an integer.
    :raises OSError: for the reasons listed at ``WindowCursor.use_region``.

    A buffer pickles as its cursor does, with its offset and size. A copy, also a deep one, reads the same bytes through
    a cursor of its own.

    Bytes that are not known to be in memory are read by a descriptor, without the GIL, as ``WindowCursor.read`` does:
    an error of the storage is an OSError, and a truncated file a FileChangedError. Such a read unmaps nothing.

    Any number of threads may read one buffer at once. With a reader that cannot read at an offset, each pins a window
    while it reads, so the handle limit must allow one window per thread. An iterator keeps to the bytes that the buffer
    was bound to when the iteration began.
    """

    __slots__ = ("__weakref__", "_cursor")

    def __init__(
        self,
        cursor: WindowCursor | None = None,
        offset: SupportsIndex = 0,
        size: SupportsIndex = sys.maxsize,
        flags: SupportsIndex = 0,
    ) -> None:
        super().__init__()
        self._cursor: WindowCursor | None = None
        if cursor is not None:
            refusal = self._bind(cursor, *_place(offset, size, flags))
            if refusal:
                raise ValueError(refusal)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end_access()

    @override
    def __repr__(self) -> str:
        span = self._span
        if span is UNBOUND:
            return "<SlidingWindowMapBuffer without a file>"
        return f"<SlidingWindowMapBuffer of {span.length} bytes at {span.begin} of {span.state.target!r}>"

    def __copy__(self) -> "SlidingWindowMapBuffer":
        span = self._span
        if span is UNBOUND:
            return SlidingWindowMapBuffer()
        return SlidingWindowMapBuffer._of(WindowCursor._at(span.state.copy()), span.begin, span.length, span.flags)

    def __deepcopy__(self, memo: dict[int, object]) -> "SlidingWindowMapBuffer":
        del memo
        return self.__copy__()

    @override
    def __reduce__(self) -> tuple[object, ...]:
        span = self._span
        if span is UNBOUND:
            return SlidingWindowMapBuffer, ()
        return SlidingWindowMapBuffer._of, (WindowCursor._at(span.state), span.begin, span.length, span.flags)

    @classmethod
    def _of(cls, cursor: WindowCursor, begin: int, length: int, flags: int) -> Self:
        """Make a buffer over bytes that are known to be in the file, without a look at it."""
        buffer = cls()
        buffer._replace(cursor, Span(cursor._state, begin, length, flags))
        return buffer

    def begin_access(
        self,
        cursor: WindowCursor | None = None,
        offset: SupportsIndex = 0,
        size: SupportsIndex = sys.maxsize,
        flags: SupportsIndex = 0,
    ) -> bool:
        """Bind the buffer to ``size`` bytes at ``offset`` of the file of ``cursor``, or again of its own file.

        Returns False, and changes nothing, if there is no file or if ``offset`` is at or past its end.

        :param cursor: a cursor on the file, or None to bind the buffer again to the file that it was bound to.
        :param offset: bytes from the start of the file.
        :param size: bytes; cut at the end of the file.
        :param flags: additional flags for ``os.open``.
        :raises ValueError: if a number is negative.
        :raises TypeError: if a number is not an integer.
        :raises OSError: for the reasons listed at ``WindowCursor.use_region``.
        """
        return not self._bind(cursor, *_place(offset, size, flags))

    def _bind(self, cursor: WindowCursor | None, offset: int, size: int, flags: int) -> str:
        """Bind the buffer and return ``""``, or return the reason why it cannot be bound."""
        if cursor is not None and not isinstance(cursor, WindowCursor):
            raise TypeError(f"cursor must be a WindowCursor from make_cursor(), got {type(cursor).__name__}")
        own = self._cursor if cursor is None else copy.copy(cursor)
        if own is None or not own.is_associated():
            return "the cursor has no file; get one from make_cursor()"
        file_size = own._state.file(flags).size
        length = min(size, file_size - offset)
        if length < 0 or offset == file_size > 0:
            return f"offset {offset} is not inside the file of {file_size} bytes"
        if own._state.pool.populates:
            # Nobody has asked for the bytes yet.
            own._state.move(offset, length, flags)
        else:
            own.use_region(offset, length, flags)
        self._replace(own, Span(own._state, offset, length, flags))
        return ""

    def _replace(self, cursor: WindowCursor, span: Span) -> tuple[WindowCursor | None, Span]:
        """Set cursor and span, and return the previous ones for the caller to drop: see ``CursorState.swap``."""
        before = self._cursor, self._span
        self._cursor = cursor
        self._span = span
        return before

    def end_access(self) -> None:
        """Release the window; the buffer is empty until ``begin_access``. Idempotent; takes no lock."""
        span = self._span
        if span is not UNBOUND:
            # A thread that is reading now finishes on the old state, which no other thread can reach any more, so no
            # pin is left behind. The last line keeps the old state alive until then: see CursorState.swap.
            self._span = Span(span.state.fresh(), span.begin, 0, span.flags)
            # After the span: a thread that binds the buffer sets the cursor first, so the later of the two decides on
            # both.
            own = self._cursor
            assert own is not None, "bound without a cursor"  # noqa: S101 - for the type checkers
            own._replace(own._state.fresh())
            span.state.swap(NOWHERE)

    def cursor(self) -> WindowCursor | None:
        """The buffer's own cursor; None until the buffer is bound."""
        return self._cursor

    @override
    def __iter__(self) -> Iterator[int]:
        span = self._span
        for piece in span.pieces(0, span.length):
            yield from piece

    @override
    def __reversed__(self) -> Iterator[int]:
        for piece in self._span.pieces_backwards():
            yield from reversed(piece)

    @override
    def __contains__(self, value: object) -> bool:
        if type(value) is bytes or isinstance(value, SupportsIndex):
            return self.find(value) >= 0
        # memoryview() raises the TypeError. Before CPython 3.12, isinstance(value, Buffer) recognises few of the types
        # that have a buffer.
        view = memoryview(value)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        return self.find(view) >= 0

    def __bytes__(self) -> bytes:
        span = self._span
        return span.read(0, span.length)

    def views(self) -> Iterator[memoryview]:
        """Yield the bytes without a copy, one view per window, for ``hashlib``, ``zlib`` or ``numpy.frombuffer``.

        Each view is released when the next one is requested, so one window is pinned at a time. An object that was made
        from a view, such as an array, keeps its window mapped.
        """
        span = self._span
        return span.views(0, span.length)

    if sys.version_info >= (3, 12):  # pragma: no cover - newer than the interpreter that measures

        def __buffer__(self, flags: int, /) -> memoryview:
            """All the bytes, read-only (PEP 688): without a copy if one window holds them, else a view of one copy."""
            if flags & inspect.BufferFlags.WRITABLE:
                raise BufferError("the buffer is read-only; readinto() fills something writable")
            span = self._span
            return span.view()

    def finditer(
        self, pattern: bytes | re.Pattern[bytes], start: Index = None, end: Index = None, /, *, longest: SupportsIndex
    ) -> Iterator[BufferMatch]:
        """Yield what ``re.finditer`` finds in the same bytes inside ``[start, end)``, in order and each match once.

        :param longest: the number of bytes that a match may examine, lookahead and lookbehind included; at least 1. A
            match that examines more may be missed or cut. The file is searched in pieces of 256 KiB, or of four times
            ``longest`` if that is more, and up to twice ``longest`` bytes are searched again for each piece.
        :raises ValueError: if ``longest`` is less than 1.
        :raises TypeError: if the pattern is not ``bytes``, or if a number is not an integer.

        O(bytes). The search runs on copies, so a match pins no window.
        """
        compiled = re.compile(pattern)
        if not isinstance(compiled.pattern, bytes):
            raise TypeError(f"a pattern for a buffer must be bytes, got {type(compiled.pattern).__name__}")
        examined = natural("longest", longest)
        if examined < 1:
            raise ValueError(f"longest must be at least 1, got {examined}")
        span = self._span
        return pattern_matches(span, compiled, examined, *bounds(span.length, start, end))

    @override
    def index(self, sub: Needle, start: Index = None, end: Index = None, /) -> int:
        """Return the lowest index at which ``sub`` is found inside ``[start, end)``. O(bytes).

        :raises ValueError: if ``sub`` is not found.
        """
        found = self.find(sub, start, end)
        if found < 0:
            raise ValueError(f"{needle_of(sub)!r} is not in the buffer")
        return found

    @override
    def count(self, sub: Needle, start: Index = None, end: Index = None, /) -> int:
        """Count the occurrences of ``sub`` inside ``[start, end)`` that do not overlap. O(bytes)."""
        span = self._span
        return count(span, needle_of(sub), *bounds(span.length, start, end))

    def startswith(self, prefix: Buffer | tuple[Buffer, ...], start: Index = None, end: Index = None, /) -> bool:
        """Whether the bytes inside ``[start, end)`` begin with ``prefix``, or with one of a tuple of prefixes."""
        if isinstance(prefix, tuple):
            return any(self.startswith(one, start, end) for one in prefix)
        span, head = self._span, content(prefix)
        low, high = bounds(span.length, start, end)
        return high - low >= len(head) and span.read(low, low + len(head)) == head

    def readinto(self, target: Buffer, start: SupportsIndex = 0) -> int:
        """Copy the bytes from index ``start`` on into ``target``, and return how many were copied.

        Fewer bytes than ``target`` holds are copied only at the end of the buffer. One window is pinned at a time.

        :raises ValueError: if ``start`` is negative.
        :raises TypeError: if ``target`` is read-only, or if ``start`` is not an integer.
        """
        return self._span.fill(target, natural("start", start))


def _place(offset: SupportsIndex, size: SupportsIndex, flags: SupportsIndex) -> tuple[int, int, int]:
    return natural("offset", offset), natural("size", size), natural("flags", flags)
