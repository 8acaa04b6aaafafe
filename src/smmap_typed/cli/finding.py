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
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice
from typing import Final, Protocol, final

from smmap_typed.cli.standard_input import STANDARD_INPUT, mappable_input
from smmap_typed.exceptions import UnsizedFileError
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["Found", "Literal", "Pattern", "Regex", "TooLongError", "search"]

# Bytes that a thread searches in one step; less if half a window is smaller.
_PIECE: Final = 4 * 1024 * 1024

# Bytes that are read at once where a match sees nothing before or behind it: the processor's cache has room for them.
_BLOCK: Final = 256 * 1024

# Bytes that mean something else than themselves in a regular expression.
_SPECIAL: Final = frozenset(rb".^$*+?{}[]\|()")


@final
@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file. A match belongs to the piece in which it begins."""

    path: str
    source: Callable[[int, int], bytes]
    """Returns so many bytes at an offset."""
    begin: int
    end: int
    size: int
    """Size of the file, in bytes."""


@final
@dataclass(frozen=True, slots=True)
class Spans:
    """Where matches begin and end, in order and without overlap."""

    begins: "array[int]"
    ends: "array[int] | None"
    """None if all matches are of one length."""
    length: int = 0
    """That length, in bytes."""

    def end(self, index: int) -> int:
        """Return where a match ends."""
        return self.begins[index] + self.length if self.ends is None else self.ends[index]

    def place(self, begin: int, end: int) -> int:
        """Return the index of a match; -1 if it is not there."""
        place = bisect_left(self.begins, begin)
        return place if place < len(self.begins) and (self.begins[place], self.end(place)) == (begin, end) else -1


@final
@dataclass(frozen=True, slots=True)
class Tally:
    """How many matches there are, which takes half as long to tell as where they are."""

    count: int
    first: int
    """Where the first one begins; 0 if there is none."""
    end: int
    """Where the last one ends; 0 if there is none."""


class Pattern(Protocol):
    """A pattern to search for."""

    def tally(self, piece: Piece) -> Tally:
        """Count the matches that begin in ``piece``.

        :raises TooLongError: as ``spans`` does.
        """
        ...

    def spans(self, piece: Piece, start: int) -> Spans:
        """Return the matches that begin in ``piece``, from ``start`` on, which lies in it.

        :raises TooLongError: for a match that the end of the bytes that were read may have cut.
        """
        ...


class TooLongError(ValueError):
    """A match is longer than the most bytes that the user has named, so the end of a piece may have cut it."""

    def __init__(self, offset: int, longest: int) -> None:
        super().__init__(f"the match at {offset} is longer than {longest} bytes; raise --max-length")


@final
@dataclass(frozen=True, slots=True)
class Literal:
    """A byte string, not empty."""

    needle: bytes

    def tally(self, piece: Piece) -> Tally:
        """Count what is between the matches."""
        count = first = end = 0
        for start, stop, parts in self._parted(piece, piece.begin):
            if len(parts) > 1:
                first = first if count else start + len(parts[0])
                count += len(parts) - 1
                end = stop - len(parts[-1])
        return Tally(count, first, end)

    def spans(self, piece: Piece, start: int) -> Spans:
        """Add up the lengths of what is between the matches."""
        begins, length = array("q"), len(self.needle)
        for begin, _stop, parts in self._parted(piece, start):
            del parts[-1]
            sizes = map(length.__add__, map(len, parts))
            # The first value is where a match before the first one would begin.
            begins.extend(islice(accumulate(sizes, initial=begin - length), 1, None))
        return Spans(begins, None, length)

    def _parted(self, piece: Piece, start: int) -> Iterator[tuple[int, int, list[bytes]]]:
        """Yield where each block begins and ends, and what is before, between and behind the matches in it.

        ``bytes.split`` is the one method that tells all places in one call.
        """
        length = len(self.needle)
        # The last match may end behind the piece.
        end = min(piece.end + length - 1, piece.size)
        while start < end:
            stop = min(start + max(_BLOCK, length), end)
            parts = piece.source(start, stop - start).split(self.needle)
            following = stop if stop == end else stop - min(len(parts[-1]), length - 1)
            yield start, stop, parts
            start = following


@final
@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression on bytes; empty matches are left out."""

    pattern: re.Pattern[bytes]
    longest: int
    """The most bytes of a match, including the bytes before and after that the pattern looks at."""
    prefix: bytes = field(init=False)
    """What each match begins with, as far as it is easily told."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefix", _prefix_of(self.pattern.pattern))

    def tally(self, piece: Piece) -> Tally:
        """Count what ``spans`` finds."""
        spans = self.spans(piece, piece.begin)
        count = len(spans.begins)
        return Tally(count, spans.begins[0], spans.end(-1)) if count else Tally(0, 0, 0)

    def spans(self, piece: Piece, start: int) -> Spans:
        """Search with ``re``."""
        begins, ends = array("q"), array("q")
        # One byte more than a match can see on either side, so that no match takes the end of the piece for the file's.
        low = max(start - self.longest - 1, 0)
        high = min(piece.end + self.longest + 1, piece.size)
        for match in self._matches(piece.source(low, high - low), start - low):
            begin, end = match.span()
            if low + begin >= piece.end:
                break
            if end - begin > self.longest:
                raise TooLongError(low + begin, self.longest)
            if begin < end:
                begins.append(low + begin)
                ends.append(low + end)
        return Spans(begins, ends)

    def _matches(self, data: bytes, start: int) -> Iterator[re.Match[bytes]]:
        return self._matches_with_prefix(data, start) if self.prefix else self.pattern.finditer(data, start)

    def _matches_with_prefix(self, data: bytes, start: int) -> Iterator[re.Match[bytes]]:
        """Yield what ``finditer`` does. Where the prefix is rare, ``bytes.find`` is many times as fast as ``re``."""
        find, match = data.find, self.pattern.match
        place = find(self.prefix, start)
        while place >= 0:
            found = match(data, place)
            if found is not None:
                yield found
            place = find(self.prefix, place + 1 if found is None else found.end())


def _prefix_of(pattern: bytes) -> bytes:
    """Return bytes with which each match of ``pattern`` begins, empty if it does not begin with plain bytes.

    >>> _prefix_of(rb"key=[0-9]+"), _prefix_of(rb"colou?r"), _prefix_of(rb"one|two"), _prefix_of(rb"(?i)key")
    (b'key=', b'colo', b'', b'')
    """
    if b"|" in pattern:
        return b""
    length = next((index for index, byte in enumerate(pattern) if byte in _SPECIAL), len(pattern))
    # The last byte may be repeated, or be left out.
    return pattern[: length - 1] if pattern[length : length + 1] in {b"*", b"?", b"{"} and length else pattern[:length]


@final
@dataclass(frozen=True, slots=True)
class Found:
    """The matches in one piece of a file, or the error that stopped reading the file."""

    path: str
    count: int
    offsets: "array[int]"
    """Where matches begin, in ascending order; none if they were only to be counted."""
    last: bool
    """Whether this is the last piece of the file."""
    error: OSError | None = None


def search(
    manager: SlidingWindowMapManager,
    paths: Iterable[str],
    pattern: Pattern,
    threads: int,
    *,
    only_counts: bool = False,
) -> Generator[Found]:
    """Yield the matches in each piece of each path, in order, searched by ``threads`` threads.

    A file that cannot be read yields one error, and nothing after it. Closing the iterator ends the search after the
    pieces that are being searched.

    :raises TooLongError: for a match that is too long.
    """
    pool = ThreadPoolExecutor(threads, "find")
    ahead: deque[tuple[Piece, Future[Spans | Tally]]] = deque()
    opened = ExitStack()

    def act(piece: Piece) -> Spans | Tally:
        return pattern.tally(piece) if only_counts else pattern.spans(piece, piece.begin)

    try:
        done = 0
        failed = ""
        for item in _scheduled(pool, ahead, _pieces(manager, paths, opened), act, 2 * threads):
            if isinstance(item, Found):
                yield item
                continue
            piece, future = item
            if piece.begin == 0:
                done, failed = 0, ""
            if failed == piece.path:
                continue
            try:
                found, done = _settled(piece, pattern, future.result(), done)
            except OSError as error:
                failed = piece.path
                yield Found(piece.path, 0, array("q"), last=True, error=error)
            else:
                yield found
    finally:
        pool.shutdown(cancel_futures=True)
        opened.close()


def _scheduled(
    pool: ThreadPoolExecutor,
    ahead: "deque[tuple[Piece, Future[Spans | Tally]]]",
    pieces: Iterator[Piece | Found],
    act: Callable[[Piece], Spans | Tally],
    depth: int,
) -> "Iterator[tuple[Piece, Future[Spans | Tally]] | Found]":
    """Yield each piece with its search; up to ``depth`` searches run ahead of the one that is due."""
    for piece in pieces:
        if isinstance(piece, Found):
            yield from _emptied(ahead)
            yield piece
            continue
        ahead.append((piece, pool.submit(act, piece)))
        if len(ahead) > depth:
            yield ahead.popleft()
    yield from _emptied(ahead)


def _emptied(ahead: "deque[tuple[Piece, Future[Spans | Tally]]]") -> "Iterator[tuple[Piece, Future[Spans | Tally]]]":
    while ahead:
        yield ahead.popleft()


def _pieces(manager: SlidingWindowMapManager, paths: Iterable[str], opened: ExitStack) -> Iterator[Piece | Found]:
    for path in paths:
        try:
            source, size = _opened(manager, path, opened)
        except OSError as error:
            yield Found(path, 0, array("q"), last=True, error=error)
            continue
        for begin in range(0, size or 1, _PIECE):
            yield Piece(path, source, begin, min(begin + _PIECE, size), size)


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


def _settled(piece: Piece, pattern: Pattern, result: Spans | Tally, done: int) -> tuple[Found, int]:
    """Return what a piece has if the last match before it ended at ``done``, and where the last match ends then.

    ``result`` is that of a search from the piece's first byte.
    """
    last = piece.end == piece.size
    if isinstance(result, Tally):
        if not result.count or result.first >= done:
            return Found(piece.path, result.count, array("q"), last), max(result.end, done)
        spans = pattern.spans(piece, piece.begin)
        offsets, done = _settled_spans(piece, pattern, spans, done)
        return Found(piece.path, len(offsets), array("q"), last), done
    offsets, done = _settled_spans(piece, pattern, result, done)
    return Found(piece.path, len(offsets), offsets, last), done


def _settled_spans(piece: Piece, pattern: Pattern, spans: Spans, done: int) -> tuple["array[int]", int]:
    begins = spans.begins
    if not begins:
        # A search from further right finds nothing either, except empty matches.
        return begins, done
    if begins[0] >= done:
        # No match reaches into the piece, or into what was found there.
        return begins, spans.end(-1)
    right = array("q")
    while done < piece.end:
        part = replace(piece, end=min(done + _BLOCK, piece.end))
        again = pattern.spans(part, done)
        for index, begin in enumerate(again.begins):
            place = spans.place(begin, again.end(index))
            if place >= 0:
                return right + again.begins[:index] + begins[place:], spans.end(-1)
        right += again.begins
        done = max(part.end, again.end(-1)) if again.begins else part.end
    return right, done
