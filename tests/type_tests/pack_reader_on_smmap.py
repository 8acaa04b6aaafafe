"""A strict code base, before and after it moves: a reader of git's packs, checked and never run.

pack_reader_on_smmap.py uses smmap with its stubs, pack_reader.py uses smmap_typed; they differ in the import alone, and
mypy refuses any expression in them whose type is Any.
"""

import zlib
from types import TracebackType
from typing import Final, NamedTuple, Self

import smmap


class Entry(NamedTuple):
    """The head of one object in a pack."""

    kind: int
    size: int
    begin: int


class PackReader:
    """Reads objects of one pack through a manager that many readers share."""

    def __init__(self, path: str, manager: smmap.StaticWindowMapManager) -> None:
        self._cursor: Final[smmap.WindowCursor] = manager.make_cursor(path)
        self._end: Final = self._cursor.file_size() - 20

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._cursor.unuse_region()

    def version(self) -> int:
        head = self._cursor.use_region(0, 12).buffer()
        if bytes(head[:4]) != b"PACK":
            raise ValueError(f"{self._cursor.path()!r} is no pack")
        return int.from_bytes(head[4:8], "big")

    def entry(self, offset: int) -> Entry:
        head = self._cursor.use_region(offset, size=16).buffer()
        kind, size, length = head[0] >> 4 & 7, head[0] & 15, 1
        while head[length - 1] & 128:
            size |= (head[length] & 127) << (7 * length - 3)
            length += 1
        return Entry(kind, size, self._cursor.ofs_begin() + length)

    def content(self, entry: Entry) -> bytes:
        inflate, offset, parts = zlib.decompressobj(), entry.begin, list[bytes]()
        while not inflate.eof and self._cursor.use_region(offset, 4096).is_valid():
            parts.append(inflate.decompress(self._cursor.buffer()))
            offset = self._cursor.ofs_end()
        return b"".join(parts)

    def checksum(self) -> bytes:
        with smmap.SlidingWindowMapBuffer(self._cursor, self._end) as buffer:
            return bytes(buffer[0:20])

    def is_mapped_by_others(self) -> bool:
        region = self._cursor.region()
        return region is not None and region.client_count() > 2


def versions(paths: list[str]) -> dict[str, int]:
    manager = smmap.SlidingWindowMapManager(window_size=1 << 20, max_open_handles=100)
    found: dict[str, int] = {}
    for path in paths:
        with PackReader(path, manager) as reader:
            found[path] = reader.version()
    manager.force_map_handle_removal_win("packs")
    print(manager.collect(), manager.num_file_handles(), manager.mapped_memory_size())
    return found
