"""The cursor: a movable handle on one file, as smmap's clients know it.

Every method is one step on one position; what happens in that step is in _position.
"""

import mmap
import os
from types import TracebackType
from typing import Self, SupportsIndex, final

from typing_extensions import override

from smmap_typed import _reading
from smmap_typed._arguments import natural
from smmap_typed._core import Core
from smmap_typed._file import inode_behind, resolve
from smmap_typed._position import NOWHERE, UNASSOCIATED, Position, no_file
from smmap_typed._region import Region
from smmap_typed._sharing import FREE_THREADED, unshared
from smmap_typed._types import Advice, ManagerLike, PathLike, PathOrFd

__all__ = ["WindowCursor"]


@final
class WindowCursor:
    """A movable handle on one file, pinning at most one region.

    Made by a manager's ``make_cursor``; dropping the last reference releases it, in any thread at any moment. Every
    method may be called from any thread, also on one shared cursor. A chain such as
    ``cursor.use_region(offset, size).buffer()`` is two steps, each atomic: on a *shared* cursor another thread may move
    it in between, so use ``view`` or ``read`` there, which are one step and do not move the cursor.

    ``WindowCursor(manager)`` makes a cursor without a file, to be given one by ``assign``.
    """

    __slots__ = ("_position",)

    def __init__(self, manager: ManagerLike | None = None) -> None:
        # The manager comes with the file that is assigned; the argument is smmap's.
        del manager
        # What the cursor knows, replaced whole by assign. Read it once in each method.
        self._position: Position = UNASSOCIATED

    @classmethod
    def _on(cls, core: Core, path_or_fd: PathOrFd, advice: Advice | None) -> Self:
        core.check_open()
        target = resolve(path_or_fd)
        inode = inode_behind(target) if isinstance(target, int) else None
        cursor = cls()
        cursor._position = Position(core, path_or_fd, target, inode, None, advice)
        return cursor

    @classmethod
    def _at(cls, position: Position) -> Self:
        cursor = cls()
        cursor._position = position
        return cursor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __copy__(self) -> "WindowCursor":
        """A cursor on the same file and region, with a pin of its own."""
        position = self._position
        position.is_valid()
        return WindowCursor._at(position if position is UNASSOCIATED else position.copy())

    @override
    def __repr__(self) -> str:
        position = self._position
        if position is UNASSOCIATED:
            return "<WindowCursor without a file>"
        where = f"[{self.ofs_begin()}, {self.ofs_end()})" if position.is_valid() else "nowhere"
        return f"<WindowCursor on {position.target!r} at {where}>"

    def use_region(self, offset: int = 0, size: int = 0, flags: int = 0) -> Self:
        """Stand on ``size`` bytes at ``offset``, mapping a window if need be, and return this cursor.

        :param offset: bytes from the start of the file. At or past its end the cursor becomes invalid.
        :param size: bytes; 0 for as many as possible, which is at least half a window, or up to the end of the file.
            Up to half a window is never cut by anything but the end of the file; ask ``size()`` for more.
        :param flags: more flags for ``os.open``, looked at only if the file must be opened; none that write.
        :raises ValueError: if an argument is negative, or a flag that is needed writes; TypeError if one is no integer.
        :raises OSError: if the file cannot be opened or mapped.
        :raises FileChangedError: if a new window is needed and the file is another one or shorter by now.
        :raises HandleLimitError: if all handles are pinned; MemoryLimitError likewise under ``strict_memory``.
        :raises ManagerClosedError: after the manager's ``close``.
        :raises ReentrantCallError: from a handler that interrupted the library, if it would have to wait.

        Staying in a window, or moving to one that is mapped, takes no lock. A failed call leaves the cursor where it
        was, except that at a limit its own window may be given up.
        """
        position = self._position
        view, hold, _start, _stop = position.place
        begin = hold.begin
        try:
            stop = offset + size
        except TypeError:
            natural("offset", offset)
            natural("size", size)
            raise
        # The whole of a hit: no call, no lock. limit is -1 once the manager has given the region up. A float passes
        # here, and is refused by buffer(): looking at the types would cost a hit a tenth of its time.
        if begin <= offset < stop <= hold.limit:
            # Not by swap: nothing runs since the place was read, so the pin is the same, and nothing is dropped.
            position.place = (view, hold, offset - begin, stop - begin)
        elif type(stop) is int and not size and begin <= offset < hold.open_limit <= hold.limit:
            # The same for as much as there is, which is all that gitdb asks for.
            position.place = (view, hold, offset - begin, hold.size)
        elif position is UNASSOCIATED:
            raise no_file()
        else:
            # Not to keep the old window pinned meanwhile.
            del view
            position.move(offset, size, flags)
        return self

    def unuse_region(self) -> None:
        """Release the region; the cursor is invalid until ``use_region``. Any number of times; takes no lock."""
        self._position.swap(NOWHERE)

    def close(self) -> None:
        """The same, as files have it. The cursor keeps its file, so ``use_region`` works again afterwards."""
        self.unuse_region()

    def buffer(self) -> memoryview:
        """The bytes that the cursor stands on, read-only and without a copy.

        The view keeps them mapped while it lives, also when the cursor moves on. Reading bytes past the end of a file
        that another process has truncated is SIGBUS, as for every map; ``reader="pread"`` avoids it.

        :raises CursorInvalidError: if the cursor stands on no region.
        """
        view, hold, start, stop = self._position.place
        if hold.limit < 0:
            view, _, start, stop = self._position.valid_place()
        try:
            if FREE_THREADED:
                view = unshared(view)
            return view[start:stop]
        except ValueError:
            # force_map_handle_removal_win has taken it away since.
            self._position.valid_place()
            raise

    def map(self) -> mmap.mmap:
        """The map of the whole region, whose slices are ``bytes``. Only the cursor keeps it open.

        :raises CursorInvalidError: if the cursor stands on no region.
        :raises io.UnsupportedOperation: with a reader that copies, as ``"pread"`` does.
        """
        hold = self._position.place[1]
        if hold.limit < 0:
            _, hold, _, _ = self._position.valid_place()
        return hold.map()

    def view(self, offset: SupportsIndex, size: SupportsIndex) -> memoryview:
        """Up to ``size`` bytes at ``offset``, less at the end of the file; the cursor stays where it is.

        Without a copy where one window holds them, else over one copy. One atomic step, for cursors that threads share.

        :raises: as ``use_region``.
        """
        return _reading.view(self._associated(), natural("offset", offset), natural("size", size))

    def read(self, offset: SupportsIndex, size: SupportsIndex) -> bytes:
        """Up to ``size`` bytes at ``offset``, less at the end of the file; the cursor stays where it is.

        Any size, across windows, with at most one more window pinned at a time. One atomic step, for cursors that
        threads share.

        :raises: as ``use_region``.
        """
        return _reading.read(self._associated(), natural("offset", offset), natural("size", size))

    def prefetch(self, offset: SupportsIndex, size: SupportsIndex) -> None:
        """Ask the kernel to read ``size`` bytes at ``offset`` ahead, without waiting or mapping.

        Does nothing on systems without ``posix_fadvise``, and on Linux nothing if the first and the last of them are in
        the page cache already.

        :raises: as ``use_region``, limits aside.
        """
        _reading.prefetch(self._associated(), natural("offset", offset), natural("size", size))

    def is_valid(self) -> bool:
        """Whether the cursor stands on a region."""
        return self._position.is_valid()

    def is_associated(self) -> bool:
        """Whether the cursor has a file."""
        position = self._position
        # Any call lets go of a region that the manager has given up.
        position.is_valid()
        return position is not UNASSOCIATED

    def ofs_begin(self) -> int:
        """First byte that the cursor stands on, absolute; CursorInvalidError if it stands on no region."""
        _, hold, start, _ = self._position.valid_place()
        return hold.begin + start

    def ofs_end(self) -> int:
        """One past the last byte that it stands on, absolute; CursorInvalidError if it stands on no region."""
        _, hold, _, stop = self._position.valid_place()
        return hold.begin + stop

    def size(self) -> int:
        """Bytes that the cursor stands on, 0 if it is invalid."""
        position = self._position
        _, _, start, stop = position.place
        return stop - start if position.is_valid() else 0

    def includes_ofs(self, ofs: int) -> bool:
        """Whether the cursor stands on the byte at ``ofs``; no byte if it is invalid."""
        position = self._position
        _, hold, start, stop = position.place
        return position.is_valid() and start <= ofs - hold.begin < stop

    def region(self) -> Region | None:
        """The region that the cursor stands on, None if it is invalid."""
        return self._position.region()

    def file_size(self) -> int:
        """Bytes of the file as this cursor sees it, fixed by its first use.

        :raises OSError: if there is no such file.
        :raises CursorInvalidError: if the cursor has no file.
        """
        return self._associated().identity().size

    def path_or_fd(self) -> PathOrFd:
        """The very object that was given to ``make_cursor``."""
        return self._associated().given

    def path(self) -> PathLike:
        """The path that was given to ``make_cursor``; ValueError if that was a descriptor."""
        given = self.path_or_fd()
        if isinstance(given, int):
            raise ValueError(f"the cursor was made from descriptor {given}, not from a path; use fd()")
        return given

    def fd(self) -> int:
        """The descriptor that was given to ``make_cursor``; ValueError if that was a path."""
        given = self.path_or_fd()
        if not isinstance(given, int):
            raise ValueError(f"the cursor was made from path {os.fspath(given)!r}, not from a descriptor; use path()")
        return given

    def assign(self, rhs: "WindowCursor") -> None:
        """Become a copy of ``rhs``: its manager, file and region, with a pin of its own."""
        if not isinstance(rhs, WindowCursor):
            raise TypeError(f"a cursor can be assigned a WindowCursor, not {type(rhs).__name__}")
        self._replace(rhs.__copy__()._position)

    def _replace(self, position: Position) -> Position:
        """Look from that position; the old one, for the caller to drop. Why so: see ``Position.swap``."""
        before = self._position
        self._position = position
        return before

    def _associated(self) -> Position:
        position = self._position
        if position is UNASSOCIATED:
            raise no_file()
        position.is_valid()
        return position
