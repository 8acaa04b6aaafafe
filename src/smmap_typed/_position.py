"""A position: where one cursor stands on one file.

All that a cursor knows of its file is here, so that a cursor that is assigned to another file changes one reference,
and a thread that moves it meanwhile finishes on the old position, which nobody sees any more.

The *place* is one tuple, replaced whole: a thread that reads it has a memoryview, which is the pin, and the bounds that
go with it, whatever other threads do to the cursor.
"""

from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar, final

from smmap_typed._arguments import check_flags, natural
from smmap_typed._core import Core
from smmap_typed._file import Identity, Source
from smmap_typed._grid import Grid
from smmap_typed._hold import Hold
from smmap_typed._ledger import Ledger
from smmap_typed._reader import MmapReader
from smmap_typed._region import Region, region_of
from smmap_typed._types import Advice, PathOrFd, Target
from smmap_typed.exceptions import (
    CursorInvalidError,
    FileChangedError,
    HandleLimitError,
    ManagerClosedError,
    MemoryLimitError,
)

__all__ = ["NOWHERE", "UNASSOCIATED", "Place", "Position", "no_file"]

T = TypeVar("T")

Place: TypeAlias = tuple[memoryview, Hold, int, int]
"""The pin, what the manager knows of the region, and begin and end of the request, relative to the region's begin."""


_NOTHING: Final = memoryview(b"")
_NO_WINDOWS: Final[dict[int, Hold]] = {}


def _nowhere() -> Place:
    hold = Hold(0, Identity(0, 0, 0, 0), 0, 0, 0, None, reach=1, copied=False, mapped_at=0.0)
    hold.limit = -1
    return _NOTHING, hold, 0, 0


NOWHERE: Final = _nowhere()
"""The place of a cursor that is invalid: no offset lies in it."""

# A new cursor looks again if its file is replaced between look and open. More often than this, somebody plays tricks.
_LOOKS: Final = 8


