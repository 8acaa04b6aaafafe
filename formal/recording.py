"""Record what real threads do with the real library, as the steps of the model.

One thread runs at a time. Before each step that the model sees, a scheduler that a seed drives chooses the thread that
goes on, so a step and its effect are one, and the same seed gives the same trace. The library is as it is: its sets,
queues, locks, maps and indices are replaced by ones that report.
"""

import errno
import gc
import mmap
import os
import random
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, MemberDescriptorType, SimpleNamespace
from typing import Final, NamedTuple, TypeVar, cast

import pytest
from typing_extensions import override

from smmap_typed import HandleLimitError, ManagerClosedError, SlidingWindowMapManager, WindowCursor
from smmap_typed._builtin_readers import MmapReader
from smmap_typed._handles import reading
from smmap_typed._handles.state import NOWHERE
from smmap_typed._pool import frame as frame_module
from smmap_typed._pool import inflight as inflight_module
from smmap_typed._pool import tables as tables_module
from smmap_typed._pool.descriptor import Descriptor
from smmap_typed._pool.file import File
from smmap_typed._pool.frame import TOMBSTONE, Frame
from smmap_typed._pool.inflight import InFlight
from smmap_typed._pool.pin import Pin
from smmap_typed._pool.replacement import LRU
from smmap_typed._source import FileState, Source

__all__ = ["KINDS", "Program", "Step", "Stuck", "record", "table"]

T = TypeVar("T")

KINDS: Final = (
    *("", "move", "unuse", "view", "unview", "read", "collect", "discard", "close", "return", "look", "memoryview"),
    *("add", "seen", "die", "enter", "leave", "tombstone", "untombstone", "copy", "empty", "open", "map", "unmap"),
    *("post", "descriptor", "pread", "slice"),
)
"""The kinds of steps, by the number that the model gives them."""

_NUMBERS: Final = {kind: number for number, kind in enumerate(KINDS)}
_GRANULE: Final = mmap.ALLOCATIONGRANULARITY
_SIZE: Final = 16
_SECONDS: Final = 60.0


class Step(NamedTuple):
    """One step of a thread: see the kinds in the model."""

    thread: int
    kind: int
    window: int
    result: int


class Stuck(Exception):  # noqa: N818 - it is what a trace ends with, and not a fault of the recorder
    """No thread can go on, or the library has broken in a thread."""


@dataclass(frozen=True)
class Program:
    """What the threads do: bounds of the model, and operations that a seed chooses."""

    windows: int = 2
    limit: int = 1
    movers: int = 2
    operations: int = 4
    collects: int = 1
    closes: bool = True
    discards: bool = False
    reads: bool = False
    failures: int = 0
    """How many system calls fail."""

    def flags(self) -> list[str]:
        """The configuration of the model that has all traces of this program."""
        flags = {
            "NT": self.movers + 1,
            "MOVERS": self.movers,
            "NW": self.windows,
            "LIMIT": self.limit,
            "OPS": self.operations + 2,
            "COLLECTS": self.collects,
            "CLOSES": int(self.closes),
            "FAILURES": self.failures,
            "NS": 8,
            "NR": 12,
        }
        named = ["-DVIEWS", *(["-DREADS"] if self.reads else []), *(["-DDISCARDS"] if self.discards else [])]
        return ["-DTRACE", *named, *(f"-D{name}={value}" for name, value in flags.items())]


