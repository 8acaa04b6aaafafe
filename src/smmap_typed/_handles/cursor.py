"""Cursors: the movable handle on one file that users of smmap know.

A method checks its arguments and delegates to the cursor's state (``state``) or reads through it (``reading``). Only
the hit is implemented here.
"""

import mmap
import os
from time import monotonic
from types import TracebackType
from typing import Self, SupportsIndex, final

from typing_extensions import override

from smmap_typed._arguments import integer, natural
from smmap_typed._handles import pickling, reading
from smmap_typed._handles.region import Region
from smmap_typed._handles.sharing import FREE_THREADED, unshared
from smmap_typed._handles.state import NOWHERE, UNASSOCIATED, CursorState, no_file
from smmap_typed._pool import MOST_COPIED, Pool
from smmap_typed._source import FileState, resolve, state_behind
from smmap_typed._types import Advice, ManagerLike, PathLike, PathOrFd

__all__ = ["WindowCursor"]


@final
class WindowCursor:
    """A movable handle on one file that pins at most one region.

    A manager's ``make_cursor`` makes cursors. Dropping the last reference to a cursor releases its region, in any
    thread and at any moment. Every method may be called from any thread, also on a shared cursor. A chain such as
    ``cursor.use_region(offset, size).buffer()`` is two steps, each of them atomic: on a *shared* cursor, another thread
    may move the cursor between them. Use ``view`` or ``read`` there: each is one step and does not move the cursor.

    A pickle of a cursor has its path and the size and times of its file, but not its placement. Unpickled in the
    process of its manager, the cursor has that manager. In another process, all objects that come from one manager
    share a new one. The first use there raises FileChangedError if the file has another size or other times by now.
    Pickling raises TypeError for a cursor of a descriptor, and ManagerClosedError after the manager's ``close``.

    ``WindowCursor(manager)`` makes a cursor without a file; ``assign`` gives it one.
    """

    __slots__ = ("_state",)

    def __init__(self, manager: ManagerLike | None = None) -> None:
        # Only smmap needs this argument; here ``assign`` brings the manager along with the file.
        del manager
        # All that the cursor knows. ``assign`` replaces it as a whole, so a method should read it only once.
        self._state: CursorState = UNASSOCIATED

    @classmethod
    def _on(cls, pool: Pool, path_or_fd: PathOrFd | SupportsIndex, advice: Advice | None) -> Self:
        pool.check_open()
        target = resolve(path_or_fd)
        opened = state_behind(target) if isinstance(target, int) else None
        # The very object, except for a descriptor that is not an int: callers of the queries expect an int.
        given = path_or_fd if isinstance(path_or_fd, (int, str, bytes, os.PathLike)) else target
        cursor = cls()
        cursor._state = CursorState(pool, given, target, opened, None, advice)
        return cursor

    @classmethod
    def _at(cls, state: CursorState) -> Self:
        cursor = cls()
        cursor._state = state
        return cursor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __copy__(self) -> "WindowCursor":
        """A cursor on the same file and region, with a pin of its own."""
        state = self._state
        state.is_valid()
        return WindowCursor._at(state if state is UNASSOCIATED else state.copy())

    def __deepcopy__(self, memo: dict[int, object]) -> "WindowCursor":
        """The same as a copy: the manager and what it maps are not copied."""
        del memo
        return self.__copy__()

    @override
    def __reduce__(self) -> tuple[object, ...]:
        state = self._state
        return (WindowCursor, ()) if state is UNASSOCIATED else (WindowCursor._of, pickling.arguments_of(state))

    @classmethod
    def _of(
        cls,
        manager: pickling.Manager,
        path: PathLike,
        target: str | bytes,
        seen: FileState | None,
        advice: Advice | None,
    ) -> Self:
        """Make an unpickled cursor."""
        return cls._at(pickling.state_of(manager, path, target, seen, advice))

    @override
    def __repr__(self) -> str:
        state = self._state
        if state is UNASSOCIATED:
            return "<WindowCursor without a file>"
        state.is_valid()
        # Read once: another thread may move the cursor meanwhile.
        _, frame, start, stop = state.placement
        where = "nowhere" if frame.live_end < 0 else f"[{frame.begin + start}, {frame.begin + stop})"
        return f"<WindowCursor on {state.target!r} at {where}>"

    def use_region(self, offset: SupportsIndex = 0, size: SupportsIndex = 0, flags: SupportsIndex = 0) -> Self:
        """Move to ``size`` bytes at ``offset``, mapping a window if needed, and return this cursor.

        :param offset: bytes from the start of the file. At or past its end, the cursor becomes invalid.
        :param size: bytes; 0 for as many as possible, which is at least half a window, or up to the end of the file.
            A request of up to half a window is cut only by the end of the file. A larger one may be cut by the end of
            its window; ``size()`` tells how many bytes the cursor is on.
        :param flags: additional flags for ``os.open``, used only if the file must be opened; none that allow writing.
            ``O_DIRECT`` has no effect: maps and reads share the page cache.
        :raises ValueError: if an argument is negative, or if ``flags`` are used and allow writing.
        :raises TypeError: if an argument is not an integer. ``flags`` are not looked at inside the current window.
        :raises OSError: if the file cannot be opened or mapped.
        :raises FileChangedError: if a new window is needed and the file was truncated; if it was replaced and the
            manager has no open descriptor of it; or, with a reader that copies, if it was written to.
        :raises HandleLimitError: if all handles are pinned.
        :raises MemoryLimitError: under ``strict_memory``, if the window does not fit and nothing idle is left.
        :raises CursorInvalidError: if the cursor has no file.
        :raises ManagerClosedError: after the manager's ``close``.
        :raises ReentrantCallError: in a handler that interrupted the library, if the call would have to wait.

        After the first use of a cursor, staying in its window or moving to a mapped one does not wait for a lock. A
        call that fails leaves the cursor where it was, except that at a hard limit its own window may be released, and
        that a closed manager makes it invalid.
        """
        # Before anything is added: numpy's small integers would wrap around, and those of before 2.0 become floats.
        if not (type(offset) is int and type(size) is int):
            return self.use_region(natural("offset", offset), natural("size", size), flags)
        state = self._state
        view, frame, _start, _stop = state.placement
        start = offset - frame.begin
        stop = start + size
        # This is all of a hit: no call and no lock. ``hit_size`` is -1 once the manager has discarded the region. Not
        # one chain of comparisons: CPython 3.11 has none of its fast paths for those.
        if start >= 0 and size > 0 and stop <= frame.hit_size:
            # ``swap`` is not needed: in compiled code nothing else runs after the placement was read, so the pin is the
            # same and nothing is dropped.
            state.placement = (view, frame, start, stop)
        elif not size and start >= 0 and offset < frame.open_end <= frame.live_end:
            # A hit without a size, which serves as much as there is. gitdb only asks in this way.
            state.placement = (view, frame, start, frame.size)
        else:
            # This name would keep the old window pinned during the move.
            del view
            if state.pool.populates and size:
                reading.populate(state, offset, size)
            # Without the call in the usual case, which would be a tenth of a move.
            state.move(offset, size, flags if type(flags) is int and flags >= 0 else natural("flags", flags))
        return self

    def unuse_region(self) -> None:
        """Release the region; the cursor is invalid until ``use_region``. Idempotent; takes no lock."""
        self._state.swap(NOWHERE)

    def close(self) -> None:
        """Release the region, as ``unuse_region`` does. The cursor keeps its file, so ``use_region`` works again."""
        self.unuse_region()

    def buffer(self) -> memoryview:
        """A view of the bytes that the cursor is on, read-only and without a copy.

        The bytes stay mapped while the view lives, even if the cursor moves on. Touching bytes that are not in memory
        waits for storage with the GIL held, and SIGBUS kills the process if the storage fails or the file was
        truncated, as with any map. ``prefetch(..., wait=True)`` brings the bytes into memory first; with
        ``reader="pread"`` they always are.

        :raises CursorInvalidError: if the cursor is on no region.
        """
        view, frame, start, stop = self._state.placement
        if frame.live_end < 0:
            view, _, start, stop = self._state.valid_placement()
        try:
            if FREE_THREADED:
                view = unshared(view)
            return view[start:stop]
        except ValueError:
            # force_map_handle_removal_win has released the memoryview since.
            self._state.valid_placement()
            raise

    def map(self) -> mmap.mmap:
        """The ``mmap`` object of the whole region, whose slices are ``bytes``.

        Holding it pins nothing: it may be closed as soon as the cursor leaves the region.

        :raises CursorInvalidError: if the cursor is on no region.
        :raises io.UnsupportedOperation: with a reader that copies, as ``"pread"`` does.
        """
        frame = self._state.placement[1]
        if frame.live_end < 0:
            _, frame, _, _ = self._state.valid_placement()
        return frame.map()

    def view(self, offset: SupportsIndex, size: SupportsIndex) -> memoryview:
        """Return a view of ``size`` bytes at ``offset``, or of fewer at the end of the file, without moving the cursor.

        It needs no copy if one window holds the bytes; otherwise it is a view of one copy. The call is one atomic step,
        so threads may make it on a shared cursor.

        :raises: the errors of ``use_region``.
        """
        state = self._state
        held, frame, _start, _stop = state.placement
        if type(offset) is int and type(size) is int:
            start = offset - frame.begin
            # A hit, as in ``use_region``.
            if start >= 0 and size > 0 and start + size <= frame.hit_size:
                try:
                    if FREE_THREADED:
                        held = unshared(held)
                    return held[start : start + size]
                except ValueError:
                    # force_map_handle_removal_win has released the memoryview since.
                    if frame.live_end >= 0:
                        raise
        # This name would keep the window pinned.
        del held
        return reading.view(self._associated(), natural("offset", offset), natural("size", size))

    def read(self, offset: SupportsIndex, size: SupportsIndex) -> bytes:
        """Return ``size`` bytes at ``offset``, or fewer at the end of the file, without moving the cursor.

        Bytes that are known to be in memory are copied from their window. Others are read by a descriptor without the
        GIL, so no other thread waits for the storage. A read maps its window only if there is room for it, so it evicts
        nothing and meets no limit. With a reader that cannot read at an offset, all bytes are copied from windows, at
        most one of them pinned at a time besides the cursor's own. The call is one atomic step, so threads may make it
        on a shared cursor.

        :raises OSError: if the storage fails; the error names the file.
        :raises FileChangedError: if the file was truncated; or for the reasons listed at ``use_region``.
        :raises MemoryError: at once, if there is no memory for so many bytes.
        :raises: the other errors of ``use_region``.
        """
        state = self._state
        if type(offset) is int and type(size) is int:
            # Where there is no GIL, this name keeps the window mapped.
            placement = state.placement
            frame = placement[1]
            run = frame.resident.run
            stop = offset + size
            # A hit: the bytes are known to be in memory. Ten times a second this test fails on purpose, so that a
            # thread with nothing but hits also notices that the kernel has taken pages back.
            if (
                run.begin <= offset < stop <= run.end
                and size <= MOST_COPIED
                and monotonic() < state.pool.ageing.next_look
            ):
                mapping = frame.mapping
                if mapping is not None:
                    try:
                        return mapping[offset - frame.begin : stop - frame.begin]
                    except ValueError:
                        # The map was closed since. Compiled code drops ``placement``, whose view keeps it open, right
                        # after its last use.
                        pass
            del placement
            file = state._file
            # Usually the cursor has seen its file, and the manager has a descriptor of it.
            if offset >= 0 and size >= 0 and file is not None and file.equal is None and file.descriptor is not None:
                data = reading.read_from(state, file, offset, stop if stop <= file.size else file.size, 0, False)  # noqa: FBT003 - it stays
                if data is not None:
                    return data
        return reading.read(state, natural("offset", offset), natural("size", size))

    def prefetch(self, offset: SupportsIndex, size: SupportsIndex, *, wait: bool = False) -> None:
        """Bring ``size`` bytes at ``offset`` into memory, so that a view of them waits for no storage. Maps nothing.

        :param offset: bytes from the start of the file.
        :param size: bytes; cut at the end of the file.
        :param wait: whether to return only when the bytes are in memory. They are then read without the GIL, and an
            error of the storage is an OSError here, not a signal at the first touch. Without ``wait``, the kernel is
            asked to read ahead. It is asked only on Linux, and only if the first or the last of the bytes is not in
            the page cache yet.
        :raises: the errors of ``use_region``, except those about limits.
        """
        reading.prefetch(self._associated(), natural("offset", offset), natural("size", size), wait=wait)

    def is_valid(self) -> bool:
        """Whether the cursor is on a region."""
        return self._state.is_valid()

    def is_associated(self) -> bool:
        """Whether the cursor has a file."""
        state = self._state
        # Like the other queries, this one drops the pin on a region that the manager has discarded.
        state.is_valid()
        return state is not UNASSOCIATED

    def ofs_begin(self) -> int:
        """The absolute offset of the first byte that the cursor is on.

        :raises CursorInvalidError: if the cursor is on no region.
        """
        _, frame, start, _ = self._state.valid_placement()
        return frame.begin + start

    def ofs_end(self) -> int:
        """The absolute offset one past the last byte that the cursor is on.

        :raises CursorInvalidError: if the cursor is on no region.
        """
        _, frame, _, stop = self._state.valid_placement()
        return frame.begin + stop

    def size(self) -> int:
        """How many bytes the cursor is on; 0 if it is invalid."""
        state = self._state
        _, _, start, stop = state.placement
        return stop - start if state.is_valid() else 0

    def includes_ofs(self, ofs: SupportsIndex) -> bool:
        """Whether the cursor is on the byte at absolute offset ``ofs``; False if it is invalid.

        :raises TypeError: if ``ofs`` is not an integer.
        """
        offset = integer("ofs", ofs)
        state = self._state
        _, frame, start, stop = state.placement
        return state.is_valid() and start <= offset - frame.begin < stop

    def region(self) -> Region | None:
        """The region that the cursor is on; None if it is invalid."""
        return self._state.region()

    def file_size(self) -> int:
        """The size in bytes of the file as this cursor sees it, fixed by the first use of the cursor.

        :raises OSError: if there is no such file, or if it cannot be opened.
        :raises CursorInvalidError: if the cursor has no file.
        """
        return self._associated().file().size

    def path_or_fd(self) -> PathOrFd:
        """The object that was given to ``make_cursor``, unchanged.

        :raises CursorInvalidError: if the cursor has no file.
        """
        return self._associated().given

    def path(self) -> PathLike:
        """The path that was given to ``make_cursor``, unchanged.

        :raises ValueError: if the cursor was made from a descriptor, or has no file.
        """
        given = self.path_or_fd()
        if isinstance(given, int):
            raise ValueError(f"the cursor was made from descriptor {given}, not from a path; use fd()")
        return given

    def fd(self) -> int:
        """The descriptor that was given to ``make_cursor``.

        :raises ValueError: if the cursor was made from a path, or has no file.
        """
        given = self.path_or_fd()
        if not isinstance(given, int):
            raise ValueError(f"the cursor was made from path {os.fspath(given)!r}, not from a descriptor; use path()")
        return given

    def assign(self, rhs: "WindowCursor") -> None:
        """Become a copy of ``rhs``: take its manager, file and region, with a pin of its own.

        :raises TypeError: if ``rhs`` is not a cursor.
        """
        if not isinstance(rhs, WindowCursor):
            raise TypeError(f"a cursor can be assigned a WindowCursor, not {type(rhs).__name__}")
        self._replace(rhs.__copy__()._state)

    def _replace(self, state: CursorState) -> CursorState:
        """Set the state, and return the previous one for the caller to drop: see ``CursorState.swap``."""
        before = self._state
        self._state = state
        return before

    def _associated(self) -> CursorState:
        state = self._state
        if state is UNASSOCIATED:
            raise no_file()
        state.is_valid()
        return state
