"""Listed files: which cursors share one, what becomes of two that are one, and of windows of older states."""

import os
from pathlib import Path
from typing import Final

import pytest

from smmap_typed import SlidingWindowMapManager, WindowCursor
from smmap_typed._pool.file import File, is_led_to_by
from smmap_typed._pool.frame import Frame
from smmap_typed._pool.ledger import Ledger
from smmap_typed._pool.replacement import LRU
from smmap_typed._pool.tables import Tables
from smmap_typed._source import FileState
from smmap_typed.testing import check_invariants
from support import GRANULE, assert_books_match_kernel, open_descriptor, pattern, write_pattern

STATE: Final = FileState(1, 2, 10, 3000, 4000)


@pytest.fixture
def tables() -> Tables:
    return Tables(Ledger(1000, 1000, strict=False), LRU())


def link(tables: Tables, file: File, serial: int) -> Frame:
    """A region of the file."""
    frame = Frame(serial, file.serial, 10, "/a", 0, 10, None, reach=1, copied=False, mapped_at=0.0)
    tables.link(file, frame)
    return frame


class TestEnlist:
    """One file for each state, as far as names tell that it is the same."""

    def test_a_file_is_found_by_serial_name_and_inode(self, tables: Tables) -> None:
        file, stale = tables.enlist(File(STATE, "/a"), "/a")
        assert (file.serial, list(file.names), file.equal, stale) == (1, ["/a"], None, [])
        assert (tables.files, tables.names, tables.inodes) == ({1: file}, {"/a": file}, {(1, 2): (file,)})

    def test_two_files_of_one_state_become_one(self, tables: Tables) -> None:
        """The one that is listed stands for both."""
        first, second = File(STATE, "/a"), File(STATE, "/a")
        assert tables.enlist(first, "/a")[0] is first
        assert tables.enlist(second, "/a") == (first, [])
        assert (first.equal, second.equal, second.serial) == (None, first, 0)
        assert (list(tables.files.values()), tables.inodes) == ([first], {(1, 2): (first,)})

    def test_the_one_that_stands_for_others_changes(self, tables: Tables) -> None:
        """When the first is listed no more, another comes in its place; neither ever stands for itself in a circle."""
        first, second = File(STATE, "/a"), File(STATE, "/a")
        tables.enlist(first, "/a")
        tables.enlist(second, "/a")
        tables.unlist_if_unused(first)
        assert (tables.files, tables.names, tables.inodes) == ({}, {}, {})
        assert tables.enlist(second, "/a")[0] is second
        assert second.equal is None
        assert tables.enlist(first, None)[0] is second
        assert (first.equal, second.equal) == (second, None)

    @pytest.mark.parametrize("change", ["device", "inode", "size", "mtime", "ctime"])
    def test_another_state_is_another_file(self, tables: Tables, change: str) -> None:
        first, second = File(STATE, "/a"), File(STATE._replace(**{change: getattr(STATE, change) + 1}), "/a")
        tables.enlist(first, "/a")
        assert tables.enlist(second, "/a")[0] is second
        assert (first.equal, second.equal) == (None, None)
        assert list(tables.files.values()) == [first, second]
        assert tables.names == {"/a": second}

    @pytest.mark.parametrize("links", [1, 2])
    def test_another_name_is_the_same_file_if_there_are_links(self, tables: Tables, links: int) -> None:
        """Without a link it is not: on some file systems two files have one number."""
        first, second = (File(STATE._replace(links=links), name) for name in ("/a", "/b"))
        tables.enlist(first, "/a")
        listed, _ = tables.enlist(second, "/b")
        assert listed is (first if links > 1 else second)
        assert tables.names == {"/a": first, "/b": listed}
        assert list(listed.names) == (["/a", "/b"] if links > 1 else ["/b"])

    def test_windows_of_what_a_name_led_to_before_are_stale(self, tables: Tables) -> None:
        """Those of its older states, and of another inode that had the name; not those of other names."""
        older, replaced, stranger = (
            File(STATE, "/a"),
            File(STATE._replace(inode=9), "/a"),
            File(STATE._replace(inode=8), "/b"),
        )
        frames = dict[File, Frame]()
        for serial, (file, name) in enumerate([(older, "/a"), (stranger, "/b"), (replaced, "/a")], 100):
            tables.enlist(file, name)
            frames[file] = link(tables, file, serial)
        newest = File(STATE._replace(mtime=3001), "/a")
        assert tables.enlist(newest, None) == (newest, [])
        assert tables.names["/a"] is replaced
        listed, stale = tables.enlist(newest, "/a")
        assert listed is newest
        assert sorted(frame.serial for frame in stale) == sorted(frames[file].serial for file in (older, replaced))
        assert tables.names == {"/a": newest, "/b": stranger}

    def test_windows_of_each_file_that_had_the_name_are_stale(self, tables: Tables) -> None:
        """Not only those of the last one: others may have been pinned when it came."""
        files = [File(STATE._replace(inode=inode), "/a") for inode in range(3)]
        frames = list[Frame]()
        for serial, file in enumerate(files, 100):
            tables.enlist(file, "/a")
            frames.append(link(tables, file, serial))
        _, stale = tables.enlist(File(STATE._replace(inode=9), "/a"), "/a")
        assert sorted(frame.serial for frame in stale) == [100, 101, 102]
        for frame in frames:
            tables.unlink(frame)
        assert tables.former == {}

    def test_a_file_that_was_listed_before_needs_no_name(self, tables: Tables) -> None:
        file = File(STATE, "/a")
        tables.enlist(file, "/a")
        tables.unlist_if_unused(file)
        assert not tables.files
        assert tables.enlist(file, None) == (file, [])
        assert (tables.files, tables.names, list(file.names)) == ({1: file}, {"/a": file}, ["/a"])

    def test_a_file_stays_listed_for_whatever_it_has(self, tables: Tables) -> None:
        """A region; the last one's end unlists it."""
        file, _ = tables.enlist(File(STATE, "/a"), "/a")
        frame = link(tables, file, 100)
        tables.unlist_if_unused(file)
        assert list(tables.files.values()) == [file]
        tables.unlink(frame)
        assert (tables.files, tables.names, tables.inodes) == ({}, {}, {})

    def test_a_name_that_leads_elsewhere_by_now_is_left_to_that(self, tables: Tables) -> None:
        older, newer = File(STATE, "/a"), File(STATE._replace(inode=9), "/a")
        for file in (older, newer):
            tables.enlist(file, "/a")
        tables.unlist_if_unused(older)
        assert (tables.names, tables.inodes) == ({"/a": newer}, {(1, 9): (newer,)})


