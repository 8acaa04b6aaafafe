"""The state machine can fail: each of these small defects, put into the library, is found by it.

Whoever adds a promise to the reference model adds a defect here that breaks it.
"""

import mmap
from collections import OrderedDict
from collections.abc import Callable, Container
from typing import Final, TypeAlias

import pytest
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from typing_extensions import override

from smmap_typed import ALLOCATIONGRANULARITY
from smmap_typed._builtin_readers import PreadReader
from smmap_typed._handles import indexing, search
from smmap_typed._handles.span import Span
from smmap_typed._handles.state import CursorState
from smmap_typed._pool.file import File
from smmap_typed._pool.frame import Frame
from smmap_typed._pool.grid import Grid
from smmap_typed._pool.ledger import Ledger
from smmap_typed._pool.monitor import Entry
from smmap_typed._pool.pin import Pin
from smmap_typed._pool.pool import Pool
from smmap_typed._pool.replacement import LRU
from smmap_typed._source import FileState, Source
from smmap_typed._types import Target
from stateful.machines import BufferMachine, SlidingCopiesMachine, SlidingMachine, StaticMachine, finding

pytestmark = pytest.mark.pure

Defect: TypeAlias = Callable[[pytest.MonkeyPatch], None]

QUICK: Final = finding(2000, 40)


def evicts_the_newest(patch: pytest.MonkeyPatch) -> None:
    def newest(self: LRU, refused: Container[int]) -> Frame | None:
        for frame in reversed([*self.order()]):
            if frame.serial not in refused and not frame.is_pinned():
                return frame
        return None

    patch.setattr(LRU, "victim", newest)


def forgets_that_a_window_was_used_again(patch: pytest.MonkeyPatch) -> None:
    class Stubborn(OrderedDict[int, Frame]):
        @override
        def move_to_end(self, key: int, last: bool = True) -> None:
            del key, last

    patch.setattr("smmap_typed._pool.replacement.OrderedDict", Stubborn)


def evicts_one_too_many(patch: pytest.MonkeyPatch) -> None:
    allows = Ledger.allows

    def allows_two(self: Ledger, nbytes: int, *, last: bool) -> bool:
        crowded = self.total_handles + 2 > self.max_handles
        return not (crowded and not last) and allows(self, nbytes, last=last)

    patch.setattr(Ledger, "allows", allows_two)


def never_trims(patch: pytest.MonkeyPatch) -> None:
    def trim(self: Pool) -> None:
        self.tables.past_limit.clear()

    patch.setattr(Pool, "trim", trim)


def collects_nothing(patch: pytest.MonkeyPatch) -> None:
    def collect(self: Pool) -> int:
        return len(self.tables.frames) * 0

    patch.setattr(Pool, "collect", collect)


def closes_without_unmapping(patch: pytest.MonkeyPatch) -> None:
    def close(self: Pool) -> None:
        self.tables.closed = True

    patch.setattr(Pool, "close", close)


def cuts_requests_at_even_windows(patch: pytest.MonkeyPatch) -> None:
    def start(self: Grid, offset: int, stop: int) -> int:
        del stop
        return offset - offset % self.stride

    patch.setattr(Grid, "start", start)


def maps_a_byte_less(patch: pytest.MonkeyPatch) -> None:
    size = Grid.size

    def less(self: Grid, start: int, file_size: int) -> int:
        return max(size(self, start, file_size) - 1, 1)

    patch.setattr(Grid, "size", less)


def copies_share_a_pin(patch: pytest.MonkeyPatch) -> None:
    def share(self: CursorState) -> CursorState:
        twin = self.fresh()
        twin.placement = self.placement
        return twin

    patch.setattr(CursorState, "copy", share)


def keeps_its_window_at_the_limit(patch: pytest.MonkeyPatch) -> None:
    def insist(self: CursorState, file: File, start: int, flags: int) -> tuple[memoryview, Frame]:
        return self.pool.acquire(self, file, start, flags, newest=self._file is None)

    patch.setattr(CursorState, "_acquire", insist)


