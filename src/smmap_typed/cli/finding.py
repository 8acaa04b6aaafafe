"""Searching many files through one shared manager, in pieces that threads take in parallel: the work of ``find``.

Each piece is searched as if no match ran into it from the left, and what it finds is put right afterwards, where one
did: from the end of that match the search is repeated, until it finds what the piece had found, too. From there on
both agree, since where a search goes on depends on the last match alone. So the result is that of one search from
left to right. Knows nothing of the terminal.

The library's ``finditer`` goes from left to right itself, each piece beginning where the last match of the one before
ended, so it cannot be what several threads do at once; and it has nothing for a match that is too long but to cut it.
"""

import copy
import re
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Final, Protocol, final

from smmap_typed import WindowCursor
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["Found", "Literal", "Pattern", "Regex", "TooLongError", "search"]

# Bytes that one thread searches in one go, unless windows are smaller.
_PIECE: Final = 4 * 1024 * 1024


class Pattern(Protocol):
    """What to search for."""

    @property
    def longest(self) -> int:
        """Bytes that a match, with all that it looks at before and after, has at most."""
        ...

    def scan(self, piece: memoryview, start: int) -> Generator[tuple[int, int]]:
        """Where matches begin and end from ``start`` on, in order and without overlap."""
        ...


class TooLongError(ValueError):
    """A match is longer than the longest that was promised, so that it may have been cut by the end of a piece."""

    def __init__(self, offset: int, longest: int) -> None:
        super().__init__(f"the match at {offset} is longer than {longest} bytes; raise --max-length")


@final
@dataclass(frozen=True, slots=True)
class Literal:
    """Some bytes, at least one."""

    needle: bytes

    @property
    def longest(self) -> int:
        """Its length."""
        return len(self.needle)

    def scan(self, piece: memoryview, start: int) -> Generator[tuple[int, int]]:
        """As ``bytes.find``; a copy of the piece, since only bytes have that, and it costs less than ``re`` does."""
        data, size = bytes(piece[start:]), len(self.needle)
        found = data.find(self.needle)
        while found >= 0:
            yield start + found, start + found + size
            found = data.find(self.needle, found + size)


@final
@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression on bytes, empty matches left out."""

    pattern: re.Pattern[bytes]
    longest: int

    def scan(self, piece: memoryview, start: int) -> Generator[tuple[int, int]]:
        """As ``re.finditer``."""
        for match in self.pattern.finditer(piece, start):
            if match.end() > match.start():
                yield match.span()


@final
@dataclass(frozen=True, slots=True)
class Found:
    """What a piece of a file holds, or that the file, from here on, could not be read."""

    path: str
    offsets: "array[int]"
    """Where matches begin, ascending."""
    last: bool
    """Whether the file has no more pieces."""
    error: OSError | None = None


@final
@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a file, in which matches begin that are its own."""

    path: str
    source: Callable[[int, int], memoryview]
    begin: int
    end: int
    size: int
    """Bytes of the file."""


_Spans = tuple["array[int]", "array[int]"]


