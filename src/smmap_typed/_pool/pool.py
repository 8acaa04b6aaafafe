"""The pool: hands out pins on windows of files, maps missing windows, and evicts idle ones. It knows no cursors.

A region goes through these states::

    (not there) --begin_load, mmap, publish--> pinned <--pin / last pin drained--> idle --begin_unload--> unloading
                                                                                    ^                       |    |
                                                                                    +------ has views ------+    |
                                                                                        (gone) <--map closed-----+

    discard (close, forced removal): any state --> (gone); a leftover keeps the map until its last view goes

Finding a mapped window and pinning it takes no lock. Other changes happen in short sections under the lock, with the
system calls between them. While a thread maps or unmaps a window, a load or unload is in flight for it (``inflight``):
there is one per window at a time, and other threads can wait for its end.
"""

import contextlib
import errno
import mmap
import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import get_ident
from typing import Final, TypeVar, final

from typing_extensions import override

from smmap_typed._arguments import check_flags
from smmap_typed._platform import CAN_TELL_VIEWS, advise
from smmap_typed._pool import snapshot
from smmap_typed._pool.descriptor import Descriptor
from smmap_typed._pool.file import File, is_led_to_by
from smmap_typed._pool.fork import register_for_fork
from smmap_typed._pool.frame import CLOSED, Frame
from smmap_typed._pool.grid import Grid
from smmap_typed._pool.inflight import InFlight, Load, Unload, close_unless_viewed
from smmap_typed._pool.ledger import Ledger
from smmap_typed._pool.monitor import Entry, Monitor, Monitored
from smmap_typed._pool.replacement import Replacement
from smmap_typed._pool.resident import Ageing
from smmap_typed._pool.tables import Tables
from smmap_typed._source import Arrival, FileState, Source, explain_unnamed
from smmap_typed.events import Note, Notifier, Observer
from smmap_typed.exceptions import (
    HandleLimitError,
    ManagerClosedError,
    MemoryLimitError,
    ReentrantCallError,
    SmmapError,
)
from smmap_typed.readers import PositionalReader, Reader
from smmap_typed.values import ManagerStats, RegionStats

__all__ = ["Pool"]

S = TypeVar("S")
T = TypeVar("T")

# Errors of a system that is out of descriptors or of address space. One retry is worth it after some were given back.
_SCARCE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})

# Errors of a file that the system does not map at all.
_UNMAPPABLE: Final = frozenset({errno.ENODEV, errno.EACCES, errno.EPERM, errno.EINVAL})

# One idle region in so many is evicted then, at least one. If it were only one, the process would stay at the edge of
# what the system allows, and would have to evict again for the next window.
_SHARE: Final = 8

# The class at import time: users and tests replace ``mmap.mmap`` by functions.
_Map: Final = mmap.mmap


