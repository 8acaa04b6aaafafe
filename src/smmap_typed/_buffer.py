"""The buffer: a file, or a part of it, as a sequence of bytes over windows that slide by themselves.

Its hot path is in _indexing.
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
from smmap_typed._cursor import WindowCursor
from smmap_typed._indexing import Indexed
from smmap_typed._position import NOWHERE
from smmap_typed._search import (
    BufferMatch,
    Needle,
    bounds,
    content,
    count,
    last_match,
    matches,
    needle_of,
    pattern_matches,
)
from smmap_typed._span import UNBOUND, Span

__all__ = ["SlidingWindowMapBuffer"]

Index: TypeAlias = SupportsIndex | None


@final
class SlidingWindowMapBuffer(Indexed, Sequence[int]):
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

    Any number of threads may read one buffer at once; each pins a window for the moment of its read, so a handle limit
    must allow as many. An iteration goes on over the bytes that the buffer was bound to when it began.
    """

    __slots__ = ("__weakref__", "_cursor")

    def __init__(
        self, cursor: WindowCursor | None = None, offset: int = 0, size: int = sys.maxsize, flags: int = 0
    ) -> None:
        super().__init__()
        self._cursor: WindowCursor | None = None
        if cursor is not None:
            refusal = self._bind(cursor, offset, size, flags)
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
        return f"<SlidingWindowMapBuffer of {span.length} bytes at {span.begin} of {span.position.target!r}>"

    def begin_access(
        self, cursor: WindowCursor | None = None, offset: int = 0, size: int = sys.maxsize, flags: int = 0
    ) -> bool:
        """Bind the buffer to ``size`` bytes at ``offset`` of the cursor's file, or of its own file again.

        Returns False, and changes nothing, if there is no file or no byte of it lies at ``offset``. Parameters and
        errors are those of the class.
        """
        return not self._bind(cursor, offset, size, flags)

    def _bind(self, cursor: WindowCursor | None, offset: int, size: int, flags: int) -> str:
        """Do so, or say why not."""
        offset, size = natural("offset", offset), natural("size", size)
        if cursor is not None and not isinstance(cursor, WindowCursor):
            raise TypeError(f"cursor must be a WindowCursor from make_cursor(), got {type(cursor).__name__}")
        own = self._cursor if cursor is None else copy.copy(cursor)
        if own is None or not own.is_associated():
            return "the cursor has no file; get one from make_cursor()"
        length = min(size, own.file_size() - offset)
        if length < 0 or offset == own.file_size():
            return f"offset {offset} is not inside the file of {own.file_size()} bytes"
        own.use_region(offset, length, flags)
        self._replace(own, Span(own._position, offset, length, flags))
        return ""

    def _replace(self, cursor: WindowCursor, span: Span) -> tuple[WindowCursor | None, Span]:
        """Be bound to that span of that cursor; what it was, for the caller to drop. Why so: see ``Position.swap``."""
        before = self._cursor, self._span
        self._cursor = cursor
        self._span = span
        return before

    def end_access(self) -> None:
        """Release the window; the buffer is empty until ``begin_access``. Any number of times; takes no lock."""
        span = self._span
        if span is not UNBOUND:
            # Who reads at this moment finishes on the old position, which nobody sees any more: no pin stays behind.
            # The old one is kept until then by the last line: see Position.swap.
            self._span = Span(span.position.fresh(), span.begin, 0, span.flags)
            # Only now, since who binds the buffer sets the cursor first: so the one that comes last decides on both.
            own = self._cursor
            assert own is not None, "bound without a cursor"  # noqa: S101 - for the type checkers
            own._replace(own._position.fresh())
            span.position.swap(NOWHERE)

    def cursor(self) -> WindowCursor | None:
        """The buffer's own cursor, None before it was given one."""
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
        if isinstance(value, SupportsIndex):
            return self.find(value) >= 0
        # Raises the TypeError. Before CPython 3.12 isinstance(value, Buffer) knows few of the types that are one.
        view = memoryview(value)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        return self.find(view) >= 0

    def __bytes__(self) -> bytes:
        span = self._span
        return span.read(0, span.length)

    def views(self) -> Iterator[memoryview]:
        """The bytes without a copy, window by window, for ``hashlib``, ``zlib`` or ``numpy.frombuffer``.

        Each view is released when the next is asked for, so that one window is pinned at a time; what was made of it
        keeps its window mapped.
        """
        span = self._span
        return span.views(0, span.length)

    if sys.version_info >= (3, 12):  # pragma: no cover - newer than the interpreter that measures

        def __buffer__(self, flags: int, /) -> memoryview:
            """All the bytes, read-only (PEP 688): without a copy where one window holds them, else over one copy."""
            if flags & inspect.BufferFlags.WRITABLE:
                raise BufferError("the buffer is read-only; readinto() fills something writable")
            span = self._span
            return span.view()

    def finditer(
        self, pattern: bytes | re.Pattern[bytes], start: Index = None, end: Index = None, /, *, longest: int
    ) -> Iterator[BufferMatch]:
        """What ``re.finditer`` finds on the equal bytes, inside ``[start, end)``, in order and each match once.

        :param longest: how many bytes a match may look at, with what it looks at before and behind, at least 1. What
            looks at more may be missed or cut. So much is searched twice for each piece of 256 KiB or four times that.
        :raises ValueError: if ``longest`` is less than 1.
        :raises TypeError: for a pattern that is no ``bytes``.

        O(bytes). Pieces are copied, so a match pins nothing.
        """
        compiled = re.compile(pattern)
        if not isinstance(compiled.pattern, bytes):
            raise TypeError(f"a pattern for a buffer must be bytes, got {type(compiled.pattern).__name__}")
        if natural("longest", longest) < 1:
            raise ValueError(f"longest must be at least 1, got {longest}")
        span = self._span
        return pattern_matches(span, compiled, longest, *bounds(span.length, start, end))

    def find(self, sub: Needle, start: Index = None, end: Index = None, /) -> int:
        """The lowest index at which ``sub`` begins and lies inside ``[start, end)``, or -1. O(bytes)."""
        span = self._span
        return next(matches(span, needle_of(sub), *bounds(span.length, start, end)), -1)

    def rfind(self, sub: Needle, start: Index = None, end: Index = None, /) -> int:
        """The highest index at which ``sub`` begins and lies inside ``[start, end)``, or -1. O(bytes)."""
        span = self._span
        return last_match(span, needle_of(sub), *bounds(span.length, start, end))

    @override
    def index(self, sub: Needle, start: Index = None, end: Index = None, /) -> int:
        """As ``find``, but ValueError if ``sub`` is not there."""
        found = self.find(sub, start, end)
        if found < 0:
            raise ValueError(f"{needle_of(sub)!r} is not in the buffer")
        return found

    @override
    def count(self, sub: Needle, start: Index = None, end: Index = None, /) -> int:
        """How often ``sub`` occurs inside ``[start, end)`` without overlap. O(bytes)."""
        span = self._span
        return count(span, needle_of(sub), *bounds(span.length, start, end))

    def startswith(self, prefix: Buffer | tuple[Buffer, ...], start: Index = None, end: Index = None, /) -> bool:
        """Whether the bytes inside ``[start, end)`` begin with ``prefix``, or with one of several."""
        if isinstance(prefix, tuple):
            return any(self.startswith(one, start, end) for one in prefix)
        span, head = self._span, content(prefix)
        low, high = bounds(span.length, start, end)
        return high - low >= len(head) and span.read(low, low + len(head)) == head

    def readinto(self, target: Buffer, start: int = 0) -> int:
        """Copy the bytes from index ``start`` on into ``target``; how many, less than its length only at the end.

        One window is pinned at a time. ValueError if ``start`` is negative, TypeError if ``target`` is read-only.
        """
        first = natural("start", start)
        with memoryview(target) as whole, whole.cast("B") as room:
            if room.readonly:
                raise TypeError("readinto needs a writable buffer, got a read-only one")
            return self._span.readinto(room, first)