def search(manager: SlidingWindowMapManager, paths: Iterable[str], pattern: Pattern, threads: int) -> Generator[Found]:
    """What each piece of each path holds, in their order, searched by ``threads`` threads.

    A file that fails is reported and left. Closing the iterator ends the search after the pieces under way.

    :raises TooLongError: for a match longer than ``pattern.longest``.
    """
    # A thread may stand on two windows: its own, and one more at the edge.
    pool = ThreadPoolExecutor(max(min(threads, manager.max_file_handles() // 2), 1), "find")
    ahead: deque[tuple[_Piece, Future[_Spans]]] = deque()
    try:
        done = 0
        failed = ""
        for item in _scheduled(pool, ahead, _pieces(manager, paths), pattern, 2 * threads):
            if isinstance(item, Found):
                yield item
                continue
            piece, future = item
            if piece.begin == 0:
                done, failed = 0, ""
            if failed == piece.path:
                continue
            try:
                offsets, done = _settled(piece, pattern, future.result(), done)
            except OSError as error:
                failed = piece.path
                yield Found(piece.path, array("q"), last=True, error=error)
            else:
                yield Found(piece.path, offsets, piece.end == piece.size)
    finally:
        pool.shutdown(cancel_futures=True)


def _scheduled(
    pool: ThreadPoolExecutor,
    ahead: "deque[tuple[_Piece, Future[_Spans]]]",
    pieces: Iterator[_Piece | Found],
    pattern: Pattern,
    depth: int,
) -> "Iterator[tuple[_Piece, Future[_Spans]] | Found]":
    """Each piece with its search, ``depth`` of which are begun before they are due."""
    for piece in pieces:
        if isinstance(piece, Found):
            yield from _emptied(ahead)
            yield piece
            continue
        ahead.append((piece, pool.submit(_spans, piece, pattern)))
        if len(ahead) > depth:
            yield ahead.popleft()
    yield from _emptied(ahead)


def _emptied(ahead: "deque[tuple[_Piece, Future[_Spans]]]") -> "Iterator[tuple[_Piece, Future[_Spans]]]":
    while ahead:
        yield ahead.popleft()


def _pieces(manager: SlidingWindowMapManager, paths: Iterable[str]) -> Iterator[_Piece | Found]:
    step = min(_PIECE, manager.window_size() // 2 or _PIECE)
    for path in paths:
        try:
            source, size = _opened(manager, path)
        except OSError as error:
            yield Found(path, array("q"), last=True, error=error)
            continue
        for begin in range(0, size or 1, step):
            yield _Piece(path, source, begin, min(begin + step, size), size)


def _opened(manager: SlidingWindowMapManager, path: str) -> tuple[Callable[[int, int], memoryview], int]:
    """How to read a file, and its size."""
    cursor = manager.make_cursor(path)
    if size := cursor.file_size():
        return _reader(cursor), size
    # Files in /proc and /sys have content and say that they are empty.
    with open(path, "rb") as file:
        content = file.read()
    return lambda offset, count: memoryview(content)[offset : offset + count], len(content)


def _reader(cursor: WindowCursor) -> Callable[[int, int], memoryview]:
    def view(offset: int, size: int) -> memoryview:
        # A cursor of its own, which sees the same file: no thread moves another's, and it lets go with the call.
        with copy.copy(cursor) as own:
            return own.view(offset, size)

    return view


def _spans(piece: _Piece, pattern: Pattern, start: int | None = None) -> _Spans:
    """Where the matches of a piece begin and end if the search begins at ``start``, by default at its first byte."""
    begins, ends = array("q"), array("q")
    for begin, end in _scan(piece, pattern, piece.begin if start is None else start):
        begins.append(begin)
        ends.append(end)
    return begins, ends


def _scan(piece: _Piece, pattern: Pattern, start: int) -> Iterator[tuple[int, int]]:
    # One byte more than a match can see, to either side, so that none takes the end of the view for that of the file.
    low = max(piece.begin - pattern.longest - 1, 0)
    high = min(piece.end + pattern.longest + 1, piece.size)
    # Closed in this order: a scanner of ``re`` that is still alive would keep the view from being released.
    with piece.source(low, high - low) as view, closing(pattern.scan(view, start - low)) as found:
        for begin, end in found:
            if low + begin >= piece.end:
                return
            if end - begin > pattern.longest:
                raise TooLongError(low + begin, pattern.longest)
            yield low + begin, low + end


def _settled(piece: _Piece, pattern: Pattern, spans: _Spans, done: int) -> tuple["array[int]", int]:
    """Where matches really begin if the last one ended at ``done``, and where the last one ends now."""
    begins, ends = spans
    if done <= piece.begin or not begins:
        # A search from further right finds nothing where one from the left finds nothing, but for empty matches.
        return begins, ends[-1] if ends else done
    if begins[0] >= done:
        return begins, ends[-1]
    known = dict(zip(begins, ends, strict=True))
    right = array("q")
    for begin, end in _scan(piece, pattern, done) if done < piece.end else ():
        if known.get(begin) == end:
            place = begins.index(begin)
            return right + begins[place:], ends[-1]
        right.append(begin)
        done = end
    return right, done