@final
class Pool(Monitored):
    """The state that the cursors of one manager share. Its methods are safe in any thread and in nested calls."""

    __slots__ = (
        "_fork_registration",
        "_notifier",
        "ageing",
        "copies_from_maps",
        "first_files",
        "grid",
        "ledger",
        "note_release",
        "populates",
        "positional",
        "reader",
        "reference",
        "tables",
    )

    def __init__(
        self,
        reader: Reader,
        grid: Grid,
        ledger: Ledger,
        replacement: Replacement,
        observer: Observer | None = None,
        reference: object = None,
        *,
        copies_from_maps: bool = True,
        populates: bool = False,
    ) -> None:
        tables = Tables(ledger, replacement)
        super().__init__(Monitor(tables), is_observed=observer is not None)
        self.reader: Final = reader
        self.positional: Final = reader if isinstance(reader, PositionalReader) else None
        """The reader, if it can read at an offset without a window."""
        self.copies_from_maps: Final = copies_from_maps or reader.copies
        """Whether reads may copy from windows whose bytes are known to be in memory. A copy of the file always is."""
        self.populates: Final = populates
        """Whether a request with a size is brought into memory before a cursor goes there."""
        self.ageing: Final = Ageing()
        self.grid: Final = grid
        self.ledger: Final = ledger
        self.tables: Final = tables
        self.note_release: Final = tables.released.append
        self.first_files: Final[dict[int, File]] = {}
        """The file that was found first for each cursor state that is just looking, by the state's ``id``. See
        ``CursorState._keep``."""
        self.reference: Final = reference
        """The manager as its cursors pickle it: see ``_handles.pickling``. It must not keep the manager alive."""
        self._notifier: Final = Notifier(observer)
        self._fork_registration: Final = register_for_fork(self.monitor)

    # Finding and pinning, without the lock.

    def find_file(self, source: Source) -> File:
        """Return the file that ``source`` names now, in its current state. Opens nothing.

        This is a listed file if one is in the same state and the name leads to it. Otherwise it is a new one, which is
        listed when it is registered or mapped. Takes no lock unless the system is out of something.
        """
        try:
            state = self._identify(source)
        except OSError as error:
            explain_unnamed(error, source, "looking at the file")
            raise
        tables, target = self.tables, source.target
        if source.known is not None and isinstance(source.known, Arrival):
            source.known.check(state, target)
        # As ``name`` does for a path, without the call: a cursor that is used once spends a part of its time here.
        name = target if type(target) is str else source.name()
        file = tables.names.get(name)
        if file is not None and file.state == state:
            return file
        for other in tables.inodes.get((state.device, state.inode), ()):
            if other.state == state and is_led_to_by(other, name):
                return other
        return File(state, name)

    def register(self, source: Source, file: File, flags: int) -> None:
        """Keep a descriptor of ``file``, which a first look has found by ``source``, if a handle is free.

        With it the cursor goes on in this file even if it has mapped nothing yet, and new cursors find the file by this
        name. If they do so already, nothing is done and no lock is taken.

        :raises OSError: if the file cannot be opened.
        :raises FileChangedError: if ``source`` leads to another file by now.
        """
        tables, ledger, name = self.tables, self.ledger, source.name()
        if tables.closed or tables.names.get(name) is file:
            return
        with Entry(self) as entry, contextlib.suppress(ReentrantCallError):
            load = Load()
            try:
                # The ledger is read without the lock, as a hint: at worst the file is opened in vain, or not kept.
                if file.descriptor is None and ledger.total_handles < ledger.max_handles:
                    self._open(entry, load, source, file, flags)
                stale = entry.locked(tables.register, file, name, load)
            finally:
                load.descriptor = None
            while stale:
                self._unload_one(entry, tables.begin_unload, stale.pop())

    def pin(self, frame: Frame) -> memoryview | None:
        """Return a memoryview that pins the region while it lives, or None if a thread is unmapping the region.

        Does not wait for the lock.
        """
        view = frame.pin(self.note_release)
        tables = self.tables
        if len(tables.released) > tables.drain_threshold:
            self.try_drain()
        return view

    def obtain(self, source: Source, file: File, offset: int, stop: int, *, newest: bool) -> tuple[memoryview, Frame]:
        """Pin the window that serves the bytes from ``offset`` to ``stop``. Does not wait for the lock if it is mapped.

        Requires ``0 <= offset < stop <= file.size``. ``newest`` is passed on to ``acquire``.
        """
        start = self.grid.start(offset, stop)
        frame = file.windows.get(start)
        if frame is not None:
            view = self.pin(frame)
            if view is not None:
                return view, frame
        return self.acquire(source, file, start, 0, newest=newest)

    def check_open(self) -> None:
        """Raise ManagerClosedError if the manager was closed."""
        self.tables.check_open()

    # Mapping.

    def acquire(
        self, source: Source, file: File, start: int, flags: int, *, newest: bool = False
    ) -> tuple[memoryview, Frame]:
        """Pin the window at ``start``: map it, or wait for the thread that is mapping it.

        ``newest`` says that ``source`` was looked at just now, so new cursors should find this file by its name. If an
        equal file is listed, the window is one of that file, and ``file.equal`` refers to it afterwards.
        """
        pinned = self._acquire(source, file, start, flags, newest=newest)
        assert pinned is not None, "it would have waited or raised"  # noqa: S101 - for the type checkers
        return pinned

    def acquire_if_room(
        self, source: Source, file: File, offset: int, stop: int, flags: int, descriptor: Descriptor | None
    ) -> tuple[memoryview, Frame] | None:
        """Pin the window that serves these bytes, if it is mapped, or if there is room for it without an eviction.

        Waits for no load, and raises no error of the system or about a limit: the caller has another way to the bytes.
        None if that is not possible, or if no single window has all the bytes. ``descriptor`` is an open one
        of the file, if the caller has one.
        """
        start = self.grid.start(offset, stop)
        nbytes = self.grid.size(start, file.size)
        # Read without the lock, as a hint.
        if file.refuses_maps or stop > start + nbytes or not self.ledger.has_room_for(nbytes):
            return None
        try:
            return self._acquire(source, file, start, flags, newest=False, only_if_room=True, descriptor=descriptor)
        except (ReentrantCallError, ManagerClosedError):
            return None
        except TimeoutError:
            # A signal handler raised it: no system call here does.
            raise
        except OSError as error:
            file.refuses_maps = error.errno in _UNMAPPABLE
            return None

    def _acquire(
        self,
        source: Source,
        file: File,
        start: int,
        flags: int,
        *,
        newest: bool,
        only_if_room: bool = False,
        descriptor: Descriptor | None = None,
    ) -> tuple[memoryview, Frame] | None:
        """Pin the window at ``start``. None only with ``only_if_room``, if there is no room or another thread maps."""
        tables = self.tables
        nbytes = self.grid.size(start, file.size)
        # The name of a descriptor takes a system call, so it is asked for outside the lock.
        looked_at = source.name() if newest else None
        waited = False
        stale: list[Frame] = []
        with Entry(self) as entry:
            while True:
                load, unload = Load(), Unload()
                load.nbytes = nbytes
                load.only_if_room, load.descriptor = only_if_room, descriptor
                try:
                    found = entry.locked(self._find_or_begin, load, unload, file, start, looked_at, waited, stale)
                    while stale:
                        self._unload_one(entry, tables.begin_unload, stale.pop())
                    if found is None or not isinstance(found, InFlight):
                        return found
                    if found is load:
                        return self._load(entry, load, unload, source, file.equal or file, start, flags)
                except OSError as error:
                    explain_unnamed(error, source, f"loading {nbytes} bytes at offset {start}")
                    if not isinstance(error, SmmapError):
                        entry.note_about(source.target, start, nbytes, error)
                    raise
                finally:
                    # The next holder of the lock gives back what a failed load has reserved; at the latest this thread
                    # does so on its way out. The map is closed first, so that its handle is not given back while it is
                    # still open.
                    if load.serial and not load.done:
                        try:
                            if load.mapping is not None:
                                close_unless_viewed(load.mapping)
                        finally:
                            tables.finished.append(load)
                    if unload.victim is not None and not unload.done:
                        tables.finished.append(unload)
                    # The traceback of an error would keep the descriptor open.
                    load.descriptor = None
                entry.wait(found)
                waited = True

    def _find_or_begin(
        self,
        load: Load,
        unload: Unload,
        file: File,
        start: int,
        looked_at: str | int | None,
        waited: bool,  # noqa: FBT001 - see Entry.locked
        stale: list[Frame],
    ) -> tuple[memoryview, Frame] | InFlight | None:
        """Pin the window if it is mapped by now, else begin ``load``, or find what is in flight. Under the lock.

        Returns the pin and the frame, or ``load``, or the load or unload to wait for. With ``load``, ``unload`` may
        have begun, too, to pass its room on to it. The windows of older states are added to ``stale``. Returns None if
        ``load`` is one that must not wait or evict, and would have to.
        """
        tables = self.tables
        if tables.closed:
            tables.check_open()
        if looked_at is not None or tables.files.get(file.serial) is not file:
            file, older = tables.enlist(file, looked_at)
            stale += older
        frame = file.windows.get(start)
        if frame is not None:
            view = frame.pin(self.note_release)
            if view is not None:
                tables.torn = False
                self.ledger.misses += waited
                return view, frame
            tables.drop_if_closed(frame)
        if load.only_if_room and (
            (file.serial, start) in tables.in_flight or not self.ledger.has_room_for(load.nbytes)
        ):
            tables.unlist_if_unused(file)
            tables.torn = False
            return None
        found = tables.begin_load(load, file, start)
        # Only with a descriptor: a file that must be opened first may turn out bad, and must then evict nothing.
        if found is load and load.reserved < 0 and load.descriptor is not None:
            tables.unload_for(unload, load)
        return found

    def _load(
        self, entry: Entry, load: Load, unload: Unload, source: Source, file: File, start: int, flags: int
    ) -> tuple[memoryview, Frame]:
        """Open the file unless a descriptor of it is kept, make room, map the window and publish it."""
        tables, reader, nbytes = self.tables, self.reader, load.nbytes
        made_way = False
        if unload.victim is not None:
            made_way = self._unmap(entry, unload)
            tables.finished.append(unload)
        if load.descriptor is None:
            self._open(entry, load, source, file, flags)
        # No name for the descriptor itself: see ``_open``.
        assert load.descriptor is not None, "opened just now"  # noqa: S101 - for the type checkers
        number = load.descriptor.number
        if load.reserved < 0 and not (made_way or self._unload_one(entry, tables.reserve_or_unload_for, load)):
            self._make_room(entry, partial(tables.has_room, load))
        began = time.perf_counter()
        try:
            load.mapping = mapping = reader.load(number, source, file.state, start, nbytes)
        except OSError as error:
            if not self._is_worth_a_retry(entry, error, load):
                raise
            load.mapping = mapping = reader.load(number, source, file.state, start, nbytes)
        seconds = time.perf_counter() - began
        if type(mapping) is not _Map or len(mapping) != nbytes:
            _check_loaded(load, reader)
        # A map of the file is for reading only, and memory with a copy is not: see ``Reader.copies``.
        copied = reader.copies or not memoryview(mapping).readonly
        if source.advice is not None and not copied:
            advise(mapping, source.advice)
        target, reach = source.target, self.grid.reach
        frame = Frame(load.serial, file.serial, file.size, target, start, nbytes, mapping, reach, copied, began)
        frame.hit_size = -1 if self.populates else nbytes
        view = frame.pin(self.note_release)
        assert view is not None, "unloaded before it was published"  # noqa: S101 - nobody else knows it yet
        try:
            entry.locked(tables.publish, load, file, frame, seconds)
        except BaseException:
            # The traceback would keep the view, and the unpublished map could not be closed.
            view.release()
            raise
        if entry.notes is not None:
            entry.note(frame, seconds)
        return view, frame

    def _open(self, entry: Entry, load: Load, source: Source, file: File, flags: int) -> None:
        """Open the file for ``load``, which gets the descriptor.

        No local variable may refer to the descriptor: if the first attempt fails, the traceback of its error keeps
        this frame.

        :raises ValueError: if ``flags`` would let the system change the file. Each opening comes here.
        """
        if flags:
            check_flags(flags)
        load.descriptor = Descriptor()
        try:
            load.descriptor.numbers.append(self.reader.open(source, file.state, flags))
        except OSError as error:
            if not self._is_worth_a_retry(entry, error, load):
                raise
            load.descriptor.numbers.append(self.reader.open(source, file.state, flags))

    def _is_worth_a_retry(self, entry: Entry, error: OSError, load: Load) -> bool:
        """Whether the system was out of something, some of which has been given back now. Counts the failure."""
        if not isinstance(error, SmmapError):
            load.failures += 1
        if error.errno not in _SCARCE or load.only_if_room:
            return False
        self._relieve(entry, error, load)
        return True

    def _relieve(self, entry: Entry, error: OSError, load: Load) -> None:
        """Give back some of what the system is out of: kept descriptors if they help, else a share of idle regions."""
        if error.errno != errno.ENOMEM and entry.locked(self._release_all_descriptors, load):
            return
        self._evict_share(entry, load.nbytes if error.errno == errno.ENOMEM else 1)

    def _release_all_descriptors(self, load: Load) -> int:
        """Stop keeping descriptors, and return how many that frees. The one by which ``load`` maps stays open."""
        tables = self.tables
        helpful = sum(file.descriptor is not load.descriptor for file in tables.kept.values())
        tables.release_descriptors(tables.kept.values())
        return helpful

    def _identify(self, source: Source) -> FileState:
        """Return the state of the file that ``source`` names now."""
        try:
            return self.reader.identify(source)
        except OSError as error:
            if error.errno not in _SCARCE:
                raise
            with Entry(self) as entry:
                self._relieve(entry, error, Load())
        return self.reader.identify(source)

    # Reading without a window.

    def window(self, file: File, offset: int, stop: int) -> Frame | None:
        """Return the frame of the window that serves these bytes, if it is mapped and has all of them. Takes no lock.

        Nothing pins it.
        """
        frame = file.windows.get(self.grid.start(offset, stop))
        return frame if frame is not None and stop <= frame.live_end else None

    def descriptor_of(self, source: Source, file: File, flags: int = 0, *, newest: bool = False) -> Descriptor:
        """Return a descriptor of ``file``: the kept one, or a new one. It stays open while the caller refers to it.

        A new one is kept if regions leave a handle. ``newest`` is as in ``acquire``. Takes no lock while a descriptor
        is kept.

        :raises OSError: if the file cannot be opened.
        :raises FileChangedError: if ``source`` leads to another file by now.
        :raises ManagerClosedError: if the manager was closed.
        """
        # Read the field once, since another thread may stop keeping the descriptor.
        descriptor = file.descriptor
        if descriptor is not None:
            return descriptor
        self.check_open()
        load = Load()
        stale: list[Frame] = []
        with Entry(self) as entry:
            try:
                self._open(entry, load, source, file, flags)
                with contextlib.suppress(ReentrantCallError):
                    stale = entry.locked(self.tables.register, file, source.name() if newest else None, load)
                while stale:
                    self._unload_one(entry, self.tables.begin_unload, stale.pop())
                # Nothing is called from here on: a name in the traceback of an error would keep the descriptor open.
                descriptor = load.descriptor
                assert descriptor is not None, "opened just now"  # noqa: S101 - for the type checkers
                return descriptor
            finally:
                load.descriptor = None

    def note_reads(self) -> None:
        """Do what is due now and then when bytes are read: count the reads, and look at the page faults."""
        self.look_at_faults()
        self.try_drain()

    def look_at_faults(self) -> None:
        """Forget which pages are in memory if the kernel has taken some back. Looks now and then: see ``resident``."""
        if time.monotonic() >= self.ageing.next_look and self.ageing.has_faults():
            self.forget_resident()

    def forget_resident(self) -> None:
        """Forget which pages are in memory. O(regions). Does nothing in a nested call if the lock is taken."""
        with Entry(self) as entry, contextlib.suppress(ReentrantCallError):
            entry.locked(self.tables.forget_resident)

    # Making room.

    def _make_room(self, entry: Entry, attempt: Callable[[bool], bool]) -> None:
        """Evict one region after the other until ``attempt(False)`` is true, or until nothing idle is left.

        In the second case ``attempt(True)`` is called, which may raise a limit error. Before it does so, loads and
        unloads of other threads are waited for, since they may give back the missing room. ``attempt`` is called under
        the lock.
        """
        refused: set[int] = set()
        while True:
            unload = Unload()
            try:
                awaited = entry.locked(self._attempt, attempt, unload, refused)
                if awaited is None:
                    return
                if unload.victim is not None and not self._unmap(entry, unload):
                    refused.add(unload.victim.serial)
            finally:
                # Here and not in a method: an exception could strike at its entry.
                if unload.victim is not None:
                    self.tables.finished.append(unload)
            if awaited is not unload:
                entry.wait(awaited)

    def _attempt(self, attempt: Callable[[bool], bool], unload: Unload, refused: set[int]) -> InFlight | None:
        """Try once. Returns None after success, else a load or unload whose end may make room. Under the lock.

        The result is ``unload``, which has begun or must be tried again, or a load or unload of another thread, for
        which the caller must wait.
        """
        tables = self.tables
        if tables.leftovers:
            tables.strike_out_leftovers()
        if attempt(False):  # noqa: FBT003 - whether it is the last
            return None
        if tables.unload_next(unload, refused):
            return unload
        try:
            return self._attempt_last(attempt)
        except (HandleLimitError, MemoryLimitError):
            # The regions were not looked at in one instant. If a pin has ended since, or a view that kept a region
            # mapped is gone, there may be something to evict now, so try again.
            if not (tables.released or self._is_any_free_again(refused)):
                raise
            return unload

    def _is_any_free_again(self, refused: set[int]) -> bool:
        """Whether a refused region has lost the view that kept it mapped. Such regions are refused no longer."""
        if not CAN_TELL_VIEWS:
            # Only another attempt to unmap could tell, and such attempts would have no end.
            return False
        frames = self.tables.frames
        free = {serial for serial in refused if (frame := frames.get(serial)) is None or not frame.has_views()}
        refused -= free
        return bool(free)

    def _attempt_last(self, attempt: Callable[[bool], bool]) -> InFlight | None:
        """Make the last attempt, or return a load or unload in flight to wait for first. Under the lock."""
        other = self.tables.unload_in_flight()
        if other is None:
            try:
                attempt(True)  # noqa: FBT003 - whether it is the last
            except (HandleLimitError, MemoryLimitError):
                other = self.tables.load_in_flight()
                if other is None:
                    raise
        return other

    def _evict_share(self, entry: Entry, nbytes: int) -> None:
        """Evict a share of the idle regions: at least one, and at least ``nbytes`` if so many bytes are idle."""
        left = entry.locked(lambda: max(sum(1 for _ in self.tables.replacement.order()) // _SHARE, 1))
        freed = 0
        refused: set[int] = set()
        while left > 0 or freed < nbytes:
            unload = Unload()
            try:
                begun = entry.locked(self.tables.unload_next, unload, refused)
                # A name of its own: compiled code would take the field for what a test of it has found, and the
                # ``finally`` would raise a TypeError where nothing is idle.
                victim = unload.victim
                if not begun or victim is None:
                    return
                if self._unmap(entry, unload):
                    freed += victim.size
                    left -= 1
                else:
                    refused.add(victim.serial)
            finally:
                # Here and not in a method: an exception could strike at its entry.
                if unload.victim is not None:  # pragma: no branch - without one it has returned or raised
                    self.tables.finished.append(unload)

    def _unload_one(self, entry: Entry, begin: Callable[[Unload, S], bool], subject: S) -> bool:
        """Unmap the region for which ``begin(unload, subject)`` begins an unload under the lock.

        Returns False if it begins none, or if a view keeps the region mapped.
        """
        unload = Unload()
        try:
            return entry.locked(begin, unload, subject) and self._unmap(entry, unload)
        finally:
            # Here and not in a method: an exception could strike at its entry.
            if unload.victim is not None:
                self.tables.finished.append(unload)

    def _unmap(self, entry: Entry, unload: Unload) -> bool:
        """Close the map of an unload that has begun; False if a view keeps it mapped.

        Then the caller posts the unload. The next thread that enters the lock completes it; at the latest the caller
        does so on its way out.
        """
        if unload.mapping is None or unload.victim is None or not close_unless_viewed(unload.mapping):
            return False
        if entry.notes is not None:
            entry.note(unload.victim, "evicted" if unload.evicts else "collected")
        return True

    # Queues.

    def try_drain(self) -> None:
        """Drain the queues. If the lock is taken, yield the processor instead; does not wait for the lock.

        A thread that loses the processor in the middle of a drain keeps the lock until its next turn. If other threads
        went on meanwhile, the queue would grow by more than that thread drains in its turn. The yield keeps it short.
        """
        if self.monitor.lock.locked():
            time.sleep(0)
            return
        with Entry(self, waits=False) as entry, contextlib.suppress(ReentrantCallError):
            entry.locked(self.tables.drain)

    def trim(self) -> None:
        """Unmap idle regions until the soft memory limit is kept again or nothing is idle (I3).

        Does so only if this thread has mapped past the limit, so that moves among mapped windows wait for nothing.
        """
        if get_ident() in self.tables.past_limit:
            with Entry(self) as entry, contextlib.suppress(ReentrantCallError):
                self._make_room(entry, self._is_trimmed)

    def _is_trimmed(self, last: bool) -> bool:  # noqa: FBT001 - see _make_room
        if trimmed := last or not self.ledger.over_memory():
            self.tables.past_limit.discard(get_ident())
        return trimmed

    # The calls that managers delegate.

    def collect(self) -> int:
        """Unmap every idle region, and return how many were unmapped. O(regions). A nested call does not wait.

        Also closes the kept descriptors of files on which no cursor is.
        """
        with Entry(self) as entry:
            return self._collect(entry)

    def _collect(self, entry: Entry) -> int:
        freed = 0
        if not entry.waits:
            # The request is left before the lock is tried, so that its holder cannot overlook it.
            self.collect_wanted = True
        try:
            candidates = entry.locked(self._begin_collect)
            for frame in candidates:
                freed += self._unload_one(entry, self.tables.begin_unload, frame)
        except ReentrantCallError:
            self.collect_wanted = True
        return freed

    def _begin_collect(self) -> list[Frame]:
        self.collect_wanted = False
        # Again, now that the request is taken back: pins may have been released before it was left.
        tables = self.tables
        tables.drain()
        tables.release_descriptors([file for file in tables.kept.values() if not file.is_in_use()])
        return list(tables.replacement.order())

    def resize(self, memory: int | None, handles: int | None) -> None:
        """Evict until the new limits are kept, and set them. None leaves a limit as it is.

        :raises HandleLimitError: if more regions are pinned than allowed; the limits stay as they were.
        :raises MemoryLimitError: if more bytes are pinned than a strict limit allows; the limits stay as they were.
        :raises ManagerClosedError: if the manager was closed.
        """
        self.check_open()
        with Entry(self) as entry:
            entry.locked(self._check_pinned, memory, handles)
            self._make_room(entry, lambda last: self._set_limits(memory, handles, last=last))

    def _check_pinned(self, memory: int | None, handles: int | None) -> None:
        """Raise a limit error if the new limits cannot be kept, before anything is evicted. Under the lock."""
        while True:
            try:
                return self._check_pinned_once(memory, handles)
            except (HandleLimitError, MemoryLimitError):
                # The regions were not looked at in one instant: a cursor that moves meanwhile is seen on several.
                if not self.tables.released:
                    raise
            self.tables.drain()

    def _check_pinned_once(self, memory: int | None, handles: int | None) -> None:
        ledger = self.ledger
        pinned = [frame for frame in self.tables.frames.values() if frame.is_pinned() or frame.has_views()]
        if handles is not None and len(pinned) > handles:
            raise HandleLimitError(handles, len(pinned))
        size = sum(frame.size for frame in pinned)
        if memory is not None and ledger.strict and size > memory:
            raise MemoryLimitError(memory, size, 0)

    def _set_limits(self, memory: int | None, handles: int | None, *, last: bool) -> bool:
        """Set the limits if what is mapped or reserved keeps them already. Under the lock.

        ``last`` says that nothing more can be evicted: then a soft limit is set all the same, and a hard one raises a
        limit error.
        """
        ledger, tables = self.ledger, self.tables
        max_memory = ledger.max_memory if memory is None else memory
        max_handles = ledger.max_handles if handles is None else handles
        if ledger.total_handles > max_handles:
            if last:
                raise HandleLimitError(max_handles, ledger.handles())
            return False
        if ledger.total_bytes > max_memory:
            if last and ledger.strict:
                raise MemoryLimitError(max_memory, ledger.total_bytes, 0)
            if not last:
                return False
        while ledger.total_handles + ledger.kept > max_handles:
            tables.release_oldest_descriptor()
        ledger.max_memory, ledger.max_handles = max_memory, max_handles
        return True

    def close(self) -> None:
        """Discard all regions, and refuse to map from now on. Idempotent."""
        with Entry(self) as entry:
            self._let_go(entry, *entry.locked(self._close))

    def _close(self) -> tuple[list[Frame], list[mmap.mmap | None]]:
        self.tables.closed = True
        return self._discard_files(lambda _: True, CLOSED)

    def discard(self, condemned: Callable[[File], bool], reason: str) -> int:
        """Discard the regions of the files that are ``condemned``, pinned or not, and return how many there were.

        Releases the memoryviews of the cursors. A region with a user's view stays mapped, and is counted, until the
        view is gone. ``condemned`` is called under the lock.
        """
        with Entry(self) as entry:
            frames, mappings = entry.locked(self._discard_files, condemned, reason)
            for frame in frames:
                frame.release_pins()
            self._let_go(entry, frames, mappings)
            return len(frames)

    def _discard_files(
        self, condemned: Callable[[File], bool], reason: str
    ) -> tuple[list[Frame], list[mmap.mmap | None]]:
        tables = self.tables
        files = [file for file in tables.files.values() if condemned(file)]
        serials = {file.serial for file in files}
        tables.release_descriptors(files)
        frames = [frame for frame in tables.frames.values() if frame.file in serials]
        return frames, [tables.discard(frame, reason) for frame in frames]

    def _let_go(self, entry: Entry, frames: list[Frame], mappings: list[mmap.mmap | None]) -> None:
        """Close the maps of discarded regions, except those with views. A cursor drops its view at its next call."""
        for frame in frames:
            entry.note(frame, "given up")
        while mappings:
            mapping = mappings.pop()
            # None if the region is being unmapped already.
            if mapping is not None:
                close_unless_viewed(mapping)
        mapping = None
        self._free_leftovers(entry)

    def settle(self) -> None:
        """Close the leftovers whose views are gone, so that the figures are right. O(leftovers)."""
        if self.tables.leftovers:
            with Entry(self) as entry:
                if not entry.nested:
                    self._free_leftovers(entry)

    def _free_leftovers(self, entry: Entry) -> None:
        for leftover in self.tables.leftovers.copy():
            mapping = leftover.mapping()
            if mapping is not None:
                close_unless_viewed(mapping)
        mapping = None
        entry.locked(self.tables.strike_out_leftovers)

    def snapshot(self) -> ManagerStats:
        """Return the counters of the pool and what it holds. O(regions).

        A nested call does not wait: if the lock is taken, its figures may not be of one instant.
        """
        return self._at_one_instant(snapshot.count)

    def list_regions(self) -> tuple[RegionStats, ...]:
        """Return the statistics of the mapped regions. O(regions).

        A nested call does not wait: if the lock is taken, its figures may not be of one instant.
        """
        return self._at_one_instant(snapshot.list_regions)

    def _at_one_instant(self, look: Callable[[Tables], T]) -> T:
        """Call ``look`` under the lock; or without it, if the lock is taken and this call may not wait."""
        with Entry(self) as entry:
            try:
                return entry.locked(look, self.tables)
            except ReentrantCallError:
                return look(self.tables)

    def reset_counters(self) -> None:
        """Clear the counters and start the peaks anew."""
        with Entry(self) as entry:
            entry.locked(self.tables.reset_counters)

    # The interface that the monitor calls.

    @override
    def serve(self, *, waits: bool) -> bool:
        """Serve the requests of nested calls; False if the lock is taken and must not be waited for."""
        with Entry(self, serves=False, waits=waits) as entry:
            if self.collect_wanted:
                self._collect(entry)
            try:
                entry.locked(self.tables.drain)
            except ReentrantCallError:
                return False
        return True

    @override
    def notify(self, notes: Sequence[Note], error: BaseException | None, *, nested: bool) -> None:
        """Report the notes of a call, and the limit error that ended it, if there is one."""
        ledger = self.ledger
        self._notifier.notify(notes, error, ledger.total_bytes, ledger.max_memory, logs=not nested)


def _check_loaded(load: Load, reader: Reader) -> None:
    """Raise TypeError or ValueError unless ``reader``, which may be a user's, has loaded a map of the whole window."""
    mapping: object = load.mapping
    if not isinstance(mapping, _Map):
        # The result is no map, so there is nothing to close.
        load.mapping = None
        raise TypeError(f"{type(reader).__name__}.load must return an mmap.mmap, got {type(mapping).__name__}")
    if len(mapping) != load.nbytes:
        raise ValueError(
            f"{type(reader).__name__}.load must return a map of exactly {load.nbytes} bytes, got {len(mapping)}"
        )
