"""The scenarios: two or three threads each, on one small scene, that meet where an interleaving could go wrong."""

import os
from contextlib import suppress
from typing import ClassVar, Final

from typing_extensions import override

from races.scene import CONTENT, SIZE, Scene, WatchedMap, expected
from smmap_typed import (
    CursorInvalidError,
    FileChangedError,
    HandleLimitError,
    ManagerClosedError,
    SlidingWindowMapBuffer,
    WindowCursor,
    _fork,
)
from smmap_typed._file import Identity
from smmap_typed._gate import Call, Flight
from support import GRANULE, pattern

__all__ = ["SCENARIOS"]


class TwoCursors(Scene):
    """Two cursors that stand nowhere yet."""

    @override
    def begin(self) -> None:
        self.cursor()
        self.cursor()


class OneNewWindow(TwoCursors):
    """Two threads miss on one window: one of them maps it, and both get it."""

    def first(self) -> None:
        self.move(self.cursors[0], 1)

    def second(self) -> None:
        self.move(self.cursors[1], 1)

    @override
    def check(self) -> None:
        statistics = self.manager.stats()
        assert (statistics.maps, statistics.acquisitions) == (1, 2), statistics


class OneNewWindowForThree(OneNewWindow):
    """The same with a third thread."""

    @override
    def begin(self) -> None:
        super().begin()
        self.cursor()

    def third(self) -> None:
        self.move(self.cursors[2], 1)

    @override
    def check(self) -> None:
        statistics = self.manager.stats()
        assert (statistics.maps, statistics.acquisitions) == (1, 3), statistics


class TwoNewWindows(TwoCursors):
    """Two threads map two windows, and nothing stands in their way: both are counted."""

    def first(self) -> None:
        self.move(self.cursors[0], 1)

    def second(self) -> None:
        self.move(self.cursors[1], 2)

    @override
    def check(self) -> None:
        statistics = self.manager.stats()
        assert (statistics.maps, statistics.misses, statistics.acquisitions) == (2, 2, 2), statistics


class LastHandle(TwoCursors):
    """Two threads read two windows under one handle: each gets its bytes, or hears that the other has the handle."""

    handles = 1

    @override
    def begin(self) -> None:
        super().begin()
        self.refused: list[int] = []

    def first(self) -> None:
        self.read_or_be_refused(0)

    def second(self) -> None:
        self.read_or_be_refused(1)

    def read_or_be_refused(self, number: int) -> None:
        try:
            self.read(self.cursors[number], number)
        except HandleLimitError:
            self.refused.append(number)

    @override
    def check(self) -> None:
        assert len(self.refused) < 2, "both were refused, so nobody had the handle"


class LastHandleIsIdle(TwoCursors):
    """Two threads need the handle of an idle window, one for a while and one for good: neither fails falsely."""

    handles = 2

    @override
    def begin(self) -> None:
        super().begin()
        self.idle(5, 6)

    def first(self) -> None:
        self.move(self.cursors[0], 0)

    def second(self) -> None:
        self.move(self.cursors[1], 1)


class OneIsAlwaysFree(Scene):
    """A cursor leaves one of two windows before another takes the other: at every instant there is one to evict."""

    handles = 2

    @override
    def begin(self) -> None:
        leaving = self.cursor(0)
        leaving.unuse_region()
        self.idle(1)
        self.manager.stats()
        # Pinned again, and still the first in the queue.
        leaving.use_region(0, SIZE)
        self.cursor()
        self.cursor()

    def first(self) -> None:
        self.move(self.cursors[1], 2)

    def second(self) -> None:
        self.cursors[0].unuse_region()
        with suppress(HandleLimitError):
            self.cursors[2].use_region(GRANULE, SIZE)


class PinAgainstBury(Scene):
    """The protocol of pins alone: a region is never both pinned and buried, and somebody may have given way."""

    @override
    def begin(self) -> None:
        self.idle(1)
        self.core = self.manager._core
        (self.hold,) = self.core.tables.holds.values()
        self.pinned: list[memoryview] = []
        self.buried: list[Flight] = []

    def first(self) -> None:
        view = self.hold.pin(self.core.note_release)
        if view is not None:
            self.pinned.append(view)

    def second(self) -> None:
        flight = Flight()
        with Call(self.core.evictor) as call:
            if call.locked(self.core.tables.bury, flight, self.hold):
                self.buried.append(flight)

    @override
    def check(self) -> None:
        assert not (self.pinned and self.buried)
        self.pinned.clear()
        # The map was not closed, so the region stays.
        self.core.tables.finished.extend(self.buried)


class TwoPinsAgainstBury(PinAgainstBury):
    """The same with two readers."""

    def third(self) -> None:
        self.first()


