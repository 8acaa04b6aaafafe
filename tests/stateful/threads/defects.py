"""Defects: small mistakes of concurrent code, each to be put into the library, as whoever changes it might make it.

In one thread none of them changes what a call returns.
"""

import os

import pytest

from smmap_typed import CursorInvalidError, SlidingWindowMapBuffer, WindowCursor
from smmap_typed._builtin_readers import MmapReader
from smmap_typed._handles.span import Span
from smmap_typed._handles.state import NOWHERE, CursorState, Placement
from smmap_typed._platform import OPEN_FLAGS
from smmap_typed._pool.file import File
from smmap_typed._pool.frame import Frame
from smmap_typed._pool.inflight import InFlight, Load, Unload
from smmap_typed._pool.ledger import Ledger
from smmap_typed._pool.monitor import Entry
from smmap_typed._pool.pool import Pool
from smmap_typed._pool.tables import Tables
from smmap_typed._source import FileState, Source

__all__ = [
    "answers_from_two_bindings",
    "copies_what_is_seen_before_the_placement",
    "counts_what_others_collect",
    "keeps_what_it_saw_itself",
    "lets_go_before_it_has_the_new_window",
    "looks_at_the_path_and_then_opens",
    "maps_though_another_load_is_registered",
    "moves_in_two_steps",
    "never_wakes_those_who_wait",
    "reserves_after_mapping",
    "strikes_out_before_unmapping",
    "takes_the_view_and_its_bounds_one_by_one",
    "tells_the_placement_in_two_looks",
    "trusts_that_it_is_where_it_moved",
]


def tells_the_placement_in_two_looks(patch: pytest.MonkeyPatch) -> None:
    def valid_placement(self: CursorState) -> Placement:
        placement = self.placement
        if not self.is_valid():
            raise CursorInvalidError
        return placement

    patch.setattr(CursorState, "valid_placement", valid_placement)


def copies_what_is_seen_before_the_placement(patch: pytest.MonkeyPatch) -> None:
    def copy(self: CursorState) -> CursorState:
        twin = self.fresh()
        _, frame, start, stop = self.placement
        if frame.live_end >= 0 and not twin.go(frame, start, stop):
            twin.move(frame.begin + start, stop - start, 0)
        return twin

    patch.setattr(CursorState, "copy", copy)


def moves_in_two_steps(patch: pytest.MonkeyPatch) -> None:
    move = CursorState.move

    def move_in_steps(self: CursorState, offset: int, size: int, flags: int) -> None:
        move(self, offset, size, flags)
        view, frame, start, stop = self.placement
        self.placement = (view, frame, 0, frame.size)
        self.placement = (view, frame, start, stop)

    patch.setattr(CursorState, "move", move_in_steps)


def takes_the_view_and_its_bounds_one_by_one(patch: pytest.MonkeyPatch) -> None:
    def buffer(self: WindowCursor) -> memoryview:
        view = self._state.valid_placement()[0]
        _, _, start, stop = self._state.valid_placement()
        return view[start:stop]

    patch.setattr(WindowCursor, "buffer", buffer)


def lets_go_before_it_has_the_new_window(patch: pytest.MonkeyPatch) -> None:
    move = CursorState.move

    def let_go_and_move(self: CursorState, offset: int, size: int, flags: int) -> None:
        self.placement = NOWHERE
        move(self, offset, size, flags)

    patch.setattr(CursorState, "move", let_go_and_move)


def keeps_what_it_saw_itself(patch: pytest.MonkeyPatch) -> None:
    def keep(self: CursorState, file: File) -> File:
        self._file = file
        return file

    patch.setattr(CursorState, "_keep", keep)


def looks_at_the_path_and_then_opens(patch: pytest.MonkeyPatch) -> None:
    def look_and_open(self: MmapReader, source: Source, seen: FileState, flags: int) -> int:
        seen.check(self.identify(source), source.target)
        assert not isinstance(source.target, int)
        return os.open(source.target, OPEN_FLAGS | flags)

    patch.setattr(MmapReader, "open", look_and_open)


def maps_though_another_load_is_registered(patch: pytest.MonkeyPatch) -> None:
    def begin_load(self: Tables, load: Load, file: File, start: int) -> InFlight:
        load.window = (file.serial, start)
        load.serial = self.next_serial
        self.next_serial += 1
        self.in_flight[load.window] = load
        load.descriptor = file.descriptor
        self.reserve(load, load.nbytes, last=False)
        return load

    patch.setattr(Tables, "begin_load", begin_load)


def reserves_after_mapping(patch: pytest.MonkeyPatch) -> None:
    publish = Tables.publish

    def forget(self: Ledger, nbytes: int) -> None:
        del self, nbytes

    def reserve_and_publish(self: Tables, load: Load, file: File, frame: Frame, seconds: float) -> None:
        self.ledger.total_handles += 1
        self.ledger.total_bytes += frame.size
        publish(self, load, file, frame, seconds)

    patch.setattr(Ledger, "reserve", forget)
    patch.setattr(Tables, "publish", reserve_and_publish)


def never_wakes_those_who_wait(patch: pytest.MonkeyPatch) -> None:
    def forget(self: InFlight, value: object) -> None:
        del self, value

    patch.setattr(InFlight, "done", property(lambda _: False, forget))


def trusts_that_it_is_where_it_moved(patch: pytest.MonkeyPatch) -> None:
    read = Span.read

    def read_one_window(self: Span, low: int, high: int) -> bytes:
        first, last = low + self.begin, high + self.begin
        self.state.move(first, last - first, self.flags)
        view, frame, _, _ = self.state.placement
        if frame.size < last - frame.begin:
            return read(self, low, high)
        return view[first - frame.begin : last - frame.begin].tobytes()

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
    begin_unload = Tables.begin_unload

    def begin_and_strike_out(self: Tables, unload: Unload, frame: Frame) -> bool:
        begun = begin_unload(self, unload, frame)
        if begun:
            self.unlink(frame)
            self.ledger.unmap(frame.size)
            self.ledger.evictions += unload.evicts
        return begun

    patch.setattr(Tables, "begin_unload", begin_and_strike_out)


def counts_what_others_collect(patch: pytest.MonkeyPatch) -> None:
    collect = Pool._collect

    def count_first(self: Pool, entry: Entry) -> int:
        count = entry.locked(lambda: sum(not frame.has_views() for frame in self.tables.replacement.order()))
        collect(self, entry)
        return count

    patch.setattr(Pool, "_collect", count_first)
