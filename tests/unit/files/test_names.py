"""One file by several names shares its windows where that is certain, and gives the right bytes where it is not."""

import os
import sys
from pathlib import Path

import pytest

from isolated import in_mount_namespace
from mounts import bound
from rewriting import SIZE, ReaderName, assert_reads
from smmap_typed import SlidingWindowMapManager, WindowCursor
from support import GRANULE, mapped_ranges_of, open_descriptor, pattern, write_pattern

# Mounts are Linux; the type checkers pass over the rest elsewhere.
assert sys.platform == "linux"

CONTENT = pattern(SIZE, 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of four granules."""
    path = tmp_path / "file"
    write_pattern(path, SIZE, 1)
    return path


def assert_one_region(manager: SlidingWindowMapManager, path: Path, reader: ReaderName, *others: Path | int) -> None:
    """The file is mapped once for all of its names."""
    cursors: list[WindowCursor] = [manager.make_cursor(name).use_region() for name in (path, *others)]
    assert len({cursor.region() for cursor in cursors}) == 1
    assert {bytes(cursor.buffer()) for cursor in cursors} == {CONTENT}
    assert manager.num_file_handles() == manager.num_open_files() == 1
    if reader == "mmap":
        assert mapped_ranges_of(path) == [(0, SIZE)]


def test_hard_links_share(path: Path, reader: ReaderName) -> None:
    """Their count tells that there are other names."""
    other = path.with_name("other")
    other.hardlink_to(path)
    with SlidingWindowMapManager(0, reader=reader) as manager:
        assert_one_region(manager, path, reader, other)


def test_symbolic_links_share(path: Path, reader: ReaderName) -> None:
    """To the file, to its folder, and by a way round."""
    (path.parent / "link").symlink_to(path.name)
    (path.parent / "here").symlink_to(".")
    (path.parent / "folder").mkdir()
    (path.parent / "down").symlink_to("folder")
    with SlidingWindowMapManager(0, reader=reader) as manager:
        others = [path.parent / way for way in ("link", "here/file", "here/here/link", "down/../file")]
        assert_one_region(manager, path, reader, *others)


def test_a_path_and_descriptors_share(path: Path, reader: ReaderName) -> None:
    """The system tells what a descriptor's file is called."""
    with (
        SlidingWindowMapManager(0, reader=reader) as manager,
        open_descriptor(path) as first,
        open_descriptor(path) as second,
    ):
        assert_one_region(manager, path, reader, first, second)


def test_a_hard_link_stays_when_the_other_goes(path: Path, reader: ReaderName) -> None:
    """An old cursor of the name that went reads on, a new one of the name that stays is right."""
    other = path.with_name("other")
    other.hardlink_to(path)
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        cursor = manager.make_cursor(path).use_region(0, 16)
        path.unlink()
        assert_reads(cursor, CONTENT)
        assert_reads(manager.make_cursor(other), CONTENT)
        new = write_pattern(path, SIZE, 2)
        assert_reads(manager.make_cursor(path), new)
        assert_reads(cursor, CONTENT)


def test_each_cursor_opens_the_file_by_its_own_name(path: Path, reader: ReaderName) -> None:
    """Where nothing is kept, with one handle: the name by which the file was seen first may be gone."""
    other = path.with_name("other")
    other.hardlink_to(path)
    with (
        SlidingWindowMapManager(GRANULE, max_open_handles=1, reader=reader) as manager,
        open_descriptor(path) as number,
    ):
        assert_reads(manager.make_cursor(path), CONTENT)
        cursors = [manager.make_cursor(name) for name in (other, number)]
        for cursor in cursors:
            assert cursor.file_size() == SIZE
        path.unlink()
        for cursor in cursors:
            assert_reads(cursor, CONTENT)


def test_a_symbolic_link_that_points_elsewhere_now(path: Path, reader: ReaderName) -> None:
    """A new cursor of the link reads the other file, an old one its own; sizes and times are the same."""
    other, link = path.with_name("other"), path.with_name("link")
    new = write_pattern(other, SIZE, 2)
    for each in (path, other):
        os.utime(each, ns=(5, 5))
    link.symlink_to(path)
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        cursor = manager.make_cursor(link).use_region(0, 16)
        link.unlink()
        link.symlink_to(other)
        assert_reads(manager.make_cursor(link), new)
        assert_reads(cursor, CONTENT)
        assert_reads(manager.make_cursor(path), CONTENT)


def test_a_folder_that_is_renamed(path: Path, reader: ReaderName) -> None:
    """Old cursors go on; what has the old name now is read by new ones, and the new name is right."""
    folder, moved = path.parent / "folder", path.parent / "moved"
    folder.mkdir()
    path.rename(folder / "file")
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        cursor = manager.make_cursor(folder / "file").use_region(0, 16)
        folder.rename(moved)
        assert_reads(cursor, CONTENT)
        with pytest.raises(FileNotFoundError):
            manager.make_cursor(folder / "file").use_region()
        folder.mkdir()
        new = write_pattern(folder / "file", SIZE, 2)
        assert_reads(manager.make_cursor(folder / "file"), new)
        assert_reads(manager.make_cursor(moved / "file"), CONTENT)
        assert_reads(cursor, CONTENT)


def test_two_names_that_change_places(path: Path, reader: ReaderName) -> None:
    """Each cursor keeps its file, whatever is called so now; new ones go by the name."""
    other, aside = path.with_name("other"), path.with_name("aside")
    others = write_pattern(other, SIZE, 2)
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        first, second = (manager.make_cursor(name).use_region(0, 16) for name in (path, other))
        path.rename(aside)
        other.rename(path)
        aside.rename(other)
        assert_reads(first, CONTENT)
        assert_reads(second, others)
        assert_reads(manager.make_cursor(path), others)
        assert_reads(manager.make_cursor(other), CONTENT)


@in_mount_namespace
def test_a_folder_that_is_bound_to_a_second_name(path: Path, reader: ReaderName) -> None:
    """Two paths, neither of them a link, and one file: right by both, before and after one of them goes."""
    (path.parent / "folder").mkdir()
    path.rename(path.parent / "folder" / "file")
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        with bound(path.parent / "folder", path.parent / "second") as second:
            assert_reads(manager.make_cursor(path.parent / "folder" / "file"), CONTENT)
            cursor = manager.make_cursor(second / "file")
            assert_reads(cursor, CONTENT)
        assert_reads(cursor, CONTENT)
        assert_reads(manager.make_cursor(path.parent / "folder" / "file"), CONTENT)


@in_mount_namespace
def test_a_folder_that_another_is_mounted_over(path: Path, reader: ReaderName) -> None:
    """What is below is read by old cursors, what is above by new ones."""
    below, above = path.parent / "below", path.parent / "above"
    for folder, seed in ((below, 1), (above, 2)):
        folder.mkdir()
        write_pattern(folder / "file", SIZE, seed)
        os.utime(folder / "file", ns=(5, 5))
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        cursor = manager.make_cursor(below / "file").use_region(0, 16)
        with bound(above, below):
            assert_reads(manager.make_cursor(below / "file"), pattern(SIZE, 2))
            assert_reads(cursor, CONTENT)
        assert_reads(manager.make_cursor(below / "file"), CONTENT)