class MoveAgainstEviction(TwoCursors):
    """A cursor moves to the very window that another thread evicts to map its own."""

    handles = 2

    @override
    def begin(self) -> None:
        super().begin()
        self.idle(1, 2)

    def first(self) -> None:
        self.move(self.cursors[0], 1)

    def second(self) -> None:
        self.move(self.cursors[1], 3)


class MoveAgainstCollect(Scene):
    """A cursor moves to a window that is just being collected."""

    @override
    def begin(self) -> None:
        self.cursor()
        self.idle(1)

    def first(self) -> None:
        self.move(self.cursors[0], 1)

    def second(self) -> None:
        assert self.manager.collect() in {0, 1}


class DropAgainstCollect(Scene):
    """A cursor is dropped while another thread collects: its region goes now or with the next collection."""

    @override
    def begin(self) -> None:
        self.box = [self.manager.make_cursor(self.path).use_region(0, SIZE)]
        # A release that waits, so that there is something to drain.
        self.idle(1)
        self.collected: list[int] = []

    def first(self) -> None:
        self.box.clear()

    def second(self) -> None:
        self.collected.append(self.manager.collect())

    @override
    def check(self) -> None:
        assert self.collected[0] + self.manager.num_file_handles() == 2
        assert self.manager.collect() == 2 - self.collected[0], "the release was lost"


class TwoCollections(Scene):
    """Two threads collect the same two windows: each window goes once."""

    @override
    def begin(self) -> None:
        self.idle(0, 1)
        self.collected: list[int] = []

    def first(self) -> None:
        self.collected.append(self.manager.collect())

    def second(self) -> None:
        self.collected.append(self.manager.collect())

    @override
    def check(self) -> None:
        assert sum(self.collected) == self.manager.stats().unmaps == 2


class ViewAgainstEviction(TwoCursors):
    """A view is taken of the window that another thread evicts: its bytes never change hands."""

    handles = 2

    @override
    def begin(self) -> None:
        super().begin()
        self.idle(1, 2)
        self.views: list[memoryview] = []

    def first(self) -> None:
        view = self.cursors[0].view(GRANULE, SIZE)
        self.views.append(view)
        assert view == expected(1)

    def second(self) -> None:
        self.move(self.cursors[1], 3)

    @override
    def check(self) -> None:
        assert self.views.pop() == expected(1)


class CloseAgainstMove(Scene):
    """The manager is closed while a cursor moves to a new window: it works, or says so, and nothing stays mapped."""

    @override
    def begin(self) -> None:
        self.cursor()

    def first(self) -> None:
        with suppress(ManagerClosedError):
            self.cursors[0].use_region(GRANULE, SIZE)

    def second(self) -> None:
        self.manager.close()

    @override
    def check(self) -> None:
        assert not self.manager._core.tables.holds, "mapped after the manager was closed"


class CloseAgainstUse(CloseAgainstMove):
    """The same while a cursor shows where it stands and reads elsewhere."""

    @override
    def begin(self) -> None:
        self.cursor(0)
        self.idle(2)

    @override
    def first(self) -> None:
        with suppress(ManagerClosedError, CursorInvalidError):
            assert self.cursors[0].buffer() == expected(0)
            self.read(self.cursors[0], 2)


class ShrinkAgainstMove(Scene):
    """``configure`` shrinks to one handle while a cursor moves: the limit holds, or is refused and changes nothing."""

    handles = 3

    @override
    def begin(self) -> None:
        self.cursor(0)
        self.idle(1, 2)
        self.outcomes: list[str] = []

    def first(self) -> None:
        try:
            self.move(self.cursors[0], 3)
        except HandleLimitError:
            self.outcomes.append("the move was refused")

    def second(self) -> None:
        try:
            self.manager.configure(max_open_handles=1)
        except HandleLimitError:
            self.outcomes.append("the limit was refused")

    @override
    def check(self) -> None:
        refused = "the limit was refused" in self.outcomes
        assert self.manager.max_file_handles() == (3 if refused else 1)
        assert self.manager.num_file_handles() <= self.manager.max_file_handles()


class OneCursorForTwo(Scene):
    """Two threads move one cursor: afterwards it stands on one of the two places, with one pin."""

    @override
    def begin(self) -> None:
        self.cursor(0)
        self.idle(1, 2)

    def first(self) -> None:
        self.cursors[0].use_region(GRANULE, SIZE)

    def second(self) -> None:
        self.cursors[0].use_region(2 * GRANULE + 5, SIZE - 5)

    @override
    def check(self) -> None:
        cursor = self.cursors[0]
        begin, end = cursor.ofs_begin(), cursor.ofs_end()
        assert (begin, end) in {(GRANULE, GRANULE + SIZE), (2 * GRANULE + 5, 2 * GRANULE + SIZE)}
        assert bytes(cursor.buffer()) == CONTENT[begin:end]
        region = cursor.region()
        assert region is not None
        assert region.client_count() == 2


