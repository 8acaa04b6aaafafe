"""The state machine: does to a manager and to the reference model whatever a program may do, and compares.

After each step the invariants hold, the manager reports what the model predicts, every cursor and view shows the bytes
that it should, and the kernel has mapped and open what the manager says.
"""

import copy
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import ClassVar, Final, Literal, TypeAlias, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from typing_extensions import override

from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager, StaticWindowMapManager, WindowCursor
from smmap_typed.testing import check_invariants
from stateful import kernel
from stateful.agreement import (
    agree_in_figures,
    agree_on_cursor,
    agree_on_windows,
    agree_with_the_kernel,
    same,
)
from stateful.disk import Disk
from stateful.model import Buffer, Model
from stateful.regions import Cursor, Refusal, View
from support import GRANULE

__all__ = ["ManagerMachine", "SlidingCopiesMachine", "SlidingMachine", "StaticCopiesMachine", "StaticMachine"]

# Hypothesis declares what its decorators return with an Any.
# mypy: disallow-any-decorated=False

Predicted = TypeVar("Predicted")
Actual = TypeVar("Actual")

ReaderName: TypeAlias = Literal["mmap", "pread"]

FILES: Final = 2


def _place(granules: int, beside: int) -> int:
    # Near the edges of granules, where the mistakes are.
    return max(granules * GRANULE + beside, 0)


