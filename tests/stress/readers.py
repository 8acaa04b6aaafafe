"""Readers: threads that move cursors and read, on their own and on what all of them share."""

import copy
from collections import deque
from collections.abc import Callable
from random import Random
from typing import ClassVar, Final, final

from typing_extensions import override

from smmap_typed import CursorInvalidError, SlidingWindowMapBuffer, WindowCursor
from stress.files import LARGEST, Reading, StressFile
from stress.fixture import WINDOW, Fixture, Worker

__all__ = ["BufferReader", "Owner", "Sharer", "Taker"]


@final
class Taker(Worker):
    """Reads through cursors that stand nowhere, so that it pins one region at a time."""

    def __init__(self, fixture: Fixture, number: int, random: Random) -> None:
        super().__init__(fixture, number, random)
        self._readings: Final[dict[StressFile, Reading]] = {}

    @override
    def step(self) -> None:
        file = self.fixture.files.any(self.random)
        reading = self._readings.get(file)
        if reading is None or self.random.random() < 0.1:
            reading = self._readings[file] = Reading(self.fixture.manager, file)
        offset, size = self.place()
        size *= self.random.choice((1, 1, 1, 6))
        data = self.call(file, lambda: reading.cursor.read(offset, size))
        if data is None:
            del self._readings[file]
        else:
            reading.check(data, offset, size)


