"""The machine for buffers: compares a buffer with the ``bytes`` object of the same content."""

import operator
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Final, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from typing_extensions import override

from smmap_typed import ALLOCATIONGRANULARITY, HandleLimitError, MemoryLimitError, SlidingWindowMapBuffer, WindowCursor
from smmap_typed.testing._agreement import same, same_bytes
from smmap_typed.testing._fixture import Factory
from smmap_typed.testing._invariants import check_invariants
from smmap_typed.testing.disk import Disk
from smmap_typed.testing.settings import ManagerSettings
from smmap_typed.testing.strategies import buffer_settings, file_sizes, indices, offsets, sizes, steps

__all__ = ["make_buffer_machine"]

# The return types of Hypothesis's decorators contain Any.
# mypy: disallow-any-decorated=False

T = TypeVar("T")

_FILES: Final = 2
_SLOTS: Final = st.none() | st.integers(0, _FILES - 1)
# Lengths of the needles, which are cut from the file; from a place just before a window's edge they reach across it.
_LENGTHS: Final = st.sampled_from([0, 1, 2, 8, 20, 300, ALLOCATIONGRANULARITY + 8])


class BufferMachine(RuleBasedStateMachine):
    """One buffer, bound to one of two files, and the ``bytes`` that it must equal."""

    def __init__(self) -> None:
        super().__init__()
        self.at_the_end: Final = ExitStack()
        self.buffer = SlidingWindowMapBuffer()
        self.bound: bytes | None = None
        """The content of the buffer's file; None before the buffer has a file."""
        self.offset = 0
        """Where the buffer begins in the file, in bytes."""
        self.expected = b""
        """The bytes that the buffer must equal."""

    def set_up(self, factory: Factory, settings: ManagerSettings, sizes: list[int]) -> None:
        """Make files, a manager, and an unplaced cursor on each file: only the buffer pins windows."""
        self.settings = settings
        disk = Disk(list(map(settings.scaled, sizes)), settings.unit())
        self.at_the_end.callback(disk.close)
        self.manager = factory(settings)
        self.contents: list[bytes] = [bytes(inode.content) for inode in disk.opened]
        self.cursors: list[WindowCursor] = [self.manager.make_cursor(disk.path(slot)) for slot in range(_FILES)]

    @override
    def teardown(self) -> None:
        """End the access, and check that no window is pinned any more."""
        with self.at_the_end:
            if hasattr(self, "cursors"):
                self.buffer.end_access()
                self.manager.collect()
                same((self.manager.num_file_handles(), self.manager.mapped_memory_size()), (0, 0), "what is left")
                self.manager.close()

    # Binding.

    @rule(slot=_SLOTS, offset=offsets(), size=sizes())
    def begin_access(self, slot: int | None, offset: int, size: int) -> None:
        """Bind the buffer; it must refuse an offset outside the file. A slot of None means the buffer's own file."""
        offset, size = self.settings.scaled(offset), self.settings.scaled(size)
        cursor, content = (None, self.bound) if slot is None else (self.cursors[slot], self.contents[slot])
        possible = content is not None and offset < len(content)
        try:
            same(self.buffer.begin_access(cursor, offset, size), possible, "what begin_access says")
        except (HandleLimitError, MemoryLimitError):
            # The buffer pins the window in the other file before it releases this one; there may be no room for both.
            if cursor is None or not self.is_placed():
                raise
            return
        if possible and content is not None:
            self.bound, self.offset, self.expected = content, offset, content[offset : offset + size]

    @rule(offset=st.sampled_from([-1, 0]))
    def begin_with_a_negative_number(self, offset: int) -> None:
        """Pass a negative offset or size, which must be refused and change nothing."""
        result = outcome(lambda: self.buffer.begin_access(self.cursors[0], offset, -1 - offset))
        same(result, ValueError, "what begin_access makes of a negative number")

    @rule()
    def end_access(self) -> None:
        """Release the window."""
        self.buffer.end_access()
        self.expected = b""

    # Reading.

    @rule(index=offsets() | offsets().map(operator.neg))
    def index(self, index: int) -> None:
        """Read one byte, or get an IndexError."""
        index = self.settings.scaled(index)
        same(outcome(lambda: self.buffer[index]), outcome(lambda: self.expected[index]), f"[{index}]")

    @rule(start=indices(), stop=indices(), step=steps())
    def slice(self, start: int | None, stop: int | None, step: int | None) -> None:
        """Take a slice, which is always ``bytes``."""
        start, stop = self._scaled(start), self._scaled(stop)
        same_bytes(self.buffer[start:stop:step], self.expected[start:stop:step], f"[{start}:{stop}:{step}]")

    @rule(place=offsets(), length=_LENGTHS, start=indices(), end=indices(), change=st.sampled_from([0, 0, 0, 1]))
    def search(self, place: int, length: int, start: int | None, end: int | None, change: int) -> None:
        """Search for bytes of the file, perhaps with the last byte changed, and for their first byte as a number."""
        start, end = self._scaled(start), self._scaled(end)
        # A place in the file, where edges of windows are.
        place = max(self.settings.scaled(place) - self.offset, 0)
        needle = bytearray(self.expected[place : place + length])
        needle[-1:] = bytes((byte + change) % 256 for byte in needle[-1:])
        sub = bytes(needle)
        for needle_or_byte in (sub, sub[0]) if sub else (sub,):
            same(needle_or_byte in self.buffer, needle_or_byte in self.expected, "whether it is in the buffer")
            for method in ("find", "rfind", "count", "index"):
                call: Callable[[object], int] = operator.methodcaller(method, needle_or_byte, start, end)
                same(outcome(partial(call, self.buffer)), outcome(partial(call, self.expected)), method)
        same(self.buffer.startswith(sub, start, end), self.expected.startswith(sub, start, end), "startswith")

    @rule(start=offsets(), size=offsets())
    def readinto(self, start: int, size: int) -> None:
        """Read into memory, which must be left alone behind the bytes that were read."""
        start, size = self.settings.scaled(start), self.settings.scaled(size)
        room = bytearray(b"\xa5" * size)
        some = self.expected[start : start + size]
        same(self.buffer.readinto(room, start), len(some), "what readinto says")
        same_bytes(bytes(room), some + b"\xa5" * (size - len(some)), "what readinto filled")

    @rule()
    def iterate(self) -> None:
        """Read the whole buffer, forwards and backwards."""
        same_bytes(bytes(self.buffer), self.expected, "bytes(buffer)")
        same_bytes(bytes(iter(self.buffer)), self.expected, "what iteration yields")
        same_bytes(bytes(reversed(self.buffer)), self.expected[::-1], "what iteration backwards yields")

    # Invariants, checked after each step.

    @invariant()
    def agrees(self) -> None:
        """The lengths are equal, and the manager keeps its invariants and limits."""
        same(len(self.buffer), len(self.expected), "the length")
        check_invariants(self.manager)
        stats = self.manager.stats()
        pinned = int(self.is_placed())
        same((stats.pinned_regions, stats.view_pinned_regions), (pinned, 0), "the number of windows in use")
        same(
            min(stats.handles, self.settings.max_open_handles), stats.handles, "the number of handles within the limit"
        )

    def is_placed(self) -> bool:
        """Whether the buffer has pinned a window."""
        cursor = self.buffer.cursor()
        return cursor is not None and cursor.is_valid()

    def _scaled(self, place: int | None) -> int | None:
        return None if place is None else self.settings.scaled(place)


