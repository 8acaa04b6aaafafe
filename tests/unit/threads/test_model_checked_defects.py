"""Defects that a model of the pool has shown (docs/formal.md), each forced: another thread comes in at the very place.

What the other thread does begins inside a map's constructor or ``close``, and the thread that makes that call goes on
when the other one has ended, or waits for it. So nothing depends on who is fast.
"""

import mmap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Final, TypeVar, TypeVarTuple

import pytest
from typing_extensions import override

from interrupts import Struck
from smmap_typed import HandleLimitError, ManagerClosedError, SlidingWindowMapManager
from smmap_typed._pool.frame import Frame
from smmap_typed._pool.inflight import InFlight
from smmap_typed._pool.ledger import Ledger
from smmap_typed._pool.monitor import Entry
from smmap_typed._pool.tables import Tables
from smmap_typed.testing import check_invariants
from support import GRANULE, SECONDS, CutsOneWindow, write_pattern

pytestmark = pytest.mark.pure

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def nothing(_: object) -> None:
    """What comes in where nothing is to come in."""


class Map(mmap.mmap):
    """A map that is counted while it is open, and lets something come in."""

    opened: ClassVar[int]
    """How many are open."""
    most: ClassVar[int]
    """How many have been open at once."""
    made: "ClassVar[Callable[[Map], None]]"
    """Called with each map that is new."""
    closing: "ClassVar[Callable[[Map], None]]"
    """Called before each map is closed."""
    closed_now: "ClassVar[Callable[[Map], None]]"
    """Called after each map is closed."""
    refused: "ClassVar[Callable[[Map], None]]"
    """Called when a map is not closed, since it has views."""

    # It takes what mmap takes, which differs between systems.
    def __init__(self, *_: int, **__: int) -> None:  # pyright: ignore[reportInconsistentConstructor]
        super().__init__()
        Map.opened += 1
        Map.most = max(Map.most, Map.opened)
        Map.made(self)

    @override
    def close(self) -> None:
        if self.closed:
            return
        Map.closing(self)
        try:
            super().close()
        except BufferError:
            Map.refused(self)
            raise
        Map.opened -= 1
        Map.closed_now(self)


@pytest.fixture(autouse=True)
def counted_maps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every map is counted, and at the end none is open."""
    for name in ("made", "closing", "closed_now", "refused"):
        monkeypatch.setattr(Map, name, staticmethod(nothing), raising=False)
    for name in ("opened", "most"):
        monkeypatch.setattr(Map, name, 0, raising=False)
    monkeypatch.setattr(mmap, "mmap", Map)
    yield
    assert Map.opened == 0


class OtherThread:
    """Begins something in another thread, and comes back when that has ended, or waits for this thread."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._stopped: Final = threading.Event()
        self._threads: Final[list[threading.Thread]] = []
        self.errors: Final[list[type[BaseException]]] = []
        """What ended it. Not the errors, whose tracebacks keep what they passed."""
        wait = Entry.wait

        def tell_and_wait(entry: Entry, flying: InFlight) -> None:
            if threading.current_thread() in self._threads:
                self._stopped.set()
            wait(entry, flying)

        patch.setattr(Entry, "wait", tell_and_wait)

    def begin(self, act: Callable[[], object]) -> None:
        def do() -> None:
            try:
                act()
            except (OSError, ManagerClosedError) as error:
                self.errors.append(type(error))
            finally:
                self._stopped.set()

        self._stopped.clear()
        thread = threading.Thread(target=do, daemon=True)
        self._threads.append(thread)
        thread.start()
        assert self._stopped.wait(SECONDS)

    def end(self) -> None:
        for thread in self._threads:
            thread.join(SECONDS)
            assert not thread.is_alive()


