"""The world of the faults: one manager, two files, a fixed workload in steps, and the judge of what a failure left.

The judge is the kernel: every descriptor of the process and every byte that is mapped, before and after. Memory that
``reader="pread"`` takes shows in ``/proc/self/maps`` as ``/dev/zero``, so it is judged alike.
"""

import contextlib
import copy
import errno
import mmap
import os
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from types import ModuleType
from typing import Final, Literal, NamedTuple, Self

import pytest

from smmap_typed import HandleLimitError, SlidingWindowMapBuffer, SlidingWindowMapManager, WindowCursor
from smmap_typed.testing import check_invariants
from support import DESCRIPTORS_PER_REGION, GRANULE, write_pattern

__all__ = ["READERS", "SIZE", "Fixture", "ReaderName", "State", "Step", "attempt", "write_files"]

ReaderName = Literal["mmap", "pread"]
READERS: Final[list[ReaderName]] = ["mmap", "pread"]

SIZE: Final = 8 * GRANULE
HANDLES: Final = 4


class State(NamedTuple):
    """What a call that fails leaves as it was."""

    cursors: tuple[tuple[bool, int, int], ...]
    """Where each stands: valid, begin, size."""
    limits: tuple[int, int]
    """Bytes and handles."""
    length: int
    """Of the buffer."""


class Step(NamedTuple):
    """One part of the workload. It may be done again, and checks the bytes that it gets."""

    name: str
    act: Callable[[], None]
    commits_first: bool = False
    """Whether it may fail with all done but an unmapping: what gives regions up does that first, and a move trims
    after it has moved (docs/design.md, Limits)."""


class Kernel(NamedTuple):
    """What the kernel shows of this process."""

    descriptors: Counter[str]
    """How many there are of each thing that is open."""
    mapped: Counter[str]
    """Bytes that are mapped of each file, and of shared memory without a name."""

    @classmethod
    def now(cls) -> Self:
        """What it shows at this instant."""
        descriptors = Counter[str]()
        for number in os.listdir("/proc/self/fd"):
            # The one that lists them is gone by now.
            with contextlib.suppress(FileNotFoundError):
                descriptors[os.readlink(f"/proc/self/fd/{number}")] += 1
        mapped = Counter[str]()
        for line in Path("/proc/self/maps").read_text().splitlines():
            addresses, _, _, _, inode, *name = line.split(maxsplit=5)
            if inode != "0":
                low, high = (int(address, 16) for address in addresses.split("-"))
                mapped[name[0]] += high - low
        return cls(descriptors, mapped)


def write_files(folder: Path) -> None:
    """Make the two files of a world."""
    for seed, name in enumerate(("first", "second")):
        write_pattern(folder / name, SIZE, seed)