def opens_whatever_is_there(patch: pytest.MonkeyPatch) -> None:
    def accept(self: FileState, now: FileState, target: Target, *, copies: bool = False) -> None:
        del self, now, target, copies

    patch.setattr(FileState, "check", accept)


def opens_last(patch: pytest.MonkeyPatch) -> None:
    acquire = Pool.acquire

    def evict_first(
        self: Pool, source: Source, file: File, start: int, flags: int, *, newest: bool = False
    ) -> tuple[memoryview, Frame]:
        with Entry(self) as entry:
            self._evict_share(entry, 1)
        return acquire(self, source, file, start, flags, newest=newest)

    patch.setattr(Pool, "acquire", evict_first)


def loses_releases(patch: pytest.MonkeyPatch) -> None:
    pin = Frame.pin

    def forget(self: Frame, note_release: Callable[[Pin], object]) -> memoryview | None:
        del note_release
        return pin(self, lambda _: None)

    patch.setattr(Frame, "pin", forget)


def counts_misses_twice(patch: pytest.MonkeyPatch) -> None:
    commit = Ledger.commit

    def count_twice(self: Ledger, seconds: float, failures: int) -> None:
        commit(self, seconds, failures)
        self.misses += 1

    patch.setattr(Ledger, "commit", count_twice)


def reads_one_byte_further(patch: pytest.MonkeyPatch) -> None:
    load = PreadReader.load

    def further(
        self: PreadReader, descriptor: int, source: Source, seen: FileState, offset: int, size: int
    ) -> mmap.mmap:
        return load(self, descriptor, source, seen, offset + (offset > 0), size - (offset > 0))

    patch.setattr(PreadReader, "load", further)


def cuts_a_slice_at_the_window(patch: pytest.MonkeyPatch) -> None:
    read = Span.read

    def short(self: Span, start: int, stop: int) -> bytes:
        return read(self, start, min(stop, start + ALLOCATIONGRANULARITY))

    patch.setattr(Span, "read", short)


def misses_what_lies_across_an_edge(patch: pytest.MonkeyPatch) -> None:
    """A search window by window that does not look at the bytes between them."""
    first_match = search.first_match

    def inside(span: Span, needle: bytes, low: int, high: int) -> int:
        while (place := first_match(span, needle, low, high)) >= 0:
            first, last = span.begin + place, span.begin + place + max(len(needle), 1) - 1
            if first // ALLOCATIONGRANULARITY == last // ALLOCATIONGRANULARITY:
                break
            low = place + 1
        return place

    # Where it is defined, and where it is used.
    patch.setattr(search, "first_match", inside)
    patch.setattr(indexing, "first_match", inside)
    patch.setattr(indexing, "_NEAR", 0)


@pytest.mark.parametrize(
    ("defect", "machine"),
    [
        (evicts_the_newest, SlidingMachine),
        (forgets_that_a_window_was_used_again, SlidingMachine),
        (evicts_one_too_many, SlidingMachine),
        (never_trims, SlidingMachine),
        (collects_nothing, StaticMachine),
        (closes_without_unmapping, SlidingMachine),
        (cuts_requests_at_even_windows, SlidingMachine),
        (maps_a_byte_less, StaticMachine),
        (copies_share_a_pin, SlidingMachine),
        (keeps_its_window_at_the_limit, SlidingMachine),
        (opens_whatever_is_there, SlidingMachine),
        (opens_last, SlidingMachine),
        (loses_releases, SlidingMachine),
        (counts_misses_twice, StaticMachine),
        (reads_one_byte_further, SlidingCopiesMachine),
        (cuts_a_slice_at_the_window, BufferMachine),
        (misses_what_lies_across_an_edge, BufferMachine),
    ],
)
def test_the_machine_finds_this_defect(
    defect: Defect, machine: type[RuleBasedStateMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    defect(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=QUICK)
