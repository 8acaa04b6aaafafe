"""Kinds of reads: all ways in which the library itself copies bytes of a file, each with what it must return.

Each of them touches the byte at ``PLACE`` of a file of ``SIZE`` bytes that ``write_pattern`` has written.
"""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from smmap_typed import MappedFile, SlidingWindowMapBuffer, SlidingWindowMapManager, WindowCursor
from smmap_typed._handles.mapped_file import BUFFERED
from support import GRANULE, pattern

__all__ = ["KINDS", "PLACE", "SIZE", "WINDOW", "Kind", "ready"]

WINDOW: Final = 4 * GRANULE
SIZE: Final = 16 * WINDOW
PLACE: Final = 10 * WINDOW + GRANULE + 100
"""Bytes from the start of the file."""

_FEW: Final = 64
_MANY: Final = 2 * WINDOW
_EARLIER: Final = 2 * WINDOW + GRANULE + 100
_UNBUFFERED: Final = BUFFERED + WINDOW
"""So many bytes that a file object does not read them out of its buffer."""
_CONTENT: Final = pattern(SIZE)
_PAST_THE_BUFFER: Final = _CONTENT[_EARLIER : _EARLIER + _UNBUFFERED]
_NEEDLE: Final = _CONTENT[PLACE : PLACE + _FEW]
_LINE_BEFORE: Final = _CONTENT.rindex(b"\n", 0, PLACE) + 1
_LINE_END: Final = _CONTENT.index(b"\n", PLACE) + 1

assert _CONTENT.index(_NEEDLE) == PLACE, "the needle tells its position"
assert _NEEDLE in _PAST_THE_BUFFER, "what is done to the bytes at PLACE is done to these"


class Kind(NamedTuple):
    """One way to read."""

    prepare: Callable[[WindowCursor], Callable[[], object]]
    """Binds the read to the file of a cursor that has looked at it, and reads nothing."""
    wanted: object
    """What the read returns."""


def _by_cursor(read: Callable[[WindowCursor], object], wanted: object) -> Kind:
    def prepare(cursor: WindowCursor) -> Callable[[], object]:
        return lambda: read(cursor)

    return Kind(prepare, wanted)


def _by_buffer(read: Callable[[SlidingWindowMapBuffer], object], wanted: object) -> Kind:
    def prepare(cursor: WindowCursor) -> Callable[[], object]:
        buffer = SlidingWindowMapBuffer(cursor)
        return lambda: read(buffer)

    return Kind(prepare, wanted)


def _by_file(read: Callable[[MappedFile], object], wanted: object, at: int = 0) -> Kind:
    def prepare(cursor: WindowCursor) -> Callable[[], object]:
        file = MappedFile(cursor, 0, None)

        def act() -> object:
            file.seek(at)
            return read(file)

        return act

    return Kind(prepare, wanted)


def _filled(size: int, fill: Callable[[bytearray], int]) -> bytes:
    room = bytearray(size)
    return bytes(room[: fill(room)])


def _matches(buffer: SlidingWindowMapBuffer) -> list[int]:
    return [match.start for match in buffer.finditer(re.escape(_NEEDLE), longest=_FEW)]


KINDS: Final[dict[str, Kind]] = {
    "cursor.read": _by_cursor(lambda cursor: cursor.read(PLACE, _FEW), _NEEDLE),
    "cursor.read of several windows": _by_cursor(
        lambda cursor: cursor.read(PLACE - WINDOW, _MANY), _CONTENT[PLACE - WINDOW : PLACE + WINDOW]
    ),
    "cursor.view of several windows": _by_cursor(
        lambda cursor: bytes(cursor.view(PLACE - WINDOW, _MANY)), _CONTENT[PLACE - WINDOW : PLACE + WINDOW]
    ),
    "an index": _by_buffer(lambda buffer: buffer[PLACE], _CONTENT[PLACE]),
    "a negative index": _by_buffer(lambda buffer: buffer[PLACE - SIZE], _CONTENT[PLACE]),
    "a slice": _by_buffer(lambda buffer: buffer[PLACE : PLACE + _FEW], _NEEDLE),
    "a slice of several windows": _by_buffer(lambda buffer: buffer[WINDOW : SIZE - 5], _CONTENT[WINDOW : SIZE - 5]),
    "a slice with a step": _by_buffer(lambda buffer: buffer[PLACE :: 3 * GRANULE], _CONTENT[PLACE :: 3 * GRANULE]),
    "a slice backwards": _by_buffer(lambda buffer: buffer[PLACE::-GRANULE], _CONTENT[PLACE::-GRANULE]),
    "iteration": _by_buffer(lambda buffer: bytes(iter(buffer)), _CONTENT),
    "iteration backwards": _by_buffer(lambda buffer: bytes(reversed(buffer)), _CONTENT[::-1]),
    "find": _by_buffer(lambda buffer: buffer.find(_NEEDLE), PLACE),
    "rfind": _by_buffer(lambda buffer: buffer.rfind(_NEEDLE), PLACE),
    "index": _by_buffer(lambda buffer: buffer.index(_NEEDLE), PLACE),
    "in": _by_buffer(lambda buffer: buffer.__contains__(_NEEDLE), True),
    "count": _by_buffer(lambda buffer: buffer.count(_NEEDLE), 1),
    "count of a byte": _by_buffer(lambda buffer: buffer.count(_NEEDLE[:1]), _CONTENT.count(_NEEDLE[:1])),
    "finditer": _by_buffer(_matches, [PLACE]),
    "startswith": _by_buffer(lambda buffer: buffer.startswith(_NEEDLE, PLACE), True),
    "readinto of a buffer": _by_buffer(
        lambda buffer: _filled(_MANY, lambda room: buffer.readinto(room, PLACE)), _CONTENT[PLACE : PLACE + _MANY]
    ),
    "bytes": _by_buffer(bytes, _CONTENT),
    "file.read": _by_file(lambda file: file.read(_FEW), _NEEDLE, PLACE),
    "file.read of several windows": _by_file(lambda file: file.read(_UNBUFFERED), _PAST_THE_BUFFER, _EARLIER),
    "file.read of all": _by_file(lambda file: file.read(), _CONTENT),
    "file.readinto": _by_file(lambda file: _filled(_UNBUFFERED, file.readinto), _PAST_THE_BUFFER, _EARLIER),
    "file.readline": _by_file(lambda file: file.readline(), _CONTENT[_LINE_BEFORE:_LINE_END], _LINE_BEFORE),
    "iteration over lines": _by_file(list, [*io.BytesIO(_CONTENT)]),
}
"""All of them by name."""


def ready(kind: Kind, manager: SlidingWindowMapManager, path: Path, *, mapped: bool) -> Callable[[], object]:
    """Return the read, bound to the file at ``path``, which was looked at and of which nothing was read.

    Its windows are all ``mapped``, or none of them is.
    """
    cursor = manager.make_cursor(path)
    assert cursor.file_size() == SIZE
    if mapped:
        step = manager.window_size() or SIZE
        for offset in range(0, SIZE, step):
            cursor.use_region(offset, 1)
        cursor.unuse_region()
    return kind.prepare(cursor)
