"""Searching many files through one shared manager, in pieces and in parallel threads: the work of ``find``.

A thread searches its piece as if no match reached into the piece from the left. If one did, the result is corrected
afterwards: the search is repeated from the end of that match until it finds a match that the thread has found as well.
From there on both searches agree, because the place where a search continues depends only on the last match. The result
is therefore that of a single search from left to right. Does not depend on the terminal.

The library's ``finditer`` cannot be used here. It searches from left to right, each piece from the end of the last
match in the piece before, so threads cannot share the work; and it cuts a match that is too long, which has to be an
error here.
"""

import re
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Protocol, final

from smmap_typed.cli.standard_input import STANDARD_INPUT, mappable_input
from smmap_typed.exceptions import UnsizedFileError
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["Found", "Literal", "Pattern", "Regex", "TooLongError", "search"]

# Bytes that a thread searches in one step; less if half a window is smaller.
_PIECE: Final = 4 * 1024 * 1024


class Pattern(Protocol):
    """A pattern to search for."""

    @property
    def longest(self) -> int:
        """The most bytes of a match, including the bytes before and after that the pattern looks at."""
        ...

    def scan(self, piece: bytes, start: int) -> Generator[tuple[int, int]]:
        """Yield begin and end of each match from ``start`` on, in order and without overlap."""
        ...


class TooLongError(ValueError):
    """A match is longer than ``Pattern.longest``, so the end of a piece may have cut it."""

    def __init__(self, offset: int, longest: int) -> None:
        super().__init__(f"the match at {offset} is longer than {longest} bytes; raise --max-length")


@final
@dataclass(frozen=True, slots=True)
class Literal:
    """A byte string, not empty."""

    needle: bytes

    @property
    def longest(self) -> int:
        """The length of the needle."""
        return len(self.needle)

    def scan(self, piece: bytes, start: int) -> Generator[tuple[int, int]]:
        """Search with ``bytes.find``."""
        size = len(self.needle)
        found = piece.find(self.needle, start)
        while found >= 0:
            yield found, found + size
            found = piece.find(self.needle, found + size)


@final
@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression on bytes; empty matches are left out."""

    pattern: re.Pattern[bytes]
    longest: int

    def scan(self, piece: bytes, start: int) -> Generator[tuple[int, int]]:
        """Search with ``re.finditer``."""
        for match in self.pattern.finditer(piece, start):
            if match.end() > match.start():
                yield match.span()


@final
@dataclass(frozen=True, slots=True)
class Found:
    """The matches in one piece of a file, or the error that stopped reading the file."""

    path: str
    offsets: "array[int]"
    """Where matches begin, in ascending order."""
    last: bool
    """Whether this is the last piece of the file."""
    error: OSError | None = None


@final
@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a file. A match belongs to the piece in which it begins."""

    path: str
    source: Callable[[int, int], bytes]
    begin: int
    end: int
    size: int
    """Size of the file, in bytes."""


_Spans = tuple["array[int]", "array[int]"]


def search(manager: SlidingWindowMapManager, paths: Iterable[str], pattern: Pattern, threads: int) -> Generator[Found]:
    """Yield the matches in each piece of each path, in order, searched by ``threads`` threads.

    A file that cannot be read yields one error, and nothing after it. Closing the iterator ends the search after the
    pieces that are being searched.

    :raises TooLongError: for a match longer than ``pattern.longest``.
    """
    pool = ThreadPoolExecutor(threads, "find")
    ahead: deque[tuple[_Piece, Future[_Spans]]] = deque()
    opened = ExitStack()
    try:
        done = 0
        failed = ""
        for item in _scheduled(pool, ahead, _pieces(manager, paths, opened), pattern, 2 * threads):
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
        opened.close()


def _scheduled(
    pool: ThreadPoolExecutor,
    ahead: "deque[tuple[_Piece, Future[_Spans]]]",
    pieces: Iterator[_Piece | Found],
    pattern: Pattern,
    depth: int,
) -> "Iterator[tuple[_Piece, Future[_Spans]] | Found]":
    """Yield each piece with its search; up to ``depth`` searches run ahead of the one that is due."""
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


def _pieces(manager: SlidingWindowMapManager, paths: Iterable[str], opened: ExitStack) -> Iterator[_Piece | Found]:
    for path in paths:
        try:
            source, size = _opened(manager, path, opened)
        except OSError as error:
            yield Found(path, array("q"), last=True, error=error)
            continue
        for begin in range(0, size or 1, _PIECE):
            yield _Piece(path, source, begin, min(begin + _PIECE, size), size)


def _opened(manager: SlidingWindowMapManager, path: str, opened: ExitStack) -> tuple[Callable[[int, int], bytes], int]:
    """Return a function that reads the file, and the size of the file."""
    is_input = path == STANDARD_INPUT
    cursor = manager.make_cursor(mappable_input(opened).fileno() if is_input else path)
    try:
        size = cursor.file_size()
        # The last byte tells whether the size is true. Each call is one step, which does not move the cursor, so that
        # threads may share it.
        if size <= _PIECE:
            cursor.read(max(size - 1, 0), 1)
    except UnsizedFileError:
        # A file of /proc or /sys.
        with open(path, "rb") as file:
            content = file.read()
        return lambda offset, count: content[offset : offset + count], len(content)
    return cursor.read, size


def _spans(piece: _Piece, pattern: Pattern, start: int | None = None) -> _Spans:
    """Return where the matches of a piece begin and end if the search starts at ``start`` (default: first byte)."""
    begins, ends = array("q"), array("q")
    for begin, end in _scan(piece, pattern, piece.begin if start is None else start):
        begins.append(begin)
        ends.append(end)
    return begins, ends


def _scan(piece: _Piece, pattern: Pattern, start: int) -> Iterator[tuple[int, int]]:
    # One byte more than a match can see on either side, so that no match takes the end of the piece for the file's end.
    low = max(piece.begin - pattern.longest - 1, 0)
    high = min(piece.end + pattern.longest + 1, piece.size)
    for begin, end in pattern.scan(piece.source(low, high - low), start - low):
        if low + begin >= piece.end:
            return
        if end - begin > pattern.longest:
            raise TooLongError(low + begin, pattern.longest)
        yield low + begin, low + end


def _settled(piece: _Piece, pattern: Pattern, spans: _Spans, done: int) -> tuple["array[int]", int]:
    """Return the matches of a piece if the last match before it ended at ``done``, and where the last match ends then.

    ``spans`` is what a search from the piece's first byte found.
    """
    begins, ends = spans
    if done <= piece.begin or not begins:
        # No match reaches into the piece, or the search from its first byte found nothing: then a search from further
        # right finds nothing either, except empty matches.
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
