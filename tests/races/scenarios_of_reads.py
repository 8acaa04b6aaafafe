"""The scenarios of reads that wait in no page fault: descriptors that others close, and what is known to be in memory.

They differ from those in ``scenarios`` in what threads meet at: not the windows, but the descriptor by which a read
goes, and the marks of the pages that were read.
"""

import mmap
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Final, cast

from typing_extensions import override

from races.descriptors import HeldLock
from races.fixture import CONTENT, SIZE, Fixture
from smmap_typed import HandleLimitError, ManagerClosedError, SlidingWindowMapBuffer, WindowCursor
from smmap_typed._pool.resident import Resident
from support import pattern

__all__ = ["SCENARIOS_OF_READS"]


class TwoFiles(Fixture):
    """There is a second file."""

    BYTES: ClassVar[bytes] = CONTENT

    def other_file(self) -> Path:
        """Return its path."""
        path = self.folder / "other"
        if not path.exists():
            path.write_bytes(self.BYTES)
        return path

    def cursor_on_the_other(self) -> WindowCursor:
        """Return a cursor that knows the other file."""
        cursor = self.manager.make_cursor(self.other_file())
        cursor.file_size()
        self.cursors.append(cursor)
        return cursor


# Check-out of a descriptor against its close.


class ReadAgainstCollect(Fixture):
    """One window is read by its marks and another by the descriptor, while a collection closes all three."""

    @override
    def begin(self) -> None:
        self.cursor()
        self.idle(1, 2)
        # Now its bytes are known to be in memory.
        self.read(self.cursors[0], 1)

    def first(self) -> None:
        self.read(self.cursors[0], 1)
        self.read(self.cursors[0], 2)

    def second(self) -> None:
        self.manager.collect()


class ReadAgainstRemoval(TwoFiles):
    """The file is removed by force while it is read, and another file gets the lowest number that is free."""

    BYTES = pattern(len(CONTENT), 1)
    handles = 1

    @override
    def begin(self) -> None:
        self.opened: list[int] = []
        self.other_file()
        self.cursor()
        assert self.manager.stats().kept_descriptors == 1

    def first(self) -> None:
        self.read(self.cursors[0], 1)

    def second(self) -> None:
        self.manager._force_removal(str(self.path))
        self.opened.append(os.open(self.other_file(), os.O_RDONLY))

    @override
    def check(self) -> None:
        os.close(self.opened.pop())


class ReadAgainstTheLimit(TwoFiles):
    """The only handle is that of the descriptor of a read, and a window of another file needs it."""

    handles = 1

    @override
    def begin(self) -> None:
        self.cursor_on_the_other()
        self.cursor()
        assert self.manager.stats().kept_descriptors == 1

    def first(self) -> None:
        self.read(self.cursors[1], 1)

    def second(self) -> None:
        # The read may have mapped its window first, and be on it just now.
        with suppress(HandleLimitError):
            self.move(self.cursors[0], 1)
        statistics = self.manager.stats()
        assert statistics.handles + statistics.kept_descriptors <= self.handles, statistics


class ReadAgainstLowerLimit(Fixture):
    """``configure`` takes away the handle of the descriptor of a read."""

    handles = 2

    @override
    def begin(self) -> None:
        self.cursor(0)
        assert self.manager.stats().kept_descriptors == 1

    def first(self) -> None:
        self.read(self.cursors[0], 0)

    def second(self) -> None:
        self.manager.configure(max_open_handles=1)

    @override
    def check(self) -> None:
        assert self.manager.stats().kept_descriptors == 0


class TwoRemovals(TwoFiles):
    """Two threads stop keeping a descriptor each: neither is closed under the lock."""

    @override
    def begin(self) -> None:
        self.cursor()
        self.cursor_on_the_other()
        self.descriptors.lock = HeldLock()
        # It has all of a lock that the monitor uses.
        self.manager._pool.monitor.guard_by(cast("threading.Lock", self.descriptors.lock))

    def first(self) -> None:
        self.manager._force_removal(str(self.path))

    def second(self) -> None:
        self.manager._force_removal(str(self.other_file()))

    @override
    def check(self) -> None:
        assert self.manager.stats().kept_descriptors == 0


class OneDescriptorCollectedTwice(Fixture):
    """Two threads collect where there is nothing but a kept descriptor: its place is given back once."""

    @override
    def begin(self) -> None:
        self.cursor()

    def first(self) -> None:
        self.manager.collect()

    def second(self) -> None:
        self.manager.collect()

    @override
    def check(self) -> None:
        assert self.manager.stats().kept_descriptors == 0


class TwoFirstReads(Fixture):
    """Two threads read a file of which no descriptor is kept: each opens it, one of them is kept, and both count."""

    handles = 1

    @override
    def begin(self) -> None:
        self.cursor()
        self.cursor()
        self.manager.collect()
        assert self.manager.stats().kept_descriptors == 0

    def first(self) -> None:
        self.read(self.cursors[0], 0)

    def second(self) -> None:
        self.read(self.cursors[1], 1)

    @override
    def check(self) -> None:
        statistics = self.manager.stats()
        assert (statistics.kept_descriptors, statistics.handles) == (1, 0), statistics
        assert (statistics.detached_reads, statistics.detached_bytes) == (2, 2 * SIZE), statistics


class FirstReadAgainstClose(Fixture):
    """The manager is closed while a read opens the file: nothing is kept."""

    handles = 1

    @override
    def begin(self) -> None:
        self.cursor()
        self.manager.collect()

    def first(self) -> None:
        with suppress(ManagerClosedError):
            self.read(self.cursors[0], 0)

    def second(self) -> None:
        self.manager.close()

    @override
    def check(self) -> None:
        assert self.manager.stats().kept_descriptors == 0


# Reads among reads.


