"""The reference model: what the contract promises of one manager in one thread.

The model has no pins, locks or queues, and nothing in flight. It predicts the region that each eviction takes, and the
figures, bytes and errors of each call; the state machines compare these with the manager. Comments say where the
contract leaves a choice.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final, final

from smmap_typed import CursorInvalidError, FileChangedError, HandleLimitError, MemoryLimitError
from smmap_typed.testing.disk import Source
from smmap_typed.testing.regions import Cursor, Refusal, Region, Regions, Seen, View

__all__ = ["Buffer", "Model"]

DEFAULT_MEMORY: Final = 8 << 30


@final
@dataclass(eq=False)
class Buffer:
    """A sequence of bytes, with a cursor of its own."""

    cursor: Cursor
    begin: int
    length: int


@final
class Model(Regions):
    """One manager. Each public method predicts one public call: its value, or a Refusal."""

    # Cursors.

    def make_cursor(self, source: Source | None) -> Cursor:
        """Predict a new cursor on a path, on a descriptor, or on no file."""
        if source is not None:
            self.check_open()
        cursor = Cursor(source)
        self.cursors.append(cursor)
        return cursor

    def copy(self, other: Cursor) -> Cursor:
        """``copy.copy`` of a cursor: the copy is at the same place, with its own pin."""
        twin = Cursor(other.source, other.seen, other.region, other.begin, other.end)
        self.note_acquired(twin.region)
        self.cursors.append(twin)
        return twin

    def assign(self, cursor: Cursor, other: Cursor) -> None:
        """``assign``: move ``cursor`` to the file and place of ``other``."""
        twin = self.copy(other)
        self.release(cursor)
        cursor.source, cursor.seen = twin.source, twin.seen
        cursor.region, cursor.begin, cursor.end = twin.region, twin.begin, twin.end
        self.cursors.remove(twin)

    def release(self, cursor: Cursor) -> None:
        """``unuse_region``."""
        region, cursor.region, cursor.kept = cursor.region, None, None
        if region is not None:
            self.note_left(region)
        self.let_go_of_closed()

    def drop(self, cursor: Cursor) -> None:
        """Drop the last reference to a cursor."""
        self.release(cursor)
        self.cursors.remove(cursor)

    def file_size(self, cursor: Cursor) -> int:
        """``file_size``: bytes of the file as the cursor sees it."""
        seen = self._see(cursor)
        self._know(cursor, seen)
        return seen.size

    def use_region(self, cursor: Cursor, offset: int, size: int) -> None:
        """``use_region``: move to ``size`` bytes at ``offset``."""
        _check_range(offset, size)
        self._associated(cursor)
        if self.closed:
            self.release(cursor)
        self.check_open()
        seen = self._see(cursor)
        if offset >= seen.size:
            self.release(cursor)
            self._know(cursor, seen)
            return
        end = self.wanted_end(seen, offset, size)
        region = cursor.region
        if region is None or not region.includes(offset, end):
            region = self._acquire_or_give_up_own(cursor, seen, offset, end)
        left, cursor.region, cursor.seen = cursor.region, region, seen
        cursor.begin, cursor.end = offset, min(offset + size, region.end) if size else region.end
        if left is not None:
            self.note_left(left)
        self.trim()

    def read(self, cursor: Cursor, offset: int, size: int) -> bytes:
        """``read``: the bytes from ``offset`` on. The cursor stays where it is."""
        _check_range(offset, size)
        self._associated(cursor)
        seen = self._see(cursor)
        end = min(offset + size, seen.size)
        data: bytes | None = b""
        if offset < end:
            data = self._read_directly(cursor, seen, offset, end, moves=False)
        if data is None:
            data = self._read_through_windows(cursor, offset, end)
            self.trim()
        # Last: if the regions of the file are gone by now, its descriptor may be kept instead.
        self._know(cursor, seen)
        return data

    def _read_directly(self, cursor: Cursor, seen: Seen, offset: int, end: int, *, moves: bool) -> bytes | None:
        """Return bytes that come from one region, where they are in memory, or by a descriptor.

        None if they must be read through windows. With ``moves``, the cursor goes to the window that has all of them.
        """
        region = self._window(cursor, seen, offset, end)
        if region is not None and region.is_resident(offset, end):
            self._use(cursor, region, offset, end, moves=moves)
            return region.bytes_of(offset, end)
        if not self.positional:
            return None
        if self.copies and region is None:
            region = self._map_if_room(cursor, seen, offset, end, moves=moves)
            if region is not None:
                return region.bytes_of(offset, end)
        return self._read_detached(cursor, seen, region, offset, end, moves=moves)

    def _read_detached(
        self, cursor: Cursor, seen: Seen, region: Region | None, offset: int, end: int, *, moves: bool
    ) -> bytes | None:
        """Return the bytes by the kept descriptor of the file, or by a new one."""
        source, inode = self._associated(cursor), seen.inode
        if seen not in self.kept:
            self.check_open()
            try:
                self.check_unchanged(source, seen)
            except Refusal:
                if region is None or not self.copies_from_maps or self.disk.named_by(source) is inode:
                    raise
                return None
            self.keep(seen, inode.content)
            if cursor.seen is None:
                self.unmap_older(seen)
        if end > len(inode.content):
            raise Refusal(FileChangedError)
        self.check_copied(seen)
        if self.disk.is_overlay and self.copies_from_maps and not self.copies and self.is_changed(seen):
            # From now on the descriptor may read a copy, and map the original.
            return None
        self.note_detached(end - offset)
        if region is None:
            region = self._map_if_room(cursor, seen, offset, end, moves=moves)
        else:
            self._use(cursor, region, offset, end, moves=moves)
        if region is not None and self.copies_from_maps:
            region.mark(offset, end)
        return bytes(inode.content[offset:end])

    def _window(self, cursor: Cursor, seen: Seen, offset: int, end: int) -> Region | None:
        """The region that has the bytes: the cursor's own, or the one that serves a request for them."""
        if self.closed or (cursor.region is not None and cursor.region.includes(offset, end)):
            return cursor.region
        begin = self.window_begin(offset, end)
        found = [region for region in self.regions if region.seen == seen and region.begin == begin]
        return found[0] if found and found[0].includes(offset, end) else None

    def _use(self, cursor: Cursor, region: Region, offset: int, end: int, *, moves: bool) -> None:
        """Go to the region, or note that it was read."""
        if region is cursor.region:
            return
        if moves:
            self.note_acquired(region)
            self._go(cursor, region, offset, end)
        else:
            region.referenced = True

    def _go(self, cursor: Cursor, region: Region, begin: int, end: int) -> None:
        left, cursor.region, cursor.begin, cursor.end = cursor.region, region, begin, end
        if left is not None:
            self.note_left(left)

    def _map_if_room(self, cursor: Cursor, seen: Seen, offset: int, end: int, *, moves: bool) -> Region | None:
        """Map the window that has these bytes, if that takes no eviction and no descriptor."""
        begin = self.window_begin(offset, end)
        size = self.window_size(seen, begin)
        is_room = len(self.regions) + len(self.kept) < self.handles and self.mapped() + size <= self.memory
        if self.closed or end > begin + size or not is_room:
            return None
        try:
            region = self.map(self._associated(cursor), seen, begin, newest=False)
        except Refusal:
            return None
        self.note_acquired(region)
        if moves:
            self._go(cursor, region, offset, end)
        else:
            self.note_left(region)
        return region

    def _read_through_windows(self, cursor: Cursor, offset: int, end: int) -> bytes:
        """Join the bytes of each window; leave each window at once, except the cursor's own."""
        pieces: list[bytes] = []
        while offset < end:
            region = self._visit(cursor, offset, end)
            reached = min(end, region.end)
            pieces.append(region.bytes_of(offset, reached))
            region.mark(offset, reached)
            offset = reached
        return b"".join(pieces)

    # Views.

    def buffer_view(self, cursor: Cursor) -> View:
        """``WindowCursor.buffer``."""
        if cursor.region is None:
            self.release(cursor)
            raise Refusal(CursorInvalidError)
        return self._viewed(View(cursor.region, cursor.begin, cursor.end))

    def region_view(self, cursor: Cursor) -> View | None:
        """``buffer`` of the cursor's region; None if the cursor is on no region."""
        region = cursor.region
        if region is None:
            self.release(cursor)
            return None
        return self._viewed(View(region, region.begin, region.end))

    def view(self, cursor: Cursor, offset: int, size: int) -> View:
        """``WindowCursor.view``: a view of one window, or of a copy."""
        _check_range(offset, size)
        self._associated(cursor)
        seen = self._see(cursor)
        end = min(offset + size, seen.size)
        if offset >= end:
            self._know(cursor, seen)
            return self._viewed(View(None, 0, 0))
        begin = self.window_begin(offset, end)
        fits = end <= begin + self.window_size(seen, begin)
        if fits or (cursor.region is not None and cursor.region.includes(offset, end)):
            view = self._viewed(View(self._visit(cursor, offset, end), offset, end))
        else:
            view = self._viewed(View(None, 0, 0, self.read(cursor, offset, size)))
        self._know(cursor, seen)
        self.trim()
        return view

    def release_view(self, view: View) -> None:
        """Drop the last reference to a view."""
        self.views.remove(view)
        self.let_go_of_closed()

    def _viewed(self, view: View) -> View:
        self.views.append(view)
        return view

    # Buffers.

    def make_buffer(self, cursor: Cursor, offset: int, size: int) -> Buffer:
        """A buffer on a copy of the cursor."""
        _check_range(offset, size)
        twin = self.copy(cursor)
        try:
            if twin.source is None:
                raise Refusal(ValueError)
            length = min(size, self.file_size(twin) - offset)
            if length < 0 or offset == self.file_size(twin) > 0:
                raise Refusal(ValueError)
            self.use_region(twin, offset, length)
        except Refusal:
            self.drop(twin)
            raise
        return Buffer(twin, offset, length)

    def slice(self, buffer: Buffer, low: int, high: int) -> bytes:
        """The bytes from index ``low`` to index ``high``, which are in range."""
        if low >= high:
            return b""
        cursor, low, high = buffer.cursor, buffer.begin + low, buffer.begin + high
        data = self._read_directly(cursor, self._see(cursor), low, high, moves=True)
        return self._slide(cursor, low, high) if data is None else data

    def read_into(self, buffer: Buffer, low: int, high: int) -> bytes:
        """``readinto``: the bytes from ``low`` to ``high``. Only the buffer's own window is copied from."""
        if low >= high:
            return b""
        if self.copies or not self.positional:
            return self.slice(buffer, low, high)
        cursor, low, high = buffer.cursor, buffer.begin + low, buffer.begin + high
        seen = self._see(cursor)
        region = self._window(cursor, seen, low, high)
        if region is not None and region is cursor.region and region.is_resident(low, high):
            return region.bytes_of(low, high)
        data = self._read_detached(cursor, seen, region, low, high, moves=True)
        return self._slide(cursor, low, high) if data is None else data

    def _slide(self, cursor: Cursor, low: int, high: int) -> bytes:
        """Read through windows: the one to which the cursor moves, or several."""
        if cursor.region is None or not cursor.region.includes(low, high):
            self.use_region(cursor, low, high - low)
        if cursor.region is not None and cursor.region.includes(low, high):
            return self._read_through_windows(cursor, low, high)
        return self._travel(cursor, low, high)

    def _travel(self, cursor: Cursor, low: int, high: int) -> bytes:
        """Read with one pinned window at a time, the cursor's own included; then move to the last byte if possible."""
        region = cursor.region
        self.release(cursor)
        try:
            data = self._read_through_windows(cursor, low, high)
        except Refusal:
            if region in self.regions:
                cursor.region = region
                self.note_acquired(region)
            raise
        self.trim()
        with suppress(Refusal):
            self.use_region(cursor, high - 1, 1)
        return data

    def end_access(self, buffer: Buffer) -> None:
        """Release the window of a buffer."""
        buffer.length = 0
        self.release(buffer.cursor)

    # The manager.

    def collect(self) -> int:
        """Unmap the idle regions, and return their number."""
        idle = [] if self.closed else [region for region in self.regions if not self.is_used(region)]
        for region in idle:
            self.unmap(region)
        # A file keeps its descriptor as long as a cursor is on one of its regions.
        for seen in list(self.kept):
            if not any(self._is_on(cursor, seen) for cursor in self.cursors):
                del self.kept[seen]
        return len(idle)

    def _is_on(self, cursor: Cursor, seen: Seen) -> bool:
        return cursor.region is not None and cursor.region.seen == seen

    def configure(self, memory: int | None, handles: int | None) -> None:
        """Change limits; None leaves a limit as it is."""
        memory = self.memory if memory is None else memory or DEFAULT_MEMORY
        handles = self.handles if handles is None else handles
        self.check_open()
        used = [region for region in self.regions if self.is_used(region)]
        if len(used) > handles:
            raise Refusal(HandleLimitError)
        if self.strict and sum(region.size for region in used) > memory:
            raise Refusal(MemoryLimitError)
        while (len(self.regions) > handles or self.mapped() > memory) and self.evict():
            pass
        self.release_descriptors(handles)
        self.set_limits(memory, handles)

    def close(self) -> None:
        """Unmap idle regions now, and the others when they are released."""
        self.shut()
        self.kept.clear()
        for cursor in self.cursors:
            if cursor.region is not None:
                cursor.kept, cursor.region = cursor.region, None
        self.let_go_of_closed()

    # Helpers.

    def _see(self, cursor: Cursor) -> Seen:
        """The file as the cursor sees it: as at its first use, or as it is now if this is the first use."""
        source = self._associated(cursor)
        return cursor.seen or self.look(source)

    def _know(self, cursor: Cursor, seen: Seen) -> None:
        """Fix the file of the cursor. A first look that maps nothing keeps a descriptor, if a handle is free."""
        if cursor.seen is None and not self.closed:
            self.register(seen)
        cursor.seen = seen

    def _associated(self, cursor: Cursor) -> Source:
        if cursor.source is None:
            raise Refusal(CursorInvalidError)
        return cursor.source

    def can_be_read(self, cursor: Cursor, offset: int, size: int) -> bool:
        """Whether a read gives bytes or an error, and not SIGBUS, as mapped bytes past the end of a cut file do."""
        try:
            seen = self._see(cursor)
        except Refusal:
            return True
        end = min(offset + size, seen.size)
        if self.copies or offset >= end or end <= len(seen.inode.content):
            return True
        region = self._window(cursor, seen, offset, end)
        if region is None or not self.positional:
            return self.positional
        is_read_by_descriptor = seen in self.kept or self.disk.named_by(self._associated(cursor)) is seen.inode
        return is_read_by_descriptor and not region.is_resident(offset, end)

    def _visit(self, cursor: Cursor, offset: int, end: int) -> Region:
        """Return a region with the bytes at ``offset``: the cursor's if it has them all, else another, left at once."""
        if cursor.region is not None and cursor.region.includes(offset, end):
            return cursor.region
        seen, newest = self._see(cursor), cursor.seen is None
        region = self.acquire(self._associated(cursor), seen, offset, end, newest=newest)
        self.note_left(region)
        return region

    def _acquire_or_give_up_own(self, cursor: Cursor, seen: Seen, offset: int, end: int) -> Region:
        """Acquire the new window before leaving the old one, unless a hard limit has no room for both."""
        try:
            return self.acquire(self._associated(cursor), seen, offset, end, newest=cursor.seen is None)
        except Refusal as refusal:
            hopeless = self.strict and self.window_size(seen, self.window_begin(offset, end)) > self.memory
            if refusal.error not in {HandleLimitError, MemoryLimitError} or cursor.region is None or hopeless:
                raise
        self.release(cursor)
        return self.acquire(self._associated(cursor), seen, offset, end, newest=cursor.seen is None)


def _check_range(offset: int, size: int) -> None:
    if offset < 0 or size < 0:
        raise Refusal(ValueError)
