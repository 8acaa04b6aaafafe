"""Waiting for bytes before a view of them is handed out: ``prefetch(wait=True)``, and managers that populate."""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from fuse_server import Whims, fuse_mount
from isolated import in_mount_namespace
from kinds_of_reads import PLACE, SIZE, WINDOW
from smmap_typed import SlidingWindowMapManager, StaticWindowMapManager, WindowCursor, _platform
from smmap_typed._handles import reading
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


def test_prefetch_of_a_file_that_is_gone_goes_by_its_window(tmp_path: Path) -> None:
    """There is no descriptor, since the window has the only handle."""
    path = tmp_path / "file"
    write_pattern(path, SIZE)
    with SlidingWindowMapManager(WINDOW, max_open_handles=1) as manager:
        cursor = manager.make_cursor(path).use_region(0, 16)
        assert manager.stats().kept_descriptors == 0
        path.unlink()
        cursor.prefetch(0, WINDOW, wait=True)
        assert bytes(cursor.buffer()) == CONTENT[:16]
        with pytest.raises(FileNotFoundError):
            cursor.prefetch(4 * WINDOW, WINDOW, wait=True)
        check_invariants(manager)


class Calls:
    """What is asked of the storage: the file, the offset, and how many bytes, in order."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.reads: Final[list[tuple[str, int, int]]] = []
        self.advice: Final[list[tuple[str, int, int]]] = []
        preadv, fadvise = os.preadv, os.posix_fadvise

        def read(number: int, rooms: Sequence[memoryview], offset: int, flags: int = 0) -> int:
            if not flags:
                self.reads.append((os.readlink(f"/proc/self/fd/{number}"), offset, len(rooms[0])))
            return preadv(number, rooms, offset, flags)

        def advise(number: int, offset: int, size: int, advice: int) -> None:
            if advice == os.POSIX_FADV_WILLNEED:
                self.advice.append((os.readlink(f"/proc/self/fd/{number}"), offset, size))
            fadvise(number, offset, size, advice)

        patch.setattr(os, "preadv", read)
        patch.setattr(os, "posix_fadvise", advise)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    write_pattern(path, SIZE)
    return path


@pytest.mark.pure
def test_prefetch_reads_just_those_bytes_once(file: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces, by the kept descriptor, which stays; then they are known, and nothing is asked again."""
    monkeypatch.setattr(reading, "_SCRATCH", GRANULE)
    with SlidingWindowMapManager(WINDOW) as manager:
        cursor = manager.make_cursor(file).use_region(WINDOW, 16)
        cursor.prefetch(WINDOW + 5, 2 * GRANULE + 7, wait=True)
        begins = [WINDOW + 5 + number * GRANULE for number in range(3)]
        assert calls.reads == [
            (str(file), begins[0], GRANULE),
            (str(file), begins[1], GRANULE),
            (str(file), begins[2], 7),
        ]
        cursor.prefetch(WINDOW + 5, 2 * GRANULE + 7, wait=True)
        assert cursor.read(WINDOW + 5, 2 * GRANULE + 7) == CONTENT[WINDOW + 5 :][: 2 * GRANULE + 7]
        stats = manager.stats()
        assert (len(calls.reads), stats.detached_reads, stats.kept_descriptors, calls.advice) == (3, 0, 1, [])
        # Bytes without a window, and after the end of the file.
        cursor.prefetch(SIZE - 9, 100, wait=True)
        cursor.prefetch(SIZE, 100, wait=True)
        assert calls.reads[3:] == [(str(file), SIZE - 9, 9)]


@pytest.mark.pure
def test_prefetch_with_reads_by_descriptor_marks_nothing(file: Path, calls: Calls) -> None:
    with SlidingWindowMapManager(WINDOW, reads="pread") as manager:
        cursor = manager.make_cursor(file).use_region(0, 16)
        for _ in range(2):
            cursor.prefetch(5, 7, wait=True)
        assert calls.reads == [(str(file), 5, 7)] * 2
        check_invariants(manager)


@pytest.mark.pure
def test_a_manager_that_populates_reads_a_request_before_it_is_there(file: Path, calls: Calls) -> None:
    """And of one that is larger than a window, what the cursor gets of it at most."""
    with SlidingWindowMapManager(WINDOW, populate=True) as manager:
        cursor = manager.make_cursor(file)
        cursor.use_region(5, 7)
        assert calls.reads == [(str(file), 5, 7)]
        cursor.use_region(WINDOW, SIZE)
        assert sum(size for _name, _offset, size in calls.reads[1:]) == WINDOW
        assert calls.reads[1][1] == WINDOW
    calls.reads.clear()
    with StaticWindowMapManager(populate=True) as manager:
        manager.make_cursor(file).use_region(5, 7)
        assert calls.reads == [(str(file), 5, 7)]


@pytest.mark.pure
@pytest.mark.parametrize("cached", [{5}, {5 + COUNT - 1}, {5, 5 + COUNT - 1}])
def test_the_kernel_is_asked_to_read_ahead_unless_both_ends_are_there(
    cached: set[int], file: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[tuple[str, int]] = []

    def is_cached(number: int, offset: int) -> bool:
        looked.append((os.readlink(f"/proc/self/fd/{number}"), offset))
        return offset in cached

    monkeypatch.setattr(_platform, "is_cached", is_cached)
    with SlidingWindowMapManager(WINDOW) as manager:
        manager.make_cursor(file).prefetch(5, COUNT)
        assert calls.advice == [(str(file), 5, COUNT)] * (len(cached) < 2)
        assert {name for name, _offset in looked} == {str(file)}
        assert manager.stats().maps == 0
