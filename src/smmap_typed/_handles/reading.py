"""Reading: bytes at an offset, without moving the cursor, and without waiting for storage in a page fault.

Bytes come in one of three ways:

- **from a window**, if it is mapped and all of them are known to be in memory (``_pool.resident``): a copy;
- **detached**, by the file's descriptor: a ``pread``, which waits without the GIL and raises the storage's errors. Then
  their pages are in memory, which is noted. If the window is not mapped and there is room, it is mapped for the reads
  to come. So a read evicts nothing and meets no limit;
- **through windows**, one after the other, with a reader that cannot read at an offset, and where only the map has the
  bytes: there is no descriptor and the name is gone, or an overlay has copied the file. Pages that are not known to be
  in memory are touched first by a function of the standard library that releases the GIL.

``read`` and ``view`` are each one atomic step on one cursor's state.
"""

import binascii
import contextlib
import io
import os
from collections.abc import Iterator
from time import monotonic
from typing import Final

from smmap_typed import _platform
from smmap_typed._handles.sharing import FREE_THREADED, unshared
from smmap_typed._handles.state import NOWHERE, UNASSOCIATED, CursorState, no_file
from smmap_typed._pool import MOST_COPIED, MOST_UNCOUNTED, Descriptor, File, Frame, Pool
from smmap_typed._source import state_of
from smmap_typed.readers import PositionalReader

__all__ = [
    "pieces",
    "populate",
    "prefetch",
    "read",
    "read_from",
    "readinto_from",
    "room_for",
    "through_windows",
    "view",
]

# crc32 releases the GIL for more than 5 KiB.
_TOUCHED: Final = 8192

# Bytes of the memory that ``prefetch`` reads into: small enough for the processor's cache.
_SCRATCH: Final = 256 * 1024


def read(state: CursorState, offset: int, size: int) -> bytes:
    """Return up to ``size`` bytes at ``offset``, none of them negative; fewer at the end of the file."""
    if state is UNASSOCIATED:
        raise no_file()
    return state.on_file(lambda file: _read_whole(state, file, offset, min(offset + size, file.size)))


def _read_whole(state: CursorState, file: File, offset: int, stop: int) -> bytes:
    data = read_from(state, file, offset, stop, 0, False)  # noqa: FBT003 - it stays
    return through_windows(state, file, offset, stop, room_for(stop - offset)) if data is None else data


def read_from(  # noqa: C901, PLR0911, PLR0912 - one function, since a call costs a hit in another window a tenth
    state: CursorState,
    file: File,
    offset: int,
    stop: int,
    flags: int,
    moves: bool,  # noqa: FBT001 - a keyword would cost, too
) -> bytes | None:
    """Return the bytes from ``offset`` to ``stop``, which must not be past the end of the file.

    If it ``moves``, the state goes to the window that has all of them, if that is mapped or if there is room for it.
    None if the bytes must be read through windows. The caller does so, since it knows what it has pinned.
    """
    if offset >= stop:
        return b""
    pool = state.pool
    # The name keeps the own window pinned until the bytes are copied.
    placement = state.placement
    own = placement[1]
    if own.begin <= offset and stop <= own.live_end:
        frame: Frame | None = own
    else:
        if own.live_end < 0 and placement is not NOWHERE:
            # The manager has discarded the region: drop the pin.
            state.is_valid()
        frame = file.windows.get(pool.grid.start(offset, stop))
        if frame is not None and stop > frame.live_end:
            frame = None
    # Where there is no GIL, a slice of a map that another thread unmaps reads what is gone. Only the state's own window
    # will do there, which its pin keeps mapped.
    if (
        frame is not None
        and (stop - offset <= MOST_COPIED or frame.copied)
        and (frame is own or not FREE_THREADED)
        and frame.resident.holds(offset, stop)
    ):
        if monotonic() >= pool.ageing.next_look:
            pool.look_at_faults()
        if frame is not own:
            _use(state, frame, offset, stop, moves=moves)
        data = frame.copy(offset, stop)
        if data is not None:
            return data
        frame = None
    # From here on, the traceback of an error would keep the window pinned.
    del placement
    reader, descriptor = pool.positional, file.descriptor
    if reader is None:
        return None
    if frame is None and pool.reader.copies:
        # The whole window is read anyway, and a copy from it has no fault.
        frame = _map(state, file, offset, stop, flags, None, moves=moves)
        if frame is not None and (data := frame.copy(offset, stop)) is not None:
            return data
    if descriptor is None or file.copies_up is None:
        descriptor = _descriptor(state, file, frame, flags)
        if descriptor is None:
            return None
    try:
        data = reader.read(descriptor.numbers[0], state, file.state, offset, stop - offset)
        if file.copies_up and _is_copied(pool, descriptor, file):
            return None
    except BaseException:
        # The traceback would keep the descriptor open.
        del descriptor
        raise
    if frame is None or frame is not own:
        frame = _window_for(state, file, frame, offset, stop, flags, descriptor, moves=moves)
    _note(pool, file, frame, offset, stop)
    return data


