"""The two managers: what a program makes one of and keeps."""

import os
import sys
from types import EllipsisType, TracebackType
from typing import Self, final

from typing_extensions import override

from smmap_typed._arguments import check_advice
from smmap_typed._core import Core
from smmap_typed._cursor import WindowCursor
from smmap_typed._events import Observer
from smmap_typed._file import lies_below
from smmap_typed._gate import Call
from smmap_typed._grid import Grid
from smmap_typed._ledger import Ledger
from smmap_typed._limits import Limits, check_pinned, handles, memory_bytes, shrinking, window_bytes
from smmap_typed._mapped_file import MappedFile
from smmap_typed._platform import IS_WINDOWS
from smmap_typed._stats import ManagerStats, RegionStats
from smmap_typed._survey import list_regions, survey
from smmap_typed._types import Advice, PathOrFd, ReaderName
from smmap_typed.readers import Reader, reader_of

__all__ = ["SlidingWindowMapManager", "StaticWindowMapManager"]


class StaticWindowMapManager:
    """Maps whole files, keeps them under a memory and a handle limit, and unmaps the least recently used.

    :param window_size: checked, and otherwise of no effect: a window is always the whole file.
    :param max_memory_size: bytes; 0 for 8 GiB (1 GiB on 32-bit). Soft: past it only when nothing idle is left.
    :param max_open_handles: regions at once, at least 1. Hard: never exceeded at any instant.
    :param reader: ``"mmap"``, or ``"pread"`` to read windows into memory, which works on files that cannot be mapped
        and turns a truncated file into an error instead of a signal; or a ``smmap_typed.readers.Reader`` of your own.
    :param strict_memory: make the memory limit hard, too.
    :param observer: called with each event, in the thread that caused it, when its call is on its way out; an error
        that it raises, or the log, goes to ``sys.unraisablehook``.
    :param advice: how files will be read: ``"normal"``, ``"sequential"``, ``"random"`` or ``"willneed"``. The kernel is
        told so of each window that is mapped, by ``madvise``, where there is one; copies have nothing to be told.
    :raises ValueError: if a number is out of its range; TypeError if it is none.

    Every method may be called from any thread at any time. As a context it is closed at the end.
    Made for use as it is; only ``SlidingWindowMapManager`` derives from it, as in smmap.
    """

    __slots__ = ("__weakref__", "_advice", "_core")

    def __init__(
        self,
        window_size: int = 0,
        max_memory_size: int = 0,
        max_open_handles: int = sys.maxsize,
        *,
        reader: ReaderName | Reader = "mmap",
        strict_memory: bool = False,
        observer: Observer | None = None,
        advice: Advice | None = None,
    ) -> None:
        loads = reader_of(reader)
        window_bytes(window_size, copies=loads.copies)
        self._advice: Advice | None = check_advice(advice)
        self._core = _make_core(0, max_memory_size, max_open_handles, loads, observer, strict_memory=strict_memory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @override
    def __repr__(self) -> str:
        ledger = self._core.ledger
        return (
            f"<{type(self).__name__}{' closed' if self._core.tables.closed else ''}: {ledger.total_handles} of "
            f"{ledger.max_handles} handles, {ledger.total_bytes} of {ledger.max_memory} bytes>"
        )

    def make_cursor(self, path_or_fd: PathOrFd, *, advice: Advice | None = None) -> WindowCursor:
        """A cursor on a file, not placed yet. Reads no data; a missing file is reported by the first use.

        :param path_or_fd: any kind of path, made absolute now, or an open descriptor, which is duplicated for the
            length of each mapping and never kept.
        :param advice: as for the manager, whose it is without; for the windows that are mapped for this cursor and its
            copies. Who comes to a window that is mapped already takes it as it is.
        :raises TypeError: for anything else.
        :raises ManagerClosedError: after ``close``.
        """
        return WindowCursor._on(self._core, path_or_fd, check_advice(advice) or self._advice)

    def open(self, path_or_fd: PathOrFd, *, offset: int = 0, size: int | None = None) -> MappedFile:
        """A binary file object for reading, over windows: for everything that takes what ``open(path, "rb")`` returns.

        :param path_or_fd: as for ``make_cursor``.
        :param offset: bytes from the start of the file that the object leaves out; past the end it is empty.
        :param size: bytes; None or more than there are for all up to the end, which is where the file ends now.
        :raises OSError: if there is no such file, or it cannot be opened.
        :raises ValueError: if a number is negative; TypeError if it is none.
        :raises ManagerClosedError: after ``close``, and so do its reads, once a window is needed.
        """
        return MappedFile(self.make_cursor(path_or_fd), offset, size)

    def collect(self) -> int:
        """Unmap everything idle; the number of regions unmapped.

        What live views show stays mapped and counted. O(regions). May be called from any thread, finaliser, signal
        handler or GC callback; one that interrupts the library itself is served as soon as that has finished.
        """
        self._settle()
        return self._core.evictor.collect()

    def num_file_handles(self) -> int:
        """Regions that are mapped or just being mapped. Before CPython 3.13 each costs one descriptor."""
        self._settle()
        return self._core.ledger.total_handles

    def num_open_files(self) -> int:
        """Files with at least one region."""
        return len(self._core.tables.index)

    def mapped_memory_size(self) -> int:
        """Bytes that are mapped or just being mapped."""
        self._settle()
        return self._core.ledger.total_bytes

    def window_size(self) -> int:
        """Bytes of one window, rounded up to the allocation granularity; 0 for whole files."""
        return self._core.grid.window_size

    def max_file_handles(self) -> int:
        """The handle limit."""
        return self._core.ledger.max_handles

    def max_mapped_memory_size(self) -> int:
        """The memory limit, in bytes."""
        return self._core.ledger.max_memory

    def stats(self) -> ManagerStats:
        """What the manager did and holds, as one immutable value. O(regions)."""
        self._settle()
        return survey(self._core)

    def regions(self) -> tuple[RegionStats, ...]:
        """What is mapped now, in the order in which it was mapped, as immutable values. O(regions).

        What ``close`` or a forced removal has given up is no region any more, also while a view keeps it mapped.
        """
        self._settle()
        return list_regions(self._core)

    def reset_stats(self) -> None:
        """Clear the counters and start the peaks anew; gauges stay, and ``maps`` becomes ``handles``."""
        with Call(self._core.evictor) as call:
            call.locked(self._core.tables.reset_counters)

    def configure(
        self, *, max_memory_size: int | EllipsisType = ..., max_open_handles: int | EllipsisType = ...
    ) -> None:
        """Change limits, shrinking at once: idle regions go, least recently used first, until the limits are kept.

        :param max_memory_size: bytes, 0 for the default.
        :param max_open_handles: regions at once, at least 1.
        :raises HandleLimitError: if more are pinned than the new limit allows; nothing is changed then.
        :raises MemoryLimitError: likewise under ``strict_memory``.
        :raises ManagerClosedError: after ``close``.
        """
        core = self._core
        wanted = Limits(
            None if isinstance(max_memory_size, EllipsisType) else memory_bytes(max_memory_size),
            None if isinstance(max_open_handles, EllipsisType) else handles(max_open_handles),
        )
        core.check_open()
        with Call(core.evictor) as call:
            call.locked(check_pinned, core, wanted)
            core.evictor.make_room(call, shrinking(core, wanted))

    def close(self) -> None:
        """Unmap everything idle now, and the rest as soon as its last cursor or view lets go. Idempotent.

        Cursors become invalid, live views stay readable; queries, ``stats`` and ``collect`` still answer.
        """
        self._core.evictor.close()

    def force_map_handle_removal_win(self, base_path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> int:
        """On Windows, unmap every region of the files at or below ``base_path``, pinned or not; how many.

        The cursors on them become invalid. Files are compared by whole path components. What a view shows stays mapped
        until the view is gone. Does nothing elsewhere, and returns 0.
        """
        return self._force_removal(os.fsdecode(base_path)) if IS_WINDOWS else 0

    def _force_removal(self, base_path: str) -> int:
        base = os.path.normcase(os.path.abspath(base_path))
        core = self._core

        with Call(core.evictor) as call:
            files = call.locked(
                lambda: {hold.identity for hold in core.tables.holds.values() if lies_below(hold.target, base)}
            )
            return core.evictor.retire(
                call,
                lambda hold: hold.identity in files,
                f"force_map_handle_removal_win({base_path!r}) closed it",
            )

    def _settle(self) -> None:
        if self._core.tables.orphans:
            with Call(self._core.evictor) as call:
                if not call.nested:
                    self._core.evictor.settle_orphans(call)


@final
class SlidingWindowMapManager(StaticWindowMapManager):
    """Maps windows of files, keeps them under a memory and a handle limit, and unmaps the least recently used.

    :param window_size: bytes, rounded up to the allocation granularity; -1 for 1 GiB (64 MiB on 32-bit, 1 MiB with
        ``reader="pread"``); 0 for the whole file in one window.

    For the rest see ``StaticWindowMapManager``.
    """

    __slots__ = ()

    def __init__(
        self,
        window_size: int = -1,
        max_memory_size: int = 0,
        max_open_handles: int = sys.maxsize,
        *,
        reader: ReaderName | Reader = "mmap",
        strict_memory: bool = False,
        observer: Observer | None = None,
        advice: Advice | None = None,
    ) -> None:
        loads = reader_of(reader)
        size = window_bytes(window_size, copies=loads.copies)
        self._advice = check_advice(advice)
        self._core = _make_core(size, max_memory_size, max_open_handles, loads, observer, strict_memory=strict_memory)


def _make_core(
    window_size: int,
    max_memory_size: int,
    max_open_handles: int,
    reader: Reader,
    observer: Observer | None,
    *,
    strict_memory: bool,
) -> Core:
    ledger = Ledger(memory_bytes(max_memory_size), handles(max_open_handles), strict=strict_memory)
    if observer is not None and not callable(observer):
        raise TypeError(f"observer must be callable, got {type(observer).__name__}")
    return Core(reader, Grid.of(window_size), ledger, observer)
