"""The scenarios: two or three threads each, on one small fixture, that meet where an interleaving could go wrong."""

import os
from contextlib import suppress
from typing import ClassVar, Final, Literal

from typing_extensions import override

from races.fixture import CONTENT, SIZE, Fixture, WatchedMap, expected
from smmap_typed import (
    CursorInvalidError,
    FileChangedError,
    HandleLimitError,
    ManagerClosedError,
    SlidingWindowMapBuffer,
    WindowCursor,
)
from smmap_typed._pool import fork
from smmap_typed._pool.file import File
from smmap_typed._pool.inflight import Load, Unload
from smmap_typed._pool.monitor import Entry
from smmap_typed.readers import Reader
from support import GRANULE, CutsOneWindow, pattern

__all__ = ["SCENARIOS"]


class TwoCursors(Fixture):
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


class OneIsAlwaysFree(Fixture):
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


class OneIsAlwaysFreeOfViews(Fixture):
    """A view of one of two windows goes before a cursor takes the other: at every instant there is one to evict."""

    handles = 2
    questions: ClassVar[int] = 40
    """Asked before the view goes, so that it goes while the other thread evicts, not always before."""

    @override
    def begin(self) -> None:
        self.views = [self.cursor(0).view(0, SIZE)]
        self.cursors[0].unuse_region()
        self.idle(1)
        self.cursor()

    def first(self) -> None:
        self.move(self.cursors[1], 2)

    def second(self) -> None:
        for _ in range(self.questions):
            self.cursors[0].is_valid()
        self.views.pop().release()
        with suppress(HandleLimitError):
            self.cursors[0].use_region(GRANULE, SIZE)


class PinAgainstUnload(Fixture):
    """The protocol of pins alone: a region is never both pinned and unloaded, and somebody may have given way."""

    @override
    def begin(self) -> None:
        self.idle(1)
        self.pool = self.manager._pool
        (self.frame,) = self.pool.tables.frames.values()
        self.pinned: list[memoryview] = []
        self.begun: list[Unload] = []

    def first(self) -> None:
        view = self.frame.pin(self.pool.note_release)
        if view is not None:
            self.pinned.append(view)

    def second(self) -> None:
        unload = Unload()
        with Entry(self.pool) as entry:
            if entry.locked(self.pool.tables.begin_unload, unload, self.frame):
                self.begun.append(unload)

    @override
    def check(self) -> None:
        assert not (self.pinned and self.begun)
        self.pinned.clear()
        # The map was not closed, so the region stays.
        self.pool.tables.finished.extend(self.begun)


class TwoPinsAgainstUnload(PinAgainstUnload):
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


class MoveAgainstEvictionForMemory(MoveAgainstEviction):
    """The same where memory is scarce and not handles, so that the section that begins a load begins the eviction."""

    handles = 8
    memory = 2 * GRANULE

    @override
    def begin(self) -> None:
        super().begin()
        assert self.manager.stats().kept_descriptors == 1


class MissAgainstCollect(Fixture):
    """A window is mapped by the very descriptor that a collection closes."""

    @override
    def begin(self) -> None:
        self.cursor()
        self.idle(1)

    def first(self) -> None:
        self.move(self.cursors[0], 2)

    def second(self) -> None:
        assert self.manager.collect() == 1


class MoveAgainstCollect(Fixture):
    """A cursor moves to a window that is just being collected."""

    @override
    def begin(self) -> None:
        self.cursor()
        self.idle(1)

    def first(self) -> None:
        self.move(self.cursors[0], 1)

    def second(self) -> None:
        assert self.manager.collect() in {0, 1}


class DropAgainstCollect(Fixture):
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


class TwoCollections(Fixture):
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


class CloseAgainstMove(Fixture):
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
        assert not self.manager._pool.tables.frames, "mapped after the manager was closed"


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


class ShrinkAgainstMove(Fixture):
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


class OneCursorForTwo(Fixture):
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


class OneCursorToOneWindow(Fixture):
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


class ReadAgainstMove(Fixture):
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


class OneBufferForTwo(Fixture):
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


class BufferBoundAgain(Fixture):
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


class ReplacedFile(Fixture):
    """A file is replaced between two cursors: the old one goes on by the descriptor that is kept of the old file."""

    REPLACED: ClassVar[bytes] = pattern(len(CONTENT), 1)

    @override
    def begin(self) -> None:
        # The fixture before has replaced it.
        self.put(CONTENT)
        self.cursor(0)

    def put(self, content: bytes) -> None:
        fresh = self.folder / "fresh"
        fresh.write_bytes(content)
        os.replace(fresh, self.path)

    def first(self) -> None:
        self.move(self.cursors[0], 1)

    def second(self) -> None:
        self.put(self.REPLACED)
        cursor = self.manager.make_cursor(self.path).use_region(GRANULE, SIZE)
        assert bytes(cursor.buffer()) == self.REPLACED[GRANULE:][:SIZE]


