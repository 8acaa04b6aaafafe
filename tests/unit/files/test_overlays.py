"""overlayfs, Docker's file system: a write makes a copy of the file, with the same device, inode and size."""

import contextlib
import os
import sys
from pathlib import Path

import pytest

from isolated import in_mount_namespace
from mounts import overlay
from rewriting import SIZE, ReaderName, assert_keeps_to, assert_reads, replace, rewrite
from smmap_typed import FileChangedError, SlidingWindowMapBuffer, SlidingWindowMapManager
from support import GRANULE, open_descriptor, pattern

# Mounts are Linux; the type checkers pass over the rest elsewhere.
assert sys.platform == "linux"

OLD = pattern(SIZE, 1)


@pytest.mark.parametrize("keep_mtime", [False, True])
@in_mount_namespace
def test_a_new_cursor_reads_what_was_written_in_place(tmp_path: Path, reader: ReaderName, keep_mtime: bool) -> None:
    """Old maps show the lower file for ever, so no new cursor may get them."""
    with overlay(tmp_path, {"file": OLD}) as folder, SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        path = folder / "file"
        before = os.stat(path)
        old = manager.make_cursor(path)
        assert_reads(old, OLD)
        new = rewrite(path, 2, keep_mtime=keep_mtime)
        after = os.stat(path)
        assert (after.st_dev, after.st_ino, after.st_size) == (before.st_dev, before.st_ino, before.st_size)
        assert_reads(manager.make_cursor(path), new)


@pytest.mark.parametrize("keep_mtime", [False, True])
@in_mount_namespace
def test_an_old_cursor_never_mixes_the_two_files(tmp_path: Path, reader: ReaderName, keep_mtime: bool) -> None:
    """It keeps what it shows; elsewhere it gives the lower file's bytes or refuses, also where a new cursor has been.

    A descriptor from before reads the new file and maps the old one, so ``read`` must not leave it to the descriptor.
    """
    with overlay(tmp_path, {"file": OLD}) as folder, SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        path = folder / "file"
        old = manager.make_cursor(path).use_region(0, 16)
        new = rewrite(path, 2, keep_mtime=keep_mtime)
        assert bytes(old.buffer()) == OLD[:16]
        assert bytes(old.use_region(32, 16).buffer()) == OLD[32:48]
        kept = old.view(64, 16)
        assert_keeps_to(old, OLD)
        assert_reads(manager.make_cursor(path), new)
        assert_keeps_to(old, OLD)
        assert kept == OLD[64:80]


@in_mount_namespace
def test_a_copy_for_no_more_than_a_time_keeps_every_byte(tmp_path: Path) -> None:
    """``touch`` makes the copy, too; old cursors go on, new ones are right."""
    with overlay(tmp_path, {"file": OLD}) as folder, SlidingWindowMapManager(GRANULE) as manager:
        path = folder / "file"
        old = manager.make_cursor(path).use_region(0, 16)
        os.utime(path, ns=(5, 5))
        assert_reads(old, OLD)
        assert_reads(manager.make_cursor(path), OLD)


@in_mount_namespace
def test_a_descriptor_from_before_spoils_no_other_cursor(tmp_path: Path, reader: ReaderName) -> None:
    """Such a descriptor has the state of the new file and maps the old one: its maps are nobody else's."""
    with (
        overlay(tmp_path, {"file": OLD}) as folder,
        SlidingWindowMapManager(GRANULE, reader=reader) as manager,
        open_descriptor(folder / "file") as before,
    ):
        new = rewrite(folder / "file", 2)
        by_descriptor = manager.make_cursor(before)
        first = by_descriptor.read(3, 16)
        assert bytes(by_descriptor.use_region(GRANULE, 16).buffer())
        assert_reads(manager.make_cursor(folder / "file"), new)
        assert first in (OLD[3:19], new[3:19])
        assert_reads(by_descriptor, OLD if first == OLD[3:19] else new)


@in_mount_namespace
def test_a_lower_file_that_is_replaced_or_deleted(tmp_path: Path, reader: ReaderName) -> None:
    """The new file lies in the upper layer; the old cursor goes on in the lower one."""
    with (
        overlay(tmp_path, {"one": OLD, "two": OLD}) as folder,
        SlidingWindowMapManager(GRANULE, reader=reader) as manager,
    ):
        cursors = [manager.make_cursor(folder / name).use_region(0, 16) for name in ("one", "two")]
        new = replace(folder / "one", 2, keep_mtime=True)
        (folder / "two").unlink()
        for cursor in cursors:
            assert_reads(cursor, OLD)
        assert_reads(manager.make_cursor(folder / "one"), new)
        with pytest.raises(FileNotFoundError):
            manager.make_cursor(folder / "two").use_region()


@in_mount_namespace
def test_a_buffer_fills_memory_from_one_of_the_two_files(tmp_path: Path, reader: ReaderName) -> None:
    """Or refuses, as its descriptor reads the new file by now."""
    with overlay(tmp_path, {"file": OLD}) as folder, SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(folder / "file"), 0)
        assert buffer[:16] == OLD[:16]
        rewrite(folder / "file", 2)
        room = bytearray(16)
        with contextlib.suppress(FileChangedError):
            assert buffer.readinto(room, GRANULE) == 16
            assert room == OLD[GRANULE : GRANULE + 16]
        buffer.end_access()
