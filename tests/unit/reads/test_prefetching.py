"""Waiting for bytes before a view of them is handed out: ``prefetch(wait=True)``, and managers that populate."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fuse_server import Whims, fuse_mount
from isolated import in_mount_namespace
from kinds_of_reads import PLACE, SIZE, WINDOW
from smmap_typed import SlidingWindowMapManager, WindowCursor
from smmap_typed._types import ReaderName
from smmap_typed.readers import Reader
from smmap_typed.testing import check_invariants
from support import GRANULE, pattern, write_pattern

# FUSE is Linux here; the type checkers pass over the rest elsewhere.
assert sys.platform == "linux"

COUNT = 2 * GRANULE
CONTENT = pattern(SIZE)


@pytest.mark.parametrize("mapped", [True, False])
@in_mount_namespace
def test_prefetch_returns_when_the_bytes_are_in_memory(
    mapped: bool, reader: ReaderName | Reader, tmp_path: Path
) -> None:
    """Other threads go on meanwhile; then a view asks the storage for nothing. The cursor stays, and maps nothing."""
    with fuse_mount(tmp_path, Whims(reads_ahead=False)) as mount:
        write_pattern(mount.behind / "file", SIZE)
        manager = SlidingWindowMapManager(WINDOW, reader=reader)
        cursor = manager.make_cursor(mount.path / "file").use_region(0, 16)
        if mapped:
            with manager.make_cursor(mount.path / "file") as other:
                other.use_region(PLACE, COUNT)
        before = (cursor.ofs_begin(), cursor.ofs_end(), cursor.region())
        regions = manager.num_file_handles()
        with ThreadPoolExecutor(1) as pool, mount.held_reads():
            if mapped and reader == "pread":
                # The window is a copy, so there is nothing to wait for.
                cursor.prefetch(PLACE, COUNT, wait=True)
            else:
                future = pool.submit(cursor.prefetch, PLACE, COUNT, wait=True)
                mount.wait_for_read()
                assert not future.done()
        assert (cursor.ofs_begin(), cursor.ofs_end(), cursor.region()) == before
        if reader in {"mmap", "pread"}:
            assert manager.num_file_handles() == regions
        count = mount.count_reads()
        if reader != "pread":
            assert bytes(cursor.view(PLACE, COUNT)) == CONTENT[PLACE : PLACE + COUNT]
            assert mount.count_reads() == count
        cursor.prefetch(PLACE, COUNT, wait=True)
        cursor.prefetch(SIZE, 5, wait=True)
        assert mount.count_reads() == count
        check_invariants(manager)
        manager.close()


def by_use_region(cursor: WindowCursor) -> bytes:
    return bytes(cursor.use_region(PLACE, COUNT).buffer())


def by_view(cursor: WindowCursor) -> bytes:
    return bytes(cursor.view(PLACE, COUNT))


@pytest.mark.parametrize("show", [by_use_region, by_view])
@pytest.mark.parametrize("where", ["elsewhere", "inside"])
@in_mount_namespace
def test_a_populating_manager_waits_without_the_gil(
    show: Callable[[WindowCursor], bytes], where: str, reader: ReaderName | Reader, tmp_path: Path
) -> None:
    """If the view were handed out before, its touch would hold the GIL, and this test would not come to its end."""
    with (
        fuse_mount(tmp_path, Whims(reads_ahead=False)) as mount,
        SlidingWindowMapManager(WINDOW, reader=reader, populate=True) as manager,
    ):
        write_pattern(mount.behind / "file", SIZE)
        cursor = manager.make_cursor(mount.path / "file")
        cursor.use_region(PLACE - GRANULE if where == "inside" and reader != "pread" else 0, 16)
        with ThreadPoolExecutor(1) as pool, mount.held_reads():
            future = pool.submit(show, cursor)
            mount.wait_for_read()
            assert not future.done()
        assert future.result() == CONTENT[PLACE : PLACE + COUNT]
        # A request without a size is not populated: it would read a whole window.
        count = mount.count_reads()
        if reader == "mmap":
            assert cursor.use_region(8 * WINDOW).size() > 0
            assert mount.count_reads() == count
        check_invariants(manager)


@pytest.mark.parametrize("how", ["prefetch", "populate"])
@in_mount_namespace
def test_pages_that_are_in_memory_are_read_again_only_by_the_kernel(how: str, tmp_path: Path) -> None:
    """A second request for the same bytes asks the server for nothing."""
    with (
        fuse_mount(tmp_path, Whims(reads_ahead=False)) as mount,
        SlidingWindowMapManager(WINDOW, populate=how == "populate") as manager,
    ):
        write_pattern(mount.behind / "file", SIZE)
        cursor = manager.make_cursor(mount.path / "file").use_region(PLACE, COUNT)
        cursor.prefetch(PLACE, COUNT, wait=True)
        count = mount.count_reads()
        assert cursor.read(PLACE, COUNT) == CONTENT[PLACE : PLACE + COUNT]
        assert by_use_region(cursor) == CONTENT[PLACE : PLACE + COUNT]
        assert mount.count_reads() == count


@pytest.mark.parametrize("how", ["prefetch", "populate"])
def test_pages_that_are_in_memory_are_copied_from_the_map(how: str, tmp_path: Path) -> None:
    """A second request for known bytes makes no detached read."""
    write_pattern(tmp_path / "file", SIZE)
    with SlidingWindowMapManager(WINDOW, populate=how == "populate") as manager:
        cursor = manager.make_cursor(tmp_path / "file").use_region(PLACE, COUNT)
        cursor.prefetch(PLACE, COUNT, wait=True)
        detached = manager.stats().detached_reads
        assert cursor.read(PLACE, COUNT) == CONTENT[PLACE : PLACE + COUNT]
        assert by_use_region(cursor) == CONTENT[PLACE : PLACE + COUNT]
        assert manager.stats().detached_reads == detached