class TwoReadsForOneHandle(Fixture):
    """Two threads read in two windows, and a handle is free for one: it is mapped, and nothing makes way for more."""

    handles = 2

    @override
    def begin(self) -> None:
        self.cursor()
        self.cursor()
        assert self.manager.stats().kept_descriptors == 1

    def first(self) -> None:
        self.read(self.cursors[0], 0)

    def second(self) -> None:
        self.read(self.cursors[1], 1)

    @override
    def check(self) -> None:
        statistics = self.manager.stats()
        assert (statistics.handles, statistics.kept_descriptors, statistics.unmaps) == (1, 1, 0), statistics


class TwoReadsOfOneWindow(Fixture):
    """Two threads read in one window: one of them maps it, and neither waits for the other."""

    @override
    def begin(self) -> None:
        self.cursor()
        self.cursor()

    def first(self) -> None:
        self.read(self.cursors[0], 1)

    def second(self) -> None:
        self.read(self.cursors[1], 1)

    @override
    def check(self) -> None:
        statistics = self.manager.stats()
        # Who has waited for the window counts a miss, too.
        assert (statistics.maps, statistics.misses) == (1, 1), statistics


class ReadsAreCounted(Fixture):
    """A thread asks for the figures while others read: each read is counted once."""

    handles = 1

    @override
    def begin(self) -> None:
        self.cursor()
        self.cursor()
        # One that waits to be counted, so that there is something to count.
        self.read(self.cursors[0], 2)

    def first(self) -> None:
        self.read(self.cursors[0], 0)

    def second(self) -> None:
        assert self.manager.stats().detached_reads in {1, 2}

    @override
    def check(self) -> None:
        statistics = self.manager.stats()
        assert (statistics.detached_reads, statistics.detached_bytes) == (2, 2 * SIZE), statistics


# What is known to be in memory, against those who take the window away or forget.


class MarkAgainstClose(Fixture):
    """A read notes that its bytes are in memory while the manager is closed: later nothing is read from the window."""

    @override
    def begin(self) -> None:
        self.buffer = SlidingWindowMapBuffer(self.cursor(), 0)
        assert self.buffer[0] == CONTENT[0]
        self.manager._pool.forget_resident()

    def first(self) -> None:
        with suppress(ManagerClosedError):
            assert self.buffer[0] == CONTENT[0]

    def second(self) -> None:
        self.manager.close()

    @override
    def check(self) -> None:
        with suppress(ManagerClosedError):
            raise AssertionError(f"read {self.buffer[0]} after the manager was closed")
        self.buffer.end_access()


class ReadAgainstForgetting(Fixture):
    """One thread forgets several times what is in memory, while another reads such bytes, and maps a window."""

    times: ClassVar[int] = 4

    @override
    def begin(self) -> None:
        self.cursor()
        self.idle(0, 1, 3, 4)
        self.read(self.cursors[0], 1)

    def first(self) -> None:
        self.read(self.cursors[0], 1)
        self.read(self.cursors[0], 2)

    def second(self) -> None:
        for _ in range(self.times):
            self.manager._pool.forget_resident()

    @override
    def check(self) -> None:
        assert self.manager.stats().marks_forgotten == self.times


class Marks(Fixture):
    """The marks alone: nothing is known to be in memory that no thread has read."""

    @override
    def begin(self) -> None:
        self.resident = Resident(0, 8 * mmap.PAGESIZE, whole=False)
        self.was_read: set[int] = set()

    def mark(self, page: int) -> None:
        """Read a page."""
        self.was_read.add(page)
        self.resident.mark(page * mmap.PAGESIZE, (page + 1) * mmap.PAGESIZE)

    def look(self, page: int) -> bool:
        """Whether a page is known to be in memory."""
        is_known = self.resident.holds(page * mmap.PAGESIZE, (page + 1) * mmap.PAGESIZE)
        assert not is_known or page in self.was_read, f"nobody has read page {page}"
        return is_known

    @override
    def check(self) -> None:
        for page in range(8):
            self.look(page)


class GrowthAgainstForgetting(Marks):
    """A reader goes forward while another thread forgets, and reads elsewhere."""

    @override
    def begin(self) -> None:
        super().begin()
        self.mark(5)

    def first(self) -> None:
        self.mark(6)

    def second(self) -> None:
        self.resident.forget()
        self.mark(0)


class HitAgainstForgetting(Marks):
    """A read looks for its page, which is in the marks, while another thread forgets them."""

    @override
    def begin(self) -> None:
        super().begin()
        self.mark(5)
        self.mark(1)

    def first(self) -> None:
        self.look(1)

    def second(self) -> None:
        self.resident.forget()

    @override
    def check(self) -> None:
        assert not self.look(5)


class HitsThatMoveTheRun(HitAgainstForgetting):
    """Reads go on at a marked page, so that the run moves there, while others look between the two places."""

    @override
    def begin(self) -> None:
        super().begin()
        for _ in range(7):
            assert self.look(1)

    @override
    def second(self) -> None:
        self.look(3)

    @override
    def check(self) -> None:
        assert self.look(1)
        assert self.look(5)


SCENARIOS_OF_READS: Final[tuple[type[Fixture], ...]] = (
    ReadAgainstCollect,
    ReadAgainstRemoval,
    ReadAgainstTheLimit,
    ReadAgainstLowerLimit,
    TwoRemovals,
    OneDescriptorCollectedTwice,
    TwoFirstReads,
    FirstReadAgainstClose,
    TwoReadsForOneHandle,
    TwoReadsOfOneWindow,
    ReadsAreCounted,
    MarkAgainstClose,
    ReadAgainstForgetting,
    GrowthAgainstForgetting,
    HitAgainstForgetting,
    HitsThatMoveTheRun,
)