def make_buffer_machine(
    factory: Factory, *, settings: st.SearchStrategy[ManagerSettings] | None = None
) -> type[RuleBasedStateMachine]:
    """Make a state machine that compares a buffer with ``bytes``, on the managers that ``factory`` makes.

    The machine binds one buffer to two files in turn, at any offset, and indexes, slices, searches, reads and iterates,
    under limits so tight that few windows stay mapped. A buffer needs one window at a time, so it may fail at a limit
    only when it moves from one file to the other.

    :param factory: makes a new manager with exactly the settings that it receives.
    :param settings: the settings to draw, by default ``buffer_settings()``; for your own settings,
        ``st.just(ManagerSettings(...))``. With ``strict_memory`` they must leave room for a window.
    """
    drawn = buffer_settings() if settings is None else settings

    class Machine(BufferMachine):
        """A machine that begins with a manager from the factory."""

        @initialize(chosen=drawn, sizes=st.lists(file_sizes(), min_size=_FILES, max_size=_FILES))
        def begin(self, chosen: ManagerSettings, sizes: list[int]) -> None:
            """Make files, a manager, and cursors."""
            self.set_up(factory, chosen, sizes)

    return Machine


def outcome(act: Callable[[], T]) -> T | type[Exception]:
    """Return the result of ``act``, or the type of its IndexError or ValueError."""
    try:
        return act()
    except (IndexError, ValueError) as error:
        return type(error)
