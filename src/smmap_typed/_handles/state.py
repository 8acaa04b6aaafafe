"""A cursor's state: its file, and its placement on one of that file's windows.

A state has all that a cursor knows of its file. So ``assign`` replaces one reference, and a thread that moves the
cursor at that moment finishes on the old state, which no other thread can reach any more.

The *placement* is one tuple, replaced as a whole: a thread that has read it has a memoryview, which is the pin, and the
bounds that belong to it, whatever other threads do to the cursor.
"""

from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar, final

from smmap_typed._arguments import check_flags, natural
from smmap_typed._builtin_readers import MmapReader
from smmap_typed._handles.region import Region, region_of
from smmap_typed._pool import CLOSED, LRU, File, Frame, Grid, Ledger, Pool
from smmap_typed._source import Arrival, FileState, Source
from smmap_typed._types import Advice, PathOrFd, Target
from smmap_typed.exceptions import (
    CursorInvalidError,
    FileChangedError,
    HandleLimitError,
    ManagerClosedError,
    MemoryLimitError,
)

__all__ = ["NOWHERE", "UNASSOCIATED", "CursorState", "Placement", "no_file"]

T = TypeVar("T")

Placement: TypeAlias = tuple[memoryview, Frame, int, int]
"""The pin, the frame of the region, and the start and end of the request, relative to the start of the region."""


_NOTHING: Final = memoryview(b"")


def _nowhere() -> Placement:
    frame = Frame(0, 0, 0, 0, 0, 0, None, 1, False, 0.0)  # noqa: FBT003 - it is no copy
    frame.live_end = frame.hit_size = -1
    return _NOTHING, frame, 0, 0


NOWHERE: Final = _nowhere()
"""The placement of a cursor that is invalid: no offset lies in it."""

# How often a new cursor looks again because its file was replaced between look and open. A file that is replaced more
# often than this would keep it looking without end.
_LOOKS: Final = 8