class Fixture:
    """A manager with four handles, cursors by path and by descriptor, a buffer, and what is to be done with them."""

    def __init__(self, folder: Path, reader: ReaderName) -> None:
        self.before: Final = Kernel.now()
        self.reader: Final = reader
        self.paths: Final = (folder / "first", folder / "second")
        self.contents: Final = [path.read_bytes() for path in self.paths]
        self.manager: Final = SlidingWindowMapManager(GRANULE, max_open_handles=HANDLES, reader=reader)
        self.descriptor: Final = os.open(self.paths[0], os.O_RDONLY)
        self.by_path: Final = self.manager.make_cursor(self.paths[0])
        self.by_descriptor: Final = self.manager.make_cursor(self.descriptor)
        self.second: Final = self.manager.make_cursor(self.paths[1])
        self.buffer: Final = SlidingWindowMapBuffer()
        self.views: Final[list[memoryview]] = []

    def steps(self) -> list[Step]:
        """What is done, in order: maps, moves, evictions, reads, failures, limits, and the end."""
        return [
            Step("map by path", lambda: self.use(self.by_path, 0, 0)),
            Step("map by descriptor", lambda: self.use(self.by_descriptor, 0, GRANULE)),
            Step("view", self.take_view),
            Step("move", lambda: self.use(self.by_path, 0, 5 * GRANULE)),
            Step("map and evict", lambda: self.use(self.second, 1, GRANULE)),
            Step("release", self.second.unuse_region),
            Step("move and evict", lambda: self.use(self.by_descriptor, 0, 6 * GRANULE)),
            Step("drop the view", self.views.clear),
            Step("read across windows", self.read),
            Step("prefetch", self.prefetch),
            Step("bind a buffer", self.bind),
            Step("slice across windows", self.slice),
            Step("search", self.search),
            Step("copy and assign", self.copy),
            Step("fail to open", self.miss),
            Step("shrink", lambda: self.manager.configure(max_open_handles=HANDLES - 1)),
            Step("reach the limit", self.reach_the_limit),
            Step("grow", lambda: self.manager.configure(max_open_handles=HANDLES)),
            Step("ask", self.ask),
            Step("run short of descriptors", lambda: self.run_short(os, "open", errno.EMFILE)),
            Step("run short of memory", lambda: self.run_short(mmap, "mmap", errno.ENOMEM)),
            Step("collect", self.collect),
            Step("leave handles for descriptors", lambda: self.manager.configure(max_open_handles=2 * HANDLES)),
            Step("tighten memory", lambda: self.manager.configure(max_memory_size=3 * GRANULE)),
            Step("take what is left", lambda: self.use(self.second, 1, 2 * GRANULE)),
            Step("move past the soft limit", lambda: self.use(self.second, 1, 3 * GRANULE), commits_first=True),
            Step("run short with a descriptor kept", self.run_short_with_a_descriptor_kept),
            Step("loosen memory", lambda: self.manager.configure(max_memory_size=0)),
            Step("collect and close descriptors", self.collect),
            Step("need the handles again", lambda: self.manager.configure(max_open_handles=HANDLES)),
            Step("remove by force", self.remove, commits_first=True),
            Step("view again", self.take_view),
            Step("map again", lambda: self.use(self.by_path, 0, 0)),
            Step("close", self.manager.close, commits_first=True),
        ]

    def use(self, cursor: WindowCursor, number: int, offset: int) -> None:
        """Move a cursor."""
        assert bytes(cursor.use_region(offset, 9).buffer()) == self.contents[number][offset : offset + 9]

    def take_view(self) -> None:
        """Keep a view of a window that no cursor is on."""
        self.views[:] = [self.by_descriptor.view(3 * GRANULE, 9)]
        assert bytes(self.views[0]) == self.contents[0][3 * GRANULE : 3 * GRANULE + 9]

    def read(self) -> None:
        """Read across windows."""
        assert self.second.read(5, 3 * GRANULE) == self.contents[1][5 : 3 * GRANULE + 5]

    def prefetch(self) -> None:
        """Ask for pages."""
        self.second.prefetch(5, SIZE)
        self.second.prefetch(5, SIZE, wait=True)

    def bind(self) -> None:
        """Give the buffer its file."""
        assert self.buffer.begin_access(self.second, 7)

    def slice(self) -> None:
        """Slice across windows."""
        assert self.buffer[GRANULE : 4 * GRANULE] == self.contents[1][GRANULE + 7 : 4 * GRANULE + 7]

    def search(self) -> None:
        """Search across windows, and copy what is there."""
        room = bytearray(2 * GRANULE)
        assert self.buffer.readinto(room, GRANULE) == 2 * GRANULE
        assert room == self.contents[1][GRANULE + 7 : 3 * GRANULE + 7]
        needle = self.contents[1][7 * GRANULE - 8 : 7 * GRANULE + 8]
        assert self.buffer.find(needle, 6 * GRANULE) == 7 * GRANULE - 15

    def copy(self) -> None:
        """A cursor that becomes a copy of another one."""
        twin = copy.copy(self.by_descriptor)
        twin.assign(self.by_path)
        assert bytes(twin.buffer()) == self.contents[0][5 * GRANULE : 5 * GRANULE + 9]

    def miss(self) -> None:
        """Use what is not there, by path, and what was closed."""
        with refused(errno.ENOENT):
            self.manager.make_cursor(self.paths[0].with_name("none")).use_region()
        with refused(errno.EBADF):
            self.manager.make_cursor(1 << 20).use_region()

    def reach_the_limit(self) -> None:
        """Pin every handle, and want one more."""
        others = [self.manager.make_cursor(self.paths[1]) for _ in range(HANDLES)]

        def pin_all() -> None:
            for number, cursor in enumerate(others):
                self.use(cursor, 1, number * GRANULE)

        with pytest.raises(HandleLimitError):
            pin_all()

    def ask(self) -> None:
        """Questions."""
        stats = self.manager.stats()
        assert stats.maps - stats.unmaps == stats.handles
        assert (region := self.by_path.region()) is not None
        assert region.client_count() == 2
        assert region.buffer()[9] == self.contents[0][5 * GRANULE + 9]

    def run_short(self, owner: ModuleType, name: str, code: int) -> None:
        """The system refuses once, and something idle goes for it."""
        for granule in (2, 5):
            self.manager.make_cursor(self.paths[1]).use_region(granule * GRANULE).close()
        refusals = [code]
        real: Callable[..., object] = getattr(owner, name)

        def refuse_once(*args: object, **kwargs: object) -> object:
            # Not one error that is kept: its traceback would keep the library's frames, and they their views.
            if refusals:
                raise OSError(refusals.pop(), "too few")
            return real(*args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, refuse_once)
            assert self.manager.make_cursor(self.paths[1]).view(4 * GRANULE, 9) == self.contents[1][4 * GRANULE :][:9]
        assert not refusals

    def run_short_with_a_descriptor_kept(self) -> None:
        """The system refuses once, and the descriptors go for it, no region."""
        assert self.manager.make_cursor(self.paths[1]).read(2 * GRANULE, 9) == self.contents[1][2 * GRANULE :][:9]
        assert self.manager.stats().kept_descriptors
        self.run_short(mmap, "mmap", errno.EMFILE)

    def remove(self) -> None:
        """What Windows needs: every region of one file, pinned or not."""
        self.manager._force_removal(str(self.paths[0]))

    def collect(self) -> None:
        """Unmap what is idle."""
        self.manager.collect()

    def state(self) -> State:
        """What there is to lose."""
        cursors = (self.by_path, self.by_descriptor, self.second)
        return State(
            tuple((cursor.is_valid(), cursor.is_valid() and cursor.ofs_begin(), cursor.size()) for cursor in cursors),
            (self.manager.max_mapped_memory_size(), self.manager.max_file_handles()),
            len(self.buffer),
        )

    def check(self) -> None:
        """The invariants hold, no lock is left taken, and the books are what the kernel shows: nothing has leaked."""
        assert not self.manager._pool.monitor.lock.locked(), "the lock is left taken"
        check_invariants(self.manager)
        stats = self.manager.stats()
        assert stats.in_flight == 0, "a load is left"
        now = Kernel.now()
        names = [str(path) for path in self.paths]
        mine = names if self.reader == "mmap" else ["/dev/zero (deleted)"]
        mapped = now.mapped - self.before.mapped
        assert sum(mapped[name] for name in mine) == self.manager.mapped_memory_size(), "the books of bytes are wrong"
        assert not [name for name in mapped if name in {*names, "/dev/zero (deleted)"} - {*mine}]
        opened = now.descriptors - self.before.descriptors
        expected = 1 + stats.kept_descriptors
        expected += self.manager.num_file_handles() * DESCRIPTORS_PER_REGION if self.reader == "mmap" else 0
        assert opened.total() == expected, "a descriptor has leaked"
        for view in self.views:
            assert bytes(view) == self.contents[0][3 * GRANULE : 3 * GRANULE + 9]

    def end(self) -> None:
        """Let everything go; nothing may be left."""
        for cursor in (self.by_path, self.by_descriptor, self.second):
            cursor.close()
        self.buffer.end_access()
        self.views.clear()
        self.manager.collect()
        self.check()
        assert (self.manager.num_file_handles(), self.manager.mapped_memory_size()) == (0, 0)
        assert self.manager.stats().kept_descriptors == 0
        os.close(self.descriptor)


@contextlib.contextmanager
def refused(code: int) -> Generator[None]:
    """An OSError of that number is due; one of another number is not hidden by an error about it."""
    try:
        yield
    except OSError as error:
        if error.errno != code:
            raise
    else:
        raise AssertionError(f"no {errno.errorcode[code]}")


def _is_explained(caught: BaseException, error: BaseException) -> bool:
    """Whether ``caught`` is as ``error`` was raised, except that the library says what it tried."""
    if isinstance(caught, OSError) and isinstance(error, OSError) and caught.strerror and error.strerror:
        return caught.errno == error.errno and caught.strerror.startswith(error.strerror)
    return caught.args == error.args


def attempt(act: Callable[[], None], error: BaseException) -> bool:
    """Do ``act``; whether it raised what equals ``error``. Any other error is the test's."""
    try:
        act()
    except BaseException as caught:
        if type(caught) is not type(error) or not _is_explained(caught, error):
            raise
        return True
    finally:
        # The frames that it passed hold views.
        error.with_traceback(None)
    return False
