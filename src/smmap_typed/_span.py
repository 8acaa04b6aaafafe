"""Spans: a range of one file as bytes, read through one position that slides along.

What a buffer is bound to, as an immutable value: a thread that reads it goes on reading the same bytes, also while
another thread binds the buffer to something else.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Final, final

from smmap_typed import _reading
from smmap_typed._position import NOWHERE, UNASSOCIATED, Position
from smmap_typed._sharing import FREE_THREADED, unshared
from smmap_typed.exceptions import SmmapError

__all__ = ["PIECE", "UNBOUND", "Span"]

PIECE: Final = 256 * 1024
"""Bytes. Searches and iteration copy the file in pieces of this size: small enough for the processor's cache, large
enough that the cost of a piece does not matter."""


@final
class Span:
    """``length`` bytes of a file from ``begin``. Indices are relative to ``begin`` and in range."""

    __slots__ = ("begin", "flags", "length", "position")

    def __init__(self, position: Position, begin: int, length: int, flags: int) -> None:
        self.position: Final = position
        """The buffer's own."""
        self.begin: Final = begin
        """Bytes, absolute in the file."""
        self.length: Final = length
        """Bytes."""
        self.flags: Final = flags
        """For os.open, beside the usual ones."""

    def read(self, low: int, high: int) -> bytes:
        """The bytes between two indices. The position moves to their window, if one window has them."""
        if low >= high:
            return b""
        position = self.position
        low += self.begin
        high += self.begin
        hold = position.place[1]
        if not hold.begin <= low < high <= hold.limit:
            position.move(low, high - low, self.flags)
        view = self._in_this_window(low, high)
        if view is not None:
            return view.tobytes()
        # More than one window has, or another thread has moved the position on.
        with self._travelling(high - 1):
            return _reading.read_from(position, position.identity(), low, high)

    def readinto(self, room: memoryview, low: int) -> int:
        """Fill ``room`` from index ``low`` on; how many bytes there were."""
        high = min(low + len(room), self.length)
        if low >= high:
            return 0
        view = self._in_this_window(self.begin + low, self.begin + high)
        if view is not None:
            room[: high - low] = view
            return high - low
        done = 0
        position = self.position
        with self._travelling(self.begin + high - 1):
            for piece in _reading.pieces(position, position.identity(), self.begin + low, self.begin + high):
                room[done : done + len(piece)] = piece
                done += len(piece)
        return done

    def views(self, low: int, high: int) -> Iterator[memoryview]:
        """The bytes between two indices without a copy, one window after the other: see ``_reading.pieces``."""
        if low < high:
            position = self.position
            with self._travelling(self.begin + high - 1):
                yield from _reading.pieces(position, position.identity(), self.begin + low, self.begin + high)

    def view(self) -> memoryview:
        """All of the bytes: without a copy where one window holds them, else over one copy."""
        low, high = self.begin, self.begin + self.length
        if low < high:
            self.position.move(low, high - low, self.flags)
        view = self._in_this_window(low, high)
        return memoryview(self.read(0, self.length)) if view is None else view

    def _in_this_window(self, low: int, high: int) -> memoryview | None:
        """The bytes between two places of the file, if the window that the position stands on has them all."""
        view, hold, _start, _stop = self.position.place
        if not hold.begin <= low < high <= hold.limit:
            return None
        if FREE_THREADED:
            view = unshared(view)
        return view[low - hold.begin : high - hold.begin]

    def pieces(self, low: int, high: int) -> Iterator[bytes]:
        """The bytes between two indices, one piece after the other."""
        for start in range(low, high, PIECE):
            yield self.read(start, min(start + PIECE, high))

    def pieces_backwards(self) -> Iterator[bytes]:
        """All the bytes, the last piece first."""
        for stop in range(self.length, 0, -PIECE):
            yield self.read(max(stop - PIECE, 0), stop)

    def picked(self, indices: range) -> bytes:
        """The bytes at ``indices``, read in pieces, so that a large step over a huge file costs little memory."""
        at_once = max(PIECE // abs(indices.step), 1)
        parts: list[bytes] = []
        for first in range(0, len(indices), at_once):
            some = indices[first : first + at_once]
            low, high = min(some[0], some[-1]), max(some[0], some[-1])
            parts.append(self.read(low, high + 1)[:: abs(some.step)][:: 1 if some.step > 0 else -1])
        return b"".join(parts)

    @contextmanager
    def _travelling(self, last: int) -> Generator[None]:
        """Let go of the position's window, so that one is pinned at a time; at the end stand on the byte at ``last``.

        After an exception the position is back where it was, if that is still mapped.
        """
        position = self.position
        # Not even a throw-away name may keep the memoryview, which is the pin.
        place = position.place
        hold, start, stop = place[1], place[2], place[3]
        del place
        position.swap(NOWHERE)
        try:
            yield
        except BaseException:
            position.stand(hold, start, stop)
            raise
        # Only for the next read's sake: the bytes are there, whatever comes of it.
        try:
            position.move(last, 1, self.flags)
        except TimeoutError:
            # Of a handler: no system call here raises it.
            raise
        except (OSError, SmmapError):
            return


UNBOUND: Final = Span(UNASSOCIATED, 0, 0, 0)
"""What a buffer without a file is bound to."""
