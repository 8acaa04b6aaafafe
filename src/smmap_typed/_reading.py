"""Reading: bytes at an offset, of whatever windows hold them, without moving the cursor.

Each function is one atomic step on one position; at most one window beside the cursor's own is pinned at a time.
"""

import contextlib
import io
import os
from collections.abc import Iterator

from smmap_typed import _reader
from smmap_typed._file import Identity
from smmap_typed._position import Position
from smmap_typed._sharing import FREE_THREADED, unshared

__all__ = ["pieces", "prefetch", "read", "read_from", "view"]


def read(position: Position, offset: int, size: int) -> bytes:
    """Up to ``size`` bytes at ``offset``, copied window by window, one pinned at a time."""
    return position.on_file(lambda identity: read_from(position, identity, offset, min(offset + size, identity.size)))


def read_from(position: Position, identity: Identity, offset: int, stop: int) -> bytes:
    """The bytes from ``offset`` to ``stop``, which lies inside the file."""
    if offset >= stop:
        return b""
    view, reached = _take(position, identity, offset, stop)
    if reached == stop:
        data = view.tobytes()
        view.release()
    else:
        # BytesIO hands its buffer out without another copy. Joining views would pin every window at once.
        sink = io.BytesIO()
        sink.write(view)
        view.release()
        for piece in pieces(position, identity, reached, stop):
            sink.write(piece)
        data = sink.getvalue()
    position.trim()
    return data


def pieces(position: Position, identity: Identity, offset: int, stop: int) -> Iterator[memoryview]:
    """The same bytes as one view after the other.

    Each is released when the next is asked for, so that one window is pinned at a time; but what the caller has made of
    it, an array say, keeps it and its window.
    """
    while offset < stop:
        view, offset = _take(position, identity, offset, stop)
        yield view
        with contextlib.suppress(BufferError):
            view.release()


def view(position: Position, offset: int, size: int) -> memoryview:
    """Up to ``size`` bytes at ``offset``: of the map where one window holds them, else of one copy."""
    return position.on_file(lambda identity: _view_from(position, identity, offset, min(offset + size, identity.size)))


def _view_from(position: Position, identity: Identity, offset: int, stop: int) -> memoryview:
    if offset >= stop:
        return memoryview(b"")
    view, reached = _take(position, identity, offset, stop)
    if reached < stop:
        view.release()
        view = memoryview(read_from(position, identity, offset, stop))
    position.trim()
    return view


def prefetch(position: Position, offset: int, size: int) -> None:
    """Ask the kernel to bring these bytes into the page cache."""
    position.on_file(lambda identity: _prefetch_from(position, identity, offset, min(offset + size, identity.size)))


def _prefetch_from(position: Position, identity: Identity, offset: int, stop: int) -> None:
    core = position.core
    core.check_open()
    if offset < stop:
        descriptor = core.open(position, identity)
        try:
            # It backs off if the ends are there: then usually all of it is.
            if not (_reader.is_cached(descriptor, offset) and _reader.is_cached(descriptor, stop - 1)):
                _reader.read_ahead(descriptor, stop - offset, offset)
        finally:
            # As it is, and never retried: see Core._map.
            os.close(descriptor)


def _take(position: Position, identity: Identity, offset: int, stop: int) -> tuple[memoryview, int]:
    """What one window holds of the bytes up to ``stop``, and how far that is. The view keeps its region mapped."""
    view, hold, _start, _stop = position.place
    if not hold.begin <= offset < stop <= hold.limit:
        del view
        position.core.check_open()
        view, hold = position.core.obtain(position, identity, offset, stop, 0)
    elif FREE_THREADED:
        view = unshared(view)
    begin = hold.begin
    reached = min(stop, begin + hold.size)
    return view[offset - begin : reached - begin], reached
