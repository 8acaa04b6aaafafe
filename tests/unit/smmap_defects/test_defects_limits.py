"""Defects of smmap in what is kept mapped: which regions go, when, and how many.

See docs/migration.md for the list. The kernel tells what is mapped, not only the manager.
"""

import errno
import gc
import os
from pathlib import Path

import pytest

from smmap_typed import HandleLimitError, SlidingWindowMapManager, StaticWindowMapManager
from support import (
    DESCRIPTORS_PER_REGION,
    GRANULE,
    assert_books_match_kernel,
    descriptors_of,
    mapped_bytes_of,
    opcodes_of,
    write_pattern,
)

MIB = 1024 * 1024


def make_files(folder: Path, names: str, size: int = GRANULE) -> dict[str, Path]:
    """One file of ``size`` bytes for each letter, none like another."""
    paths = {name: folder / name for name in names}
    for seed, path in enumerate(paths.values()):
        write_pattern(path, size, seed)
    return paths


def test_the_least_recently_used_region_is_evicted(tmp_path: Path) -> None:
    """Defect 1: after A, B, C and A again, mapping D with room for three evicts B."""
    paths = make_files(tmp_path, "ABCD")
    with SlidingWindowMapManager(GRANULE, 3 * GRANULE) as manager:
        for name in "ABCAD":
            manager.make_cursor(paths[name]).use_region()
        assert [name for name in "ABCD" if mapped_bytes_of(paths[name])] == ["A", "C", "D"]


def test_static_manager_keeps_the_handle_limit(tmp_path: Path) -> None:
    """Defect 10: with ``max_open_handles=3``, a static manager never holds more than three of ten files."""
    paths = make_files(tmp_path, "ABCDEFGHIJ")
    with StaticWindowMapManager(max_open_handles=3) as manager:
        for count, path in enumerate(paths.values(), start=1):
            manager.make_cursor(path).use_region()
            assert manager.num_file_handles() == min(count, 3)
            assert_books_match_kernel(manager, *paths.values())


def test_handle_limit_error_tells_what_to_do_and_the_call_works_after_a_release(tmp_path: Path) -> None:
    """Defect 11: with every handle pinned the error is typed, says how many are, and passes with the reason."""
    paths = make_files(tmp_path, "ABCD")
    with SlidingWindowMapManager(GRANULE, max_open_handles=3) as manager:
        cursors = [manager.make_cursor(paths[name]).use_region() for name in "ABC"]
        late = manager.make_cursor(paths["D"])
        with pytest.raises(HandleLimitError, match="3 regions are pinned") as caught:
            late.use_region()
        assert caught.value.errno == errno.EMFILE
        cursors[1].unuse_region()
        assert bytes(late.use_region().buffer()) == paths["D"].read_bytes()
        assert mapped_bytes_of(paths["B"]) == 0


def test_a_miss_at_the_handle_limit_evicts_one_region_of_fifty(tmp_path: Path) -> None:
    """Defect 11: fifty idle regions at the limit, and one more file: exactly one of them goes."""
    old, new = tmp_path / "old", tmp_path / "new"
    write_pattern(old, 50 * GRANULE, 1)
    write_pattern(new, GRANULE, 2)
    with SlidingWindowMapManager(GRANULE, max_open_handles=50) as manager:
        cursor = manager.make_cursor(old)
        for index in range(50):
            cursor.use_region(index * GRANULE, GRANULE)
        cursor.close()
        manager.make_cursor(new).use_region()
        assert (mapped_bytes_of(old), mapped_bytes_of(new)) == (49 * GRANULE, GRANULE)
        assert manager.stats().evictions == 1


def test_collect_with_a_live_view_leaves_its_region_mapped_and_counted(tmp_path: Path) -> None:
    """Defect 12: ``collect()`` under a view raises nothing, and frees the region once the view is gone."""
    paths = make_files(tmp_path, "AB")
    with SlidingWindowMapManager(GRANULE) as manager:
        view = manager.make_cursor(paths["A"]).use_region().buffer()
        manager.make_cursor(paths["B"]).use_region()
        assert manager.collect() == 1
        assert (manager.num_file_handles(), manager.mapped_memory_size()) == (1, GRANULE)
        assert bytes(view) == paths["A"].read_bytes()
        view.release()
        assert manager.collect() == 1
        assert_books_match_kernel(manager, *paths.values())


def test_eviction_with_a_live_view_takes_the_next_region(tmp_path: Path) -> None:
    """Defect 12: an unrelated read that must evict passes over what a view shows, and the counts stay right."""
    paths = make_files(tmp_path, "ABC")
    with SlidingWindowMapManager(GRANULE, 2 * GRANULE) as manager:
        view = manager.make_cursor(paths["A"]).use_region().buffer()
        for name in "BC":
            assert bytes(manager.make_cursor(paths[name]).use_region().buffer()) == paths[name].read_bytes()
        assert [mapped_bytes_of(paths[name]) for name in "ABC"] == [GRANULE, 0, GRANULE]
        assert bytes(view) == paths["A"].read_bytes()
        assert_books_match_kernel(manager, *paths.values())


def test_nothing_stays_of_a_thousand_files(tmp_path: Path) -> None:
    """Defect 17: after a thousand files were opened and collected, no object of any of them is left."""
    paths = [tmp_path / str(number) for number in range(1000)]
    for path in paths:
        path.write_bytes(b"content")
    with SlidingWindowMapManager() as manager:
        manager.make_cursor(paths[0]).use_region()
        manager.collect()
        gc.collect()
        before = len(gc.get_objects())
        for path in paths:
            manager.make_cursor(path).use_region()
        assert manager.num_open_files() == 1000
        manager.collect()
        gc.collect()
        assert manager.num_open_files() == 0
        assert manager.stats().files == ()
        assert len(gc.get_objects()) - before < 100


