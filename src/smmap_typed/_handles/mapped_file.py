"""Mapped files: a binary file object over windows, for code that takes file objects.

A ``MappedFile`` is an ``io.BufferedReader`` that reads from a span over windows instead of a descriptor, so buffering,
lines, ``peek`` and the lock of each object come from the standard library. Small reads and lines run in C, at the price
of a second copy for reads of less than ``BUFFERED`` bytes. Larger reads are copied once, except for their tail.

While reads go on in order, the buffer is filled with larger and larger pieces, like the kernel's read-ahead, since the
Python code between two pieces is what a file object costs. After a jump the next piece is small again.
"""

import errno
import io
import os
import sys
from typing import Final, NoReturn, Self, SupportsIndex, final

from typing_extensions import Buffer, override

from smmap_typed._arguments import integer, natural
from smmap_typed._handles.cursor import WindowCursor
from smmap_typed._handles.span import Span

__all__ = ["MappedFile"]

BUFFERED: Final = 128 * 1024
"""Bytes that are copied at once for small reads in order."""

_FIRST_PIECE: Final = 16 * 1024
"""Bytes that are copied at once after a jump: so few that a read at a random place is cheap."""


@final
class MappedFile(io.BufferedReader):
    """All or part of a file as a binary file object for reading, made by a manager's ``open``.

    It has every attribute that the result of ``open(path, "rb")`` has, with the same results and kinds of errors:
    ``read``, ``read1``, ``readinto``, ``readline``, ``peek``, ``seek``, ``tell``, iteration, ``name``, ``mode``,
    ``closed``, ``raw``, ``detach``, use as a context manager and in ``io.TextIOWrapper``. The differences:

    - It ends where the file ended when it was opened. Bytes that are appended later are not in it.
    - If the file is replaced or deleted, reads go on in the file that was opened, since the manager keeps a descriptor
      of it open. Where the manager could keep none, a read that needs a new window opens the path again: it raises
      FileChangedError if the path leads to another file or to a shorter one, and OSError if it leads to none.
    - If the file was truncated, a read of bytes that were not read before raises FileChangedError. So does a read that
      needs a new window if the file was written to under ``reader="pread"``.
    - ``fileno`` raises ``io.UnsupportedOperation``: the object owns no descriptor, and the manager may close the one
      that it keeps.
    - Each object pins at most one window; it pins none before the first read and after ``close``.

    After a read that failed, the position is the one that ``io.BufferedReader`` left, so seek before reading on.

    A file object pickles as a cursor does, with its position. A copy, also a deep one, has a position of its own.

    Each object has one position, so threads that read the same file should open one object each; the objects share the
    windows. Calls on one object take turns, as on any ``io.BufferedReader``. As there, a handler that interrupts a call
    on an object and calls the same object gets a RuntimeError, and a child process that is forked while another thread
    is in a call on the object must not use it. The raw object that ``detach`` returns has no such lock.
    """

    def __init__(self, cursor: WindowCursor, offset: SupportsIndex, size: SupportsIndex | None) -> None:
        first = natural("offset", offset)
        length = sys.maxsize if size is None else natural("size", size)
        # To tell the size, the cursor looks at the file, so a file that cannot be opened is an error now. Nothing is
        # mapped yet.
        length = min(length, max(cursor.file_size() - first, 0))
        super().__init__(_Windows(cursor, Span(cursor._state, first, length, 0)), BUFFERED)

    def __copy__(self) -> "MappedFile":
        span = self._span()
        return MappedFile._of(WindowCursor._at(span.state.copy()), span.begin, span.length, self.tell())

    def __deepcopy__(self, memo: dict[int, object]) -> "MappedFile":
        del memo
        return self.__copy__()

    @override
    def __reduce__(self) -> tuple[object, ...]:
        span = self._span()
        return MappedFile._of, (WindowCursor._at(span.state), span.begin, span.length, self.tell())

    @override
    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[object, ...]:
        # That of the base class refuses.
        return self.__reduce__()

    @classmethod
    def _of(cls, cursor: WindowCursor, begin: int, length: int, position: int) -> Self:
        """Make a file object of bytes that are known to be in the file, without a look at it."""
        file = cls.__new__(cls)
        io.BufferedReader.__init__(file, _Windows(cursor, Span(cursor._state, begin, length, 0)), BUFFERED)
        file.seek(position)
        return file

    def _span(self) -> Span:
        raw = self.raw
        if not isinstance(raw, _Windows):
            # The words of every other call.
            raise ValueError("raw stream has been detached")  # noqa: TRY004 - see above
        return raw._span