class Scheduler:
    """Lets one thread run at a time, and notes what it does."""

    def __init__(self, chance: random.Random, threads: int) -> None:
        self.chance: Final = chance
        self.threads: Final = threads
        self.steps: Final[list[Step]] = []
        self.errors: Final[list[BaseException]] = []
        """What ended threads that should have gone on."""
        self.turns: Final = [threading.Semaphore(0) for _ in range(threads)]
        self.blocked: Final[list[Callable[[], bool] | None]] = [None] * threads
        """For each thread, when it can go on, if it waits for something."""
        self.alive: Final = set(range(threads))
        self.local: Final = threading.local()
        # How likely it is that a thread goes on: some traces have long runs of one thread, and some none.
        self.patience: Final = chance.choice((0.0, 0.5, 0.9))
        self.over: Final = threading.Event()

    @property
    def me(self) -> int | None:
        """The number of the running thread; None for one that is not scheduled."""
        return cast("int | None", getattr(self.local, "me", None))

    def hand_over(self, me: int | None) -> None:
        """Let a thread that can go on have its turn."""
        ready = [t for t in sorted(self.alive) if (free := self.blocked[t]) is None or free()]
        if not ready:
            if self.alive:
                self.errors.append(Stuck(f"threads {sorted(self.alive)} wait for each other"))
            self.over.set()
        elif me in ready and self.chance.random() < self.patience:
            self.turns[me].release()
        else:
            self.turns[self.chance.choice(ready)].release()

    def point(self, free: Callable[[], bool] | None = None) -> None:
        """Let another thread go on here, perhaps; the caller goes on when ``free`` is true."""
        me = self.me
        if me is None:
            return
        self.blocked[me] = free
        self.hand_over(me)
        self.turns[me].acquire()
        self.blocked[me] = None

    def note(self, kind: str, window: int = 0, result: int = 0) -> None:
        """Note a step of the running thread."""
        me = self.me
        if me is not None:
            self.steps.append(Step(me, _NUMBERS[kind], window, result))

    def run(self, body: Callable[[int], None]) -> None:
        """Run ``body(number)`` in each thread to its end."""
        threads = [threading.Thread(target=self._play, args=(body, me), daemon=True) for me in range(self.threads)]
        for thread in threads:
            thread.start()
        self.turns[self.chance.randrange(self.threads)].release()
        if not self.over.wait(_SECONDS):
            raise Stuck("a thread does not come back")
        if self.errors:
            raise Stuck(repr(self.errors[0])) from self.errors[0]
        for thread in threads:
            thread.join()

    def _play(self, body: Callable[[int], None], me: int) -> None:
        self.local.me = me
        self.turns[me].acquire()
        try:
            body(me)
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.errors.append(error)
        self.local.me = None
        self.alive.discard(me)
        self.hand_over(None)


