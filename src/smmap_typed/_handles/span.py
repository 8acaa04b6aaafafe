"""Spans: a range of one file as bytes, read through one cursor state that slides along.

A buffer is bound to a span. The fields of a span never change, so a thread that has read it goes on reading the same
bytes even while another thread binds the buffer to something else.
"""

from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, final

from typing_extensions import Buffer

from smmap_typed._handles import reading
from smmap_typed._handles.sharing import FREE_THREADED, unshared
from smmap_typed._handles.state import NOWHERE, UNASSOCIATED, CursorState
from smmap_typed.exceptions import SmmapError

__all__ = ["PIECE", "UNBOUND", "Span"]

PIECE: Final = 256 * 1024
"""Bytes. Searches and iteration copy the file in pieces of this size: small enough for the processor's cache, and large
enough that the overhead of a piece does not matter."""


@final
class Span:
    """``length`` bytes of a file from ``begin``. Indices are relative to ``begin`` and must be in range."""

    __slots__ = ("begin", "end", "flags", "length", "state")

    def __init__(self, state: CursorState, begin: int, length: int, flags: int) -> None:
        self.state: Final = state
        """The state that slides along; it belongs to the buffer or the file object."""
        self.begin: Final = begin
        """Bytes, absolute in the file."""
        self.length: Final = length
        """Bytes."""
        self.end: Final = begin + length
        """Bytes, absolute in the file: one past the last one."""
        self.flags: Final = flags
        """Additional flags for ``os.open``."""

    def read(self, low: int, high: int) -> bytes:
        """Return the bytes between two indices. If one window holds them, the state moves to it."""
        if low >= high:
            return b""
        state = self.state
        low += self.begin
        high += self.begin
        file = state._file
        if file is None or file.equal is not None or file.descriptor is None:
            file = state.file(self.flags)
        data = reading.read_from(state, file, low, high, self.flags, True)  # noqa: FBT003 - it moves
        if data is not None:
            return data
        whole = reading.room_for(high - low)
        with self._through_windows(low, high):
            return reading.through_windows(state, state.file(), low, high, whole)

    def fill(self, target: Buffer, low: int) -> int:
        """Fill a user's ``target`` as ``readinto`` does; TypeError unless it is writable memory in one piece."""
        with memoryview(target) as whole:
            if whole.readonly:
                raise TypeError("readinto needs a writable buffer, got a read-only one")
            if not whole.nbytes:
                # An array with no bytes can have several dimensions, and then refuses to be cast.
                return 0
            with whole.cast("B") as room:
                return self.readinto(room, low)

    def readinto(self, room: memoryview, low: int) -> int:
        """Fill ``room`` with the bytes from index ``low`` on, and return how many were copied.

        ``room`` is writable, in one piece, and of one dimension and format "B".
        """
        size = min(len(room), self.length - low)
        if size <= 0:
            return 0
        if size < len(room):
            # Released in any case: the traceback of an error would keep users from resizing their memory.
            with room[:size] as part:
                return self.readinto(part, low)
        low += self.begin
        state = self.state
        file = state._file
        if file is None or file.equal is not None or file.descriptor is None:
            file = state.file(self.flags)
        if not reading.readinto_from(state, file, low, room, self.flags):
            with self._through_windows(low, low + size):
                done = 0
                for piece in reading.pieces(state, state.file(), low, low + size):
                    room[done : done + len(piece)] = piece
                    done += len(piece)
        return size

    def views(self, low: int, high: int) -> Iterator[memoryview]:
        """Yield the bytes between two indices without a copy, one view per window: see ``reading.pieces``."""
        if low < high:
            state = self.state
            with self._travelling(self.begin + high - 1):
                yield from reading.pieces(state, state.file(), self.begin + low, self.begin + high, touches=False)

    def view(self) -> memoryview:
        """Return all of the bytes: without a copy if one window holds them, else as a view of one copy."""
        low, high = self.begin, self.begin + self.length
        if low < high:
            self.state.move(low, high - low, self.flags)
        view = self._in_this_window(low, high)
        return memoryview(self.read(0, self.length)) if view is None else view

    def _in_this_window(self, low: int, high: int) -> memoryview | None:
        """Return the bytes between two absolute offsets if the window that the state is on holds them all."""
        view, frame, _start, _stop = self.state.placement
        if not frame.begin <= low < high <= frame.live_end:
            return None
        if FREE_THREADED:
            view = unshared(view)
        return view[low - frame.begin : high - frame.begin]

    def find_in_window(self, needle: bytes, low: int, high: int) -> tuple[int, int]:
        """Search the state's own window from ``low`` on, as far as it is known to be in memory, without a copy.

        Returns the lowest index at which ``needle`` begins, or -1; and the index from which to search on, which is
        ``low`` if nothing was searched. Searches a piece at most, since the search holds the GIL.
        """
        # Where there is no GIL, this name keeps the window mapped.
        placement = self.state.placement
        frame = placement[1]
        run = frame.resident.run
        first = self.begin + low
        last = min(self.begin + high, run.end, first + PIECE)
        if not run.begin <= first <= last - len(needle):
            return -1, low
        found = frame.find(needle, first, last)
        if found >= 0:
            return found - self.begin, low
        self.state.pool.look_at_faults()
        return -1, low if found < -1 else last - self.begin - len(needle) + 1

    def rfind_in_window(self, needle: bytes, low: int, high: int) -> tuple[int, int]:
        """Search as ``find_in_window`` does, but from ``high`` down to ``low``.

        Returns the highest index at which ``needle`` begins, or -1; and the index at which the bytes that are left to
        search end, which is ``high`` if nothing was searched.
        """
        placement = self.state.placement
        frame = placement[1]
        run = frame.resident.run
        last = self.begin + high
        first = max(self.begin + low, run.begin, last - PIECE)
        if not first + len(needle) <= last <= run.end:
            return -1, high
        found = frame.rfind(needle, first, last)
        if found >= 0:
            return found - self.begin, high
        self.state.pool.look_at_faults()
        return -1, high if found < -1 else first - self.begin + len(needle) - 1

    def pieces(self, low: int, high: int) -> Iterator[bytes]:
        """Yield the bytes between two indices in pieces."""
        for start in range(low, high, PIECE):
            yield self.read(start, min(start + PIECE, high))

    def pieces_backwards(self) -> Iterator[bytes]:
        """Yield all the bytes in pieces, the last piece first."""
        for stop in range(self.length, 0, -PIECE):
            yield self.read(max(stop - PIECE, 0), stop)

    def picked(self, indices: range) -> bytes:
        """Return the bytes at ``indices``, read in pieces so that a large step over a huge file takes little memory."""
        at_once = max(PIECE // abs(indices.step), 1)
        picked = reading.room_for(len(indices))
        for first in range(0, len(indices), at_once):
            some = indices[first : first + at_once]
            low, high = min(some[0], some[-1]), max(some[0], some[-1])
            picked.write(self.read(low, high + 1)[:: abs(some.step)][:: 1 if some.step > 0 else -1])
        return picked.getvalue()

    def _through_windows(self, low: int, high: int) -> AbstractContextManager[None]:
        """Move to the window that has the bytes between two absolute offsets, or else prepare to read several."""
        self._move_to(low, high)
        return self._travelling(high - 1) if self._in_this_window(low, high) is None else nullcontext()

    def _move_to(self, low: int, high: int) -> None:
        frame = self.state.placement[1]
        if not frame.begin <= low < high <= frame.live_end:
            self.state.move(low, high - low, self.flags)

    @contextmanager
    def _travelling(self, last: int) -> Generator[None]:
        """Release the state's window, so that one is pinned at a time, and at the end move to the byte at ``last``.

        After an exception the state goes back to where it was, if that window is still mapped.
        """
        state = self.state
        # The memoryview is the pin, so no name may keep it, not even a throw-away one.
        placement = state.placement
        frame, start, stop = placement[1], placement[2], placement[3]
        del placement
        state.swap(NOWHERE)
        try:
            yield
        except BaseException:
            state.go(frame, start, stop)
            raise
        # This only helps the next read. The bytes have been read, so a failure does not matter.
        try:
            state.move(last, 1, self.flags)
        except TimeoutError:
            # A signal handler raised it: no system call here does.
            raise
        except (OSError, SmmapError):
            return


UNBOUND: Final = Span(UNASSOCIATED, 0, 0, 0)
"""The span of a buffer without a file."""
