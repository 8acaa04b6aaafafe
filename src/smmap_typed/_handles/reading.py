"""Reading: bytes at an offset, from whichever windows hold them, without moving the cursor.

``read`` and ``view`` are each one atomic step on one cursor's state. At most one window is pinned at a time besides the
cursor's own.
"""

import contextlib
import io
from collections.abc import Iterator

from smmap_typed import _platform
from smmap_typed._handles.sharing import FREE_THREADED, unshared
from smmap_typed._handles.state import CursorState
from smmap_typed._pool import Descriptor, File

__all__ = ["pieces", "prefetch", "read", "read_from", "view"]


def read(state: CursorState, offset: int, size: int) -> bytes:
    """Return up to ``size`` bytes at ``offset``, copied window by window with one pinned at a time."""
    return state.on_file(lambda file: read_from(state, file, offset, min(offset + size, file.size)))


def read_from(state: CursorState, file: File, offset: int, stop: int) -> bytes:
    """Return the bytes from ``offset`` to ``stop``, which must not be past the end of the file."""
    if offset >= stop:
        return b""
    view, reached = _take(state, file, offset, stop)
    if reached == stop:
        data = view.tobytes()
        view.release()
    else:
        # BytesIO hands out its buffer without another copy. Joining views would pin all the windows at once.
        sink = io.BytesIO()
        sink.write(view)
        view.release()
        for piece in pieces(state, file, reached, stop):
            sink.write(piece)
        data = sink.getvalue()
    state.trim()
    return data


def pieces(state: CursorState, file: File, offset: int, stop: int) -> Iterator[memoryview]:
    """Yield the bytes from ``offset`` to ``stop`` as views, one per window.

    Each view is released when the next one is requested, so one window is pinned at a time. An object that the caller
    has made from a view, such as an array, keeps the view and its window.
    """
    while offset < stop:
        view, offset = _take(state, file, offset, stop)
        yield view
        with contextlib.suppress(BufferError):
            view.release()


def view(state: CursorState, offset: int, size: int) -> memoryview:
    """Return a view of up to ``size`` bytes at ``offset``: of the map if one window holds them, else of one copy."""
    return state.on_file(lambda file: _view_from(state, file, offset, min(offset + size, file.size)))


def _view_from(state: CursorState, file: File, offset: int, stop: int) -> memoryview:
    if offset >= stop:
        return memoryview(b"")
    view, reached = _take(state, file, offset, stop)
    if reached < stop:
        view.release()
        view = memoryview(read_from(state, file, offset, stop))
    state.trim()
    return view


def prefetch(state: CursorState, offset: int, size: int) -> None:
    """Ask the kernel to bring these bytes into the page cache."""
    pool = state.pool
    pool.check_open()
    file = state.file()
    stop = min(offset + size, file.size)
    if offset < stop:
        _read_ahead(pool.descriptor_of(state, file), offset, stop)


def _read_ahead(descriptor: Descriptor, offset: int, stop: int) -> None:
    # A function, since its caller keeps the descriptor open until the end: compiled code drops a value after its last
    # use, which here is before the call of the system that needs it.
    number = descriptor.number
    # If both ends are in the page cache, usually all of the bytes are.
    if not (_platform.is_cached(number, offset) and _platform.is_cached(number, stop - 1)):
        _platform.read_ahead(number, stop - offset, offset)


def _take(state: CursorState, file: File, offset: int, stop: int) -> tuple[memoryview, int]:
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
    return view[offset - begin : reached - begin], reached