class Recorder:
    """What replaces parts of the library and reports to a scheduler."""

    def __init__(self, program: Program, scheduler: Scheduler) -> None:
        self.program: Final = program
        self.scheduler: Final = scheduler
        self.manager: SlidingWindowMapManager | None = None
        self.windows_of: Final[dict[int, int]] = {}
        """The window of each frame, by its serial."""
        self.failures = program.failures

    def fails(self) -> bool:
        """Whether the system call that comes is one of those that fail."""
        if self.scheduler.me is None or not self.failures or self.scheduler.chance.random() > 0.3:
            return False
        self.failures -= 1
        return True

    def tables_as_a_number(self) -> int:
        """The tables and the books, as the model sees them: see ``tables_as_a_number`` there."""
        assert self.manager is not None
        tables, ledger = self.manager._pool.tables, self.manager._pool.ledger
        mapped = {frame.begin // _GRANULE for frame in tables.frames.values()}
        flying = {start // _GRANULE for _serial, start in tables.in_flight}
        number = int(tables.closed)
        for window in range(self.program.windows):
            number = number * 4 + (window in mapped) + 2 * (window in flying)
        lru = tables.replacement
        assert isinstance(lru, LRU)
        order = [frame.begin // _GRANULE + 1 for frame in lru._frames.values()]
        for place in range(3):
            number = number * 4 + (order[place] if place < len(order) else 0)
        return ((number * 4 + ledger.total_handles) * 4 + ledger.handles()) * 4 + ledger.kept

    def make_lock_class(self) -> "type[threading.Lock]":
        """The manager's lock, and the locks of waiting threads."""
        recorder, scheduler = self, self.scheduler

        class Lock:
            is_managers = False

            def __init__(self) -> None:
                self.held = False

            def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
                del timeout
                scheduler.point((lambda: not self.held) if blocking else None)
                if self.held:
                    return False
                self.held = True
                if self.is_managers:
                    scheduler.note("enter")
                return True

            def release(self) -> None:
                if self.is_managers:
                    scheduler.note("leave", 0, recorder.tables_as_a_number())
                self.held = False

            def locked(self) -> bool:
                return self.held

        return cast("type[threading.Lock]", Lock)

    def make_pins_class(self) -> type[set[object]]:  # noqa: C901 - a class with five methods
        """``Frame.pins``."""
        scheduler = self.scheduler

        class Pins(set[object]):
            @override
            def add(self, element: object, /) -> None:
                caller = sys._getframe(1)
                if element is not TOMBSTONE and is_unpublished(caller):
                    super().add(element)
                    return
                scheduler.point()
                super().add(element)
                scheduler.note("tombstone" if element is TOMBSTONE else "add", window_in(caller))

            @override
            def discard(self, element: object, /) -> None:
                if element is TOMBSTONE and super().__contains__(element):
                    scheduler.point()
                    super().discard(element)
                    scheduler.note("untombstone", window_in(sys._getframe(1)))
                else:
                    super().discard(element)

            @override
            def remove(self, element: object, /) -> None:
                # In a drain, between one release and the next.
                scheduler.point()
                super().remove(element)

            @override
            def __contains__(self, element: object, /) -> bool:
                caller = sys._getframe(1)
                if element is not TOMBSTONE or caller.f_code.co_name != "pin" or is_unpublished(caller):
                    return super().__contains__(element)
                scheduler.point()
                found = super().__contains__(element)
                scheduler.note("seen", window_in(caller), int(found))
                return found

            @override
            def copy(self) -> set[object]:
                caller = sys._getframe(1)
                if caller.f_code.co_name == "is_pinned" and not is_called_by(caller, "is_in_use"):
                    scheduler.point()
                    scheduler.note("copy", window_in(caller))
                return set(self)

            @override
            def __len__(self) -> int:
                caller = sys._getframe(1)
                if caller.f_code.co_name not in {"victim", "begin_unload", "_set_tombstone"}:
                    return super().__len__()
                scheduler.point()
                length = super().__len__()
                if length == 0 or (length == 1 and super().__contains__(TOMBSTONE)):
                    scheduler.note("empty", window_in(caller))
                return length

        return Pins

    def make_queue_class(self) -> type[deque[object]]:
        """``Tables.released`` and ``Tables.finished``."""
        scheduler, windows_of = self.scheduler, self.windows_of

        class Queue(deque[object]):
            @override
            def append(self, x: object, /) -> None:
                if isinstance(x, InFlight):
                    scheduler.point()
                    super().append(x)
                    scheduler.note("post")
                else:
                    # The memoryview of the pin is gone already, and this is the same step.
                    super().append(x)
                    if isinstance(x, Pin) and abs(getattr(x, "serial", 0)) in windows_of:
                        scheduler.note("die", windows_of[abs(x.serial)])

            @override
            def __len__(self) -> int:
                if sys._getframe(1).f_code.co_name in {"drain", "_drain_releases"}:
                    scheduler.point()
                return super().__len__()

        return Queue

    def make_map_class(self) -> type[mmap.mmap]:
        """The maps."""
        recorder, scheduler = self, self.scheduler

        class Map(mmap.mmap):
            window: int

            def __new__(  # noqa: PYI034 - final in effect
                cls, descriptor: int, size: int, *, access: int, offset: int, trackfd: bool = True
            ) -> "Map":
                scheduler.point()
                window = offset // _GRANULE
                if recorder.fails():
                    scheduler.note("map", window, 0)
                    raise OSError(errno.EIO, "the recorder lets it fail")
                if sys.platform != "win32" and sys.version_info >= (3, 13):
                    self = super().__new__(cls, descriptor, size, access=access, offset=offset, trackfd=trackfd)
                else:
                    self = super().__new__(cls, descriptor, size, access=access, offset=offset)
                self.window = window
                scheduler.note("map", window, 1)
                return self

            @override
            def close(self) -> None:
                scheduler.point()
                if self.closed:
                    return
                try:
                    super().close()
                except BufferError:
                    scheduler.note("unmap", self.window, 0)
                    raise
                scheduler.note("unmap", self.window, 1)

            @override
            def __getitem__(self, key: object, /) -> bytes:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # slices alone
                scheduler.point()
                try:
                    data = super().__getitem__(cast("slice", key))
                except ValueError:
                    scheduler.note("slice", self.window, 0)
                    raise
                scheduler.note("slice", self.window, 1)
                return data

        return Map

    def make_view(self, mapping: mmap.mmap) -> memoryview:
        """``frame._make_view``."""
        if is_unpublished(sys._getframe(1)):
            return memoryview(mapping)
        self.scheduler.point()
        window = cast("int", getattr(mapping, "window", 0))
        try:
            view = memoryview(mapping)
        except ValueError:
            self.scheduler.note("memoryview", window, 0)
            raise
        self.scheduler.note("memoryview", window, 1)
        return view

    def make_windows_class(self) -> type[dict[int, Frame]]:
        """``File.windows``."""
        scheduler = self.scheduler

        class Windows(dict[int, Frame]):
            @override
            def get(self, key: int, default: object = None, /) -> Frame | None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # as the library calls it
                if sys._getframe(1).f_code.co_name not in {"move", "_find_or_begin", "read_from"}:
                    return super().get(key)
                scheduler.point()
                found = super().get(key)
                scheduler.note("look", key // _GRANULE, int(found is not None))
                return found

        return Windows

    def make_descriptor_property(self) -> property:
        """``File.descriptor``."""
        slot, scheduler = cast("MemberDescriptorType", vars(File)["descriptor"]), self.scheduler

        def get(file: File) -> Descriptor | None:
            if sys._getframe(1).f_code.co_name in {"read_from", "_descriptor", "descriptor_of"}:
                scheduler.point()
                found = cast("Descriptor | None", slot.__get__(file))
                scheduler.note("descriptor", 0, int(found is not None))
                return found
            return cast("Descriptor | None", slot.__get__(file))

        def put(file: File, value: Descriptor | None) -> None:
            slot.__set__(file, value)

        return property(get, put)

    @contextmanager
    def installed(self) -> Generator[None]:
        """Put all of them into the places of what they stand for."""
        scheduler, opened, read = self.scheduler, MmapReader.open, MmapReader.read
        made_frame, made_file = Frame.__init__, File.__init__
        windows_class = self.make_windows_class()

        def watched_open(reader: MmapReader, source: Source, seen: FileState, flags: int) -> int:
            scheduler.point()
            if self.fails():
                scheduler.note("open", 0, 0)
                raise OSError(errno.EIO, "the recorder lets it fail")
            number = opened(reader, source, seen, flags)
            scheduler.note("open", 0, 1)
            return number

        def watched_read(reader: MmapReader, number: int, *rest: object) -> bytes:
            scheduler.point()
            scheduler.note("pread")
            return cast("Callable[..., bytes]", read)(reader, number, *rest)

        def make_frame(frame: Frame, serial: int, *rest: object) -> None:
            cast("Callable[..., None]", made_frame)(frame, serial, *rest)
            self.windows_of[serial] = frame.begin // _GRANULE

        def make_file(file: File, *rest: object) -> None:
            cast("Callable[..., None]", made_file)(file, *rest)
            file.windows = windows_class()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # final in the library
            file.copies_up = False

        with pytest.MonkeyPatch.context() as patch:
            lock_class = self.make_lock_class()
            patch.setattr(inflight_module, "threading", SimpleNamespace(Lock=lock_class))
            patch.setattr(frame_module, "set", self.make_pins_class(), raising=False)
            patch.setattr(frame_module, "_make_view", self.make_view)
            patch.setattr(tables_module, "deque", self.make_queue_class())
            patch.setattr(mmap, "mmap", self.make_map_class())
            patch.setattr(Frame, "__init__", make_frame)
            patch.setattr(File, "__init__", make_file)
            patch.setattr(File, "descriptor", self.make_descriptor_property())
            patch.setattr(MmapReader, "open", watched_open)
            patch.setattr(MmapReader, "read", watched_read)
            # Otherwise a collection would drop pins at any moment, and a trace would not be the same again.
            gc.disable()
            try:
                self.manager = SlidingWindowMapManager(_GRANULE, 0, self.program.limit)
                lock = lock_class()
                lock.is_managers = True  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # it is ours
                self.manager._pool.monitor.guard_by(lock)
                yield
            finally:
                gc.enable()


def is_unpublished(caller: FrameType) -> bool:
    """Whether ``caller`` is ``Frame.pin`` of a region that nobody else knows: that is a part of the step that maps."""
    return caller.f_code.co_name == "pin" and is_called_by(caller, "_load")


def is_called_by(caller: FrameType, name: str) -> bool:
    """Whether a function of that name has called the function of ``caller``, perhaps within an expression."""
    above = caller.f_back
    while above is not None and above.f_code.co_name.startswith("<"):
        above = above.f_back
    return above is not None and above.f_code.co_name == name


def window_in(caller: FrameType) -> int:
    """The window of the frame that a function of the library works on."""
    names = caller.f_locals
    frame = names.get("self") if isinstance(names.get("self"), Frame) else names.get("frame") or names.get("victim")
    return frame.begin // _GRANULE if isinstance(frame, Frame) else 0


class Mover:
    """A thread with a cursor of its own."""

    def __init__(self, recorder: Recorder, cursor: WindowCursor, operations: list[tuple[str, int]]) -> None:
        self.scheduler: Final = recorder.scheduler
        self.cursor: Final = cursor
        self.operations: Final = operations
        self.views: Final[list[tuple[memoryview, int]]] = []

    def run(self) -> None:
        """Do all of it, and let go of all."""
        for name, window in self.operations:
            getattr(self, name)(window)
        self.drop_view()
        self.scheduler.point()
        self.cursor.unuse_region()

    def begin(self, kind: str, window: int) -> None:
        self.scheduler.point()
        self.scheduler.note(kind, window)

    def end(self, call: Callable[[], object]) -> None:
        result = 0
        try:
            call()
        except HandleLimitError:
            result = 1
        except ManagerClosedError:
            result = 2
        except OSError:
            result = 3
        self.scheduler.point()
        self.scheduler.note("return", 0, result)

    def move(self, window: int) -> None:
        self.begin("move", window)
        self.end(lambda: self.cursor.use_region(window * _GRANULE, _SIZE))

    def read(self, window: int) -> None:
        self.begin("read", window)
        self.end(lambda: reading.read(self.cursor._state, window * _GRANULE, _SIZE))

    def unuse(self, window: int) -> None:
        del window
        self.scheduler.point()
        # A cursor that has dropped the pin of a discarded region is on none.
        if self.cursor._state.placement[0] is not NOWHERE[0]:
            self.scheduler.note("unuse")
            self.scheduler.point()
            self.cursor.unuse_region()

    def view(self, window: int) -> None:
        del window
        if self.views:
            self.drop_view()
            return
        self.scheduler.point()
        pinned, frame, _start, _stop = self.cursor._state.placement
        if frame.live_end >= 0:
            with suppress(ValueError):
                self.views.append((pinned[:_SIZE], frame.begin // _GRANULE))
                self.scheduler.note("view", frame.begin // _GRANULE)

    def drop_view(self) -> None:
        if self.views:
            self.scheduler.point()
            view, window = self.views.pop()
            view.release()
            self.scheduler.note("unview", window)


def record(program: Program, seed: int, folder: Path) -> list[Step]:
    """Run the program that ``seed`` chooses, by the schedule that it chooses.

    :raises Stuck: if the threads wait for each other, or one of them raises what it must not.
    """
    chance = random.Random(seed)
    scheduler = Scheduler(chance, program.movers + 1)
    recorder = Recorder(program, scheduler)
    path = folder / f"{program.windows} windows"
    if not path.exists():
        path.write_bytes(bytes(program.windows * _GRANULE))
    with recorder.installed():
        manager = recorder.manager
        assert manager is not None
        movers = list(_movers(recorder, manager, path, chance))

        def play(me: int) -> None:
            if me < program.movers:
                movers[me].run()
            else:
                _collect_and_close(recorder, manager, chance)

        scheduler.run(play)
    return scheduler.steps


def _movers(recorder: Recorder, manager: SlidingWindowMapManager, path: Path, chance: random.Random) -> Iterator[Mover]:
    program = recorder.program
    for _ in range(program.movers):
        cursor = manager.make_cursor(path)
        cursor.file_size()
        moves = [("move", window) for window in range(program.windows)]
        reads = [("read", window) for window in range(program.windows)] if program.reads else []
        choices = [*moves, *moves, *reads, ("unuse", 0), ("view", 0)]
        yield Mover(recorder, cursor, [chance.choice(choices) for _ in range(program.operations)])


def _collect_and_close(recorder: Recorder, manager: SlidingWindowMapManager, chance: random.Random) -> None:
    scheduler, program = recorder.scheduler, recorder.program
    for _ in range(program.collects):
        scheduler.point()
        if program.discards and chance.random() < 0.5:
            scheduler.note("discard")
            manager._force_removal(os.sep)
        else:
            scheduler.note("collect")
            manager.collect()
    if program.closes:
        scheduler.point()
        scheduler.note("close")
        manager.close()


def table(steps: list[Step], threads: int) -> str:
    """Draw the steps as a table: time runs down, and each thread has a column."""
    width = 22
    lines = ["".join(f"thread {thread}".ljust(width) for thread in range(threads))]
    for number, step in enumerate(steps):
        words = f"{KINDS[step.kind]} {step.window} {step.result}"
        lines.append(f"{' ' * width * step.thread}{words.ljust(width * (threads - step.thread))}{number}")
    return "\n".join(lines)