def test_a_number_that_is_no_name_of_a_file_leads_to_no_file() -> None:
    """A descriptor of which the system tells no path has its number for a name, and no link explains it."""
    assert is_led_to_by(File(STATE, 7), 7)
    assert not is_led_to_by(File(STATE, "/a"), 7)


@pytest.mark.parametrize("links", [1, 2])
def test_a_name_that_nothing_explains_leads_to_the_file_only_if_there_are_hard_links(links: int) -> None:
    assert is_led_to_by(File(STATE._replace(links=links), "/a"), "/b") == (links > 1)


def test_names_of_files_that_are_listed_no_more_lead_nowhere_after_a_repair(tables: Tables) -> None:
    file, _ = tables.enlist(File(STATE, "/a"), "/a")
    del tables.files[file.serial]
    tables.repair()
    assert (tables.names, tables.inodes) == ({}, {})


class TestCursors:
    """They change over to the file that stands for theirs."""

    @pytest.fixture
    def crowded(self, tmp_path: Path) -> tuple[SlidingWindowMapManager, WindowCursor]:
        """A manager without a free handle, which so keeps no descriptor of what it looks at, and who has the handle."""
        manager = SlidingWindowMapManager(GRANULE, max_open_handles=1)
        other = tmp_path / "other"
        write_pattern(other, GRANULE)
        return manager, manager.make_cursor(other).use_region(0, 1)

    def test_one_that_only_asked_file_size_before_changes_over(
        self, path: Path, crowded: tuple[SlidingWindowMapManager, WindowCursor]
    ) -> None:
        manager, keeper = crowded
        first, second, third = (manager.make_cursor(path) for _ in range(3))
        assert {cursor.file_size() for cursor in (first, second, third)} == {8 * GRANULE}
        files = [cursor._state._file for cursor in (first, second, third)]
        assert len(set(map(id, files))) == 3
        keeper.close()
        first.use_region(0, 9)
        assert bytes(second.use_region(5, 9).buffer()) == pattern(14)[5:]
        assert second.region() is first.region()
        assert second._state._file is files[0]
        assert third._state._file is files[2]
        assert third.read(0, 9) == pattern(9)
        assert third._state.file() is files[0]
        assert (manager.num_open_files(), manager.num_file_handles(), manager.stats().maps) == (1, 1, 2)
        check_invariants(manager)
        assert_books_match_kernel(manager, path)
        manager.close()

    def test_one_that_has_changed_over_meanwhile_is_left(self, path: Path, manager: SlidingWindowMapManager) -> None:
        """Two threads that share a cursor both find that its file has an equal one."""
        cursor = manager.make_cursor(path).use_region(0, 9)
        now, former = cursor._state.file(), File(STATE, "/a")
        former.equal = now
        assert cursor._state._change_over(former) is now
        assert cursor._state._file is now

    def test_they_follow_when_the_one_that_stood_for_theirs_is_replaced_by_another(
        self, path: Path, crowded: tuple[SlidingWindowMapManager, WindowCursor]
    ) -> None:
        manager, keeper = crowded
        first, second, late = (manager.make_cursor(path) for _ in range(3))
        assert {cursor.file_size() for cursor in (first, second, late)} == {8 * GRANULE}
        keeper.close()
        first.use_region(0, 9)
        second.use_region(0, 9)
        first.close()
        second.close()
        manager.collect()
        assert manager.num_open_files() == 0
        late.use_region(GRANULE, 9)
        for cursor in (first, second):
            assert bytes(cursor.use_region(GRANULE + 5, 4).buffer()) == pattern(GRANULE + 9)[GRANULE + 5 :]
            assert cursor.region() is late.region()
            assert cursor._state.file() is late._state.file()
        assert (manager.num_open_files(), manager.num_file_handles()) == (1, 1)
        check_invariants(manager)
        manager.close()

    def test_equal_cursors_share_windows_whichever_way_they_came(
        self, path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By the path, by one that resolves alike, by a descriptor, by a hard link."""
        (path.parent / "folder").mkdir()
        path.with_name("soft").symlink_to(path)
        monkeypatch.chdir(path.parent)
        first = manager.make_cursor(path).use_region(0, 9)
        for name in ("file", "folder/../file", "soft", b"file"):
            assert manager.make_cursor(name).use_region(0, 9).region() is first.region()
        with open_descriptor(path) as descriptor:
            assert manager.make_cursor(descriptor).use_region(0, 9).region() is first.region()
        # Which changes the state.
        os.link(path, path.with_name("hard"))
        linked = manager.make_cursor(path.with_name("hard")).use_region(0, 9)
        assert manager.make_cursor(path).use_region(0, 9).region() is linked.region()
        assert linked.region() is not first.region()
        check_invariants(manager)

    def test_idle_windows_of_an_older_state_go_when_the_new_one_is_mapped(
        self, path: Path, manager: SlidingWindowMapManager
    ) -> None:
        """Those that are in use stay with their cursors and views."""
        old = manager.make_cursor(path).use_region(0, 9)
        view = manager.make_cursor(path).use_region(2 * GRANULE, 9).buffer()
        manager.make_cursor(path).use_region(4 * GRANULE, 9)
        new_content = write_pattern(path.with_name("new"), 8 * GRANULE, 7)
        path.with_name("new").rename(path)
        assert manager.num_file_handles() == 3
        new = manager.make_cursor(path).use_region(4 * GRANULE, 9)
        assert bytes(new.buffer()) == new_content[4 * GRANULE :][:9]
        assert sorted(region.window.offset for region in manager.regions()) == [0, 2 * GRANULE, 4 * GRANULE]
        assert (bytes(old.buffer()), bytes(view)) == (pattern(9), pattern(8 * GRANULE)[2 * GRANULE :][:9])
        assert manager.stats().evictions == 0
        check_invariants(manager)
