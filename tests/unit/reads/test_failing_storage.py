"""Storage that fails under a read: an OSError that names the file, and no signal.

A read that took the error in a page fault would be ended by SIGBUS, and the child that runs the test with it.
"""

import errno
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fuse_server import FuseMount, Whims, fuse_mount
from isolated import in_a_child, in_mount_namespace
from kinds_of_reads import KINDS, PLACE, SIZE, WINDOW, Kind, ready
from smmap_typed import FileChangedError, SlidingWindowMapBuffer, SlidingWindowMapManager
from smmap_typed._types import ReaderName, Reads
from smmap_typed.testing import check_invariants
from support import GRANULE, pattern, write_pattern

# FUSE is Linux here; the type checkers pass over the rest elsewhere.
assert sys.platform == "linux"

PAGE = PLACE // GRANULE * GRANULE
"""Where the page that fails begins, and where the file is cut."""

BUILT_IN: list[tuple[ReaderName, Reads]] = [("mmap", "auto"), ("mmap", "pread"), ("pread", "auto")]


def fail_one_page(mount: FuseMount) -> None:
    mount.disturb_reads(error=errno.EIO, begin=PAGE, end=PAGE + GRANULE)


def error_of(act: Callable[[], object]) -> OSError:
    """The error that ``act`` must raise. Without its traceback, which would keep what the frames hold."""
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the callers look at it
        act()
    return caught.value.with_traceback(None)


@pytest.mark.parametrize(("reader", "reads"), BUILT_IN)
@in_mount_namespace
def test_an_error_of_the_storage_is_an_oserror(kind: Kind, reader: ReaderName, reads: Reads, tmp_path: Path) -> None:
    """Again and again, whether windows are mapped or not; and once the storage works, so do the reads."""
    with (
        fuse_mount(tmp_path, Whims(reads_ahead=False)) as mount,
        SlidingWindowMapManager(WINDOW, reader=reader, reads=reads) as manager,
    ):
        for mapped in (False, True):
            if mapped and reader == "pread":
                # Its windows are read when they are mapped.
                continue
            path = mount.path / str(mapped)
            write_pattern(mount.behind / path.name, SIZE)
            act = ready(kind, manager, path, mapped=mapped)
            fail_one_page(mount)
            for _ in range(2):
                error = error_of(act)
                assert (error.errno, error.filename) == (errno.EIO, str(path))
                check_invariants(manager)
            mount.disturb_reads()
            assert act() == kind.wanted
            check_invariants(manager)


@pytest.mark.parametrize(("reader", "reads"), BUILT_IN)
@in_a_child
def test_a_file_that_was_cut_is_told(kind: Kind, reader: ReaderName, reads: Reads, tmp_path: Path) -> None:
    """The bytes are gone that the cursor saw when it looked, and nobody has read them; windows are mapped or not."""
    with SlidingWindowMapManager(WINDOW, reader=reader, reads=reads) as manager:
        for mapped in (False, True):
            if mapped and reader == "pread":
                # Its windows are read when they are mapped.
                continue
            path = tmp_path / str(mapped)
            write_pattern(path, SIZE)
            act = ready(kind, manager, path, mapped=mapped)
            os.truncate(path, PAGE)
            for _ in range(2):
                error = error_of(act)
                assert isinstance(error, FileChangedError)
                assert error.filename == str(path)
                check_invariants(manager)
            # A new cursor reads what is there.
            assert manager.make_cursor(path).read(PAGE - 16, 99) == pattern(16, 0, PAGE - 16)


@pytest.mark.parametrize("max_open_handles", [1, 64])
@pytest.mark.parametrize("name", ["cursor.read", "a slice", "file.read", "bytes"])
@in_a_child
def test_a_file_that_was_cut_under_a_mapped_window_is_told(name: str, max_open_handles: int, tmp_path: Path) -> None:
    """With a descriptor, and without one: the name leads to the same file, which is shorter by now."""
    path, kind = tmp_path / "file", KINDS[name]
    write_pattern(path, SIZE)
    with SlidingWindowMapManager(0, max_open_handles=max_open_handles) as manager:
        keeper = manager.make_cursor(path).use_region(0, 1)
        act = ready(kind, manager, path, mapped=True)
        assert manager.stats().kept_descriptors == (max_open_handles > 1)
        os.truncate(path, PAGE)
        assert isinstance(error_of(act), FileChangedError)
        assert keeper.is_valid()
        check_invariants(manager)


