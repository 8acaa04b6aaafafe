"""The state machine can fail: each of these small defects, put into the library, is found by it.

Whoever adds a promise to the reference model adds a defect here that breaks it.
"""

import mmap
from collections import OrderedDict
from collections.abc import Callable, Container, Iterator
from typing import Final, TypeAlias

import pytest
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from typing_extensions import override

from smmap_typed import ALLOCATIONGRANULARITY, _search
from smmap_typed._core import Core
from smmap_typed._evictor import Evictor
from smmap_typed._file import Identity, Source
from smmap_typed._gate import Call
from smmap_typed._grid import Grid
from smmap_typed._hold import Hold
from smmap_typed._ledger import Ledger
from smmap_typed._lru import IdleQueue
from smmap_typed._pin import Pin
from smmap_typed._position import Position
from smmap_typed._reader import PreadReader
from smmap_typed._span import Span
from smmap_typed._types import Target
from stateful.machines import BufferMachine, SlidingCopiesMachine, SlidingMachine, StaticMachine, finding

pytestmark = pytest.mark.pure

Defect: TypeAlias = Callable[[pytest.MonkeyPatch], None]

QUICK: Final = finding(2000, 40)


def evicts_the_newest(patch: pytest.MonkeyPatch) -> None:
    def newest(self: IdleQueue, refused: Container[int]) -> Hold | None:
        for serial, hold in reversed(self.holds.items()):
            if serial not in refused and not hold.is_pinned():
                return hold
        return None

    patch.setattr(IdleQueue, "oldest", newest)


def forgets_that_a_window_was_used_again(patch: pytest.MonkeyPatch) -> None:
    class Stubborn(OrderedDict[int, Hold]):
        @override
        def move_to_end(self, key: int, last: bool = True) -> None:
            del key, last

    patch.setattr("smmap_typed._lru.OrderedDict", Stubborn)


def evicts_one_too_many(patch: pytest.MonkeyPatch) -> None:
    allows = Ledger.allows

    def allows_two(self: Ledger, nbytes: int, *, last: bool) -> bool:
        crowded = self.total_handles + 2 > self.max_handles
        return not (crowded and not last) and allows(self, nbytes, last=last)

    patch.setattr(Ledger, "allows", allows_two)


def never_trims(patch: pytest.MonkeyPatch) -> None:
    def trim(self: Evictor) -> None:
        self.tables.overdrawn.clear()

    patch.setattr(Evictor, "trim", trim)


def collects_nothing(patch: pytest.MonkeyPatch) -> None:
    def collect(self: Evictor) -> int:
        return len(self.tables.idle.holds) * 0

    patch.setattr(Evictor, "collect", collect)


def closes_without_unmapping(patch: pytest.MonkeyPatch) -> None:
    def close(self: Evictor) -> None:
        self.tables.closed = True

    patch.setattr(Evictor, "close", close)


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
    def share(self: Position) -> Position:
        twin = Position(self.core, self.given, self.target, self.inode)
        twin.place = self.place
        return twin

    patch.setattr(Position, "copy", share)


def keeps_its_window_at_the_limit(patch: pytest.MonkeyPatch) -> None:
    def insist(self: Position, identity: Identity, start: int, flags: int) -> tuple[memoryview, Hold]:
        return self.core.map_or_join(self, identity, start, flags)

    patch.setattr(Position, "_map", insist)


def opens_whatever_is_there(patch: pytest.MonkeyPatch) -> None:
    def accept(self: Identity, now: Identity, target: Target) -> None:
        del self, now, target

    patch.setattr(Identity, "check", accept)


def opens_last(patch: pytest.MonkeyPatch) -> None:
    map_or_join = Core.map_or_join

    def evict_first(self: Core, source: Source, identity: Identity, start: int, flags: int) -> tuple[memoryview, Hold]:
        with Call(self.evictor) as call:
            self.evictor.evict_extra(call, 1)
        return map_or_join(self, source, identity, start, flags)

    patch.setattr(Core, "map_or_join", evict_first)


def loses_releases(patch: pytest.MonkeyPatch) -> None:
    pin = Hold.pin

    def forget(self: Hold, note_release: Callable[[Pin], object]) -> memoryview | None:
        del note_release
        return pin(self, lambda _: None)

    patch.setattr(Hold, "pin", forget)


def counts_misses_twice(patch: pytest.MonkeyPatch) -> None:
    commit = Ledger.commit

    def count_twice(self: Ledger, seconds: float, failures: int) -> None:
        commit(self, seconds, failures)
        self.misses += 1

    patch.setattr(Ledger, "commit", count_twice)


def reads_one_byte_further(patch: pytest.MonkeyPatch) -> None:
    load = PreadReader.load

    def further(
        self: PreadReader, descriptor: int, source: Source, seen: Identity, offset: int, size: int
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
    matches = _search.matches

    def inside(span: Span, needle: bytes, start: int, stop: int) -> Iterator[int]:
        for place in matches(span, needle, start, stop):
            first, last = span.begin + place, span.begin + place + max(len(needle), 1) - 1
            if first // ALLOCATIONGRANULARITY == last // ALLOCATIONGRANULARITY:
                yield place

    patch.setattr("smmap_typed._buffer.matches", inside)


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
