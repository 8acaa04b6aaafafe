"""Mapped files: a binary file object over windows, for everything that takes one.

Buffering, lines, ``peek`` and the lock of each object are the standard library's: a ``MappedFile`` is an
``io.BufferedReader``, and what it reads from is a span over windows instead of a descriptor. So small reads and lines
are C, at the price of a second copy for what is smaller than ``BUFFERED`` bytes; what is larger is copied once.
"""

import io
import os
import sys
from typing import Final, final

from typing_extensions import Buffer, override

from smmap_typed._arguments import natural
from smmap_typed._cursor import WindowCursor
from smmap_typed._span import Span
from smmap_typed._types import PathOrFd

__all__ = ["MappedFile"]

BUFFERED: Final = 16 * 1024
"""Bytes that are copied at once for small reads: few enough for the processor's nearest cache, so that a read at a
random place is not dear, and so many that lines do not notice the Python code between two copies."""


@final
class MappedFile(io.BufferedReader):
    """A part of a file, or all of it, as a binary file object for reading, made by a manager's ``open``.

    It does what ``open(path, "rb")`` does: ``read``, ``read1``, ``readinto``, ``readline``, ``peek``,
    ``seek``, ``tell``, iteration, ``closed``, contexts, and ``io.TextIOWrapper`` around it. What differs:

    - It has the bytes that the file had when it was opened. What is appended later is not in it, and if the file is
      replaced or cut, a read that needs a new window raises FileChangedError.
    - ``fileno`` raises ``io.UnsupportedOperation``: there is no descriptor that stays open, so what would read behind
      its back must not.
    - A seek to before the start is a ValueError, as for bytes in memory.
    - At most one window is pinned for each object, none before the first read and after ``close``.

    After a read that failed the position is what ``io.BufferedReader`` leaves, so seek before reading on.

    Each object has one position, so threads that read the same file want an object each; they share the windows. Calls
    on one object take turns, as they do on any ``io.BufferedReader``; and as there, a handler that interrupts a call on
    an object and calls the same object gets a RuntimeError, and a child that is forked while another thread is in a
    call on it must not use it. What ``detach`` returns has no such lock.
    """

    def __init__(self, cursor: WindowCursor, offset: int, size: int | None) -> None:
        super().__init__(_Windows(cursor, offset, size), BUFFERED)


class _Windows(io.RawIOBase):
    """The bytes of a span, with a position."""

    # Asked for by the BufferedReader at each of its calls. What the base has for it is a look-up that fails.
    closed: bool = False

    def __init__(self, cursor: WindowCursor, offset: int, size: int | None) -> None:
        # First, since the finaliser of the base closes it, whatever the rest comes to.
        self._cursor: Final = cursor
        first = natural("offset", offset)
        length = sys.maxsize if size is None else natural("size", size)
        self.name: Final[PathOrFd] = cursor.path_or_fd()
        """As the user gave it."""
        self.mode: Final = "rb"
        # The size of the file is a look at it: what cannot be opened is an error now. Nothing is mapped yet.
        self._span: Final = Span(cursor._position, first, min(length, max(cursor.file_size() - first, 0)), 0)
        self._at = 0
        """Where the next read begins. Written under the lock of the BufferedReader."""

    @override
    def readable(self) -> bool:
        return self._is_open()

    @override
    def seekable(self) -> bool:
        return self._is_open()

    @override
    def readinto(self, target: Buffer, /) -> int:
        self._is_open()
        with memoryview(target) as whole, whole.cast("B") as room:
            done = self._span.readinto(room, self._at)
        self._at += done
        return done

    @override
    def readall(self) -> bytes:
        self._is_open()
        data = self._span.read(self._at, self._span.length)
        self._at += len(data)
        return data

    @override
    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._is_open()
        place = offset
        if whence == os.SEEK_CUR:
            place += self._at
        elif whence == os.SEEK_END:
            place += self._span.length
        elif whence != os.SEEK_SET:
            raise ValueError(f"whence must be 0, 1 or 2, got {whence}")
        if place < 0:
            raise ValueError(f"a position must not be negative, got {place}")
        self._at = place
        return place

    @override
    def tell(self) -> int:
        self._is_open()
        return self._at

    @override
    def close(self) -> None:
        # Also by the finaliser of the base, in whatever thread; to release a window waits for nobody.
        self.closed = True  # pyright: ignore[reportIncompatibleMethodOverride] - see above
        self._cursor.close()

    def _is_open(self) -> bool:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return True
