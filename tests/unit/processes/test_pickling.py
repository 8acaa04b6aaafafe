"""Pickling and copying in the process where the manager lives."""

import copy
import gc
import io
import os
import pickle
import re
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from smmap_typed import (
    Event,
    FileChangedError,
    FileStats,
    LimitReached,
    ManagerClosedError,
    ManagerStats,
    MapFailed,
    RegionMapped,
    RegionStats,
    RegionUnmapped,
    SlidingWindowMapBuffer,
    SlidingWindowMapManager,
    Window,
    WindowCursor,
    events,
    values,
)
from smmap_typed._handles import pickling
from smmap_typed.readers import FileState, MmapReader, PreadReader
from support import GRANULE, CutsOneWindow, open_descriptor, pattern

Copies = Callable[[object], object]

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def by_pickle(thing: object) -> object:
    return pickle.loads(pickle.dumps(thing))


def ignore(event: Event) -> None:
    """An observer that pickles."""


EXAMPLES: list[object] = [
    Window(4096, 10),
    FileStats("/a", 10, 10, 1, 0, 1, 0),
    RegionStats("/a", 10, Window(0, 10), 1, has_views=False, age=0.5, turn=None),
    ManagerStats(
        1, 2, 3, 4, 5, 6, 0.5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, (FileStats(b"/a", 1, 1, 1, 0, 1, 0),)
    ),
    RegionMapped("/a", Window(0, 10), 0.5),
    RegionUnmapped("/a", Window(0, 10), "evicted"),
    LimitReached("memory", 10, 20, hard=False),
    FileState(1, 2, 3, 4, 5, 6),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)
def test_values_survive(value: object, protocol: int) -> None:
    twin = pickle.loads(pickle.dumps(value, protocol))
    assert (type(twin), twin) == (type(value), value)


def test_an_event_with_an_error_survives() -> None:
    event = MapFailed("/a", Window(0, 10), FileNotFoundError(2, "No such file or directory", "/a"))
    twin: MapFailed = pickle.loads(pickle.dumps(event))
    assert (twin.target, twin.window, repr(twin.error)) == (event.target, event.window, repr(event.error))


def test_no_value_is_missing_here() -> None:
    """None of the two modules that define them."""
    classes = {kind for module in (values, events) for kind in vars(module).values() if isinstance(kind, type)}
    defined = {kind for kind in classes if hasattr(kind, "__dataclass_fields__")}
    assert {type(value) for value in EXAMPLES} | {MapFailed} >= defined


@pytest.mark.parametrize("reader", [MmapReader(), PreadReader()])
def test_readers_pickle(reader: object) -> None:
    """A reader of one's own may hold one."""
    for protocol in PROTOCOLS:
        assert type(pickle.loads(pickle.dumps(reader, protocol))) is type(reader)