@pytest.mark.parametrize(("reader", "reads"), BUILT_IN)
@in_a_child
def test_memory_that_a_read_has_not_filled_can_be_resized(reader: ReaderName, reads: Reads, tmp_path: Path) -> None:
    """Where the error is handled, while its traceback is alive. It asked for a part of the file, or for more."""
    path = tmp_path / "file"
    write_pattern(path, SIZE)
    with SlidingWindowMapManager(WINDOW, reader=reader, reads=reads) as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
        raw = manager.open(path).detach()
        assert isinstance(raw, io.RawIOBase)
        os.truncate(path, PAGE)
        for size in (PAGE + GRANULE, SIZE + GRANULE):
            for fill in (buffer.readinto, raw.readinto):
                room = bytearray(size)
                try:
                    fill(room)
                except FileChangedError:
                    room.clear()
                assert not room


@in_mount_namespace
def test_prefetch_raises_the_error_and_leaves_the_cursor(tmp_path: Path) -> None:
    """Also if the window is mapped; a view afterwards would be a signal, so it is asked for where it is sound."""
    with fuse_mount(tmp_path, Whims(reads_ahead=False)) as mount, SlidingWindowMapManager(WINDOW) as manager:
        path = mount.path / "file"
        write_pattern(mount.behind / "file", SIZE)
        cursor = manager.make_cursor(path).use_region(PAGE - WINDOW, 16)
        before = (cursor.ofs_begin(), cursor.ofs_end(), cursor.region())
        fail_one_page(mount)
        for offset in (PAGE, PAGE - 3 * WINDOW):
            error = error_of(lambda offset=offset: cursor.prefetch(offset, SIZE, wait=True))  # type: ignore[misc]
            assert (error.errno, error.filename) == (errno.EIO, str(path))
            assert (cursor.ofs_begin(), cursor.ofs_end(), cursor.region()) == before
            check_invariants(manager)


@pytest.mark.parametrize("hit", [True, False])
@in_mount_namespace
def test_a_populating_manager_raises_the_error_and_leaves_the_cursor(tmp_path: Path, hit: bool) -> None:
    """Inside the window that the cursor is on, and elsewhere."""
    with (
        fuse_mount(tmp_path, Whims(reads_ahead=False)) as mount,
        SlidingWindowMapManager(WINDOW, populate=True) as manager,
    ):
        path = mount.path / "file"
        write_pattern(mount.behind / "file", SIZE)
        cursor = manager.make_cursor(path).use_region(PAGE - GRANULE if hit else 0, 16)
        before = (cursor.ofs_begin(), cursor.ofs_end(), cursor.region())
        fail_one_page(mount)
        for act in (lambda: cursor.use_region(PAGE, 64), lambda: cursor.view(PAGE, 64)):
            error = error_of(act)
            assert (error.errno, error.filename) == (errno.EIO, str(path))
            assert (cursor.ofs_begin(), cursor.ofs_end(), cursor.region()) == before
            check_invariants(manager)
        mount.disturb_reads()
        assert bytes(cursor.use_region(PAGE, 64).buffer()) == pattern(64, 0, PAGE)


@pytest.mark.parametrize("how", ["prefetch", "populate"])
@in_a_child
def test_a_cut_file_is_told_before_a_view_is_handed_out(how: str, tmp_path: Path) -> None:
    """The view itself would be a signal at the first touch."""
    path = tmp_path / "file"
    write_pattern(path, SIZE)
    with SlidingWindowMapManager(WINDOW, populate=how == "populate") as manager:
        cursor = manager.make_cursor(path).use_region(PAGE - GRANULE, 16)
        os.truncate(path, PAGE)
        act: Callable[[], object] = (
            (lambda: cursor.use_region(PAGE - 8, 64))
            if how == "populate"
            else (lambda: cursor.prefetch(PAGE - 8, 64, wait=True))
        )
        error = error_of(act)
        assert isinstance(error, FileChangedError)
        assert f"ends at {PAGE} bytes" in str(error)
        assert cursor.ofs_begin() == PAGE - GRANULE
        check_invariants(manager)
