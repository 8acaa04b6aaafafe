"""The tables: the files and regions of a pool, what is in flight, and the steps that change them.

The pool's lock guards all of it, except where a field says otherwise. Each method that the pool calls is one step in
the life of a file or a region. A step makes no system call, and it keeps the invariants: one region per window (I4),
one load or unload per window (I8), a ledger that agrees with the tables (I1), and a replacement policy that knows each
unpinned region once the queues are drained (I7).

**An exception may strike in the middle** of a step, since a signal handler may raise. So a step sets ``torn`` first and
clears it last. A thread that enters the lock and finds it set calls ``repair``, which restores the tables from data
that cannot be half changed: ``frames``, their maps and pins, and what is in flight.
"""

import mmap
import weakref
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from threading import get_ident
from typing import Final, final

from smmap_typed._platform import descriptor_limit
from smmap_typed._pool.descriptor import Descriptor
from smmap_typed._pool.file import File
from smmap_typed._pool.frame import TOMBSTONE, Frame, Leftover
from smmap_typed._pool.inflight import InFlight, Load, Unload, Window
from smmap_typed._pool.ledger import Ledger
from smmap_typed._pool.pin import Pin
from smmap_typed._pool.replacement import Replacement
from smmap_typed.exceptions import ManagerClosedError

__all__ = ["MOST_KEPT", "MOST_UNCOUNTED", "Tables"]

MOST_KEPT: Final = 64
"""The most descriptors that are kept, a sixteenth of the 1,024 that a process may have on most systems, and less where
it may have few: they are no more than half, even where maps cost none and handles are not limited by them. A miss in a
file without a kept descriptor also costs open, fstat and close (docs/design.md, "Kept descriptors")."""

MOST_UNCOUNTED: Final = 64
"""Detached reads that may wait to be counted, before a reader tries to count them."""

# Releases that may wait in the queue, besides one per region.
_QUEUE_SLACK: Final = 64

_ONLY_A_TOMBSTONE: Final[AbstractSet[object]] = frozenset({TOMBSTONE})