class OneCursorToOneWindow(Scene):
    """Two threads move one cursor to the same window, and a third one collects: the loser takes no pin away."""

    @override
    def begin(self) -> None:
        self.cursor(0)
        self.idle(1)

    def first(self) -> None:
        self.cursors[0].use_region(GRANULE, SIZE)

    def second(self) -> None:
        self.cursors[0].use_region(GRANULE, SIZE)

    def third(self) -> None:
        self.manager.collect()

    @override
    def check(self) -> None:
        region = self.cursors[0].region()
        assert region is not None
        assert region.client_count() == 2
        assert bytes(self.cursors[0].buffer()) == expected(1)


class ReadAgainstMove(Scene):
    """One thread shows where the cursor stands while another moves it: a view is of one place."""

    @override
    def begin(self) -> None:
        self.cursor(0)
        self.idle(1)

    def first(self) -> None:
        self.cursors[0].use_region(GRANULE + 8, 8)

    def second(self) -> None:
        shown = bytes(self.cursors[0].buffer())
        assert shown in {expected(0), CONTENT[GRANULE + 8 : GRANULE + 16]}, shown.hex()


class OneBufferForTwo(Scene):
    """Two threads slice one buffer in different windows, and one of the slices crosses an edge."""

    handles = 4

    @override
    def begin(self) -> None:
        self.buffer = SlidingWindowMapBuffer(self.cursor(), 3)

    def first(self) -> None:
        assert self.buffer[GRANULE : GRANULE + SIZE] == CONTENT[GRANULE + 3 :][:SIZE]

    def second(self) -> None:
        low = 3 * GRANULE - 10
        assert self.buffer[low : low + SIZE] == CONTENT[low + 3 :][:SIZE]

    @override
    def check(self) -> None:
        self.buffer.end_access()


class BufferBoundAgain(Scene):
    """A buffer is bound to another range while it is read: the bytes are of one range."""

    @override
    def begin(self) -> None:
        self.buffer = SlidingWindowMapBuffer(self.cursor(), 0)

    def first(self) -> None:
        assert self.buffer.begin_access(offset=2 * GRANULE, size=SIZE)

    def second(self) -> None:
        assert self.buffer[: 2 * SIZE] in {CONTENT[: 2 * SIZE], expected(2)}

    @override
    def check(self) -> None:
        assert bytes(self.buffer) == expected(2)
        self.buffer.end_access()


class ReplacedFile(Scene):
    """A file is replaced between two cursors: the old one never shows the new one's bytes."""

    REPLACED: ClassVar[bytes] = pattern(len(CONTENT), 1)

    @override
    def begin(self) -> None:
        # The scene before has replaced it.
        self.put(CONTENT)
        self.cursor(0)

    def put(self, content: bytes) -> None:
        fresh = self.folder / "fresh"
        fresh.write_bytes(content)
        os.replace(fresh, self.path)

    def first(self) -> None:
        try:
            self.move(self.cursors[0], 1)
        except FileChangedError:
            assert bytes(self.cursors[0].buffer()) == expected(0)

    def second(self) -> None:
        self.put(self.REPLACED)
        cursor = self.manager.make_cursor(self.path).use_region(GRANULE, SIZE)
        assert bytes(cursor.buffer()) == self.REPLACED[GRANULE:][:SIZE]


class FailingMapWithWaiter(Scene):
    """A mapping fails once while another thread needs that window, too: one gets the error, and stays where it was."""

    @override
    def begin(self) -> None:
        self.cursor(0)
        self.cursor(0)
        self.failed: list[WindowCursor] = []

    @override
    def note_map(self, mapping: WatchedMap, offset: int) -> None:
        if len(self.maps) == 1:
            self.maps.append(mapping)
            mapping.close()
            raise PermissionError("this once")
        super().note_map(mapping, offset)

    def first(self) -> None:
        self.move_or_fail(self.cursors[0])

    def second(self) -> None:
        self.move_or_fail(self.cursors[1])

    def move_or_fail(self, cursor: WindowCursor) -> None:
        try:
            self.move(cursor, 1)
        except PermissionError:
            self.failed.append(cursor)
            assert bytes(cursor.buffer()) == expected(0)

    @override
    def check(self) -> None:
        assert len(self.failed) == 1
        assert self.manager.stats().map_failures == 1


