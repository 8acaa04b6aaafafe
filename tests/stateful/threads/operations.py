"""Operations: what a thread does in one call, as values that can be drawn, printed, performed and judged.

Each is about one file, by its slot on the disk, and most about one cursor on it, by number; so a history can be split
by file. A *program* is the operations of each thread, and what they are done to.
"""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias, final

from typing_extensions import override

from smmap_typed import HandleLimitError, MemoryLimitError

__all__ = [
    "BUFFERS",
    "CHANGES",
    "CONTENT",
    "PLACING",
    "QUERIES",
    "Name",
    "Operation",
    "Program",
    "ReaderName",
    "Setting",
]

ReaderName: TypeAlias = Literal["mmap", "pread"]

Query: TypeAlias = Literal["is_valid", "ofs_begin", "ofs_end", "size", "includes_ofs", "region"]
Content: TypeAlias = Literal["buffer", "view", "read", "file_size"]
Placing: TypeAlias = Literal["use_region", "copy", "assign"]
OfBuffer: TypeAlias = Literal["slice", "index", "length", "begin_access", "end_access"]
Change: TypeAlias = Literal["append", "replace"]
Name: TypeAlias = (
    Query | Placing | OfBuffer | Change | Content | Literal["unuse_region", "make_cursor", "collect", "check"]
)

QUERIES: Final[tuple[Query, ...]] = ("is_valid", "ofs_begin", "ofs_end", "size", "includes_ofs", "region")
"""Where a cursor stands."""
CONTENT: Final[tuple[Content, ...]] = ("buffer", "view", "read", "file_size")
"""What is in the file."""
PLACING: Final[tuple[Placing, ...]] = ("use_region", "copy", "assign")
"""What may leave a cursor on a region."""
BUFFERS: Final[tuple[OfBuffer, ...]] = ("slice", "index", "length", "begin_access", "end_access")
"""What is done to the one ``SlidingWindowMapBuffer`` that each file has."""
CHANGES: Final[tuple[Change, ...]] = ("append", "replace")
"""What another program does to a file."""


@final
@dataclass(frozen=True)
class Operation:
    """One call. Which numbers it looks at depends on its name."""

    name: Name
    slot: int = 0
    cursor: int = 0
    offset: int = 0
    """Bytes; the low end of a slice, an index, or what ``includes_ofs`` asks about."""
    size: int = 0
    """Bytes, also those to append and of a new file."""
    source: int = 0
    """The cursor to copy, or to assign."""

    @override
    def __str__(self) -> str:
        return _TOLD.get(self.name, "cursor {0.cursor} {0.name}()").format(self)


_TOLD: Final[dict[Name, str]] = {
    **dict.fromkeys(("use_region", "read", "view"), "cursor {0.cursor} {0.name}({0.offset}, {0.size})"),
    "includes_ofs": "cursor {0.cursor} {0.name}({0.offset})",
    **dict.fromkeys(("copy", "assign"), "cursor {0.cursor} {0.name}(cursor {0.source})"),
    "slice": "buffer[{0.offset}:{0.offset} + {0.size}]",
    "index": "buffer[{0.offset}]",
    "length": "len(buffer)",
    "begin_access": "buffer.begin_access(None, {0.offset}, {0.size})",
    "end_access": "buffer.end_access()",
    **dict.fromkeys(("append", "replace"), "{0.name}: {0.size} bytes"),
    **dict.fromkeys(("collect", "check"), "{0.name}()"),
}


@final
class Setting(NamedTuple):
    """What a program runs on."""

    reader: ReaderName
    window: int
    """Bytes, whole granules; 0 for whole files."""
    memory: int
    """Bytes."""
    scarce: Literal["", "handles", "memory"]
    """Which limit is hard and so low that calls may fail for it. Else no call may: there are as many handles as can be
    pinned at once, and no more, so that what is idle must go."""
    sizes: tuple[int, ...]
    """Bytes of each file."""

    def refusals(self) -> tuple[type[Exception], ...]:
        """What a call may raise for want of room."""
        match self.scarce:
            case "handles":
                return (HandleLimitError,)
            case "memory":
                return (MemoryLimitError,)
            case _:
                return ()


@final
class Program(NamedTuple):
    """The operations of each thread. The first cursors of a file are shared; the last one of each thread is its own."""

    setting: Setting
    shared: int
    """How many cursors of each file are shared."""
    threads: tuple[tuple[Operation, ...], ...]

    def own_cursor(self, thread: int) -> int:
        """The number of the cursor that only this thread uses."""
        return self.shared + thread

    def changes_files(self) -> bool:
        """Whether some operation changes a file."""
        return any(one.name in CHANGES for operations in self.threads for one in operations)

    def most_pins(self) -> int:
        """How many regions can be in use at once: by a cursor or buffer that is placed, a call, or a view kept."""
        operations = [operation for operations in self.threads for operation in operations]
        placed = {(one.slot, one.cursor) for one in operations if one.name in PLACING}
        buffers = {one.slot for one in operations if one.name in BUFFERS}
        keeping = sum(any(one.name in {"view", "buffer"} for one in some) for some in self.threads)
        # A call that moves a cursor, while another thread assigns to it, finishes on what the cursor was before.
        by_call = 2 if any(one.name == "assign" for one in operations) else 1
        return len(placed) + len(buffers) + by_call * len(self.threads) + keeping
