"""Defects: small mistakes of concurrent code, each to be put into the library, as whoever changes it might make it.

In one thread none of them changes what a call returns.
"""

import os

import pytest

from smmap_typed import CursorInvalidError, SlidingWindowMapBuffer, WindowCursor
from smmap_typed._evictor import Evictor
from smmap_typed._file import Identity, Source
from smmap_typed._gate import Call, Flight
from smmap_typed._hold import Hold
from smmap_typed._ledger import Ledger
from smmap_typed._platform import OPEN_FLAGS
from smmap_typed._position import NOWHERE, Place, Position
from smmap_typed._reader import MmapReader
from smmap_typed._span import Span
from smmap_typed._tables import Tables

__all__ = [
    "answers_from_two_bindings",
    "copies_what_is_seen_before_the_place",
    "counts_what_others_collect",
    "keeps_what_it_saw_itself",
    "lets_go_before_it_has_the_new_window",
    "looks_at_the_path_and_then_opens",
    "maps_without_a_flight",
    "moves_in_two_steps",
    "never_wakes_those_who_wait",
    "reserves_after_mapping",
    "strikes_out_before_unmapping",
    "takes_the_view_and_its_bounds_one_by_one",
    "tells_the_place_in_two_looks",
    "trusts_that_it_stands_where_it_moved",
]


def tells_the_place_in_two_looks(patch: pytest.MonkeyPatch) -> None:
    def valid_place(self: Position) -> Place:
        place = self.place
        if not self.is_valid():
            raise CursorInvalidError
        return place

    patch.setattr(Position, "valid_place", valid_place)


def copies_what_is_seen_before_the_place(patch: pytest.MonkeyPatch) -> None:
    def copy(self: Position) -> Position:
        twin = Position(self.core, self.given, self.target, self.inode, self._seen)
        _, hold, start, stop = self.place
        if hold.limit >= 0 and not twin.stand(hold, start, stop):
            twin.move(hold.begin + start, stop - start, 0)
        return twin

    patch.setattr(Position, "copy", copy)


def moves_in_two_steps(patch: pytest.MonkeyPatch) -> None:
    move = Position.move

    def move_in_steps(self: Position, offset: int, size: int, flags: int) -> None:
        move(self, offset, size, flags)
        view, hold, start, stop = self.place
        self.place = (view, hold, 0, hold.size)
        self.place = (view, hold, start, stop)

    patch.setattr(Position, "move", move_in_steps)


def takes_the_view_and_its_bounds_one_by_one(patch: pytest.MonkeyPatch) -> None:
    def buffer(self: WindowCursor) -> memoryview:
        view = self._position.valid_place()[0]
        _, _, start, stop = self._position.valid_place()
        return view[start:stop]

    patch.setattr(WindowCursor, "buffer", buffer)


def lets_go_before_it_has_the_new_window(patch: pytest.MonkeyPatch) -> None:
    move = Position.move

    def let_go_and_move(self: Position, offset: int, size: int, flags: int) -> None:
        self.place = NOWHERE
        move(self, offset, size, flags)

    patch.setattr(Position, "move", let_go_and_move)


def keeps_what_it_saw_itself(patch: pytest.MonkeyPatch) -> None:
    def keep(self: Position, identity: Identity) -> Identity:
        self._seen = identity
        return identity

    patch.setattr(Position, "_keep", keep)


def looks_at_the_path_and_then_opens(patch: pytest.MonkeyPatch) -> None:
    def look_and_open(self: MmapReader, source: Source, seen: Identity, flags: int) -> int:
        seen.check(self.identify(source), source.target)
        assert not isinstance(source.target, int)
        return os.open(source.target, OPEN_FLAGS | flags)

    patch.setattr(MmapReader, "open", look_and_open)


def maps_without_a_flight(patch: pytest.MonkeyPatch) -> None:
    def take_off(self: Tables, flight: Flight, nbytes: int) -> Flight:
        flight.serial = self.next_serial
        self.next_serial += 1
        self.flights[flight.key] = flight
        self.reserve(flight, nbytes, last=False)
        return flight

    patch.setattr(Tables, "take_off", take_off)


def reserves_after_mapping(patch: pytest.MonkeyPatch) -> None:
    publish = Tables.publish

    def forget(self: Ledger, nbytes: int) -> None:
        del self, nbytes

    def reserve_and_publish(self: Tables, flight: Flight, hold: Hold, seconds: float) -> None:
        self.ledger.total_handles += 1
        self.ledger.total_bytes += hold.size
        publish(self, flight, hold, seconds)

    patch.setattr(Ledger, "reserve", forget)
    patch.setattr(Tables, "publish", reserve_and_publish)


def never_wakes_those_who_wait(patch: pytest.MonkeyPatch) -> None:
    def forget(self: Flight) -> None:
        del self

    patch.setattr(Flight, "finish", forget)


def trusts_that_it_stands_where_it_moved(patch: pytest.MonkeyPatch) -> None:
    read = Span.read

    def read_one_window(self: Span, low: int, high: int) -> bytes:
        first, last = low + self.begin, high + self.begin
        self.position.move(first, last - first, self.flags)
        view, hold, _, _ = self.position.place
        if hold.size < last - hold.begin:
            return read(self, low, high)
        return view[first - hold.begin : last - hold.begin].tobytes()

    patch.setattr(Span, "read", read_one_window)


def answers_from_two_bindings(patch: pytest.MonkeyPatch) -> None:
    def getitem(self: SlidingWindowMapBuffer, index: "int | slice[int, int, None]") -> int | bytes:
        length = self._span.length
        if isinstance(index, slice):
            low, high, _ = index.indices(length)
            return self._span.read(low, high)
        if index >= length:
            raise IndexError
        return self._span.read(index, index + 1)[0]

    patch.setattr(SlidingWindowMapBuffer, "__getitem__", getitem)


def strikes_out_before_unmapping(patch: pytest.MonkeyPatch) -> None:
    bury = Tables.bury

    def bury_and_strike_out(self: Tables, flight: Flight, hold: Hold) -> bool:
        buried = bury(self, flight, hold)
        if buried:
            self.unlink(hold)
            self.ledger.unmap(hold.size)
            self.ledger.evictions += flight.evicted
        return buried

    patch.setattr(Tables, "bury", bury_and_strike_out)


def counts_what_others_collect(patch: pytest.MonkeyPatch) -> None:
    collect = Evictor._collect

    def count_first(self: Evictor, call: Call) -> int:
        count = call.locked(lambda: sum(not hold.has_views() for hold in self.tables.idle.holds.values()))
        collect(self, call)
        return count

    patch.setattr(Evictor, "_collect", count_first)
