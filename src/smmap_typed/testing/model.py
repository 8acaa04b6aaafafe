"""The reference model: what the contract promises of one manager in one thread.

The model has no pins, locks, flights or queues. It predicts the region that each eviction takes, and the figures, bytes
and errors of each call; the state machines compare these with the manager. Comments say where the contract leaves a
choice.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, final

from smmap_typed import CursorInvalidError, HandleLimitError, MemoryLimitError
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
        data = self._collected(cursor, offset, size)
        self.trim()
        # Last: if the regions of the file are gone by now, its descriptor may be kept instead.
        self._know(cursor, self._see(cursor))
        return data

    def _collected(self, cursor: Cursor, offset: int, size: int) -> bytes:
        """Join the bytes of each window; leave each window at once, except the cursor's own."""
        _check_range(offset, size)
        self._associated(cursor)
        seen = self._see(cursor)
        end = min(offset + size, seen.size)
        pieces: list[bytes] = []
        while offset < end:
            region = self._visit(cursor, offset, end)
            reached = min(end, region.end)
            pieces.append(region.bytes_of(offset, reached))
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
        region = self._visit(cursor, offset, end)
        if region.includes(offset, end):
            view = self._viewed(View(region, offset, end))
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
            if length < 0 or offset == self.file_size(twin):
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
        if cursor.region is None or not cursor.region.includes(low, high):
            self.use_region(cursor, low, high - low)
        if cursor.region is not None and cursor.region.includes(low, high):
            return cursor.region.bytes_of(low, high)
        return self._travel(cursor, low, high, self.read)

    def read_into(self, buffer: Buffer, low: int, high: int) -> bytes:
        """``readinto``: the bytes from ``low`` to ``high``, of the cursor's window if it has all of them."""
        if low >= high:
            return b""
        cursor, low, high = buffer.cursor, buffer.begin + low, buffer.begin + high
        if cursor.region is not None and cursor.region.includes(low, high):
            return cursor.region.bytes_of(low, high)
        return self._travel(cursor, low, high, self._collected)

    def _travel(self, cursor: Cursor, low: int, high: int, read: Callable[[Cursor, int, int], bytes]) -> bytes:
        """Read with one pinned window at a time, the cursor's own included; then move to the last byte if possible."""
        region = cursor.region
        self.release(cursor)
        try:
            data = read(cursor, low, high - low)
        except Refusal:
            if region in self.regions:
                cursor.region = region
                self.note_acquired(region)
            raise
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
        """Whether the bytes can be read without SIGBUS, which mapped bytes past the end of a truncated file raise."""
        try:
            seen = self._see(cursor)
        except Refusal:
            return True
        return self.copies or min(offset + size, seen.size) <= len(seen.inode.content)

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