class _Windows(io.RawIOBase):
    """The raw reader of a ``MappedFile``: the bytes of a span, with a position."""

    # The BufferedReader asks for it at each of its calls. The property of the base class is slower: it looks up an
    # attribute that is not there.
    closed: bool = False

    def __init__(self, cursor: WindowCursor, span: Span) -> None:
        # First, because the finaliser of the base class calls close(), even if the rest of this constructor fails.
        self._cursor: Final = cursor
        given = cursor.path_or_fd()
        self.name: Final[str | bytes | int] = given if isinstance(given, int) else os.fspath(given)
        """The path or descriptor that the user gave; for an object such as a Path, its path."""
        self.mode: Final = "rb"
        self.closefd: Final = True
        self._span: Final = span
        self._at = 0
        """The index at which the next read begins. Written under the lock of the BufferedReader."""
        self._piece = _FIRST_PIECE
        """How many bytes the next piece may have. Written under that lock, too."""

    @override
    def readable(self) -> bool:
        return self._is_open()

    @override
    def seekable(self) -> bool:
        return self._is_open()

    @override
    def readinto(self, target: Buffer, /) -> int:
        if self.closed:
            self._is_open()
        if (
            type(target) is memoryview
            and target.format == "B"
            and target.ndim == 1
            and target.contiguous
            and not target.readonly
        ):
            # What the BufferedReader passes. A room of another size is not its buffer.
            if self._piece < BUFFERED == len(target):
                target = target[: self._piece]
                self._piece *= 4
            done = self._span.readinto(target, self._at)
        else:
            done = self._span.fill(target, self._at)
        self._at += done
        return done

    @override
    def read(self, size: SupportsIndex | None = -1, /) -> bytes:
        # The base class takes no None; it returns one only where ``readinto`` does.
        return super().read(-1 if size is None else integer("size", size)) or b""

    @override
    def flush(self) -> None:
        self._is_open()

    @override
    def readall(self) -> bytes:
        self._is_open()
        data = self._span.read(self._at, self._span.length)
        self._at += len(data)
        return data

    @override
    def seek(self, offset: SupportsIndex, whence: SupportsIndex = os.SEEK_SET, /) -> int:
        self._is_open()
        place, whence = integer("offset", offset), integer("whence", whence)
        if whence == os.SEEK_CUR:
            place += self._at
        elif whence == os.SEEK_END:
            place += self._span.length
        elif whence != os.SEEK_SET:
            raise OSError(errno.EINVAL, f"whence must be 0, 1 or 2, got {whence}", self.name)
        if place < 0:
            # As of any file: zipfile, for one, asks in this way whether a file is long enough.
            raise OSError(errno.EINVAL, f"a position must not be negative, got {place}", self.name)
        if place != self._at:
            self._piece = _FIRST_PIECE
        self._at = place
        return place

    @override
    def write(self, data: Buffer, /) -> NoReturn:
        memoryview(data).release()
        self._refuse_to_write()

    @override
    def truncate(self, size: int | None = None, /) -> NoReturn:
        self._refuse_to_write()

    def _refuse_to_write(self) -> NoReturn:
        self._is_open()
        raise io.UnsupportedOperation("File not open for writing")

    @override
    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise TypeError("the raw object of a mapped file cannot be pickled; pickle the file object or a cursor")

    @override
    def __repr__(self) -> str:
        return "<raw MappedFile, closed>" if self.closed else f"<raw MappedFile name={self.name!r} mode={self.mode!r}>"

    @override
    def tell(self) -> int:
        self._is_open()
        return self._at

    @override
    def close(self) -> None:
        # The finaliser of the base class calls this too, in any thread; releasing a window waits for nothing.
        self.closed = True  # pyright: ignore[reportIncompatibleMethodOverride] - see above
        self._cursor.close()

    def _is_open(self) -> bool:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return True