@final
class Tables:
    """The files, regions and descriptors of one pool, and the queues of work that is not completed yet."""

    __slots__ = (
        "closed",
        "closing",
        "discarded",
        "drain_threshold",
        "files",
        "finished",
        "former",
        "frames",
        "in_flight",
        "inodes",
        "kept",
        "ledger",
        "leftovers",
        "most_kept",
        "names",
        "next_serial",
        "past_limit",
        "reads",
        "released",
        "replacement",
        "torn",
    )

    def __init__(self, ledger: Ledger, replacement: Replacement) -> None:
        self.ledger: Final = ledger
        """The limits, and the totals of the regions and descriptors."""
        self.replacement: Final = replacement
        """The policy, which knows the order in which idle regions are evicted."""
        self.frames: Final[dict[int, Frame]] = {}
        """The mapped regions by serial."""
        self.files: Final[dict[int, File]] = {}
        """The listed files by serial: those with a region, a kept descriptor, or a load or unload in flight."""
        self.names: Final[dict[str | int, File]] = {}
        """The listed file to which each name led last. Read without the lock: a file that is no longer listed is listed
        again when it is used."""
        self.former: Final[dict[str | int, tuple[File, ...]]] = {}
        """The other listed files to which each name led before: their idle windows go when the name is looked at."""
        self.inodes: Final[dict[tuple[int, int], tuple[File, ...]]] = {}
        """The listed files of each device and inode number, in the order in which they were listed. Read without the
        lock: each tuple is replaced as a whole, and a file that is no longer listed is listed again."""
        self.most_kept: Final = min(MOST_KEPT, max(descriptor_limit() // 2, 1))
        """The most descriptors that are kept, whatever the handle limit."""
        self.kept: Final[OrderedDict[int, File]] = OrderedDict()
        """The files whose descriptor is kept, by serial, least recently used first."""
        self.in_flight: Final[dict[Window, InFlight]] = {}
        """Loads and unloads by their window."""
        self.released: Final[deque[Pin]] = deque()
        """Pins that died and are not drained yet, in the order of their deaths. Any thread appends, without the
        lock."""
        self.reads: Final[deque[int]] = deque()
        """The sizes in bytes of the detached reads that are not counted yet. Any thread appends, without the lock."""
        self.finished: Final[deque[InFlight]] = deque()
        """Loads and unloads that are over and not completed yet. Any thread appends, without the lock."""
        self.closing: Final[deque[Descriptor]] = deque()
        """Descriptors that are kept no longer. Filled under the lock. A thread that has released the lock empties this,
        which closes them, since closing is a system call."""
        self.leftovers: Final[list[Leftover]] = []
        """Maps that are in no other table but still open: of discarded regions with views, and of failed loads."""
        self.discarded: Final[dict[int, Frame]] = {}
        """Regions that were discarded while cursors were on them, until their pins are drained and counted."""
        self.drain_threshold = _QUEUE_SLACK
        """How many releases may wait before a lock-free move tries to drain them: about one per region. Without such
        attempts, no thread would drain them while all moves are lock-free. Read without the lock."""
        self.closed = False
        """Whether the manager was closed. Set once; read without the lock."""
        self.past_limit: Final[set[int]] = set()
        """Threads that mapped past the soft memory limit and have not trimmed since. Each thread adds and removes its
        own number under the lock; read without it."""
        self.torn = False
        """Whether a step has begun to change the tables and has not ended."""
        self.next_serial = 1
        """The next serial of a region or a file."""

    def check_open(self) -> None:
        """Raise ManagerClosedError if the manager was closed. Needs no lock."""
        if self.closed:
            raise ManagerClosedError("the manager was closed; make a new one to map more")

    # Files.

    def enlist(self, file: File, looked_at: str | int | None) -> tuple[File, list[Frame]]:
        """List ``file``, unless an equal file is listed; return the listed one, and the windows of older states.

        ``looked_at`` is the name that led to the file just now: new cursors find the file by it from now on. Then the
        windows of other files to which the name led, older states included, are returned for the caller to unmap if
        they are idle. ``looked_at`` is None if an old cursor goes on with its file.

        Leaves ``torn`` set, since a file that has nothing must not stay listed. The caller clears it once the file has
        a window, a descriptor or a load.
        """
        self.torn = True
        if self.files.get(file.serial) is not file:
            other = self.equal_of(file)
            if other is not file:
                # The cursors of this file change over when they next need a window.
                other.equal, file.equal = None, other
                file = other
            else:
                file.equal = None
        stale: list[Frame] = []
        if looked_at is None:
            for name in file.names:
                self._find_by(name, file)
        else:
            newest = self.names.get(looked_at)
            self.names[looked_at] = file
            self._forget_former(looked_at, file)
            if newest is not None:
                self._find_by(looked_at, newest)
            stale = [frame for other in self.former.get(looked_at, ()) for frame in other.windows.values()]
            file.names[looked_at] = None
        if not file.serial:
            file.serial = self.next_serial
            self.next_serial += 1
        self.files[file.serial] = file
        inode = file.state.device, file.state.inode
        siblings = self.inodes.get(inode, ())
        if file not in siblings:
            self.inodes[inode] = (*siblings, file)
        return file, stale

    def equal_of(self, file: File) -> File:
        """Return the listed file that is in the same state as ``file`` and shares a name; else ``file``. Needs no lock.

        A file that was unlisted has no windows. If new cursors have come to it since, another ``File`` has.
        """
        state = file.state
        for other in self.inodes.get((state.device, state.inode), ()):
            if other.state == state and (state.links > 1 or not other.names.keys().isdisjoint(file.names.copy())):
                return other
        return file

    def register(self, file: File, name: str | int | None, load: Load) -> list[Frame]:
        """List ``file`` if it has windows, or if the descriptor that ``load`` has opened can be kept.

        ``name`` is as in ``enlist``.

        Returns the windows of older states, for the caller to unmap if they are idle.
        """
        file, stale = self.enlist(file, name)
        if load.descriptor is not None:
            self.keep_descriptor(file, load.descriptor)
        self.unlist_if_unused(file)
        self.torn = False
        return stale

    def unlist_if_unused(self, file: File) -> None:
        """Remove ``file`` from the tables unless it has a region, a kept descriptor, or a load or unload in flight."""
        if file.windows or file.descriptor is not None or self.files.get(file.serial) is not file:
            return
        if any(serial == file.serial for serial, _start in self.in_flight):
            return
        torn, self.torn = self.torn, True
        del self.files[file.serial]
        for name in file.names:
            if self.names.get(name) is file:
                del self.names[name]
            self._forget_former(name, file)
        inode = file.state.device, file.state.inode
        others = tuple(other for other in self.inodes.get(inode, ()) if other is not file)
        if others:
            self.inodes[inode] = others
        else:
            self.inodes.pop(inode, None)
        self.torn = torn

    def _find_by(self, name: str | int, file: File) -> None:
        """Have new cursors find ``file`` by that name, unless it leads to another one by now."""
        former = self.former.get(name, ())
        if self.names.setdefault(name, file) is not file and file not in former:
            self.former[name] = (*former, file)

    def _forget_former(self, name: str | int, file: File) -> None:
        others = tuple(other for other in self.former.pop(name, ()) if other is not file)
        if others:
            self.former[name] = others

    def keep_descriptor(self, file: File, descriptor: Descriptor) -> None:
        """Keep ``descriptor`` for the next loads and reads of ``file``, if regions leave a handle.

        The descriptor that was used least recently makes way if too many are kept.
        """
        if file.descriptor is not None or self.closed:
            return
        ledger = self.ledger
        if self.kept and (len(self.kept) >= self.most_kept or ledger.total_handles + ledger.kept >= ledger.max_handles):
            self.release_oldest_descriptor()
        if ledger.total_handles + ledger.kept < ledger.max_handles:
            self.torn = True
            file.descriptor = descriptor
            self.kept[file.serial] = file
            ledger.kept += 1
            self.torn = False

    def release_descriptor(self, file: File) -> None:
        """Stop keeping the descriptor of ``file``, if there is one."""
        if file.descriptor is None:
            return
        torn, self.torn = self.torn, True
        # No name for it here: if another thread emptied the queue meanwhile, that would be the last reference, and the
        # descriptor would be closed under the lock.
        self.closing.append(file.take_descriptor())
        self.kept.pop(file.serial, None)
        self.ledger.kept -= 1
        self.torn = torn
        self.unlist_if_unused(file)

    def release_oldest_descriptor(self) -> None:
        """Stop keeping the descriptor that was used least recently, of those that are kept."""
        self.release_descriptor(next(iter(self.kept.values())))

    def release_descriptors(self, files: Iterable[File]) -> None:
        """Stop keeping the descriptors of ``files``."""
        for file in list(files):
            self.release_descriptor(file)

    # Loads.

    def begin_load(self, load: Load, file: File, start: int) -> InFlight:
        """Register ``load`` to map a window of a listed file, and return it, or return what is in flight there already.

        Reserves its room if that takes no eviction. Evicting must wait until the file is open, so that a path that
        turns out bad evicts nothing.
        """
        window = (file.serial, start)
        # The serial comes first: a load that has none was not registered, and need not be completed.
        load.serial = self.next_serial
        load.window = window
        load.owner = get_ident()
        other = self.in_flight.setdefault(window, load)
        # The file has a load now: see ``enlist``.
        self.torn = False
        if other is load:
            self.next_serial += 1
            descriptor = file.descriptor
            if descriptor is not None:
                load.descriptor = descriptor
                self.kept.move_to_end(file.serial)
            self.reserve(load, load.nbytes, last=False)
        else:
            load.serial = 0
        return other

    def reserve(self, load: Load, nbytes: int, *, last: bool) -> bool:
        """Reserve ``nbytes`` and a handle for ``load``; False if the limits do not allow it.

        ``last`` says that nothing more can be evicted: then a soft limit is passed over, and a hard one raises a limit
        error. Where handles are scarce, kept descriptors are released first.
        """
        ledger = self.ledger
        if not ledger.allows(nbytes, last=last):
            return False
        while ledger.kept and ledger.total_handles + ledger.kept >= ledger.max_handles:
            self.release_oldest_descriptor()
        self.torn = True
        ledger.reserve(nbytes)
        load.reserved = nbytes
        self.torn = False
        return True

    def has_room(self, load: Load, last: bool) -> bool:  # noqa: FBT001 - see Pool._make_room
        """Whether room is reserved for ``load``: by this call, or because an unload has passed it on since."""
        return load.reserved >= 0 or self.reserve(load, load.nbytes, last=last)

    def publish(self, load: Load, file: File, frame: Frame, seconds: float) -> None:
        """Publish the region that ``load`` has mapped in so many ``seconds``. Its first pin must be taken already."""
        if self.closed:
            self.check_open()
        if load.reserved < 0:
            # The load was to get the room of a victim, but that unload did not pass it on.
            self.reserve(load, frame.size, last=True)
        self.torn = True
        self.link(file, frame)
        # Right after: the map of a load that fails is closed, and from here on this map belongs to the tables.
        load.mapping = None
        ledger = self.ledger
        ledger.commit(seconds, load.failures)
        load.reserved = -1
        del self.in_flight[load.window]
        load.done = True
        if load.waiters:
            load.finish()
        if ledger.total_bytes > ledger.max_memory:
            self.past_limit.add(load.owner)
        self.torn = False
        descriptor = load.descriptor
        if descriptor is not None and file.descriptor is None:
            self.keep_descriptor(file, descriptor)

    def link(self, file: File, frame: Frame) -> None:
        """Put a region into the tables."""
        # An exception in an earlier load may have had the file unlisted.
        self.files.setdefault(file.serial, file)
        self.drain_threshold = len(self.frames) + 1 + _QUEUE_SLACK
        # No call from here to where ``publish`` gives up the map: a signal handler could raise after it, and the load
        # would close a map on which another thread's cursor may be by then.
        self.frames[frame.serial] = frame
        file.windows[frame.begin] = frame

    def unlink(self, frame: Frame) -> None:
        """Take a region out of the tables."""
        file = self.files[frame.file]
        del file.windows[frame.begin]
        del self.frames[frame.serial]
        self.replacement.forgotten(frame)
        if not file.windows and file.descriptor is None:
            self.unlist_if_unused(file)

    # Unloads.

    def begin_unload(self, unload: Unload, frame: Frame) -> bool:
        """Register ``unload`` for a region and set the tombstone; False if the region is gone, in flight or pinned.

        The region stays in the tables with its tombstone until its map is closed. If it were unlinked first, another
        thread could map the window again before the BufferError of a view brings the region back.
        """
        if frame.serial not in self.frames or (frame.file, frame.begin) in self.in_flight:
            return False
        if frame.pins and frame.is_pinned():
            # Set no tombstone on a pinned region: it would send the threads that move to it to the lock.
            return False
        return self._set_tombstone(unload, frame)

    def _set_tombstone(self, unload: Unload, frame: Frame) -> bool:
        """Register ``unload`` for a mapped region that had no pin just now; False if it has been pinned since."""
        pins = frame.pins
        self.torn = True
        pins.add(TOMBSTONE)
        begun = len(pins) == 1 or not frame.is_pinned()
        if begun:
            window = (frame.file, frame.begin)
            unload.window, unload.victim, unload.mapping = window, frame, frame.mapping
            unload.owner = get_ident()
            self.in_flight[window] = unload
        else:
            pins.discard(TOMBSTONE)
        self.torn = False
        return begun

    def unload_next(self, unload: Unload, refused: Collection[int]) -> bool:
        """Begin to unload the policy's victim, passing over the serials in ``refused``; False if there is none."""
        unload.evicts = True
        passed = refused
        while (frame := self.replacement.victim(passed)) is not None:
            if self._set_tombstone(unload, frame):
                return True
            # It was pinned since the policy looked, so ask for another victim.
            passed = {*passed, frame.serial}
        return False

    def unload_for(self, unload: Unload, successor: Load) -> bool:
        """Begin to unload a region whose room the waiting load ``successor`` can reuse; False if that is not possible.

        It is possible if the policy's victim is at least as large as the load and the limits are kept. The room passes
        to the load in the step that completes ``unload``. The ledger's totals do not rise in between, so no other
        thread can take the room, and the load needs no section of its own to reserve it.
        """
        frame = self.replacement.victim(())
        if frame is None or frame.size < successor.nbytes or not self.ledger.keeps_limits():
            return False
        unload.evicts = True
        unload.successor = successor
        if self._set_tombstone(unload, frame):
            return True
        unload.successor = None
        return False

    def reserve_or_unload_for(self, unload: Unload, load: Load) -> bool:
        """Reserve room for ``load`` if there is some by now, else begin to unload a region for it.

        Returns whether ``unload`` has begun.
        """
        return not self.reserve(load, load.nbytes, last=False) and self.unload_for(unload, load)

    def unload_in_flight(self) -> InFlight | None:
        """Find an unload to wait for: its end gives back room, unless a view turns up. None if there is none."""
        return next((flying for flying in self.in_flight.values() if isinstance(flying, Unload)), None)

    def load_in_flight(self) -> InFlight | None:
        """Find a load to wait for: it has reserved room, and gives it back if it fails. None if there is none."""
        loads = (flying for flying in self.in_flight.values() if isinstance(flying, Load))
        return next((load for load in loads if load.reserved >= 0), None)

    def discard(self, frame: Frame, reason: str) -> mmap.mmap | None:
        """Discard a region, pinned or not, and return its map for the caller to close. Its cursors become invalid.

        A region that is being unmapped stays in the tables until its unload is completed, which may have to pass its
        room on to a load. Then None is returned.
        """
        self.torn = True
        frame.pins.add(TOMBSTONE)
        frame.reason = reason
        frame.live_end = frame.hit_size = -1
        frame.resident.discard()
        mapping: mmap.mmap | None = None
        if (frame.file, frame.begin) not in self.in_flight:
            mapping = frame.mapping
            self.leave_to_views(frame)
            self.unlink(frame)
        self.torn = False
        return mapping

    def leave_to_views(self, frame: Frame) -> None:
        """Make a leftover of the map of a discarded region, and keep the region until its pins are drained."""
        if frame.mapping is not None:
            self.leftovers.append(Leftover(weakref.ref(frame.mapping), frame.size))
        frame.mapping = None
        if len(frame.pins) > 1:
            self.discarded[frame.serial] = frame

    def drop_if_closed(self, frame: Frame) -> None:
        """Remove a region whose map was closed by other code, which got it from ``map()``."""
        if not frame.is_mapped() and (frame.file, frame.begin) not in self.in_flight:
            self.torn = True
            self.repair()

    # The queues.

    def drain(self) -> None:
        """Begin a section: repair, complete the loads and unloads that are over, and count the pins that ended."""
        if self.torn:
            self.repair()
        # Only as many as there are now: a callback that runs in here and uses the library may post another one each
        # time, and would keep this thread in the loop, with the lock, for ever.
        for _ in range(len(self.finished)):
            # Removed after its completion, so that it is completed again if an exception strikes in between.
            self.complete(self.finished[0])
            self.finished.popleft()
        if self.released:
            self._drain_releases()
        if self.reads:
            self._count_reads()

    def _count_reads(self) -> None:
        reads, ledger = self.reads, self.ledger
        for _ in range(len(reads)):
            # Counted before the call, since a signal handler may raise after it.
            ledger.detached_bytes += reads[0]
            ledger.detached_reads += 1
            reads.popleft()

    def forget_resident(self) -> None:
        """Forget which pages are in memory. O(regions)."""
        for frame in self.frames.values():
            # The pages of a copy are the process's own.
            if not frame.copied:
                frame.resident.forget()
        self.ledger.forgotten += 1

    def _drain_releases(self) -> None:
        # The loop makes few calls, since it runs once for each move.
        self.torn = True
        released, frames, ledger = self.released, self.frames, self.ledger
        idle: list[Frame] = []
        try:
            for _ in range(len(released)):
                pin = released.popleft()
                try:
                    # No call in this block: a signal handler that runs after one may raise these very errors.
                    frame = frames[pin.serial]
                except (AttributeError, KeyError):
                    self._drain_unusual(pin)
                    continue
                pins = frame.pins
                if pin not in pins:
                    continue
                # Counted before the call, since a signal handler may raise after it.
                ledger.pins_ended += 1
                pins.remove(pin)
                if not pins:
                    # The last cursor has left the region.
                    idle.append(frame)
        finally:
            # Also after an exception, since a repair does not know the order of the releases.
            self.replacement.released(idle)
        self.torn = False

    def _drain_unusual(self, pin: Pin) -> None:
        """Drain a pin of a discarded region, or a withdrawn pin, which was no acquisition.

        A pin that is in no set is ignored: a repair has counted it, or an exception struck before it pinned anything.
        """
        serial = getattr(pin, "serial", 0)
        frame = self.frames.get(-serial) or self.discarded.get(abs(serial))
        if frame is None or pin not in frame.pins:
            return
        self.ledger.pins_ended += serial > 0
        frame.pins.discard(pin)
        if not frame.pins:
            # It keeps its old place, or gets the last one if an evicting thread has taken it out meanwhile.
            self.replacement.restored(frame)
        elif frame.pins == _ONLY_A_TOMBSTONE:
            self.discarded.pop(frame.serial, None)

    def complete(self, flying: InFlight) -> None:
        """Update tables and ledger at the end of a load or unload, and release its waiters. Idempotent."""
        if self.in_flight.get(flying.window) is flying:
            self.torn = True
            if isinstance(flying, Load):
                self._complete_load(flying)
            elif isinstance(flying, Unload):  # pragma: no branch - there is no third kind
                self._complete_unload(flying)
            self.torn = False
        flying.done = True
        if flying.waiters:
            flying.finish()

    def _complete_load(self, load: Load) -> None:
        """Complete a load that was not published, so it has failed: give back what it has reserved."""
        del self.in_flight[load.window]
        self.ledger.failures += load.failures
        if load.reserved >= 0:
            mapping = load.mapping
            # The handle is given back only if the map is gone, else the kernel could have one map too many (I2).
            if mapping is None or mapping.closed:
                self.ledger.cancel(load.reserved)
            else:
                self.leftovers.append(Leftover(weakref.ref(mapping), load.reserved))
                self.ledger.keep_leftover()
            load.reserved = -1
        self.unlist_if_unused(self.files[load.window[0]])

    def _complete_unload(self, unload: Unload) -> None:
        ledger, victim, successor = self.ledger, unload.victim, unload.successor
        # The map itself shows whether it could be closed.
        unmapped = unload.mapping is not None and unload.mapping.closed
        del self.in_flight[unload.window]
        if victim is None or victim.serial not in self.frames:
            return
        if not unmapped:
            if victim.live_end < 0:
                # The region was discarded meanwhile, and a view keeps its map open.
                self.leave_to_views(victim)
                self.unlink(victim)
                return
            victim.pins.discard(TOMBSTONE)
            if not victim.pins:
                # Its last pin may have been drained while the tombstone was set.
                self.replacement.restored(victim)
            return
        if successor is not None and successor.done:
            # A fork has ended the load first.
            successor = None
        if successor is not None:
            # Before any call, so that after an exception the repair counts the room as the successor's. Otherwise
            # another thread could take it, and the successor would exceed a limit.
            successor.reserved = successor.nbytes
        if len(victim.pins) > 1:
            self.prune(victim)
        self.unlink(victim)
        if successor is None:
            ledger.unmap(victim.size)
        else:
            ledger.pass_on(victim.size, successor.nbytes)
        # Last, so that a nested call of ``stats`` does not see more evictions than unmaps.
        ledger.evictions += unload.evicts

    def strike_out_leftovers(self) -> None:
        """Remove the leftovers whose maps are gone by now."""
        self.torn = True
        for leftover in [leftover for leftover in self.leftovers if leftover.is_gone()]:
            self.leftovers.remove(leftover)
            self.ledger.unmap(leftover.size)
        self.torn = False

    # Repair.

    def repair(self) -> None:
        """Restore the tables and the ledger from the frames, their maps and pins, and what is in flight. O(regions)."""
        for over in [flying for flying in self.in_flight.values() if flying.done]:
            del self.in_flight[over.window]
        unloads = [flying for flying in self.in_flight.values() if isinstance(flying, Unload)]
        victims = {unload.victim.serial for unload in unloads if unload.victim is not None}
        for frame in list(self.frames.values()):
            self.prune(frame)
            if frame.serial in victims:
                continue
            if frame.live_end < 0:
                # An exception struck while it was being discarded, before or after its map became a leftover; or while
                # its unload was being completed, and its room has passed on already.
                mapping = frame.mapping
                if mapping is not None and (
                    mapping.closed or any(leftover.mapping() is mapping for leftover in self.leftovers)
                ):
                    frame.mapping = None
                del mapping
                self.leave_to_views(frame)
                del self.frames[frame.serial]
                continue
            frame.pins.discard(TOMBSTONE)
            if not frame.is_mapped():
                del self.frames[frame.serial]
        self._forget_discarded()
        self._reindex()
        sizes = [frame.size for frame in self.frames.values()] + [leftover.size for leftover in self.leftovers]
        self.ledger.balance(sizes, self._end_published_loads(), len(self.kept))
        self.torn = False

    def _forget_discarded(self) -> None:
        """Forget the discarded regions whose pins have all ended: no drain will see the last one."""
        for frame in list(self.discarded.values()):
            self.prune(frame)
            if frame.pins == _ONLY_A_TOMBSTONE:
                del self.discarded[frame.serial]

    def _end_published_loads(self) -> list[int]:
        """End the loads that an exception struck while they were being published; return what the others reserve."""
        loads = [flying for flying in self.in_flight.values() if isinstance(flying, Load)]
        for load in loads:
            if load.serial in self.frames:
                # Its room is the region's. Otherwise it would be counted twice, and the region could not be discarded.
                load.reserved = -1
                load.finish()
                del self.in_flight[load.window]
        return [load.reserved for load in loads if load.reserved >= 0]

    def prune(self, frame: Frame) -> None:
        """Remove the dead pins from a region's set and count them as ended. O(pins)."""
        for pin in frame.dead_pins():
            # Counted before the call, since a signal handler may raise after it.
            self.ledger.pins_ended += pin.serial > 0
            frame.pins.discard(pin)

    def _reindex(self) -> None:
        """Make the other tables, the kept descriptors and the policy's order agree with ``frames``."""
        for file in self.files.values():
            for start in [start for start, frame in file.windows.items() if frame.serial not in self.frames]:
                del file.windows[start]
            if file.descriptor is None:
                self.kept.pop(file.serial, None)
            else:
                self.kept.setdefault(file.serial, file)
        for frame in self.frames.values():
            self.files[frame.file].windows[frame.begin] = frame
            if not frame.pins:
                self.replacement.restored(frame)
        for frame in self.replacement.order():
            if frame.serial not in self.frames:
                self.replacement.forgotten(frame)
        for file in list(self.files.values()):
            self.unlist_if_unused(file)
        self._reindex_names()
        self.drain_threshold = len(self.frames) + _QUEUE_SLACK

    def _reindex_names(self) -> None:
        """Make ``names`` and ``inodes`` lead to the listed files, and to no others."""
        for name in [name for name, file in self.names.items() if self.files.get(file.serial) is not file]:
            del self.names[name]
        self.inodes.clear()
        self.former.clear()
        for file in self.files.values():
            inode = file.state.device, file.state.inode
            self.inodes[inode] = (*self.inodes.get(inode, ()), file)
            for name in file.names:
                self._find_by(name, file)

    # Counting.

    def open_files(self) -> int:
        """Count the files that have a region. Needs no lock. O(files)."""
        return sum(bool(file.windows) for file in list(self.files.values()))

    def acquisitions(self) -> int:
        """Count the pins taken since the start or the last reset. O(pins + regions)."""
        return self.ledger.pins_ended + self.open_pins()

    def open_pins(self) -> int:
        """Count the pins that are not counted as ended yet. O(pins + regions)."""
        frames = [*self.frames.values(), *self.discarded.values()]
        return sum(isinstance(pin, Pin) and pin.serial > 0 for frame in frames for pin in frame.pins.copy())

    def reset_counters(self) -> None:
        """Clear the counters. Regions that are mapped and pins that are open stay."""
        self.ledger.reset(self.open_pins())