def _use(state: CursorState, frame: Frame, offset: int, stop: int, *, moves: bool) -> None:
    """Go to a window that is not the state's own, or tell the replacement policy that it was read."""
    if moves:
        state.go(frame, offset - frame.begin, stop - frame.begin)
    else:
        frame.referenced = True


def readinto_from(state: CursorState, file: File, offset: int, room: memoryview, flags: int) -> bool:
    """Fill ``room``, which is not empty, with the bytes from ``offset`` on; the state moves as in ``read_from``.

    False if the bytes must be read through windows.
    """
    pool = state.pool
    reader = pool.positional
    if reader is None:
        return False
    stop = offset + len(room)
    if pool.reader.copies:
        data = read_from(state, file, offset, stop, flags, True)  # noqa: FBT003 - it moves
        room[: len(data or b"")] = data or b""
        return data is not None
    view, own, _start, _stop = state.placement
    if own.begin <= offset and stop <= own.live_end:
        frame: Frame | None = own
        if len(room) <= MOST_COPIED and own.resident.holds(offset, stop):
            pool.look_at_faults()
            room[:] = (unshared(view) if FREE_THREADED else view)[offset - own.begin : stop - own.begin]
            return True
    else:
        frame = pool.window(file, offset, stop)
    # This name would keep the old window pinned during the read.
    del view
    descriptor = file.descriptor
    if descriptor is None or file.copies_up is None:
        descriptor = _descriptor(state, file, frame, flags)
        if descriptor is None:
            return False
    try:
        reader.readinto(descriptor.numbers[0], state, file.state, offset, room)
        if file.copies_up and _is_copied(pool, descriptor, file):
            return False
    except BaseException:
        # The traceback would keep the descriptor open.
        del descriptor
        raise
    if frame is None or frame is not own:
        frame = _window_for(state, file, frame, offset, stop, flags, descriptor, moves=True)
    _note(pool, file, frame, offset, stop)
    return True


def _descriptor(state: CursorState, file: File, frame: Frame | None, flags: int) -> Descriptor | None:
    """Return a descriptor of ``file``; None if there is none any more, but a mapped window has the bytes."""
    descriptor = file.descriptor
    if descriptor is None:
        pool = state.pool
        try:
            descriptor = pool.descriptor_of(state, file, flags, newest=state._file is None)
        except OSError:
            # A file that is the same and shorter must not be read from the map, which would be a SIGBUS.
            if frame is None or not pool.copies_from_maps or _still_leads_to(state, file):
                raise
            return None
    if file.copies_up is None:
        kind = _platform.file_system(descriptor.number, file.state.device)
        file.keeps_pages = _platform.keeps_pages(kind)
        file.copies_up = kind == "overlay"
    return descriptor