def once(act: Callable[[], object]) -> Callable[[object], None]:
    """Do ``act`` at the first call."""
    left = [act]

    def at_the_first(_: object) -> None:
        if left:
            left.pop()()

    return at_the_first


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> OtherThread:
    return OtherThread(monkeypatch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    write_pattern(path, 4 * GRANULE)
    return path


def test_a_rejected_map_has_its_handle_until_it_is_closed(
    path: Path, other: OtherThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that needs the last handle comes in when the map is about to be closed: it waits."""
    with SlidingWindowMapManager(GRANULE, 0, 1, reader=CutsOneWindow(0)) as manager:
        cursor, another = manager.make_cursor(path), manager.make_cursor(path)
        move = once(lambda: other.begin(lambda: another.use_region(GRANULE, 16)))
        monkeypatch.setattr(Map, "closing", staticmethod(move))
        with pytest.raises(ValueError, match="exactly"):
            cursor.use_region(0, 16)
        other.end()
        assert other.errors == []
        assert another.ofs_begin() == GRANULE
        assert Map.most == 1
        another.close()


def test_a_map_that_comes_too_late_has_its_handle_until_it_is_closed(
    path: Path, other: OtherThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manager is closed while a window is mapped and another thread waits for its handle."""
    manager = SlidingWindowMapManager(GRANULE, 0, 1)
    cursor, another = manager.make_cursor(path), manager.make_cursor(path)
    for one in (cursor, another):
        one.file_size()

    def begin_and_close_the_manager() -> None:
        other.begin(lambda: another.use_region(GRANULE, 16))
        manager.close()

    def look() -> None:
        other.begin(manager.collect)
        books.append((Map.opened, manager.num_file_handles()))

    books: list[tuple[int, int]] = []
    monkeypatch.setattr(Map, "made", staticmethod(once(begin_and_close_the_manager)))
    monkeypatch.setattr(Map, "closing", staticmethod(once(look)))
    with pytest.raises(ManagerClosedError):
        cursor.use_region(0, 16)
    other.end()
    assert other.errors == [ManagerClosedError]
    assert books == [(1, 1)]
    assert Map.most == 1
    assert manager.num_file_handles() == 0


def test_a_region_that_a_view_kept_mapped_is_looked_at_again(
    path: Path, other: OtherThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The view goes, and only then the other idle region is taken: at every instant there is one to evict."""
    with SlidingWindowMapManager(GRANULE, 0, 2) as manager:
        cursor = manager.make_cursor(path)
        view = cursor.use_region(0, 16).buffer()
        cursor.use_region(GRANULE, 16)
        cursor.unuse_region()
        refusals = 0

        def let_go_and_take_the_other() -> None:
            view.release()
            cursor.use_region(GRANULE, 16)

        def refused(_: object) -> None:
            nonlocal refusals
            refusals += 1
            # The first time is the short way; after the second one it was not tried any more.
            if refusals == 2:
                other.begin(let_go_and_take_the_other)

        monkeypatch.setattr(Map, "refused", staticmethod(refused))
        another = manager.make_cursor(path).use_region(2 * GRANULE, 16)
        other.end()
        assert (refusals, other.errors) == (2, [])
        assert (cursor.ofs_begin(), another.ofs_begin()) == (GRANULE, 2 * GRANULE)
        assert Map.most == 2
        another.close()
        cursor.close()


def test_a_region_that_a_reader_gave_way_on_is_looked_at_again(
    path: Path, other: OtherThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads, two handles, and one cursor each that is on one window at a time: no move needs to fail."""
    with SlidingWindowMapManager(GRANULE, 0, 2) as manager:
        cursor, another = manager.make_cursor(path), manager.make_cursor(path)
        cursor.use_region(0, 16)
        cursor.use_region(GRANULE, 16)
        cursor.unuse_region()
        readers: list[memoryview] = []
        closed: list[Map] = []

        def look_and_give_way(mapping: Map) -> None:
            # A reader makes its memoryview first, and takes it back when it sees that somebody is unmapping.
            if len(readers) < 2:
                readers.append(memoryview(mapping))

        def give_way(_: object) -> None:
            readers[-1].release()

        def read_both() -> None:
            another.use_region(0, 16)
            another.use_region(GRANULE, 16)

        locked = Entry.locked
        come_in = once(lambda: other.begin(read_both))

        def locked_later(entry: Entry, section: Callable[[*Ts], T], *arguments: *Ts) -> T:
            # The second region is unmapped and its unload posted: whoever enters the lock next completes it.
            if closed and threading.current_thread() is threading.main_thread():
                come_in(None)
            return locked(entry, section, *arguments)

        monkeypatch.setattr(Map, "closing", staticmethod(look_and_give_way))
        monkeypatch.setattr(Map, "refused", staticmethod(give_way))
        monkeypatch.setattr(Map, "closed_now", staticmethod(closed.append))
        monkeypatch.setattr(Entry, "locked", locked_later)
        cursor.use_region(2 * GRANULE, 16)
        other.end()
        assert (len(readers), other.errors) == (2, [])
        assert (cursor.ofs_begin(), another.ofs_begin()) == (2 * GRANULE, GRANULE)
        assert Map.most == 2
        closed.clear()
        cursor.close()
        another.close()


def test_a_region_that_is_removed_while_it_makes_way_passes_its_room_on(
    tmp_path: Path, other: OtherThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is removed by force when its map is just closed, and a third thread wants the handle: that is taken."""
    paths = [tmp_path / name for name in ("victim", "successor", "third")]
    for path in paths:
        write_pattern(path, GRANULE)
    removed: list[int] = []
    with SlidingWindowMapManager(GRANULE, 0, 1) as manager:
        manager.make_cursor(paths[0]).use_region(0, 16).close()
        cursor, another = manager.make_cursor(paths[1]), manager.make_cursor(paths[2])

        def remove() -> None:
            other.begin(lambda: removed.append(manager._force_removal(str(paths[0]))))

        monkeypatch.setattr(Map, "closed_now", staticmethod(once(remove)))
        monkeypatch.setattr(Map, "made", staticmethod(once(lambda: other.begin(lambda: another.use_region(0, 16)))))
        cursor.use_region(0, 16)
        other.end()
        assert removed == [1]
        assert other.errors == [HandleLimitError]
        assert (cursor.is_valid(), another.is_valid()) == (True, False)
        assert (manager.num_file_handles(), Map.most) == (1, 1)
        check_invariants(manager)
        cursor.close()


def test_a_window_that_is_struck_while_it_is_published_is_counted_once(path: Path, other: OtherThread) -> None:
    """Another cursor is on the new window already when a signal's exception strikes in the section that publishes."""
    with SlidingWindowMapManager(GRANULE, 0, 1) as manager:
        cursor, another = manager.make_cursor(path), manager.make_cursor(path)
        file = another._state.file()
        pool = manager._pool

        class StrikingFrames(dict[int, Frame]):
            """A call of ``len`` is a place where a handler can run."""

            @override
            def __len__(self) -> int:
                frame = file.windows.get(0)
                if frame is not None:
                    other.begin(lambda: views.append(pool.pin(frame)))
                raise Struck

        views: list[memoryview | None] = []
        frames = pool.tables.frames
        pool.tables.frames = StrikingFrames(frames)  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # to strike
        with pytest.raises(Struck):
            cursor.use_region(0, 16)
        pool.tables.frames = frames  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # the strike is over
        other.end()
        check_invariants(manager)
        assert manager.num_file_handles() == Map.opened
        views.clear()
        another.use_region(GRANULE, 16)
        assert (manager.num_file_handles(), Map.most) == (1, 1)
        another.close()


def test_a_window_that_was_published_has_its_room_once_while_its_load_is_not_over(
    path: Path, other: OtherThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception strikes when the window is in the tables, and another thread repairs them before the load ends."""
    with SlidingWindowMapManager(GRANULE, 0, 1) as manager:
        cursor = manager.make_cursor(path)
        books: list[int] = []
        commit, locked = Ledger.commit, Entry.locked

        def struck(*_: object) -> None:
            monkeypatch.setattr(Ledger, "commit", commit)
            raise Struck

        def look() -> None:
            books.append(manager.stats().handles + manager.stats().in_flight)

        def locked_and_then_looked_at(entry: Entry, section: Callable[[*Ts], T], *arguments: *Ts) -> T:
            try:
                return locked(entry, section, *arguments)
            except Struck:
                other.begin(look)
                raise

        monkeypatch.setattr(Ledger, "commit", struck)
        monkeypatch.setattr(Entry, "locked", locked_and_then_looked_at)
        with pytest.raises(Struck):
            cursor.use_region(0, 16)
        other.end()
        assert books == [1]
        check_invariants(manager)


def test_a_region_that_is_struck_while_it_is_discarded_is_forgotten(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cursor lets go before the tables are repaired, so no drain sees the end of that pin."""
    manager = SlidingWindowMapManager(GRANULE, 0, 1)
    cursor = manager.make_cursor(path).use_region(0, 16)
    tables, unlink = manager._pool.tables, Tables.unlink

    def struck(*_: object) -> None:
        monkeypatch.setattr(Tables, "unlink", unlink)
        raise Struck

    monkeypatch.setattr(Tables, "unlink", struck)
    with pytest.raises(Struck):
        manager.close()
    assert list(tables.discarded) == list(tables.frames)
    cursor.close()
    manager.close()
    assert (tables.discarded, tables.frames, manager.num_file_handles()) == ({}, {}, 0)
    check_invariants(manager)
    # The repair has let go of the map, and nobody has called its ``close``.
    Map.opened = 0


def test_a_victim_that_is_discarded_and_closed_has_no_room_after_a_repair(
    path: Path, other: OtherThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception strikes when its room has passed on already, and another thread repairs the tables."""
    with SlidingWindowMapManager(GRANULE, 0, 1) as manager:
        manager.make_cursor(path).use_region(0, 16).close()
        cursor, pool = manager.make_cursor(path), manager._pool
        books: list[int] = []
        unlink, locked = Tables.unlink, Entry.locked

        def struck(*_: object) -> None:
            monkeypatch.setattr(Tables, "unlink", unlink)
            raise Struck

        def look() -> None:
            pool.try_drain()
            books.append(pool.ledger.total_handles)

        def locked_and_then_looked_at(entry: Entry, section: Callable[[*Ts], T], *arguments: *Ts) -> T:
            try:
                return locked(entry, section, *arguments)
            except Struck:
                other.begin(look)
                raise

        def remove(_: object) -> None:
            other.begin(lambda: manager._force_removal(str(path)))
            other.end()
            monkeypatch.setattr(Tables, "unlink", struck)

        monkeypatch.setattr(Map, "closed_now", staticmethod(once(lambda: remove(None))))
        monkeypatch.setattr(Entry, "locked", locked_and_then_looked_at)
        with pytest.raises(Struck):
            cursor.use_region(GRANULE, 16)
        other.end()
        assert books == [1]
        check_invariants(manager)


def test_a_window_that_was_published_is_discarded_though_its_load_is_not_over(
    path: Path, other: OtherThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception strikes when the window is in the tables, and another thread closes the manager at once."""
    manager = SlidingWindowMapManager(GRANULE, 0, 1)
    cursor = manager.make_cursor(path)
    commit, locked = Ledger.commit, Entry.locked

    def struck(*_: object) -> None:
        monkeypatch.setattr(Ledger, "commit", commit)
        raise Struck

    def locked_and_then_closed(entry: Entry, section: Callable[[*Ts], T], *arguments: *Ts) -> T:
        try:
            return locked(entry, section, *arguments)
        except Struck:
            other.begin(manager.close)
            raise

    monkeypatch.setattr(Ledger, "commit", struck)
    monkeypatch.setattr(Entry, "locked", locked_and_then_closed)
    with pytest.raises(Struck):
        cursor.use_region(0, 16)
    other.end()
    assert manager._pool.tables.frames == {}
    check_invariants(manager)
    assert manager.num_file_handles() == 0
    # The map went with its last view, and nobody has called its ``close``.
    Map.opened = 0
