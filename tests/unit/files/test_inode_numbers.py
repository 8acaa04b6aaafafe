"""File systems whose inode numbers tell no file from another, or are new at each look: 9p, virtio-fs, FUSE, networks.

The server is ours (tests/fuse_server.py); its files are changed in the folder behind it, as on the host of an export.
"""

import errno
import mmap
import os
import sys
from pathlib import Path

import pytest

from fuse_server import FuseMount, Whims, fuse_mount
from isolated import in_mount_namespace
from rewriting import (
    SIZE,
    ReaderName,
    assert_keeps_to,
    assert_reads,
    descriptors_named,
    refused_as_reused,
    replace,
    rewrite,
)
from smmap_typed import SlidingWindowMapManager
from support import DESCRIPTORS_PER_REGION, GRANULE, open_descriptor, pattern, write_pattern

# FUSE is Linux here; the type checkers pass over the rest elsewhere.
assert sys.platform == "linux"

ALIKE = Whims("all one", equal_times=True)
"""Two files of one size look the same in every respect but their names."""


def write_two(mount: FuseMount) -> tuple[Path, Path]:
    """Two files of the same size: their names in the mount. The first has pattern 1, the second 2."""
    for seed, name in enumerate(("one", "two"), 1):
        write_pattern(mount.behind / name, SIZE, seed)
    return mount.path / "one", mount.path / "two"


@in_mount_namespace
def test_the_server_is_as_whimsical_as_it_says(tmp_path: Path) -> None:
    """Or the tests below would show nothing."""
    for number, whims in enumerate([ALIKE, Whims("never the same")]):
        (tmp_path / str(number)).mkdir()
        with fuse_mount(tmp_path / str(number), whims) as mount:
            one, two = write_two(mount)
            assert (one.read_bytes(), two.read_bytes()) == (pattern(SIZE, 1), pattern(SIZE, 2))
            if whims is ALIKE:
                assert os.stat(one) == os.stat(two)
            else:
                with open_descriptor(one) as descriptor:
                    assert len({os.stat(one).st_ino, os.stat(one).st_ino, os.fstat(descriptor).st_ino}) == 3


@in_mount_namespace
def test_the_server_fails_and_refuses_maps_as_it_is_told(tmp_path: Path) -> None:
    """For tests of storage that fails, and of files that cannot be mapped."""
    with fuse_mount(tmp_path, Whims(direct_io=True)) as mount:
        one, _ = write_two(mount)
        with open_descriptor(one) as descriptor:
            assert os.pread(descriptor, 16, GRANULE) == pattern(16, 1, GRANULE)
            with pytest.raises(OSError, match="No such device"):
                mmap.mmap(descriptor, SIZE, access=mmap.ACCESS_READ)
            mount.disturb_reads(error=errno.EIO)
            with pytest.raises(OSError, match="Input/output error"):
                os.pread(descriptor, 16, GRANULE)


@pytest.mark.parametrize("max_open_handles", [1, 64])
@in_mount_namespace
def test_two_files_that_look_the_same_are_two_by_path(
    tmp_path: Path, reader: ReaderName, max_open_handles: int
) -> None:
    """Their names tell them apart, with and without kept descriptors."""
    with (
        fuse_mount(tmp_path, ALIKE) as mount,
        SlidingWindowMapManager(GRANULE, max_open_handles=max_open_handles, reader=reader) as manager,
    ):
        one, two = write_two(mount)
        for path, seed in ((one, 1), (two, 2), (one, 1)):
            assert_reads(manager.make_cursor(path), pattern(SIZE, seed))
        first, second = manager.make_cursor(one), manager.make_cursor(two)
        for offset in range(0, SIZE, GRANULE):
            for cursor, seed in ((first, 1), (second, 2)):
                assert bytes(cursor.use_region(offset, 16).buffer()) == pattern(16, seed, offset)
                cursor.unuse_region()


@in_mount_namespace
def test_two_files_that_look_the_same_are_two_by_descriptor(tmp_path: Path, reader: ReaderName) -> None:
    """The system knows their names; a path and a descriptor beside each other, too."""
    with (
        fuse_mount(tmp_path, ALIKE) as mount,
        SlidingWindowMapManager(GRANULE, reader=reader) as manager,
    ):
        one, two = write_two(mount)
        with open_descriptor(one) as first, open_descriptor(two) as second:
            for source, seed in ((first, 1), (second, 2), (one, 1), (two, 2), (first, 1)):
                assert_reads(manager.make_cursor(source), pattern(SIZE, seed))