PLACES: Final = st.builds(_place, st.integers(0, 12), st.sampled_from([0, 0, 1, 100, GRANULE // 2, -1, -100]))
SIZES: Final = st.one_of(
    st.sampled_from([0, 1, 8, 100, GRANULE // 2, GRANULE, GRANULE + 1, 2 * GRANULE, 3 * GRANULE, sys.maxsize]), PLACES
)
INDICES: Final = st.none() | PLACES | PLACES.map(lambda place: -place)
STEPS: Final = st.none() | st.sampled_from([1, 2, 7, GRANULE, -1, -3])
FILE_SIZES: Final = [12 * GRANULE - 1, 10 * GRANULE, 7 * GRANULE + 100, 3 * GRANULE, GRANULE // 2]
SLOTS: Final = st.integers(0, FILES - 1)


class ManagerMachine(RuleBasedStateMachine):
    """One manager on a disk of its own, in one thread. Subclasses say which kind of manager, and which reader."""

    sliding: ClassVar[bool] = True
    reader: ClassVar[ReaderName] = "mmap"

    # What a rule draws are numbers; the objects behind them live here alone, so that dropping one drops it.
    cursor_numbers = Bundle[int]("cursors")
    view_numbers = Bundle[int]("views")
    buffer_numbers = Bundle[int]("buffers")

    def __init__(self) -> None:
        super().__init__()
        self.cursors: dict[int, tuple[WindowCursor, Cursor]] = {}
        self.views: dict[int, tuple[memoryview, View]] = {}
        self.buffers: dict[int, tuple[SlidingWindowMapBuffer, Buffer]] = {}
        self.next_number = 0
        self.steps = 0
        self.at_the_end = ExitStack()

    @initialize(
        target=cursor_numbers,
        sizes=st.lists(st.sampled_from(FILE_SIZES), min_size=FILES, max_size=FILES),
        window=st.integers(0, 5),
        memory=st.integers(1, 6),
        handles=st.integers(1, 6),
        strict=st.booleans(),
    )
    def begin(self, sizes: list[int], window: int, memory: int, handles: int, strict: bool) -> MultipleResults[int]:
        """Make files, and a manager with so many granules in a window, windows of memory, and handles."""
        # What is dropped goes at once: the collector, which comes when it likes, must have nothing to do.
        gc.disable()
        self.at_the_end.callback(gc.enable)
        self.disk = Disk(sizes)
        self.at_the_end.callback(self.disk.close)
        window = window * GRANULE if self.sliding else 0
        memory *= window or 4 * GRANULE
        # One byte less than a granule is rounded up to it.
        kind = SlidingWindowMapManager if self.sliding else StaticWindowMapManager
        self.manager = kind(max(window - 1, 0), memory, handles, reader=self.reader, strict_memory=strict)
        self.model = Model(self.disk, window, memory, handles, strict=strict, copies=self.reader == "pread")
        # Other maps of anonymous memory in this process.
        self.strangers = {mapped.inode for mapped in kernel.mapped_ranges("/dev/zero")}
        made = [self.cursor_on(slot, kind) for slot in range(FILES) for kind in ("path", "descriptor")]
        return multiple(*(number for some in made for number in some))

    @override
    def teardown(self) -> None:
        """With every cursor and view gone, ``collect`` brings everything to zero (I6), and the kernel agrees (I9)."""
        with self.at_the_end:
            if not hasattr(self, "strangers"):
                return
            for number in list(self.buffers):
                self.drop_buffer(number, False)
            for number in list(self.cursors):
                self.drop_cursor(number)
            for number in list(self.views):
                self.release_view(number, True)
            self.collect()
            assert (self.manager.num_file_handles(), self.manager.mapped_memory_size()) == (0, 0)
            agree_with_the_kernel(self.model, self.strangers)
            self.manager.close()
            check_invariants(self.manager)

    # Cursors. The rules are few and each does several things, since all are equally likely and most steps should move.

    @rule(target=cursor_numbers, slot=SLOTS, kind=st.sampled_from(["path", "path", "descriptor", "none"]))
    def make_cursor(self, slot: int, kind: str) -> MultipleResults[int]:
        if kind == "none":
            return self.keep(self.cursors, (WindowCursor(self.manager), self.model.make_cursor(None)))
        return self.cursor_on(slot, kind)

    def cursor_on(self, slot: int, kind: str) -> MultipleResults[int]:
        source = self.disk.path_source(slot) if kind == "path" else self.disk.descriptor_source(slot)
        target = self.disk.path(slot) if kind == "path" else self.disk.descriptors[slot]
        made = self.both(lambda: self.model.make_cursor(source), lambda: self.manager.make_cursor(target))
        return multiple() if made is None else self.keep(self.cursors, (made[1], made[0]))

    @rule(target=cursor_numbers, number=cursor_numbers)
    def copy_cursor(self, number: int) -> MultipleResults[int]:
        cursor, predicted = self.cursors[number]
        return self.keep(self.cursors, (copy.copy(cursor), self.model.copy(predicted)))

    @rule(number=cursor_numbers, other=cursor_numbers)
    def assign(self, number: int, other: int) -> None:
        self.cursors[number][0].assign(self.cursors[other][0])
        self.model.assign(self.cursors[number][1], self.cursors[other][1])

    @rule(number=cursor_numbers, offset=PLACES, size=SIZES)
    def move(self, number: int, offset: int, size: int) -> None:
        cursor, predicted = self.cursors[number]
        self.both(lambda: self.model.use_region(predicted, offset, size), lambda: cursor.use_region(offset, size))

    @rule(number=cursor_numbers, offset=PLACES)
    def move_as_far_as_promised(self, number: int, offset: int) -> None:
        """Contiguity: a request of up to half a window is cut by nothing but the end of the file."""
        cursor, predicted = self.cursors[number]
        size = max(self.manager.window_size() // 2, 1)
        self.move(number, offset, size)
        if predicted.begin == offset and cursor.is_valid() and self.model.window != GRANULE:
            assert cursor.size() == min(size, cursor.file_size() - offset)

    @rule(number=cursor_numbers, size=SIZES)
    def move_on(self, number: int, size: int) -> None:
        self.move(number, self.cursors[number][1].end, size)

    @rule(number=cursor_numbers, size=SIZES)
    def move_through_the_file(self, number: int, size: int) -> None:
        for granule in range(0, 12, 2):
            self.move(number, granule * GRANULE, size)

    @rule(number=cursor_numbers, how=st.sampled_from(["release", "file", "negative"]), size=SIZES)
    def ask(self, number: int, how: str, size: int) -> None:
        """What moves the cursor to no window."""
        cursor, predicted = self.cursors[number]
        if how == "negative":
            self.move(number, -1, size)
            self.move(number, size, -1)
        elif how == "file":
            if predicted.source is not None:
                self.agree(lambda: self.model.file_size(predicted), cursor.file_size)
        else:
            cursor.unuse_region()
            self.model.release(predicted)

    @rule(number=consumes(cursor_numbers))
    def drop_cursor(self, number: int) -> None:
        self.model.drop(self.cursors.pop(number)[1])

    @rule(number=cursor_numbers, offset=PLACES, size=SIZES)
    def read(self, number: int, offset: int, size: int) -> None:
        cursor, predicted = self.cursors[number]
        if self.model.can_be_read(predicted, offset, size):
            self.agree(lambda: self.model.read(predicted, offset, size), lambda: cursor.read(offset, size))

    # Views.

    @rule(target=view_numbers, number=cursor_numbers)
    def take_buffer(self, number: int) -> MultipleResults[int]:
        cursor, predicted = self.cursors[number]
        return self.keep_view(self.both(lambda: self.model.buffer_view(predicted), cursor.buffer))

    @rule(target=view_numbers, number=cursor_numbers, offset=PLACES, size=SIZES)
    def take_view(self, number: int, offset: int, size: int) -> MultipleResults[int]:
        cursor, predicted = self.cursors[number]
        if offset == 0:
            region, view = cursor.region(), self.model.region_view(predicted)
            return multiple() if region is None or view is None else self.keep(self.views, (region.buffer(), view))
        if not self.model.can_be_read(predicted, offset, size):
            return multiple()
        taken = self.both(lambda: self.model.view(predicted, offset, size), lambda: cursor.view(offset, size))
        return self.keep_view(taken)

    @rule(number=consumes(view_numbers), politely=st.booleans())
    def release_view(self, number: int, politely: bool) -> None:
        view, predicted = self.views.pop(number)
        if politely:
            view.release()
        self.model.release_view(predicted)

    # Buffers.

    @rule(target=buffer_numbers, number=cursor_numbers, offset=PLACES, size=SIZES)
    def make_buffer(self, number: int, offset: int, size: int) -> MultipleResults[int]:
        cursor, predicted = self.cursors[number]
        made = self.both(
            lambda: self.model.make_buffer(predicted, offset, size),
            lambda: SlidingWindowMapBuffer(cursor, offset, size),
        )
        return multiple() if made is None else self.keep(self.buffers, (made[1], made[0]))

    @rule(number=buffer_numbers, start=INDICES, stop=INDICES, step=STEPS)
    def slice(self, number: int, start: int | None, stop: int | None, step: int | None) -> None:
        """A slice of the buffer is the slice of the equal ``bytes``."""
        buffer, predicted = self.buffers[number]
        some = range(predicted.length)[start:stop:step]
        low, high = (min(some[0], some[-1]), max(some[0], some[-1]) + 1) if some else (0, 0)
        if self.model.can_be_read(predicted.cursor, predicted.begin + low, high - low):
            stride = some.step
            self.agree(
                lambda: self.model.slice(predicted, low, high)[:: abs(stride)][:: 1 if stride > 0 else -1],
                lambda: buffer[start:stop:step],
            )

    @rule(number=buffer_numbers, start=PLACES, size=PLACES)
    def read_into(self, number: int, start: int, size: int) -> None:
        buffer, predicted = self.buffers[number]
        stop = min(start + size, predicted.length)
        if not self.model.can_be_read(predicted.cursor, predicted.begin + start, max(stop - start, 1)):
            return
        room = bytearray(size)
        self.agree(
            lambda: self.model.read_into(predicted, start, stop), lambda: bytes(room[: buffer.readinto(room, start)])
        )
        if start < stop:
            self.agree(lambda: self.model.slice(predicted, start, start + 1)[0], lambda: buffer[start])

    @rule(number=consumes(buffer_numbers), politely=st.booleans())
    def drop_buffer(self, number: int, politely: bool) -> None:
        buffer, predicted = self.buffers.pop(number)
        if politely:
            buffer.end_access()
            self.model.end_access(predicted)
            assert bytes(buffer) == b""
        self.model.drop(predicted.cursor)

    # The manager.

    @rule()
    def collect(self) -> None:
        self.agree(self.model.collect, self.manager.collect)

    @rule(memory=st.none() | PLACES, handles=st.none() | st.integers(1, 6))
    def configure(self, memory: int | None, handles: int | None) -> None:
        self.both(
            lambda: self.model.configure(memory, handles),
            lambda: self.manager.configure(
                max_memory_size=... if memory is None else memory, max_open_handles=... if handles is None else handles
            ),
        )

    # A closed manager has little to show, so not too soon.
    @precondition(lambda self: self.steps > 20)
    @rule(how=st.sampled_from(["reset", "reset", "close"]))
    def reset_stats_or_close(self, how: str) -> None:
        if how == "close" or self.model.closed:
            self.manager.close()
            self.model.close()
        else:
            self.manager.reset_stats()
            self.model.reset_stats()

    # Files.

    @rule(
        slot=SLOTS,
        size=PLACES,
        how=st.sampled_from(["append", "append", "touch", "truncate", "replace", "reopen", "remove"]),
    )
    def change_a_file(self, slot: int, size: int, how: str) -> None:
        # The file at the path and the one behind the descriptor may differ by now.
        for inode in dict.fromkeys((self.disk.opened[slot], self.disk.paths[slot] or self.disk.opened[slot])):
            if how == "append":
                self.disk.append(inode, size)
            elif how == "truncate":
                self.disk.truncate(inode, size)
            elif how == "touch":
                self.disk.touch(inode)
        if how == "replace":
            self.disk.replace(slot, size)
        elif how == "reopen":
            self.disk.redirect(slot)
        elif how == "remove":
            self.disk.remove(slot)

    # What must be true after each step.

    @invariant()
    def agrees(self) -> None:
        """The manager keeps its invariants and reports what the model predicts; so do its cursors and views."""
        self.steps += 1
        check_invariants(self.manager)
        agree_in_figures(self.manager, self.model)
        agree_on_windows(self.manager, self.model)
        for buffer, expected in self.buffers.values():
            assert len(buffer) == expected.length
        for cursor, predicted in self.all_cursors():
            agree_on_cursor(cursor, predicted, self.model)
            if predicted.region is None:
                # What was left to it when the manager was closed goes with the first question.
                self.model.release(predicted)
        for view, shown in self.views.values():
            content = shown.expected()
            assert view.readonly
            assert len(view) == (len(shown.copy) if shown.region is None else shown.end - shown.begin)
            assert view[: len(content)] == content
        agree_with_the_kernel(self.model, self.strangers)

    # How.

    def all_cursors(self) -> Iterator[tuple[WindowCursor, Cursor]]:
        """The users' and the buffers' own."""
        yield from self.cursors.values()
        for buffer, predicted in self.buffers.values():
            own = buffer.cursor()
            assert own is not None
            yield own, predicted.cursor

    def both(self, predict: Callable[[], Predicted], act: Callable[[], Actual]) -> tuple[Predicted, Actual] | None:
        """Both outcomes, or None if both are the same error."""
        predicted: tuple[Predicted] | None = None
        expected: type[Exception] | None = None
        try:
            predicted = (predict(),)
        except Refusal as refusal:
            expected = refusal.error
        try:
            actual = act()
        except Exception as error:
            if expected is None or not isinstance(error, expected):
                raise
            return None
        assert predicted is not None, f"no {expected}"
        return predicted[0], actual

    def agree(self, predict: Callable[[], object], act: Callable[[], object]) -> None:
        """Both come to the same value, or to the same error."""
        outcomes = self.both(predict, act)
        if outcomes is not None:
            same(outcomes[1], outcomes[0])

    def keep(self, shelf: dict[int, Predicted], pair: Predicted) -> MultipleResults[int]:
        self.next_number += 1
        shelf[self.next_number] = pair
        return multiple(self.next_number)

    def keep_view(self, taken: tuple[View, memoryview] | None) -> MultipleResults[int]:
        return multiple() if taken is None else self.keep(self.views, (taken[1], taken[0]))


class SlidingMachine(ManagerMachine):
    sliding = True


class SlidingCopiesMachine(ManagerMachine):
    sliding = True
    reader: ClassVar[ReaderName] = "pread"


class StaticMachine(ManagerMachine):
    sliding = False


class StaticCopiesMachine(ManagerMachine):
    sliding = False
    reader: ClassVar[ReaderName] = "pread"
