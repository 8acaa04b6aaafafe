"""Reads that wait for storage let other threads go on.

The storage is a FUSE server of ours that holds its answer until the bystander, another thread, has done its work. If
the reader held the GIL meanwhile, neither would go on, and the child that runs the test would be ended.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from fuse_server import FuseMount, Whims, fuse_mount
from isolated import in_mount_namespace
from kinds_of_reads import KINDS, PLACE, SIZE, WINDOW, Kind, ready
from smmap_typed import SlidingWindowMapManager
from smmap_typed._types import ReaderName
from smmap_typed.readers import Reader
from smmap_typed.testing import check_invariants
from support import GRANULE, WindowReader, descriptors_of, pattern, write_pattern

# FUSE is Linux here; the type checkers pass over the rest elsewhere.
assert sys.platform == "linux"


EXACT: Final = Whims(reads_ahead=False)
"""So that each request that the server counts is for bytes that were asked for."""


def beside(mount: FuseMount, act: Callable[[], object], bystand: Callable[[], object]) -> object:
    """Do ``act`` in another thread; while its read waits in the server, ``bystand`` in this one.

    Returns the result of ``act``.
    """
    with ThreadPoolExecutor(1) as pool, mount.held_reads():
        future = pool.submit(act)
        mount.wait_for_read()
        bystand()
        assert not future.done()
    return future.result()


def use(manager: SlidingWindowMapManager, other: Path) -> None:
    """Hit, move, map, evict and read in a file that is no slow one."""
    cursor = manager.make_cursor(other)
    for offset in (0, 8, 2 * WINDOW, WINDOW):
        assert bytes(cursor.use_region(offset, 16).buffer()) == pattern(16, 7, offset)
        assert cursor.read(offset + 3, WINDOW) == pattern(WINDOW, 7, offset + 3)
    cursor.unuse_region()
    manager.collect()


@in_mount_namespace
def test_a_bystander_goes_on_beside_each_kind_of_read(kind: Kind, reader: ReaderName | Reader, tmp_path: Path) -> None:
    """Whether the windows are mapped or not."""
    other = tmp_path / "other"
    write_pattern(other, 8 * WINDOW, 7)
    with fuse_mount(tmp_path, EXACT) as mount, SlidingWindowMapManager(WINDOW, reader=reader) as manager:
        for mapped in (False, True):
            if mapped and reader == "pread":
                # Its windows are read when they are mapped.
                continue
            path = mount.path / str(mapped)
            write_pattern(mount.behind / path.name, SIZE)
            act = ready(kind, manager, path, mapped=mapped)
            assert beside(mount, act, lambda: use(manager, other)) == kind.wanted
            check_invariants(manager)
            # The collection may have closed the file, and this server's pages go when it is opened. Without that, they
            # are in memory from one read to the next.
            assert act() == kind.wanted
            before = mount.count_reads()
            assert act() == kind.wanted
            assert mount.count_reads() == before


@pytest.mark.parametrize("name", ["cursor.read", "a slice", "bytes", "file.read"])
@in_mount_namespace
def test_a_bystander_goes_on_where_only_the_map_has_the_bytes(name: str, tmp_path: Path) -> None:
    """The name is gone, and no descriptor could be kept: the pages are touched without the GIL."""
    kind, other = KINDS[name], tmp_path / "other"
    write_pattern(other, 8 * WINDOW, 7)
    with (
        fuse_mount(tmp_path, EXACT) as mount,
        SlidingWindowMapManager(0, max_open_handles=1) as manager,
        SlidingWindowMapManager(WINDOW) as beside_it,
    ):
        path = mount.path / "file"
        write_pattern(mount.behind / "file", SIZE)
        keeper = manager.make_cursor(path).use_region(0, 1)
        act = ready(kind, manager, path, mapped=True)
        assert manager.stats().kept_descriptors == 0
        (mount.behind / "file").unlink()
        assert beside(mount, act, lambda: use(beside_it, other)) == kind.wanted
        assert keeper.is_valid()
        check_invariants(manager)


@pytest.mark.parametrize("kept", [True, False])
@in_mount_namespace
def test_sixteen_readers_wait_at_the_same_time(kept: bool, tmp_path: Path) -> None:
    """Each has its own request in the server, so none waits for the answer of another."""
    with (
        fuse_mount(tmp_path, EXACT) as mount,
        SlidingWindowMapManager(WINDOW, max_open_handles=64 if kept else 1) as manager,
        ThreadPoolExecutor(16) as pool,
    ):
        paths = [mount.path / str(number) for number in range(16)]
        for number, path in enumerate(paths):
            write_pattern(mount.behind / path.name, SIZE, number)
        cursors = [manager.make_cursor(path) for path in paths]
        with mount.held_reads():
            futures = [pool.submit(cursor.read, PLACE, 64) for cursor in cursors]
            for _ in paths:
                mount.wait_for_read()
            assert not any(future.done() for future in futures)
        assert [future.result() for future in futures] == [pattern(64, number, PLACE) for number in range(16)]
        check_invariants(manager)


@in_mount_namespace
def test_a_manager_is_closed_beside_a_read_that_waits(tmp_path: Path) -> None:
    """The read ends as it would have; the descriptor stays open until then, and no longer."""
    with fuse_mount(tmp_path, EXACT) as mount:
        write_pattern(mount.behind / "file", SIZE)
        path = mount.path / "file"
        manager = SlidingWindowMapManager(WINDOW)
        cursor = manager.make_cursor(path)
        cursor.file_size()

        def close() -> None:
            manager.close()
            assert descriptors_of(path) == 1

        assert beside(mount, lambda: cursor.read(PLACE, 64), close) == pattern(64, 0, PLACE)
        assert descriptors_of(path) == 0


@in_mount_namespace
def test_a_file_is_cut_beside_a_read_that_waits(tmp_path: Path) -> None:
    """The read gets what the server has by then: an error, not a signal."""
    with fuse_mount(tmp_path, EXACT) as mount, SlidingWindowMapManager(WINDOW) as manager:
        behind = mount.behind / "file"
        write_pattern(behind, SIZE)
        cursor = manager.make_cursor(mount.path / "file").use_region(PLACE, 64)
        with pytest.raises(OSError, match="file") as caught:
            beside(mount, lambda: cursor.read(PLACE, 64), lambda: behind.write_bytes(bytes(GRANULE)))
        assert caught.value.filename == str(mount.path / "file")
        check_invariants(manager)


@in_mount_namespace
def test_the_touch_of_a_reader_without_positions_needs_no_second_request(tmp_path: Path) -> None:
    """What was touched is marked."""
    with fuse_mount(tmp_path, EXACT) as mount, SlidingWindowMapManager(WINDOW, reader=WindowReader()) as manager:
        write_pattern(mount.behind / "file", SIZE)
        cursor = manager.make_cursor(mount.path / "file")
        assert cursor.read(PLACE, 64) == pattern(64, 0, PLACE)
        before = mount.count_reads()
        assert cursor.read(PLACE, 64) == pattern(64, 0, PLACE)
        assert mount.count_reads() == before > 0