class ReplacedFileAtTheLimit(ReplacedFile):
    """The same where the new file's window needs the descriptor's handle: the old cursor never shows its bytes."""

    handles = 3

    @override
    def begin(self) -> None:
        super().begin()
        self.idle(5)
        assert self.manager.stats().kept_descriptors == 1

    @override
    def first(self) -> None:
        try:
            self.move(self.cursors[0], 1)
        except FileChangedError:
            assert bytes(self.cursors[0].buffer()) == expected(0)


class FailingMapWithWaiter(Fixture):
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


class RejectedMapAtTheLimit(TwoCursors):
    """Two threads need the last handle and the map of one is rejected: the other gets it once that map is closed."""

    handles = 1
    reader: ClassVar[Literal["mmap"] | Reader] = CutsOneWindow(2 * GRANULE)

    def first(self) -> None:
        self.move(self.cursors[0], 1)

    def second(self) -> None:
        with suppress(ValueError, HandleLimitError):
            self.move(self.cursors[1], 2)

    @override
    def check(self) -> None:
        assert not self.cursors[1].is_valid()


class RemovalAgainstEviction(TwoCursors):
    """Two threads need the handle of an idle window that is removed by force: one gets it, and no more than one."""

    handles = 1

    @override
    def begin(self) -> None:
        super().begin()
        self.removed = self.folder / "removed"
        self.removed.write_bytes(CONTENT)
        self.manager.make_cursor(self.removed).use_region(0, SIZE).close()
        self.refused: list[WindowCursor] = []

    def first(self) -> None:
        self.move_or_be_refused(self.cursors[0], 1)

    def second(self) -> None:
        assert self.manager._force_removal(str(self.removed)) in {0, 1}

    def third(self) -> None:
        self.move_or_be_refused(self.cursors[1], 2)

    def move_or_be_refused(self, cursor: WindowCursor, granule: int) -> None:
        try:
            self.move(cursor, granule)
        except HandleLimitError:
            self.refused.append(cursor)

    @override
    def check(self) -> None:
        assert len(self.refused) == 1
        assert self.manager.num_file_handles() == 1


class MapAgainstCollectAtTheLimit(Fixture):
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


class FirstLooks(Fixture):
    """Three threads have seen another file each: the cursor keeps one of them, for all."""

    @override
    def begin(self) -> None:
        self.pool = self.manager._pool
        self.state = self.manager.make_cursor(self.path)._state
        self.found = self.pool.find_file(self.state).state
        self.kept: list[File] = []

    def look(self, size: int) -> None:
        self.kept.append(self.state._keep(File(self.found._replace(size=size), self.state.name())))

    def first(self) -> None:
        self.look(1)

    def second(self) -> None:
        self.look(2)

    def third(self) -> None:
        self.look(3)

    @override
    def check(self) -> None:
        assert {*self.kept, self.state.file()} == {self.kept[0]}
        assert not self.pool.first_files


class ForkInTheMiddle(Fixture):
    """A process forks while another thread maps and evicts: what the child inherits is whole."""

    handles = 1

    @override
    def begin(self) -> None:
        self.cursor()
        self.idle(5)

    def first(self) -> None:
        self.move(self.cursors[0], 1)

    def second(self) -> None:
        fork._before()
        try:
            # What a child would see of the tables, whose lock this thread holds for it.
            tables, ledger = self.manager._pool.tables, self.manager._pool.ledger
            loads = [flying for flying in tables.in_flight.values() if isinstance(flying, Load)]
            reserved = sum(load.reserved >= 0 for load in loads)
            inherited = (tables.torn, ledger.total_handles, ledger.handles())
            assert inherited == (False, len(tables.frames) + reserved, len(tables.frames)), inherited
        finally:
            fork._after()


class CountersAreReset(Fixture):
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
    OneIsAlwaysFreeOfViews,
    PinAgainstUnload,
    TwoPinsAgainstUnload,
    MoveAgainstEviction,
    MoveAgainstEvictionForMemory,
    MissAgainstCollect,
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
    ReplacedFileAtTheLimit,
    FirstUseOfOneCursor,
    FirstLooks,
    FailingMapWithWaiter,
    FailingMapAtTheLimit,
    RejectedMapAtTheLimit,
    RemovalAgainstEviction,
    MapAgainstCollectAtTheLimit,
    ForkInTheMiddle,
    CountersAreReset,
)