@final
class CursorState(Source):
    """A cursor's file in one manager, and the window that the cursor is on. Safe in any thread.

    It is also the file's ``Source``: a separate object would make up a third of the memory of an unused cursor.
    """

    __slots__ = ("_file", "placement", "pool")

    def __init__(
        self,
        pool: Pool,
        given: PathOrFd,
        target: Target,
        known: tuple[FileState, str] | Arrival | None = None,
        file: File | None = None,
        advice: Advice | None = None,
    ) -> None:
        super().__init__(given, target, known, advice)
        self.pool: Final = pool
        self.placement: Placement = NOWHERE
        """Any thread replaces it as a whole in one step: by ``swap``, or where a comment says why not by ``swap``."""
        # The file. It is final once a thread has looked, so one cursor never mixes two files. Set by ``_keep``;
        # ``_change_over`` changes it only to a file in the same state that stands for it.
        self._file = file
        if pool.first_files:
            # An exception in the first look of an earlier state, which had the same id, may have left an entry.
            pool.first_files.pop(id(self), None)

    def swap(self, placement: Placement) -> Placement:
        """Go to ``placement``, and return the previous one for the caller to drop.

        Compiled code drops the old value of an attribute *before* it stores the new one. If that was the last reference
        to a map, the system call that unmaps it lets other threads run, and the callback of a weak reference may use
        this cursor: they would find an object that is freed already. Returning the old value keeps it alive until the
        new one is stored. This needs a function of its own: a local variable of ``move`` would keep the old value as
        long as the traceback of any error handled further down is kept.
        """
        before = self.placement
        self.placement = placement
        return before

    def file(self, flags: int = 0) -> File:
        """Return the file as this cursor sees it, which is fixed from now on. OSError if there is none.

        ``flags`` are additional flags for ``os.open``, used if the file must be opened.
        """
        file = self._file
        if file is None:
            self.on_file(lambda _file: None, flags=flags)
            file = self._file
            assert file is not None, "on_file keeps one"  # noqa: S101 - for the type checkers
        if file.equal is not None:
            return self._change_over(file)
        # Without either it is not listed, and another one may stand for it.
        return file if file.windows or file.descriptor is not None else self.pool.tables.equal_of(file)

    def valid_placement(self) -> Placement:
        """Return the placement; CursorInvalidError if the cursor is on no region, or on one that was discarded."""
        placement = self.placement
        if not self._lasts(placement):
            raise no_file() if self is UNASSOCIATED else self._invalid(placement[1])
        return placement

    def _invalid(self, frame: Frame) -> CursorInvalidError:
        """Make the error for a cursor that is on no region. What it recommends must be able to help."""
        if self.pool.tables.closed:
            return CursorInvalidError(f"the cursor is on no region: {CLOSED}; make a new manager, and a cursor of it")
        if frame.reason:
            return CursorInvalidError(f"the cursor's region is gone: {frame.reason}; call use_region() again")
        if self._file is not None and not self._file.size:
            return CursorInvalidError(
                "the cursor is on no region: its file was empty when it first looked; make a new cursor, which sees "
                "what was written since"
            )
        return CursorInvalidError("the cursor is on no region; call use_region() with an offset inside the file")

    def is_valid(self) -> bool:
        """Whether the cursor is on a region. If the manager has discarded the region, the cursor drops its pin now."""
        return self._lasts(self.placement)

    def region(self) -> Region | None:
        """The region that the cursor is on; None if it is on none."""
        placement = self.placement
        return region_of(placement[1]) if self._lasts(placement) else None

    def _lasts(self, placement: Placement) -> bool:
        """Whether ``placement``, which the caller has read once, is on a region that the manager has not discarded."""
        view, frame, _start, _stop = placement
        if frame.live_end < 0 and view is not _NOTHING:
            # Drop the pin, but keep the frame, which has the reason.
            self.swap((_NOTHING, frame, 0, 0))
        return frame.live_end >= 0

    def move(self, offset: int, size: int, flags: int) -> None:
        """Go to ``size`` bytes at ``offset`` (size 0: as many as possible), or to ``NOWHERE`` past the end of the file.

        A move that fails leaves the cursor where it was, except that at a hard limit its own window may be released,
        and that a closed manager leaves it nowhere. A move to a mapped window does not wait for the lock.
        """
        stop = offset + size
        file = self._file
        if file is None or not (size > 0 and offset >= 0 and stop <= file.size):
            self._move_elsewhere(offset, size, flags)
            return
        pool = self.pool
        start = pool.grid.start(offset, stop)
        frame = file.windows.get(start)
        view = None if frame is None else frame.pin(pool.note_release)
        if frame is None or view is None:
            view, frame = self._acquire(file, start, flags)
        begin, most = frame.begin, frame.size
        end = stop - begin
        # What swap does, without the call. No name may keep the old placement: a traceback would keep the name.
        before = self.placement
        self.placement = (view, frame, offset - begin, end if end <= most else most)
        del before
        tables = pool.tables
        if len(tables.released) > tables.drain_threshold:
            pool.try_drain()
        if tables.past_limit:
            # The window that was left just now may be the one above the limit.
            del view
            pool.trim()

    def _stay(self, offset: int, size: int) -> bool:
        """Go to the request inside the cursor's current window, or return False if that window does not serve it.

        The window serves a request without a size if ``Grid.reach`` bytes follow or the file ends in it, and a request
        with a size if nothing but the end of the file cuts it.
        """
        view, frame, _start, _stop = self.placement
        begin, limit = frame.begin, frame.live_end
        stop = offset + size
        # The end of the file may cut any request; the end of a window only one without a size, down to ``reach``.
        last = frame.open_end if not size else limit if stop <= limit or limit == frame.file_size else begin
        if not begin <= offset < last <= limit:
            return False
        self.swap((view, frame, offset - begin, stop - begin if size and stop < limit else frame.size))
        return True

    def _move_elsewhere(self, offset: int, size: int, flags: int) -> None:
        """Serve the requests that ``move`` passes on: a first use, one without a size or past the end, bad input."""
        if self is UNASSOCIATED:
            raise no_file()
        if offset < 0 or size < 0:
            # Raises the error for the one that is negative.
            natural("offset", offset)
            natural("size", size)
        # A cursor that has not looked at its file has no window to stay in.
        new = self._file is None
        if not new and self._stay(offset, size):
            return
        pool = self.pool
        if pool.tables.closed:
            self.swap(NOWHERE)
            pool.check_open()
        found: File | None = None
        if new:
            found = pool.find_file(self)
            if size and self._go_at_first_sight(found, offset, offset + size):
                return
        self.swap(self.on_file(lambda file: self._place(file, offset, size, flags), found, flags))
        self.trim()

    def _go_at_first_sight(self, file: File, offset: int, stop: int) -> bool:
        """Go to the window of a first use if it is mapped, which takes only one look at the file; False if it is not.

        False, too, if the name led to another file before: that changes the tables.
        """
        if stop > file.size:
            return False
        pool = self.pool
        frame = file.windows.get(pool.grid.start(offset, stop))
        # A name that is new, or led to another file before, must be registered under the lock.
        target = self.target
        name = target if type(target) is str else self.name()
        if frame is None or pool.tables.names.get(name) is not file:
            return False
        view = pool.pin(frame)
        if view is None or self._keep(file) is not file:
            return False
        begin, size = frame.begin, frame.size
        self.swap((view, frame, offset - begin, stop - begin if stop - begin <= size else size))
        return True

    def fresh(self) -> "CursorState":
        """Make a state on the same file, placed nowhere."""
        return CursorState(self.pool, self.given, self.target, self.known, self._file, self.advice)

    def copy(self) -> "CursorState":
        """Make a state on the same file and placement, with a pin of its own."""
        _, frame, start, stop = self.placement
        # The file is read after the placement: a cursor that is on a window has seen its file before.
        twin = self.fresh()
        if frame.live_end >= 0 and not twin.go(frame, start, stop):
            # This cursor has left the region, which is being unmapped.
            twin.move(frame.begin + start, stop - start, 0)
        return twin

    def go(self, frame: Frame, start: int, stop: int) -> bool:
        """Go to a placement on ``frame`` with a new pin; False if the region is being unmapped. Waits for no lock."""
        view = self.pool.pin(frame)
        if view is not None:
            self.swap((view, frame, start, stop))
        return view is not None

    def _keep(self, file: File) -> File:
        """Fix the file to ``file``, which this thread has found, unless another thread was first; return what is fixed.

        A list in each cursor would also do, but it would make up a third of the memory of an unused cursor.
        """
        first_files, number = self.pool.first_files, id(self)
        # This is one atomic step, so exactly one thread is the first.
        first = first_files.setdefault(number, file)
        kept = self._file
        if kept is None:
            # No thread has set the file, so none has removed the entry yet: it is the first thread's.
            self._file = kept = first
        # The entry goes last: a thread that makes another one from here on sees the file that is set.
        first_files.pop(number, None)
        return kept

    def _change_over(self, file: File) -> File:
        """Return the file to use for ``file``: itself, or the listed file in the same state that stands for it now."""
        other = file.equal
        if other is None:
            return file
        if self._file is file:
            self._replace_file(other)
        return other

    def _replace_file(self, file: File) -> File | None:
        """Set the file, and return the previous one for the caller to drop: see ``swap``."""
        before = self._file
        self._file = file
        return before

    def on_file(self, act: Callable[[File], T], found: File | None = None, flags: int = 0) -> T:
        """Call ``act`` with the file that this cursor sees, and return the result.

        Looks again if the file is replaced before the cursor has seen any of it. ``found`` is the result of a look that
        was made just now.
        """
        for _ in range(_LOOKS):
            if self._file is not None:
                break
            file = found or self.pool.find_file(self)
            found = None
            try:
                result = act(file)
                file = file.equal or file
                # If nothing was mapped, a kept descriptor lets the cursor go on if the file is deleted or replaced.
                self.pool.register(self, file, flags)
            except FileChangedError:
                continue
            file = file.equal or file
            if self._keep(file) is file:
                return result
        else:
            # The file is replaced all the time, so settle for the last look.
            self._keep(self.pool.find_file(self))
        return act(self.file())

    def trim(self) -> None:
        """Unmap idle regions if this thread has mapped past the soft memory limit: see ``Pool.trim``."""
        if self.pool.tables.past_limit:
            self.pool.trim()

    def _place(self, file: File, offset: int, size: int, flags: int) -> Placement:
        if offset >= file.size:
            return NOWHERE
        grid = self.pool.grid
        start = grid.start(offset, grid.wanted_end(offset, size, file.size))
        mapped = file.windows.get(start)
        view = None if mapped is None else self.pool.pin(mapped)
        frame = mapped
        if frame is None or view is None:
            view, frame = self._acquire(file, start, flags)
        first = offset - frame.begin
        return view, frame, first, min(first + size, frame.size) if size else frame.size

    def _acquire(self, file: File, start: int, flags: int) -> tuple[memoryview, Frame]:
        """Pin a window that is not mapped, releasing the cursor's own one if that meets a hard limit."""
        if flags:
            check_flags(flags)
        pool, newest = self.pool, self._file is None
        try:
            pinned = pool.acquire(self, file, start, flags, newest=newest)
        except (HandleLimitError, MemoryLimitError) as error:
            # Elsewhere the old window is released after the new one is pinned. Here it goes first, since it may be the
            # one that keeps the new one out.
            if self.placement[0] is _NOTHING or (isinstance(error, MemoryLimitError) and error.wanted > error.limit):
                raise
        except ManagerClosedError:
            self.swap(NOWHERE)
            raise
        else:
            if file.equal is not None:
                self._change_over(file)
            return pinned
        self.swap(NOWHERE)
        pinned = pool.acquire(self, file, start, flags, newest=newest)
        self._change_over(file)
        return pinned


def no_file() -> CursorInvalidError:
    """Make the error for a cursor that was given no file."""
    return CursorInvalidError("the cursor has no file; get one from make_cursor() or by assign()")


UNASSOCIATED: Final = CursorState(Pool(MmapReader(), Grid.of(0), Ledger(1, 1, strict=True), LRU()), "", "")
"""The state of a cursor without a file. Queries of its placement work; ``WindowCursor`` refuses what needs a file."""
