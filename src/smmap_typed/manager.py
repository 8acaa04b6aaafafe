"""The two managers. A program usually makes one of them and keeps it."""

import os
import sys
from types import EllipsisType, TracebackType
from typing import Self, SupportsIndex, final

from typing_extensions import override

from smmap_typed._arguments import check_advice, check_reads, handle_limit, integer, memory_limit, window_bytes
from smmap_typed._handles.cursor import WindowCursor
from smmap_typed._handles.mapped_file import MappedFile
from smmap_typed._handles.pickling import ManagerReference, Settings
from smmap_typed._platform import IS_WINDOWS
from smmap_typed._pool import LRU, Grid, Ledger, Pool
from smmap_typed._source import lies_below
from smmap_typed._types import Advice, PathOrFd, ReaderName, Reads
from smmap_typed.events import Observer
from smmap_typed.readers import PositionalReader, Reader, default_window, reader_of
from smmap_typed.values import ManagerStats, RegionStats

__all__ = ["SlidingWindowMapManager", "StaticWindowMapManager"]


class StaticWindowMapManager:
    """Maps whole files, keeps them under a memory and a handle limit, and unmaps the least recently used.

    :param window_size: checked, but without effect: a window is always the whole file.
    :param max_memory_size: bytes; 0 for 8 GiB (1 GiB on 32-bit). A soft limit: it is exceeded only when nothing idle is
        left to unmap.
    :param max_open_handles: regions mapped at once, at least 1. A hard limit: it is not exceeded at any instant.
        ``sys.maxsize`` for half of what the system allows this process now: of maps on Linux (``vm.max_map_count``),
        and of descriptors (``ulimit -n``) where a map costs one, which is before CPython 3.13.
    :param reader: ``"mmap"``; or ``"pread"`` to read windows into memory, which works on files that cannot be mapped
        and where even a view of a truncated file raises no signal; or ``"auto"``, which maps, and reads the files
        that the system refuses to map; or your own ``smmap_typed.readers.Reader``.
    :param strict_memory: whether the memory limit is hard, too.
    :param observer: called with each event, in the thread that caused it, when the call that caused it is on its way
        out. An error that it raises goes to ``sys.unraisablehook``.
    :param advice: how files will be read: ``"normal"``, ``"sequential"``, ``"random"`` or ``"willneed"``. The manager
        passes it to the kernel for each window that it maps, where there is ``madvise``; a copy gets no advice.
    :param reads: how ``read``, buffers and file objects get their bytes: ``"auto"`` to copy from a mapped window what
        is known to be in memory, and to read the rest by a descriptor; ``"pread"`` to read all by a descriptor, so that
        a read cannot kill the process, whatever happens to the file. Windows for views are mapped all the same.
    :param populate: whether ``use_region`` with a size, and ``view``, bring the bytes into memory before they return,
        as ``prefetch(..., wait=True)`` does. This makes each such call slower, hits included.
    :raises ValueError: if an argument is out of its range, or not one of the names listed here.
    :raises TypeError: if an argument is of a wrong type.

    Every method may be called from any thread at any time. A manager is a context manager that closes itself. It is not
    made for subclassing: only ``SlidingWindowMapManager`` derives from it, as in smmap.

    A manager pickles by its settings. Unpickled where it lives, it is the same object. In another process, all that
    comes from one manager shares one manager with its settings, so its limits hold for each process. It is made for the
    first object that arrives, and again after a ``close`` there. A reader or an observer must pickle, too, or pickling
    raises TypeError; pickling a closed manager raises ManagerClosedError. A copy, also a deep one, is the same object.
    """

    __slots__ = ("__weakref__", "_advice", "_pool", "_reference")

    def __init__(
        self,
        window_size: SupportsIndex = 0,
        max_memory_size: SupportsIndex = 0,
        max_open_handles: SupportsIndex = sys.maxsize,
        *,
        reader: ReaderName | Reader = "mmap",
        strict_memory: bool = False,
        observer: Observer | None = None,
        advice: Advice | None = None,
        reads: Reads = "auto",
        populate: bool = False,
    ) -> None:
        loads = reader_of(reader)
        memory = memory_limit(max_memory_size)
        size = self._window(window_size, memory, loads, strict=bool(strict_memory))
        self._advice: Advice | None = check_advice(advice)
        ledger = Ledger(memory, handle_limit(max_open_handles), strict=bool(strict_memory))
        settings = Settings(
            integer("window_size", window_size),
            integer("max_memory_size", max_memory_size),
            integer("max_open_handles", max_open_handles),
            reader,
            bool(strict_memory),
            observer,
            advice,
            reads,
            bool(populate),
        )
        self._reference: ManagerReference = ManagerReference(self, settings)
        self._pool = _make_pool(size, ledger, loads, settings, self._reference)

    @staticmethod
    def _window(window_size: SupportsIndex, memory: int, reader: Reader, *, strict: bool) -> int:
        """Check ``window_size``, and return the bytes of a window: 0, since it is always the whole file."""
        del strict
        window_bytes(window_size, memory, default_window(reader), strict=False)
        return 0

    @classmethod
    def _with(cls, settings: Settings, /) -> Self:
        """Make a manager with these settings."""
        return cls(
            settings.window_size,
            settings.max_memory_size,
            settings.max_open_handles,
            reader=settings.reader,
            strict_memory=settings.strict_memory,
            observer=settings.observer,
            advice=settings.advice,
            reads=settings.reads,
            populate=settings.populate,
        )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        del memo
        return self

    @override
    def __reduce__(self) -> tuple[object, ...]:
        self._pool.check_open()
        return self._reference.__reduce__()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @override
    def __repr__(self) -> str:
        ledger = self._pool.ledger
        return (
            f"<{type(self).__name__}{' closed' if self._pool.tables.closed else ''}: "
            f"{_share(ledger.total_handles, ledger.max_handles, 'handles')}, "
            f"{_share(ledger.total_bytes, ledger.max_memory, 'bytes')}>"
        )

    def make_cursor(self, path_or_fd: PathOrFd | SupportsIndex, *, advice: Advice | None = None) -> WindowCursor:
        """Make a cursor on a file, not placed yet. Opens nothing; a missing file is reported by the first use.

        :param path_or_fd: any kind of path, which is made absolute now; or an open descriptor. The manager opens the
            file of a descriptor again at the first use of the cursor. From then on you may close yours: the cursor goes
            on as long as the manager can keep its own.
        :param advice: how the file will be read, one of the names that the manager takes; None for the manager's own
            advice. It applies to windows that are mapped for this cursor and its copies. A window that is already
            mapped keeps its advice.
        :raises TypeError: if ``path_or_fd`` is neither a path nor an integer.
        :raises ValueError: if ``advice`` is not one of the names.
        :raises ManagerClosedError: after ``close``.
        """
        return WindowCursor._on(self._pool, path_or_fd, check_advice(advice) or self._advice)

    def open(
        self, path_or_fd: PathOrFd | SupportsIndex, *, offset: SupportsIndex = 0, size: SupportsIndex | None = None
    ) -> MappedFile:
        """Open a file, or a part of it, as a binary file object for reading, for code that takes ``open(path, "rb")``.

        :param path_or_fd: a path, which is made absolute now, or an open descriptor, whose file is opened again.
        :param offset: bytes to leave out at the start of the file; past its end the object is empty.
        :param size: bytes; None for all up to the end. Cut at the end that the file has now.
        :raises OSError: if there is no such file, or if it cannot be opened.
        :raises ValueError: if a number is negative.
        :raises TypeError: if an argument is of a wrong type.
        :raises ManagerClosedError: after ``close``. A read of the object that needs a new window then raises it, too.
        """
        return MappedFile(self.make_cursor(path_or_fd), offset, size)

    def collect(self) -> int:
        """Unmap every idle region, and return how many were unmapped.

        Regions with live views stay mapped and counted. Also closes the descriptors that the manager keeps of files on
        which no cursor is. O(regions). May be called from any thread, finaliser, signal handler or GC callback. If the
        caller has interrupted the library and the lock is taken, the call returns at once, and the interrupted code
        does its work on the way out.
        """
        self._pool.settle()
        return self._pool.collect()

    def num_file_handles(self) -> int:
        """How many regions are mapped or being mapped. Before CPython 3.13, each of them takes one descriptor."""
        self._pool.settle()
        return self._pool.ledger.total_handles

    def num_open_files(self) -> int:
        """How many files have at least one region. O(files)."""
        return self._pool.tables.open_files()

    def mapped_memory_size(self) -> int:
        """How many bytes are mapped or being mapped."""
        self._pool.settle()
        return self._pool.ledger.total_bytes

    def window_size(self) -> int:
        """The size of a window in bytes, rounded up to the allocation granularity; 0 for whole files."""
        return self._pool.grid.window_size

    def max_file_handles(self) -> int:
        """The handle limit, in regions. If none was given, it is half of what the system allowed this process then."""
        return self._pool.ledger.max_handles

    def max_mapped_memory_size(self) -> int:
        """The memory limit, in bytes."""
        return self._pool.ledger.max_memory

    def stats(self) -> ManagerStats:
        """The counters of the manager and what it holds now, as one immutable value. O(regions)."""
        self._pool.settle()
        return self._pool.snapshot()

    def regions(self) -> tuple[RegionStats, ...]:
        """The regions that are mapped now, in the order in which they were mapped, as immutable values. O(regions).

        A region that ``close`` or ``force_map_handle_removal_win`` has given up is not among them, even while a view
        keeps it mapped.
        """
        self._pool.settle()
        return self._pool.list_regions()

    def reset_stats(self) -> None:
        """Clear the counters and start the peaks anew. Gauges stay, and ``maps`` starts from ``handles``."""
        self._pool.reset_counters()

    def configure(
        self,
        *,
        max_memory_size: SupportsIndex | EllipsisType = ...,
        max_open_handles: SupportsIndex | EllipsisType = ...,
    ) -> None:
        """Change limits. Idle regions are unmapped at once, least recently used first, until the new limits are kept.

        :param max_memory_size: bytes, 0 for the default.
        :param max_open_handles: regions mapped at once, at least 1; ``sys.maxsize`` for half of what the system allows.
        :raises HandleLimitError: if more regions are pinned than the new limit allows; the limits stay as they were.
        :raises MemoryLimitError: under ``strict_memory``, if more bytes are pinned than the new limit allows; the
            limits stay as they were.
        :raises ValueError: if a number is out of its range.
        :raises TypeError: if an argument is not an integer.
        :raises ManagerClosedError: after ``close``.
        """
        memory = None if isinstance(max_memory_size, EllipsisType) else memory_limit(max_memory_size)
        handles = None if isinstance(max_open_handles, EllipsisType) else handle_limit(max_open_handles)
        self._pool.resize(memory, handles)
        self._reference.configure(memory, handles)

    def close(self) -> None:
        """Unmap idle regions now, and each other region once its last cursor or view has let go of it. Idempotent.

        Cursors become invalid; live views stay readable. Queries, ``stats`` and ``collect`` still work.
        """
        self._pool.close()

    def force_map_handle_removal_win(self, base_path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> int:
        """On Windows, unmap all regions of the files at or below ``base_path``, and return how many there were.

        Pinned regions are included, and their cursors become invalid; a region with a view stays mapped until the view
        is gone. Paths are compared by whole components. On other systems nothing is done, and 0 is returned.
        """
        return self._force_removal(os.fsdecode(base_path)) if IS_WINDOWS else 0

    def _force_removal(self, base_path: str) -> int:
        base = os.path.normcase(os.path.abspath(base_path))
        return self._pool.discard(
            lambda file: any(lies_below(name, base) for name in file.names),
            f"force_map_handle_removal_win({base_path!r}) closed it",
        )


@final
class SlidingWindowMapManager(StaticWindowMapManager):
    """Maps windows of files, keeps them under a memory and a handle limit, and unmaps the least recently used.

    :param window_size: bytes, rounded up to the allocation granularity; -1 for 1 GiB (64 MiB on 32-bit, 1 MiB with
        ``reader="pread"``, 16 MiB with ``reader="auto"``), or for a quarter of ``max_memory_size`` where that is less;
        0 for the whole file in one window. Under ``strict_memory``, a window that is larger than the memory limit is a
        ValueError.
    :param max_memory_size: bytes; 0 for 8 GiB (1 GiB on 32-bit). A soft limit: it is exceeded only when nothing idle is
        left to unmap.
    :param max_open_handles: regions mapped at once, at least 1. A hard limit: it is not exceeded at any instant.
        ``sys.maxsize`` for half of what the system allows this process now: of maps on Linux (``vm.max_map_count``),
        and of descriptors (``ulimit -n``) where a map costs one, which is before CPython 3.13.
    :param reader: ``"mmap"``; or ``"pread"`` to read windows into memory, which works on files that cannot be mapped
        and where even a view of a truncated file raises no signal; or ``"auto"``, which maps, and reads the files
        that the system refuses to map; or your own ``smmap_typed.readers.Reader``.
    :param strict_memory: whether the memory limit is hard, too.
    :param observer: called with each event, in the thread that caused it, when the call that caused it is on its way
        out. An error that it raises goes to ``sys.unraisablehook``.
    :param advice: how files will be read: ``"normal"``, ``"sequential"``, ``"random"`` or ``"willneed"``. The manager
        passes it to the kernel for each window that it maps, where there is ``madvise``; a copy gets no advice.
    :param reads: how ``read``, buffers and file objects get their bytes: ``"auto"`` to copy from a mapped window what
        is known to be in memory, and to read the rest by a descriptor; ``"pread"`` to read all by a descriptor, so that
        a read cannot kill the process, whatever happens to the file. Windows for views are mapped all the same.
    :param populate: whether ``use_region`` with a size, and ``view``, bring the bytes into memory before they return,
        as ``prefetch(..., wait=True)`` does. This makes each such call slower, hits included.
    :raises ValueError: if an argument is out of its range, or not one of the names listed here.
    :raises TypeError: if an argument is of a wrong type.

    Every method may be called from any thread at any time. A manager is a context manager that closes itself. Its
    methods are those of ``StaticWindowMapManager``.
    """

    __slots__ = ()

    def __init__(
        self,
        window_size: SupportsIndex = -1,
        max_memory_size: SupportsIndex = 0,
        max_open_handles: SupportsIndex = sys.maxsize,
        *,
        reader: ReaderName | Reader = "mmap",
        strict_memory: bool = False,
        observer: Observer | None = None,
        advice: Advice | None = None,
        reads: Reads = "auto",
        populate: bool = False,
    ) -> None:
        super().__init__(
            window_size,
            max_memory_size,
            max_open_handles,
            reader=reader,
            strict_memory=strict_memory,
            observer=observer,
            advice=advice,
            reads=reads,
            populate=populate,
        )

    @staticmethod
    @override
    def _window(window_size: SupportsIndex, memory: int, reader: Reader, *, strict: bool) -> int:
        return window_bytes(window_size, memory, default_window(reader), strict=strict)


def _share(used: int, limit: int, unit: str) -> str:
    """Describe a limit and what is used of it; ``sys.maxsize`` is how users say that there is no limit."""
    return f"{used} {unit}, unlimited" if limit >= sys.maxsize else f"{used} of {limit} {unit}"


def _make_pool(
    window_size: int, ledger: Ledger, reader: Reader, settings: Settings, reference: ManagerReference
) -> Pool:
    observer = settings.observer
    if observer is not None and not callable(observer):
        raise TypeError(f"observer must be callable, got {type(observer).__name__}")
    copies_from_maps = check_reads(settings.reads) == "auto"
    if not (copies_from_maps or reader.copies or isinstance(reader, PositionalReader)):
        raise ValueError(
            f'reads="pread" needs a smmap_typed.readers.PositionalReader, which reads at an offset, got {reader!r}'
        )
    return Pool(
        reader,
        Grid.of(window_size),
        ledger,
        LRU(),
        observer,
        reference,
        copies_from_maps=copies_from_maps,
        populates=settings.populate,
    )