@final
class Position(Source):
    """Where a cursor stands on one file of one manager. Safe in any thread.

    It is the name of its file, too: an object of its own would be a third of what an unused cursor weighs.
    """

    __slots__ = ("_seen", "core", "place")

    def __init__(
        self,
        core: Core,
        given: PathOrFd,
        target: Target,
        inode: tuple[int, int] | None = None,
        seen: Identity | None = None,
        advice: Advice | None = None,
    ) -> None:
        super().__init__(given, target, inode, advice)
        self.core: Final = core
        self.place: Place = NOWHERE
        """Replaced whole, by anybody, in one step: by ``swap``, or in a way that says why it need not be."""
        # Which file it is, for good once a thread has looked: one cursor never mixes two files. Set by ``_keep``.
        self._seen = seen
        if core.sightings:
            # Left there by an exception in a first look, of a position that is gone and was known by the same number.
            core.sightings.pop(id(self), None)

    def swap(self, place: Place) -> Place:
        """Stand there, and return the place that was left, for the caller to drop.

        Compiled code drops the old value of an attribute *before* it stores the new one. If that was the last reference
        to a map, the system call that unmaps it lets other threads run, and a weak reference's callback may use this
        cursor: they would find what is freed already. So the old value lives until the new one is stored, because it is
        used afterwards: it is returned. And in a function of its own: as a name of ``move`` it would live as long as
        somebody keeps an error that was handled further down.
        """
        before = self.place
        self.place = place
        return before

    def identity(self) -> Identity:
        """The file as this cursor sees it, fixed from now on. OSError if there is none."""
        seen = self._seen
        return self._keep(self.core.identify(self)) if seen is None else seen

    def valid_place(self) -> Place:
        """The place, or CursorInvalidError if there is none, or none any more."""
        place = self.place
        if not self._lasts(place):
            raise no_file() if self is UNASSOCIATED else _invalid(place[1])
        return place

    def is_valid(self) -> bool:
        """Whether the cursor stands on a region. If its manager has given that up, the cursor lets go of it now."""
        return self._lasts(self.place)

    def region(self) -> Region | None:
        """The region that the cursor stands on, None if nowhere."""
        place = self.place
        return region_of(place[1]) if self._lasts(place) else None

    def _lasts(self, place: Place) -> bool:
        """Whether that place, which the caller has read once, is on a region that its manager has not given up."""
        view, hold, _start, _stop = place
        if hold.limit < 0 and view is not _NOTHING:
            # Without the pin, but with the reason.
            self.swap((_NOTHING, hold, 0, 0))
        return hold.limit >= 0

    def move(self, offset: int, size: int, flags: int) -> None:
        """Stand on ``size`` bytes at ``offset``, 0 for as many as possible; nowhere if that is past the end.

        A failed move changes nothing, except that at a hard limit the cursor's own window may be given up. A move to a
        window that is mapped takes no lock.
        """
        stop = offset + size
        identity = self._seen
        # The sum tells about both numbers: it is an int if they are, and callers may be untyped.
        if identity is None or not (type(stop) is int and size > 0 and offset >= 0 and stop <= identity.size):
            self._move_elsewhere(offset, size, flags)
            return
        core = self.core
        tables = core.tables
        start = core.grid.start(offset, stop)
        hold = tables.index.get(identity, _NO_WINDOWS).get(start)
        view = None if hold is None else hold.pin(core.note_release)
        if hold is None or view is None:
            view, hold = self._map(identity, start, flags)
        begin, most = hold.begin, hold.size
        end = stop - begin
        # As swap does, without the call. No name may keep the old place: an error's traceback would keep that.
        before = self.place
        self.place = (view, hold, offset - begin, end if end <= most else most)
        del before
        if len(tables.released) > tables.patience:
            core.evictor.tidy()
        if tables.overdrawn:
            # The window that was left just now may be what is too much.
            del view
            core.evictor.trim()

    def _stay(self, offset: int, size: int) -> bool:
        """Whether the cursor's window serves the request; one without a size, or past the end of the file, may be.

        Then the cursor stands there.
        """
        view, hold, _start, _stop = self.place
        begin, limit = hold.begin, hold.limit
        stop = offset + size
        # The end of the file cuts what it likes, the end of a window no more than is promised.
        last = hold.open_limit if not size else limit if stop <= limit or limit == hold.identity.size else begin
        if not begin <= offset < last <= limit:
            return False
        self.swap((view, hold, offset - begin, stop - begin if size and stop < limit else hold.size))
        return True

    def _move_elsewhere(self, offset: int, size: int, flags: int) -> None:
        """As ``move``, for what is no plain request inside a known file: the first use, size 0, the end, bad input."""
        first, count = offset, size
        if type(offset + size) is not int or offset < 0 or size < 0:
            first, count = natural("offset", offset), natural("size", size)
        # Who has seen nothing stands nowhere.
        new = self._seen is None
        if not new and self._stay(first, count):
            return
        core = self.core
        if core.tables.closed:
            self.swap(NOWHERE)
            core.check_open()
        looked: Identity | None = None
        if new:
            looked = core.identify(self)
            if count and self._stand_at_first_sight(looked, first, first + count):
                return
        self.swap(self.on_file(lambda identity: self._find(identity, first, count, flags), looked))
        self.trim()

    def _stand_at_first_sight(self, identity: Identity, offset: int, stop: int) -> bool:
        """Whether the window of a first use was mapped, so that nothing but one look at the file was needed."""
        if stop > identity.size:
            return False
        core = self.core
        hold = core.tables.find(identity, core.grid.start(offset, stop))
        if hold is None:
            return False
        view = core.pin(hold)
        # One value for all cursors on the file, and what they compare first is whether it is the same object.
        if view is None or self._keep(hold.identity) != identity:
            return False
        begin, size = hold.begin, hold.size
        self.swap((view, hold, offset - begin, stop - begin if stop - begin <= size else size))
        return True

    def fresh(self) -> "Position":
        """The same file, nowhere."""
        return Position(self.core, self.given, self.target, self.inode, self._seen, self.advice)

    def copy(self) -> "Position":
        """The same file and place, with a pin of its own."""
        _, hold, start, stop = self.place
        # After the place: whoever stands somewhere has seen the file before.
        twin = self.fresh()
        if hold.limit >= 0 and not twin.stand(hold, start, stop):
            # This cursor has left, and the region is being unmapped.
            twin.move(hold.begin + start, stop - start, 0)
        return twin

    def stand(self, hold: Hold, start: int, stop: int) -> bool:
        """Stand on that place with a pin of its own, if it is still mapped. Lock-free."""
        view = self.core.pin(hold)
        if view is not None:
            self.swap((view, hold, start, stop))
        return view is not None

    def _keep(self, identity: Identity) -> Identity:
        """Which file it is from now on: what this thread has seen, unless another one looked first.

        A list to append to would do, too, but it would weigh a third of an unused cursor.
        """
        sightings, number = self.core.sightings, id(self)
        # One step, so of all threads one is the first.
        first = sightings.setdefault(number, identity)
        seen = self._seen
        if seen is None:
            # Nobody has set it, so nobody has taken the entry out yet: it is the first one's.
            self._seen = seen = first
        # Not earlier: whoever makes another entry from here on sees what is set.
        sightings.pop(number, None)
        return seen

    def on_file(self, act: Callable[[Identity], T], looked: Identity | None = None) -> T:
        """Act on the file that this cursor sees, looking again if it is replaced before the cursor saw any of it.

        ``looked`` is what a look has shown just now.
        """
        for _ in range(_LOOKS):
            if self._seen is not None:
                break
            identity = looked or self.core.identify(self)
            looked = None
            try:
                result = act(identity)
            except FileChangedError:
                continue
            if self._keep(identity) == identity:
                return result
        return act(self.identity())

    def trim(self) -> None:
        """Give back what this thread has mapped past the soft memory limit, as far as it is idle by now."""
        if self.core.tables.overdrawn:
            self.core.evictor.trim()

    def _find(self, identity: Identity, offset: int, size: int, flags: int) -> Place:
        if offset >= identity.size:
            return NOWHERE
        grid = self.core.grid
        start = grid.start(offset, grid.wanted_end(offset, size, identity.size))
        mapped = self.core.tables.find(identity, start)
        view = None if mapped is None else self.core.pin(mapped)
        hold = mapped
        if hold is None or view is None:
            view, hold = self._map(identity, start, flags)
        first = offset - hold.begin
        return view, hold, first, min(first + size, hold.size) if size else hold.size

    def _map(self, identity: Identity, start: int, flags: int) -> tuple[memoryview, Hold]:
        if flags:
            check_flags(flags)
        try:
            return self.core.map_or_join(self, identity, start, flags)
        except (HandleLimitError, MemoryLimitError) as error:
            # The new window is pinned before the old one is released, except here: it may be the very one that is
            # too much.
            if self.place[0] is _NOTHING or (isinstance(error, MemoryLimitError) and error.wanted > error.limit):
                raise
        except ManagerClosedError:
            self.swap(NOWHERE)
            raise
        self.swap(NOWHERE)
        return self.core.map_or_join(self, identity, start, flags)


def no_file() -> CursorInvalidError:
    """What to raise for a cursor that was given no file."""
    return CursorInvalidError("the cursor has no file; get one from make_cursor() or by assign()")


def _invalid(hold: Hold) -> CursorInvalidError:
    if hold.verdict:
        return CursorInvalidError(f"the cursor's region is gone: {hold.verdict}; call use_region() again")
    return CursorInvalidError("the cursor stands on no region; call use_region() with an offset inside the file")


UNASSOCIATED: Final = Position(Core(MmapReader(), Grid.of(0), Ledger(1, 1, strict=True)), "", "")
"""The position of a cursor without a file: every query works, and ``WindowCursor`` lets nothing else through."""