def _still_leads_to(state: CursorState, file: File) -> bool:
    """Whether the name leads to the same inode, in whatever state."""
    try:
        now = os.stat(state.target)
    except OSError:
        return False
    return (now.st_dev, now.st_ino) == (file.state.device, file.state.inode)


def _is_copied(pool: Pool, descriptor: Descriptor, file: File) -> bool:
    """Whether an overlay may have copied the file, so that the descriptor reads the copy and maps the original.

    Then reads go on in the maps, so that no cursor mixes two files. Where nothing is copied from maps, all reads are by
    the descriptor, and nothing is mixed. A reader whose windows are copies has looked by itself.
    """
    if not pool.copies_from_maps or pool.reader.copies:
        return False
    return state_of(os.fstat(descriptor.number)) != file.state


def _note(pool: Pool, file: File, frame: Frame | None, offset: int, stop: int) -> None:
    """Count a detached read, and mark its pages in the window that has them, if there is one."""
    reads = pool.tables.reads
    reads.append(stop - offset)
    if len(reads) > MOST_UNCOUNTED:
        pool.note_reads()
    if frame is not None and pool.copies_from_maps and file.keeps_pages:
        frame.resident.mark(offset, stop)


def _window_for(
    state: CursorState,
    file: File,
    frame: Frame | None,
    offset: int,
    stop: int,
    flags: int,
    descriptor: Descriptor,
    *,
    moves: bool,
) -> Frame | None:
    """Return the window of bytes that were read by ``descriptor``: map it if there is room, and go there or use it."""
    if frame is None:
        return _map(state, file, offset, stop, flags, descriptor, moves=moves)
    _use(state, frame, offset, stop, moves=moves)
    return frame


def _map(
    state: CursorState,
    file: File,
    offset: int,
    stop: int,
    flags: int,
    descriptor: Descriptor | None,
    *,
    moves: bool,
) -> Frame | None:
    """Map the window that has these bytes, if there is room for it, and go there if the state ``moves``."""
    pinned = state.pool.acquire_if_room(state, file, offset, stop, flags, descriptor)
    if pinned is None:
        return None
    view, frame = pinned
    if moves:
        state.swap((view, frame, offset - frame.begin, stop - frame.begin))
    return frame


def room_for(size: int) -> io.BytesIO:
    """Return memory for ``size`` bytes, to be allocated before the first byte is read: too many fail at once.

    BytesIO takes over the new object, and gives it back without a copy.
    """
    return io.BytesIO(bytes(size))


def through_windows(state: CursorState, file: File, offset: int, stop: int, room: io.BytesIO) -> bytes:
    """Return the bytes from ``offset`` to ``stop``, copied window by window into ``room`` with one pinned at a time."""
    # Joining views would pin all the windows at once.
    room.writelines(pieces(state, file, offset, stop))
    state.trim()
    return room.getvalue()


def pieces(state: CursorState, file: File, offset: int, stop: int, *, touches: bool = True) -> Iterator[memoryview]:
    """Yield the bytes from ``offset`` to ``stop`` as views, one per window.

    Each view is released when the next one is requested, so one window is pinned at a time. An object that the caller
    has made from a view, such as an array, keeps the view and its window. Unless ``touches`` is true, the bytes may
    not be in memory.
    """
    while offset < stop:
        view, offset = _take(state, file, offset, stop, touches=touches)
        yield view
        with contextlib.suppress(BufferError):
            view.release()


