"""Churn: cursors, bindings and whole managers that are made, handed on and dropped all the time."""

import copy
import gc
import weakref
from random import Random
from typing import ClassVar, final

from typing_extensions import override

from smmap_typed import CursorInvalidError, ManagerClosedError, WindowCursor
from stress.files import LARGEST, Reading
from stress.fixture import Fixture, Worker

__all__ = ["Churner", "Passer"]


class _Witness:
    """Dies with its cycle, and can tell, which a list cannot."""


@final
class Churner(Worker):
    """Makes cursors and drops them, in any order, in cycles, and in other threads; binds a shared buffer anew."""

    # A crowd of three, each of which is copied.
    keeps: ClassVar[int] = 6
    passes: ClassVar[int] = 3
    shares: ClassVar[bool] = True

    @override
    def step(self) -> None:
        acts = (self._crowd, self._hand_on, self._hand_on, self._drop_anothers, self._rebind)
        if self.random.random() < 0.01:
            self._leave_a_cycle()
        self.random.choice(acts)()

    def _placed(self) -> Reading | None:
        """A new cursor on any file, if that works, standing somewhere. Its pin is for the caller to announce."""
        reading = Reading(self.fixture.manager, self.fixture.files.any(self.random))
        offset, size = self.place()
        if self.call(reading.file, lambda: reading.cursor.use_region(offset, size), pins=1) is None:
            return None
        if reading.cursor.is_valid():
            reading.check(bytes(reading.cursor.buffer()), offset, size)
        return reading

    def _crowd(self) -> None:
        self.account.take(6)
        readings = [self._placed() for _ in range(3)]
        cursors = [reading.cursor for reading in readings if reading is not None]
        del readings
        cursors += [copy.copy(cursor) for cursor in cursors]
        self.random.shuffle(cursors)
        while cursors:
            assert 0 <= cursors.pop().size() <= LARGEST
        self.account.give(6)

    def _leave_a_cycle(self) -> None:
        """Which the collector breaks, in whatever thread it comes."""
        self.account.take()
        cycle: list[object] = []
        cycle += [cycle, self._placed(), _Witness()]
        witness = weakref.ref(cycle[-1])
        del cycle
        # A collection that is under way in another thread makes this one do nothing.
        while witness() is not None:
            gc.collect()
        self.account.give()

    def _hand_on(self) -> None:
        self.account.take()
        reading = self._placed()
        if reading is not None:
            # The oldest of those that wait is dropped, if they are too many.
            self.fixture.passed_on.append(reading)
        del reading
        self.account.give()

    def _drop_anothers(self) -> None:
        """After a look at it."""
        self.account.take()
        try:
            reading = self.fixture.passed_on.popleft()
        except IndexError:
            pass
        else:
            if reading.cursor.is_valid():
                reading.recognise(bytes(reading.cursor.buffer()), reading.cursor.ofs_begin())
            del reading
        self.account.give()

    def _rebind(self) -> None:
        rebound, cursor = self.fixture.rebound, self._steady_cursor()
        offset, _ = self.place()
        if self.random.random() < 0.2:
            rebound.end_access()
        else:
            assert self.call(None, lambda: rebound.begin_access(cursor, offset)) in {None, True}

    def _steady_cursor(self) -> WindowCursor:
        return self.fixture.manager.make_cursor(self.random.choice(self.fixture.files.steady).path)


@final
class Passer(Worker):
    """Uses a manager that another thread may close or drop at any moment, and keeps a view beyond its end."""

    passes: ClassVar[int] = 0
    shares: ClassVar[bool] = True

    def __init__(self, fixture: Fixture, number: int, random: Random) -> None:
        super().__init__(fixture, number, random)
        self._view: tuple[memoryview, bytes] | None = None
        self._reading: Reading | None = None

    @override
    def step(self) -> None:
        try:
            self._use()
        except (ManagerClosedError, CursorInvalidError):
            self.count("managers found closed")
            self._reading = None
        if self.random.random() < 0.1:
            self._replace()

    @override
    def release(self) -> None:
        self._reading = None
        if self._view is not None:
            view, data = self._view
            assert view == data
            view.release()
            self._view = None

    def _use(self) -> None:
        if self._reading is None or self.random.random() < 0.2:
            self._reading = Reading(self.fixture.passing, self.random.choice(self.fixture.passing_files.steady))
        offset, size = self.place()
        reading = self._reading
        reading.check(reading.cursor.read(offset, size), offset, size)
        view = reading.cursor.use_region(offset, size).buffer()
        reading.check(bytes(view), offset, size)
        self._view = (view, bytes(view))

    def _replace(self) -> None:
        manager = self.fixture.passing
        self.fixture.passing = self.fixture.make_passing_manager()
        if self.random.random() < 0.5:
            manager.close()
            assert manager.collect() == 0
        del manager
        self.release()