class FailingMapAtTheLimit(TwoCursors):
    """Two threads need the last handle and the mapping of one fails: the other gets it, without a false error."""

    handles = 1

    @override
    def note_map(self, mapping: WatchedMap, offset: int) -> None:
        super().note_map(mapping, offset)
        if offset == 2 * GRANULE:
            mapping.close()
            raise PermissionError("always")

    def first(self) -> None:
        self.move(self.cursors[0], 1)

    def second(self) -> None:
        with suppress(PermissionError, HandleLimitError):
            self.move(self.cursors[1], 2)

    @override
    def check(self) -> None:
        assert not self.cursors[1].is_valid()


class MapAgainstCollectAtTheLimit(Scene):
    """A thread needs the last handle while another is just unmapping it: it waits, and gets it."""

    handles = 1

    @override
    def begin(self) -> None:
        self.cursor()
        self.idle(5)

    def first(self) -> None:
        self.move(self.cursors[0], 1)

    def second(self) -> None:
        self.manager.collect()


class FirstUseOfOneCursor(ReplacedFile):
    """Two threads use one new cursor for the first time while the file is replaced: it sees one of the two files."""

    @override
    def begin(self) -> None:
        self.put(CONTENT)
        self.fresh = self.manager.make_cursor(self.path)
        self.seen: list[bytes] = []

    @override
    def first(self) -> None:
        self.look(1)

    @override
    def second(self) -> None:
        self.put(self.REPLACED)
        self.look(2)

    def look(self, granule: int) -> None:
        with suppress(FileChangedError):
            shown = self.fresh.read(granule * GRANULE, SIZE)
            files = [file for file in (CONTENT, self.REPLACED) if file[granule * GRANULE :][:SIZE] == shown]
            assert len(files) == 1, shown.hex()
            self.seen.extend(files)

    @override
    def check(self) -> None:
        assert len(set(self.seen)) <= 1, "one cursor has shown two files"


class FirstLooks(Scene):
    """Three threads have seen another file each: the cursor keeps one of them, for all."""

    @override
    def begin(self) -> None:
        self.core = self.manager._core
        self.position = self.manager.make_cursor(self.path)._position
        self.file = self.core.identify(self.position)
        self.kept: list[Identity] = []

    def look(self, size: int) -> None:
        self.kept.append(self.position._keep(self.file._replace(size=size)))

    def first(self) -> None:
        self.look(1)

    def second(self) -> None:
        self.look(2)

    def third(self) -> None:
        self.look(3)

    @override
    def check(self) -> None:
        assert {*self.kept, self.position.identity()} == {self.kept[0]}
        assert not self.core.sightings


class ForkInTheMiddle(Scene):
    """A process forks while another thread maps and evicts: what the child inherits is whole."""

    handles = 1

    @override
    def begin(self) -> None:
        self.cursor()
        self.idle(5)

    def first(self) -> None:
        self.move(self.cursors[0], 1)

    def second(self) -> None:
        _fork._before()
        try:
            # What a child would see of the tables, whose lock this thread holds for it.
            tables, ledger = self.manager._core.tables, self.manager._core.ledger
            reserved = sum(flight.reserved >= 0 for flight in tables.flights.values())
            inherited = (tables.torn, ledger.total_handles, ledger.handles())
            assert inherited == (False, len(tables.holds) + reserved, len(tables.holds)), inherited
        finally:
            _fork._after()


class CountersAreReset(Scene):
    """The counters are cleared while a cursor moves and releases wait: no acquisition is counted twice."""

    @override
    def begin(self) -> None:
        self.cursor(0)
        self.idle(5, 6, 7)

    def first(self) -> None:
        self.move(self.cursors[0], 1)

    def second(self) -> None:
        self.manager.reset_stats()

    @override
    def check(self) -> None:
        statistics = self.manager.stats()
        assert statistics.maps == statistics.handles == 5
        assert 0 <= statistics.misses <= statistics.acquisitions <= 1, statistics


SCENARIOS: Final = (
    OneNewWindow,
    OneNewWindowForThree,
    TwoNewWindows,
    LastHandle,
    LastHandleIsIdle,
    OneIsAlwaysFree,
    PinAgainstBury,
    TwoPinsAgainstBury,
    MoveAgainstEviction,
    MoveAgainstCollect,
    DropAgainstCollect,
    TwoCollections,
    ViewAgainstEviction,
    CloseAgainstMove,
    CloseAgainstUse,
    ShrinkAgainstMove,
    OneCursorForTwo,
    OneCursorToOneWindow,
    ReadAgainstMove,
    OneBufferForTwo,
    BufferBoundAgain,
    ReplacedFile,
    FirstUseOfOneCursor,
    FirstLooks,
    FailingMapWithWaiter,
    FailingMapAtTheLimit,
    MapAgainstCollectAtTheLimit,
    ForkInTheMiddle,
    CountersAreReset,
)