def _take(state: CursorState, file: File, offset: int, stop: int, *, touches: bool = True) -> tuple[memoryview, int]:
    """Return a view of the bytes from ``offset`` on that one window holds, up to ``stop``, and where they end.

    The view keeps its region mapped.
    """
    view, frame, _start, _stop = state.placement
    if not frame.begin <= offset < stop <= frame.live_end:
        del view
        state.pool.check_open()
        view, frame = state.pool.obtain(state, file, offset, stop, newest=state._file is None)
    elif FREE_THREADED:
        view = unshared(view)
    begin = frame.begin
    reached = min(stop, begin + frame.size)
    if touches and not frame.resident.holds(offset, reached):
        # From the start of a page on, and enough of it that the GIL is released.
        first = min((offset - begin) // _TOUCHED * _TOUCHED, max(frame.size - _TOUCHED, 0))
        binascii.crc32(view[first : max(reached - begin, first + _TOUCHED)])
        frame.resident.mark(offset, reached)
    return view[offset - begin : reached - begin], reached


def view(state: CursorState, offset: int, size: int) -> memoryview:
    """Return a view of up to ``size`` bytes at ``offset``: of the map if one window holds them, else of one copy."""
    return state.on_file(lambda file: _view_from(state, file, offset, min(offset + size, file.size)))


def _view_from(state: CursorState, file: File, offset: int, stop: int) -> memoryview:
    if offset >= stop:
        return memoryview(b"")
    own, grid = state.placement[1], state.pool.grid
    start = grid.start(offset, stop)
    if not own.begin <= offset < stop <= own.live_end and stop > start + grid.size(start, file.size):
        # No single window has all of them.
        return memoryview(_read_whole(state, file, offset, stop))
    if state.pool.populates:
        _populate(state, file, offset, stop)
    view, _reached = _take(state, file, offset, stop, touches=False)
    state.trim()
    return view


def prefetch(state: CursorState, offset: int, size: int, *, wait: bool) -> None:
    """Bring these bytes into the page cache, or ask the kernel to do so."""
    state.pool.check_open()
    state.on_file(lambda file: _prefetch_from(state, file, offset, min(offset + size, file.size), wait=wait))


def populate(state: CursorState, offset: int, size: int) -> None:
    """Bring into memory what a cursor gets that requests these bytes: no more than one window."""
    prefetch(state, offset, min(size, state.pool.grid.window_size or size), wait=True)


def _prefetch_from(state: CursorState, file: File, offset: int, stop: int, *, wait: bool) -> None:
    if offset >= stop:
        return
    if wait:
        _populate(state, file, offset, stop)
        return
    # A list keeps it open during the calls, in compiled code, too, and no longer, whatever keeps a traceback.
    kept = [state.pool.descriptor_of(state, file, newest=state._file is None)]
    try:
        number = kept[0].number
        # If both ends are in the page cache, usually all of the bytes are.
        if not (_platform.is_cached(number, offset) and _platform.is_cached(number, stop - 1)):
            _platform.read_ahead(number, stop - offset, offset)
    finally:
        kept.clear()


def _populate(state: CursorState, file: File, offset: int, stop: int) -> None:
    """Return when the bytes are in memory."""
    pool = state.pool
    frame = pool.window(file, offset, stop)
    if frame is not None and frame.resident.holds(offset, stop):
        pool.look_at_faults()
        return
    reader = pool.positional
    if reader is None:
        for _view in pieces(state, file, offset, stop):
            pass
        return
    descriptor = _descriptor(state, file, frame, 0)
    if descriptor is None:
        for _view in pieces(state, file, offset, stop):
            pass
        return
    # See ``_prefetch_from``.
    kept = [descriptor]
    del descriptor
    try:
        _read_through(state, file, reader, kept[0].number, offset, stop)
    finally:
        kept.clear()
    if frame is not None and pool.copies_from_maps and file.keeps_pages:
        frame.resident.mark(offset, stop)


def _read_through(
    state: CursorState, file: File, reader: PositionalReader, number: int, offset: int, stop: int
) -> None:
    """Read the bytes and throw them away: that is how they come into the page cache without a fault."""
    with memoryview(bytearray(min(stop - offset, _SCRATCH))) as scratch:
        while offset < stop:
            with scratch[: stop - offset] as room:
                reader.readinto(number, state, file.state, offset, room)
                offset += len(room)