@pytest.mark.parametrize("copied", [by_pickle, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_a_manager_stays_itself(manager: SlidingWindowMapManager, copied: Copies) -> None:
    assert copied(manager) is manager
    assert copied([manager]) == [manager]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_everything_has_its_manager_again(manager: SlidingWindowMapManager, path: Path, protocol: int) -> None:
    """At any protocol, and twice in a row."""
    cursor = manager.make_cursor(path, advice="random").use_region(GRANULE, 10)
    with manager.open(path, offset=3, size=GRANULE) as file:
        file.read(5)
        things = (manager, cursor, SlidingWindowMapBuffer(cursor, 7, 20), file)
        for _ in range(2):
            things = pickle.loads(pickle.dumps(things, protocol))
        same, twin, buffer, other = things
        assert same is manager
        assert (twin.is_valid(), twin.path(), twin.file_size()) == (False, path, 8 * GRANULE)
        assert twin.use_region(GRANULE, 10).region() is cursor.region()
        assert twin._state.advice == "random"
        assert buffer[:] == pattern(27)[7:]
        assert (other.tell(), other.name, other.read()) == (5, file.name, pattern(GRANULE + 3)[8:])
        other.close()


def test_what_has_no_file_has_none_again() -> None:
    cursor, buffer = pickle.loads(pickle.dumps((WindowCursor(), SlidingWindowMapBuffer())))
    assert not cursor.is_associated()
    assert (len(buffer), buffer.cursor()) == (0, None)


def test_a_file_object_that_was_detached_says_so(manager: SlidingWindowMapManager, path: Path) -> None:
    """In the words of every other call; and what was detached says what to pickle instead."""
    file = manager.open(path)
    raw = file.detach()
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(ValueError, match="raw stream has been detached"):
            act(file)
        with pytest.raises(TypeError, match="pickle the file object or a cursor"):
            act(raw)


def test_a_buffer_that_was_ended_is_empty_and_can_be_bound_again(manager: SlidingWindowMapManager, path: Path) -> None:
    buffer = SlidingWindowMapBuffer(manager.make_cursor(path), 5)
    buffer.end_access()
    twin: SlidingWindowMapBuffer = pickle.loads(pickle.dumps(buffer))
    assert len(twin) == 0
    assert twin.begin_access()
    assert twin[:3] == pattern(3)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copied_cursor_is_on_the_same_window(
    manager: SlidingWindowMapManager, path: Path, copied: Callable[[WindowCursor], WindowCursor]
) -> None:
    """With a pin of its own, as ``copy.copy`` has always done."""
    cursor = manager.make_cursor(path).use_region(GRANULE, 10)
    twin = copied(cursor)
    cursor.close()
    assert (twin.ofs_begin(), twin.ofs_end()) == (GRANULE, GRANULE + 10)
    assert bytes(twin.buffer()) == pattern(GRANULE + 10)[GRANULE:]
    assert not copied(WindowCursor()).is_associated()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copied_buffer_reads_on_its_own(
    manager: SlidingWindowMapManager, path: Path, copied: Callable[[SlidingWindowMapBuffer], SlidingWindowMapBuffer]
) -> None:
    buffer = SlidingWindowMapBuffer(manager.make_cursor(path), 3, 5 * GRANULE)
    twin = copied(buffer)
    buffer.end_access()
    assert twin[:] == pattern(5 * GRANULE + 3)[3:]
    assert len(copied(SlidingWindowMapBuffer())) == 0


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copied_file_object_has_a_position_of_its_own(
    manager: SlidingWindowMapManager, path: Path, copied: Callable[[io.BufferedReader], io.BufferedReader]
) -> None:
    with manager.open(path) as file:
        file.seek(GRANULE)
        with copied(file) as twin:
            assert file.read(3) == twin.read(3) == pattern(GRANULE + 3)[GRANULE:]
            file.seek(0)
            assert twin.tell() == GRANULE + 3
    with pytest.raises(ValueError, match="closed file"):
        copied(file)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copied_region_is_the_same(
    manager: SlidingWindowMapManager, path: Path, copied: Callable[[object], object]
) -> None:
    """Regions are compared by identity."""
    region = manager.make_cursor(path).use_region(0, 1).region()
    assert copied(region) is region


def test_what_cannot_be_pickled_says_so(manager: SlidingWindowMapManager, path: Path) -> None:
    """In one sentence, as a TypeError."""
    cursor = manager.make_cursor(path).use_region(0, 1)
    reader = CutsOneWindow(-1)
    vars(reader)["lock"] = threading.Lock()
    with (
        open_descriptor(path) as descriptor,
        SlidingWindowMapManager(observer=lambda _: None) as observed,
        SlidingWindowMapManager(reader=reader) as read,
    ):
        for thing, why in (
            (
                manager.make_cursor(descriptor),
                f"descriptor .* number {descriptor} means another file in another process; make it from a path$",
            ),
            (SlidingWindowMapBuffer(manager.make_cursor(descriptor)), "made from a descriptor"),
            (manager.open(descriptor), "made from a descriptor"),
            (observed, "because its observer cannot"),
            (observed.make_cursor(path), "because its observer cannot"),
            (read.open(path), "because its reader cannot"),
            (cursor.region(), "a region cannot be pickled, since it is mapped in this process"),
            (cursor.buffer(), "cannot pickle .*memoryview"),
            (next(SlidingWindowMapBuffer(cursor).finditer(b".", longest=1)), "cannot pickle 're.Match'"),
        ):
            with pytest.raises(TypeError, match=why) as caught:
                pickle.dumps(thing)
            assert "\n" not in str(caught.value)


def test_an_observer_that_pickles_is_no_hindrance(path: Path) -> None:
    with SlidingWindowMapManager(observer=ignore) as manager:
        assert pickle.loads(pickle.dumps(manager.make_cursor(path))).read(0, 3) == pattern(3)


def test_a_closed_manager_cannot_be_pickled(manager: SlidingWindowMapManager, path: Path) -> None:
    """What was pickled before has the closed manager here, and says so when it is used."""
    cursor = manager.make_cursor(path)
    pickled = pickle.dumps((manager, cursor))
    manager.close()
    for thing in (manager, cursor):
        with pytest.raises(ManagerClosedError):
            pickle.dumps(thing)
    same, twin = pickle.loads(pickled)
    assert same is manager
    with pytest.raises(ManagerClosedError):
        twin.read(0, 1)


def test_a_pickle_keeps_no_manager_alive(path: Path) -> None:
    """Nor does the list of those that were pickled remember it."""
    manager = SlidingWindowMapManager()
    known = len(pickling._managers)
    pickled = [pickle.dumps((manager, manager.make_cursor(path))) for _ in range(3)]
    assert len(pickling._managers) == known + 1
    alive = weakref.ref(manager)
    gc.disable()
    try:
        del manager
        assert alive() is None
    finally:
        gc.enable()
    assert len(pickling._managers) == known
    one, cursor = pickle.loads(pickled[0])
    two, _ = pickle.loads(pickled[1])
    assert one is two
    assert cursor.read(0, 3) == pattern(3)
    assert one.stats().kept_descriptors == 1


def test_an_entry_of_scandir_travels_as_its_path(manager: SlidingWindowMapManager, path: Path) -> None:
    """It is a path that does not pickle."""
    with os.scandir(path.parent) as entries:
        (entry,) = entries
    twin = pickle.loads(pickle.dumps(manager.make_cursor(entry)))
    assert (twin.path(), twin.read(0, 3)) == (str(path), pattern(3))


def test_an_unused_cursor_is_as_small_as_before(manager: SlidingWindowMapManager, path: Path) -> None:
    """The arrival stands where a descriptor's state would."""
    cursor = manager.make_cursor(path)
    twin: WindowCursor = pickle.loads(pickle.dumps(cursor))
    assert twin._state.__sizeof__() == cursor._state.__sizeof__()


def arrive(pickled: bytes) -> WindowCursor:
    """Unpickle a cursor as another process does, where the manager that it was made with does not live."""
    cursor = pickle.loads(pickled)
    assert isinstance(cursor, WindowCursor)
    return cursor


def left_behind(path: Path, handles: int = 64, memory: int | None = None) -> bytes:
    """A pickled cursor whose manager is gone."""
    manager = SlidingWindowMapManager(2 * GRANULE, 64 * GRANULE, 50)
    manager.configure(max_open_handles=handles)
    if memory is not None:
        manager.configure(max_memory_size=memory)
    return pickle.dumps(manager.make_cursor(path))


class TestArrival:
    """What arrives where its manager is not: here that of this process is dropped first."""

    def test_all_that_arrive_share_a_manager_with_its_last_limits(self, path: Path) -> None:
        pickled = left_behind(path, handles=7, memory=20 * GRANULE)
        one, two = arrive(pickled), arrive(pickled)
        pool = one._state.pool
        assert two._state.pool is pool
        assert (pool.ledger.max_handles, pool.ledger.max_memory, pool.grid.window_size) == (
            7,
            20 * GRANULE,
            2 * GRANULE,
        )
        assert one.read(0, 3) == two.read(0, 3) == pattern(3)
        assert arrive(left_behind(path, handles=7))._state.pool.ledger.max_memory == 64 * GRANULE

    def test_the_manager_stays_until_eight_others_have_come(self, path: Path) -> None:
        """Once for each manager, however often something arrives with it."""
        pickled = left_behind(path)
        token = arrive(pickled)._state.pool.reference
        for _ in range(7):
            arrive(left_behind(path))
        assert arrive(pickled)._state.pool.reference is token
        assert len({id(manager) for manager in pickling._recent}) == len(pickling._recent) == 8
        for _ in range(8):
            arrive(left_behind(path))
        assert arrive(pickled)._state.pool.reference is not token

    def test_a_cursor_keeps_the_manager_that_it_came_with(self, path: Path) -> None:
        """Nothing else does: later arrivals find it as long as the cursor lives."""
        pickled = left_behind(path)
        cursor = arrive(pickled)
        pickling._recent.clear()
        gc.collect()
        assert arrive(pickled)._state.pool is cursor._state.pool
        assert cursor.use_region(0, 3).size() == 3

    def test_a_new_manager_lets_the_others_unmap_what_is_idle(self, path: Path) -> None:
        cursor = arrive(left_behind(path)).use_region(0, 3)
        tables = cursor._state.pool.tables
        cursor.unuse_region()
        assert len(tables.frames) == 1
        arrive(left_behind(path))
        assert not tables.frames

    def test_a_manager_that_was_closed_is_made_anew(self, path: Path) -> None:
        """It was made here for all that arrive, so one of them must not close it for the others."""
        pickled = left_behind(path)
        arrive(pickled)._state.pool.close()
        assert arrive(pickled).read(0, 3) == pattern(3)

    @pytest.mark.parametrize("travels", [1, 2])
    def test_a_file_that_has_changed_on_the_way_is_an_error(self, path: Path, travels: int) -> None:
        """Also after a second journey, before the first use."""
        pickled = left_behind(path)
        for _ in range(travels - 1):
            pickled = pickle.dumps(arrive(pickled))
            pickling._recent.clear()
        before = path.stat()
        path.write_bytes(pattern(5))
        now = path.stat()
        message = (
            f"it has 5 bytes, mtime {now.st_mtime_ns} ns and ctime {now.st_ctime_ns} ns now, and where the cursor was "
            f"pickled it had {before.st_size} bytes, mtime {before.st_mtime_ns} ns and ctime {before.st_ctime_ns} ns"
        )
        with pytest.raises(FileChangedError, match=re.escape(message)) as caught:
            arrive(pickled).read(0, 3)
        assert caught.value.filename == str(path)

    def test_a_file_that_could_not_be_seen_is_as_it_is_at_the_first_use(self, tmp_path: Path) -> None:
        cursor = arrive(left_behind(tmp_path / "late"))
        (tmp_path / "late").write_bytes(pattern(5))
        assert cursor.read(0, 9) == pattern(5)