@pytest.mark.parametrize("inodes", ["all one", "never the same"])
@in_mount_namespace
def test_a_file_that_is_replaced_or_rewritten(tmp_path: Path, reader: ReaderName, inodes: str) -> None:
    """Its times tell a new cursor; an old one goes on in the file that was replaced."""
    whims = Whims("all one" if inodes == "all one" else "never the same")
    with (
        fuse_mount(tmp_path, whims) as mount,
        SlidingWindowMapManager(GRANULE, reader=reader) as manager,
    ):
        path, _ = write_two(mount)
        old = manager.make_cursor(path).use_region(0, 16)
        new = replace(mount.behind / "one", 3, keep_mtime=True)
        assert_reads(manager.make_cursor(path), new)
        assert_reads(old, pattern(SIZE, 1))
        newest = rewrite(mount.behind / "one", 4, keep_mtime=True)
        assert_reads(manager.make_cursor(path), newest)
        assert_keeps_to(old, pattern(SIZE, 1))


@pytest.mark.parametrize("max_open_handles", [1, 64])
@in_mount_namespace
def test_numbers_that_are_never_the_same_refuse_nobody(
    tmp_path: Path, reader: ReaderName, max_open_handles: int
) -> None:
    """An old cursor goes on: by its descriptor, or since size and times are the same."""
    with (
        fuse_mount(tmp_path, Whims("never the same")) as mount,
        SlidingWindowMapManager(GRANULE, max_open_handles=max_open_handles, reader=reader) as manager,
    ):
        path, other = write_two(mount)
        old = manager.make_cursor(path)
        assert_reads(old, pattern(SIZE, 1))
        manager.collect()
        assert_reads(manager.make_cursor(other), pattern(SIZE, 2))
        manager.collect()
        assert_reads(old, pattern(SIZE, 1))
        assert_reads(manager.make_cursor(path), pattern(SIZE, 1))


@in_mount_namespace
def test_a_descriptor_whose_number_is_never_the_same_is_read(tmp_path: Path, reader: ReaderName) -> None:
    """It is not taken for one that was closed and reused, before its first use and after."""
    with (
        fuse_mount(tmp_path, Whims("never the same")) as mount,
        SlidingWindowMapManager(GRANULE, reader=reader) as manager,
    ):
        path, other = write_two(mount)
        with open_descriptor(path) as first, open_descriptor(other) as second:
            cursors = [manager.make_cursor(descriptor) for descriptor in (first, second)]
            for _ in range(2):
                for cursor, seed in zip(cursors, (1, 2), strict=True):
                    assert_reads(cursor, pattern(SIZE, seed))
                manager.collect()


@pytest.mark.parametrize("inodes", ["all one", "never the same"])
@in_mount_namespace
def test_a_reused_descriptor_gives_no_other_files_bytes(tmp_path: Path, reader: ReaderName, inodes: str) -> None:
    """Before the first use it is an error, also where the other file looks the same; after it, the cursor goes on."""
    whims = ALIKE if inodes == "all one" else Whims("never the same")
    with (
        fuse_mount(tmp_path, whims) as mount,
        SlidingWindowMapManager(GRANULE, reader=reader) as manager,
    ):
        path, other = write_two(mount)
        with open_descriptor(path) as number:
            used = manager.make_cursor(number).use_region(0, 16)
            unused = manager.make_cursor(number)
            with open_descriptor(other) as replacement:
                os.dup2(replacement, number)
            with refused_as_reused():
                unused.use_region(GRANULE, 16)
            assert_reads(used, pattern(SIZE, 1))
            assert_reads(manager.make_cursor(number), pattern(SIZE, 2))


@in_mount_namespace
def test_nothing_stays_open_on_files_that_look_the_same(tmp_path: Path, reader: ReaderName) -> None:
    """Nor is the one closed for the other: judged by their names."""
    with fuse_mount(tmp_path, ALIKE) as mount:
        paths = write_two(mount)
        with SlidingWindowMapManager(0, reader=reader) as manager:
            cursors = [manager.make_cursor(path).use_region() for path in paths]
            for path in paths:
                assert descriptors_named(path) >= (DESCRIPTORS_PER_REGION if reader == "mmap" else 0)
            cursors[0].close()
            manager.collect()
            assert descriptors_named(paths[0]) == 0
            assert bytes(cursors[1].buffer()) == pattern(SIZE, 2)
            cursors.clear()
            manager.collect()
            assert [descriptors_named(path) for path in paths] == [0, 0]