def test_small_files_reserve_their_real_bytes(tmp_path: Path) -> None:
    """Defect 18: with the default window of 1 GiB and a limit of 1 MiB, ten files of one granule stay mapped."""
    paths = make_files(tmp_path, "ABCDEFGHIJ")
    with SlidingWindowMapManager(max_memory_size=MIB) as manager:
        for path in paths.values():
            manager.make_cursor(path).use_region()
        assert manager.num_file_handles() == 10
        assert manager.mapped_memory_size() == 10 * GRANULE
        assert_books_match_kernel(manager, *paths.values())


def test_static_manager_keeps_the_memory_limit(tmp_path: Path) -> None:
    """Defect 19: files of 4 MiB under a limit of 10 MiB, none in use: at most two are mapped."""
    paths = make_files(tmp_path, "ABCDE", 4 * MIB)
    with StaticWindowMapManager(max_memory_size=10 * MIB) as manager:
        for count, path in enumerate(paths.values(), start=1):
            manager.make_cursor(path).use_region()
            assert manager.mapped_memory_size() == min(count, 2) * 4 * MIB
            assert_books_match_kernel(manager, *paths.values())


def test_window_size_is_rounded_up_once(tmp_path: Path) -> None:
    """Defect 20: windows of 5000 bytes become whole granules, no region is larger, and the limit is kept."""
    path = tmp_path / "file"
    data = write_pattern(path, 64 * GRANULE)
    window = (5000 + GRANULE - 1) // GRANULE * GRANULE
    with SlidingWindowMapManager(5000, 4 * window + 100) as manager:
        assert manager.window_size() == window
        cursor = manager.make_cursor(path)
        for offset in range(0, len(data), 4999):
            region = cursor.use_region(offset, 1).region()
            assert region is not None
            assert region.size() <= window
            assert manager.mapped_memory_size() <= 4 * window + 100
            assert_books_match_kernel(manager, path)


def test_a_call_that_cannot_map_evicts_nothing(tmp_path: Path) -> None:
    """Defect 22: a missing file, a directory, a closed descriptor: the system's error, and idle regions stay."""
    paths = make_files(tmp_path, "AB")
    closed = os.open(paths["A"], os.O_RDONLY)
    os.close(closed)
    with SlidingWindowMapManager(GRANULE, 2 * GRANULE, 2) as manager:
        for path in paths.values():
            manager.make_cursor(path).use_region()
        with pytest.raises(FileNotFoundError):
            manager.make_cursor(tmp_path / "missing").use_region()
        with pytest.raises(IsADirectoryError):
            manager.make_cursor(tmp_path).use_region()
        with pytest.raises(OSError, match="Bad file descriptor") as caught:
            manager.make_cursor(closed).use_region()
        assert caught.value.errno == errno.EBADF
        assert (manager.stats().evictions, manager.num_file_handles()) == (0, 2)
        assert_books_match_kernel(manager, *paths.values())


def test_a_file_without_permission_evicts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defect 22: a file that exists and may not be opened is the system's error too; faked, since root may open all."""
    paths = make_files(tmp_path, "ABC")

    def refuse(path: str, _: int) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    with SlidingWindowMapManager(GRANULE, 2 * GRANULE, 2) as manager:
        for name in "AB":
            manager.make_cursor(paths[name]).use_region()
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            with pytest.raises(PermissionError):
                manager.make_cursor(paths["C"]).use_region()
        assert (manager.stats().evictions, manager.num_file_handles()) == (0, 2)


def steps_of_a_miss_and_a_collect(folder: Path, regions: int) -> tuple[float, float]:
    """Steps for each eviction, and for each region of ``collect()``, with so many regions mapped."""
    path = folder / f"{regions}"
    misses = 32
    with open(path, "wb") as file:
        file.truncate((regions + misses) * GRANULE)
    with SlidingWindowMapManager(GRANULE, max_open_handles=regions) as manager:
        cursor = manager.make_cursor(path)
        for index in range(regions):
            cursor.use_region(index * GRANULE, GRANULE)

        def evict() -> None:
            for index in range(regions, regions + misses):
                cursor.use_region(index * GRANULE, GRANULE)

        eviction = opcodes_of(evict) / misses
        assert manager.stats().evictions == misses
        cursor.close()
        return eviction, opcodes_of(manager.collect) / regions


def test_an_eviction_costs_the_same_with_many_regions_and_collect_is_linear(tmp_path: Path) -> None:
    """Defect 31: sixteen times as many regions change neither the cost of an eviction nor that of one collected."""
    few = steps_of_a_miss_and_a_collect(tmp_path, 64)
    many = steps_of_a_miss_and_a_collect(tmp_path, 1024)
    assert many[0] < 1.5 * few[0]
    assert many[1] < 1.5 * few[1]


def test_windows_cost_one_descriptor_each_or_none(tmp_path: Path) -> None:
    """Defect 32: 200 windows of one file cost one descriptor from CPython 3.13 on, and before that one more each."""
    path = tmp_path / "file"
    write_pattern(path, 200 * GRANULE)
    with SlidingWindowMapManager(GRANULE) as manager:
        cursor = manager.make_cursor(path)
        for index in range(200):
            cursor.use_region(index * GRANULE, GRANULE)
        assert manager.num_file_handles() == 200
        assert descriptors_of(path) == 200 * DESCRIPTORS_PER_REGION + 1
    cursor.close()
    assert descriptors_of(path) == 0