@final
class Owner(Worker):
    """Moves two cursors of its own, copies them and keeps views of them: nobody may disturb those."""

    keeps: ClassVar[int] = 6

    def __init__(self, fixture: Fixture, number: int, random: Random) -> None:
        super().__init__(fixture, number, random)
        self._readings: Final[list[Reading]] = []
        self._places: Final[list[tuple[int, bytes] | None]] = []
        """Where each of them stands, and on which bytes."""
        self._views: Final[deque[tuple[memoryview, bytes]]] = deque()

    @override
    def step(self) -> None:
        while len(self._readings) < 2:
            self.account.take()
            self._readings.append(Reading(self.fixture.manager, self.fixture.files.any(self.random)))
            self._places.append(None)
        which = self.random.randrange(2)
        self._stands(which)
        acts = (self._move, self._move, self._move, self._take_view, self._look, self._duplicate, self._let_go)
        self.random.choice(acts)(which)

    @override
    def release(self) -> None:
        while self._views:
            self._drop_view()
        self._readings.clear()
        self._places.clear()

    def _stands(self, which: int) -> None:
        """The cursor is where this thread has put it."""
        cursor, place = self._readings[which].cursor, self._places[which]
        assert cursor.is_valid() == (place is not None)
        if place is not None:
            offset, data = place
            assert (cursor.ofs_begin(), cursor.ofs_end()) == (offset, offset + len(data))
            assert cursor.buffer() == data
            region = cursor.region()
            assert region is not None
            assert region.client_count() >= 2

    def _move(self, which: int) -> None:
        reading, place = self._readings[which], self._places[which]
        offset, size = self.place()
        if place is not None and self.random.random() < 0.4:
            offset = place[0] + size
        if self.random.random() < 0.1:
            size = 0
        moved = self.call(reading.file, lambda: reading.cursor.use_region(offset, size), own=place is not None)
        if moved is None:
            self._after_failure(which)
        elif offset < reading.cursor.file_size():
            data = bytes(reading.cursor.buffer())
            if size:
                reading.check(data, offset, size)
            else:
                assert len(data) >= min(WINDOW // 2, reading.cursor.file_size() - offset)
                reading.recognise(data, offset)
            self._places[which] = (offset, data)
        else:
            self._places[which] = None

    def _after_failure(self, which: int) -> None:
        """Where a limit can be met the cursor may have given its window up; otherwise it is where it was."""
        reading = self._readings[which]
        if self.fixture.scenario.share_of_handles < 1 and not reading.cursor.is_valid():
            self._places[which] = None
        self._stands(which)
        if reading.file.turns_into_another:
            self._places[which] = None
            self._readings[which] = Reading(self.fixture.manager, self.fixture.files.any(self.random))

    def _take_view(self, which: int) -> None:
        if len(self._views) == 2:
            self._drop_view()
        place = self._places[which]
        if place is not None:
            self.account.take()
            self._views.append((self._readings[which].cursor.buffer(), place[1]))

    def _drop_view(self) -> None:
        """Whatever happened since, it still shows what it showed."""
        view, data = self._views.popleft()
        assert view == data
        view.release()
        self.account.give()

    def _look(self, which: int) -> None:
        """Elsewhere, without moving."""
        reading = self._readings[which]
        offset, size = self.place()
        size *= self.random.choice((1, 6))
        data = self.call(reading.file, lambda: bytes(reading.cursor.view(offset, size)))
        if data is not None:
            reading.check(data, offset, size)

    def _duplicate(self, which: int) -> None:
        reading, place = self._readings[which], self._places[which]
        self.account.take(2)
        twin = copy.copy(reading.cursor)
        other = WindowCursor()
        other.assign(twin)
        reading.cursor.close()
        if place is not None:
            assert other.buffer() == place[1]
            region = twin.region()
            assert region is not None
            assert region.client_count() >= 3
        reading.cursor.assign(other)
        twin.close()
        other.close()
        self.account.give(2)

    def _let_go(self, which: int) -> None:
        self._readings[which].cursor.unuse_region()
        self._places[which] = None


def _size_at(offset: int) -> int:
    """How many bytes whoever moves a shared cursor to ``offset`` asks for, so that a mixture of two places is seen."""
    # A prime, so that the same place in another window has another size; at most half a window.
    return min(8 * (1 + offset // 8 * 37 % 509), LARGEST - offset)


@final
class Sharer(Worker):
    """Moves cursors that others move, too: what it sees is always one place that somebody asked for."""

    keeps: ClassVar[int] = 1
    # The copy to be assigned, its original, what was assigned over, and a window that is left just now.
    passes: ClassVar[int] = 4
    shares: ClassVar[bool] = True

    def __init__(self, fixture: Fixture, number: int, random: Random) -> None:
        super().__init__(fixture, number, random)
        self._view: tuple[memoryview, bytes] | None = None

    @override
    def step(self) -> None:
        cursor = self.random.choice(self.fixture.cursors)
        acts = (self._look, self._chain, self._chain, self._glance, self._glance, self._ask, self._assign, self._keep)
        try:
            self.random.choice(acts)(cursor)
        except CursorInvalidError:
            # Another thread has released it, or met a limit with it.
            self.count("cursors found released")

    @override
    def release(self) -> None:
        if self._view is not None:
            view, data = self._view
            assert view == data
            view.release()
            self._view = None
            self.account.give()

    def _look(self, cursor: WindowCursor) -> None:
        offset, size = self.place()
        data = self.call(None, lambda: bytes(cursor.view(offset, size)), pins=2)
        if data is not None:
            assert len(data) == min(size, LARGEST - offset)
            assert self.fixture.files.has(data, offset)

    def _chain(self, cursor: WindowCursor) -> None:
        """Two steps: another thread may come in between, so it may be another's place, and is a whole one."""
        offsets = [self.place()[0] for _ in range(20)]
        self._check_whole(lambda: [bytes(cursor.use_region(offset, _size_at(offset)).buffer()) for offset in offsets])

    def _glance(self, cursor: WindowCursor) -> None:
        """At wherever others have moved it."""
        self._check_whole(lambda: [bytes(cursor.buffer()) for _ in range(20)])

    def _check_whole(self, act: Callable[[], list[bytes]]) -> None:
        for data in self.call(None, act, pins=2) or ():
            found = self.fixture.files.locate(data)
            assert len(data) == _size_at(found), f"{len(data)} bytes at {found}, nobody asked for so many"

    def _ask(self, cursor: WindowCursor) -> None:
        assert 0 <= cursor.size() <= WINDOW // 2
        region = cursor.region()
        assert region is None or region.ofs_end() <= LARGEST
        if self.random.random() < 0.1:
            cursor.unuse_region()

    def _assign(self, cursor: WindowCursor) -> None:
        mine = self.fixture.manager.make_cursor(self.random.choice(self.fixture.files.steady).path)
        offset, _ = self.place()

        def place_and_assign() -> None:
            cursor.assign(mine.use_region(offset, _size_at(offset)))
            mine.close()

        self.call(None, place_and_assign)

    def _keep(self, cursor: WindowCursor) -> None:
        self.release()
        offset, size = self.place()
        self.account.take()
        view = self.call(None, lambda: cursor.view(offset, size), pins=2)
        if view is None:
            self.account.give()
        else:
            assert self.fixture.files.has(bytes(view), offset)
            self._view = (view, bytes(view))


@final
class BufferReader(Worker):
    """Reads buffers that others read at the same time: they are like the bytes of their files."""

    # What a buffer stood on when another thread moved or bound it, and the window that is read.
    passes: ClassVar[int] = 2
    shares: ClassVar[bool] = True

    @override
    def step(self) -> None:
        which = self.random.randrange(len(self.fixture.buffers))
        buffer, content = self.fixture.buffers[which], self.fixture.files.steady[which].contents[0]
        acts = (self._index, self._slice, self._slice, self._slice_with_step, self._fill, self._search, self._rebound)
        self.random.choice(acts)(buffer, content)

    def _index(self, buffer: SlidingWindowMapBuffer, content: bytes) -> None:
        index = self.random.randrange(-LARGEST, LARGEST)
        assert self.call(None, lambda: buffer[index]) in {None, content[index]}

    def _slice(self, buffer: SlidingWindowMapBuffer, content: bytes) -> None:
        low = self.random.randrange(LARGEST)
        high = low + self.random.choice((10, 100, WINDOW // 2, 3 * WINDOW))
        assert self.call(None, lambda: buffer[low:high]) in {None, content[low:high]}

    def _slice_with_step(self, buffer: SlidingWindowMapBuffer, content: bytes) -> None:
        low = self.random.randrange(LARGEST)
        high, step = low + self.random.randrange(WINDOW), self.random.choice((2, 7, 100))
        assert self.call(None, lambda: buffer[low:high:step]) in {None, content[low:high:step]}

    def _fill(self, buffer: SlidingWindowMapBuffer, content: bytes) -> None:
        low = self.random.randrange(LARGEST)
        room = bytearray(self.random.choice((10, 3 * WINDOW)))
        done = self.call(None, lambda: buffer.readinto(room, low))
        if done is not None:
            assert room[:done] == content[low : low + len(room)]

    def _search(self, buffer: SlidingWindowMapBuffer, content: bytes) -> None:
        low = self.random.randrange(LARGEST - 16)
        needle = content[low : low + 16]
        assert self.call(None, lambda: buffer.find(needle, max(low - WINDOW, 0))) in {None, low}

    def _rebound(self, _: SlidingWindowMapBuffer, __: bytes) -> None:
        """One that another thread binds meanwhile: the slice is of one binding, of which some have fewer bytes."""
        low, size = self.place()
        data = self.call(None, lambda: self.fixture.rebound[low : low + size])
        if data:
            found = self.fixture.files.locate(data)
            assert found >= low
            assert len(data) == min(size, LARGEST - found)
