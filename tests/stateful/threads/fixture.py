"""Fixtures: where a program is performed: a disk, a manager, and the cursors and buffers that its threads share.

Whoever performs an operation here gets a call: the operation with its outcome, its invocation and its response.
"""

import copy
import threading
import time
from typing import Final, TypeAlias, final

from smmap_typed import (
    CursorInvalidError,
    Event,
    FileChangedError,
    HandleLimitError,
    MemoryLimitError,
    RegionUnmapped,
    SlidingWindowMapBuffer,
    SlidingWindowMapManager,
    WindowCursor,
)
from smmap_typed.testing import check_invariants, kernel
from smmap_typed.testing.disk import Disk
from stateful.threads.history import Call
from stateful.threads.operations import BUFFERS, CHANGES, CONTENT, QUERIES, Operation, Program

__all__ = ["Fixture", "Outcome"]

Outcome: TypeAlias = bytes | int | None
"""What an operation returns."""

# What an operation may raise; whether it may just then, the specification decides.
_REFUSALS: Final = (CursorInvalidError, FileChangedError, HandleLimitError, IndexError, MemoryLimitError)


@final
class Fixture:
    """One program's. Any thread may perform its own operations at any time."""

    def __init__(self, program: Program) -> None:
        setting = program.setting
        self.disk: Final = Disk(list(setting.sizes))
        self._replaced: Final[list[RegionUnmapped]] = []
        """What a first use has unmapped of an older state of its file."""
        self._collecting: Final = threading.local()
        self.manager: Final = SlidingWindowMapManager(
            setting.window,
            setting.memory,
            2 if setting.scarce == "handles" else program.most_pins(),
            reader=setting.reader,
            strict_memory=setting.scarce == "memory",
            observer=self._note if program.changes_files() else None,
        )
        slots = range(len(setting.sizes))
        cursors = program.shared + len(program.threads)
        self.cursors: Final = [[self._make_cursor(slot) for _ in range(cursors)] for slot in slots]
        self.buffers: Final = [self._make_buffer(slot) for slot in slots]
        self._kept: Final[dict[int, tuple[memoryview, bytes]]] = {}
        """By thread: the view that it took last, and what that showed."""
        self._collected: Final[list[int]] = []
        self._writing: Final = threading.Lock()
        """For those who change files: the disk is no part of what is tested."""

    def call(self, thread: int, operation: Operation) -> Call[Operation]:
        """Perform ``operation`` in this thread, and take down what came of it."""
        invoked = time.perf_counter_ns()
        try:
            outcome: object = self._perform(thread, operation)
        except _REFUSALS as error:
            # Not the error itself: its traceback would keep the library's frames, and their pins.
            outcome = type(error)
        return Call(thread, operation, outcome, invoked, time.perf_counter_ns())

    def complete(self) -> None:
        """The invariants hold when the threads have ended, and nothing is left when all is given back."""
        check_invariants(self.manager)
        # No loop, whose variable would keep the last view.
        assert all(view == content for view, content in self._kept.values())
        self._kept.clear()
        self.cursors.clear()
        self.buffers.clear()
        self._collecting.now = True
        self._collected.append(self.manager.collect())
        check_invariants(self.manager)
        stats = self.manager.stats()
        assert (stats.handles, stats.in_flight, stats.mapped_bytes) == (0, 0, 0)
        # No two collects count one region.
        assert sum(self._collected) + len(self._replaced) == stats.unmaps - stats.evictions
        assert not kernel.mapped_pages(self.disk.directory)
        opened = kernel.open_inodes(self.disk.device)
        # Every inode's own descriptor, and the one that the disk keeps as a user's.
        assert all(opened[one.number] == 1 + self.disk.opened.count(one) for one in self.disk.inodes)

    def close(self) -> None:
        """Remove the files."""
        self.disk.close()

    def _note(self, event: Event) -> None:
        """Count the regions of changed files, which go neither to make room nor by a collection."""
        collecting = getattr(self._collecting, "now", False)
        if isinstance(event, RegionUnmapped) and event.reason == "collected" and not collecting:
            self._replaced.append(event)

    def _make_cursor(self, slot: int) -> WindowCursor:
        return self.manager.make_cursor(self.disk.path(slot))

    def _make_buffer(self, slot: int) -> SlidingWindowMapBuffer:
        """A buffer that has its bounds, and pins nothing until somebody reads it."""
        buffer = SlidingWindowMapBuffer(self._make_cursor(slot))
        own = buffer.cursor()
        assert own is not None
        own.unuse_region()
        return buffer

    def _perform(self, thread: int, one: Operation) -> Outcome:
        if one.name in CHANGES:
            return self._change_file(one)
        if one.name in BUFFERS:
            return _use_buffer(self.buffers[one.slot], one)
        cursor = self.cursors[one.slot][one.cursor]
        if one.name in QUERIES:
            return _ask(cursor, one)
        if one.name in CONTENT:
            return self._read(thread, cursor, one)
        self._change(self.cursors[one.slot], one)
        return None

    def _change(self, cursors: list[WindowCursor], one: Operation) -> None:
        match one.name:
            case "use_region":
                cursors[one.cursor].use_region(one.offset, one.size)
            case "unuse_region":
                cursors[one.cursor].unuse_region()
            case "make_cursor":
                cursors[one.cursor] = self._make_cursor(one.slot)
            case "copy":
                cursors[one.cursor] = copy.copy(cursors[one.source])
            case "assign":
                cursors[one.cursor].assign(cursors[one.source])
            case "collect":
                self._collecting.now = True
                self._collected.append(self.manager.collect())
                self._collecting.now = False
            case _:
                check_invariants(self.manager)

    def _read(self, thread: int, cursor: WindowCursor, one: Operation) -> Outcome:
        match one.name:
            case "buffer":
                return self._keep(thread, cursor.buffer())
            case "view":
                return self._keep(thread, cursor.view(one.offset, one.size))
            case "read":
                return cursor.read(one.offset, one.size)
            case _:
                return cursor.file_size()

    def _keep(self, thread: int, view: memoryview) -> bytes:
        """What ``view`` shows; and if the thread has another one from before, that still shows the same as then."""
        if thread in self._kept:
            before, content = self._kept[thread]
            assert before == content
        content = view.tobytes()
        self._kept[thread] = view, content
        return content

    def _change_file(self, one: Operation) -> Outcome:
        with self._writing:
            if one.name == "replace":
                self.disk.replace(one.slot, one.size)
                return len(self.disk.inodes) - 1
            inode = self.disk.paths[one.slot]
            assert inode is not None
            self.disk.append(inode, one.size)
            return None


def _ask(cursor: WindowCursor, one: Operation) -> Outcome:
    match one.name:
        case "is_valid":
            return cursor.is_valid()
        case "ofs_begin":
            return cursor.ofs_begin()
        case "ofs_end":
            return cursor.ofs_end()
        case "size":
            return cursor.size()
        case "includes_ofs":
            return cursor.includes_ofs(one.offset)
        case _:
            region = cursor.region()
            return None if region is None else region.ofs_begin()


def _use_buffer(buffer: SlidingWindowMapBuffer, one: Operation) -> Outcome:
    match one.name:
        case "slice":
            return buffer[one.offset : one.offset + one.size]
        case "index":
            return buffer[one.offset]
        case "length":
            return len(buffer)
        case "begin_access":
            return buffer.begin_access(None, one.offset, one.size)
        case _:
            buffer.end_access()
            return None
