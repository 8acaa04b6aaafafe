"""Kept descriptors: a file that was looked at stays open while there is room, so that its next window needs no name."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from smmap_typed import SlidingWindowMapManager
from smmap_typed._pool.descriptor import Descriptor
from smmap_typed._pool.tables import MOST_KEPT
from smmap_typed.testing import check_invariants
from support import (
    DESCRIPTORS_PER_REGION,
    GRANULE,
    assert_books_match_kernel,
    descriptors_of,
    pattern,
    release_descriptors,
    write_pattern,
)

FILES: Final = 70


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Seventy files of four granules, of which two are what a window has."""
    paths = [tmp_path / f"{number}" for number in range(FILES)]
    for number, path in enumerate(paths):
        write_pattern(path, 4 * GRANULE, number)
    return paths


@pytest.fixture
def copying() -> Iterator[SlidingWindowMapManager]:
    """With a reader that copies, so that what is open is what is kept."""
    with SlidingWindowMapManager(2 * GRANULE, reader="pread") as manager:
        yield manager


def touch(manager: SlidingWindowMapManager, path: Path, window: int = 0) -> None:
    manager.make_cursor(path).use_region(window * 2 * GRANULE, 1)


def kept(manager: SlidingWindowMapManager, paths: list[Path]) -> list[int]:
    """Of which files, by number; the books and the kernel must agree about it."""
    check_invariants(manager)
    open_files = [number for number, path in enumerate(paths) if descriptors_of(path)]
    assert len(open_files) == manager.stats().kept_descriptors
    return open_files


def test_there_are_sixty_four_at_most_and_the_least_recently_used_goes_first(
    paths: list[Path], copying: SlidingWindowMapManager
) -> None:
    """It was used when a window was last mapped by it: a window that is found mapped needs none."""
    assert MOST_KEPT == 64
    for path in paths[:64]:
        touch(copying, path)
    assert kept(copying, paths) == list(range(64))
    touch(copying, paths[0], 1)
    touch(copying, paths[1])
    touch(copying, paths[64])
    assert kept(copying, paths) == [0, *range(2, 65)]
    touch(copying, paths[65])
    assert kept(copying, paths) == [0, *range(3, 66)]
    for path in paths[66:]:
        touch(copying, path)
    assert kept(copying, paths) == [0, *range(7, 70)]
    # Nothing was unmapped for it, and what has none is opened again.
    assert (copying.stats().handles, copying.stats().evictions) == (71, 0)
    touch(copying, paths[3], 1)
    assert kept(copying, paths) == [0, 3, *range(8, 70)]


def test_it_outlives_the_regions_of_its_file(paths: list[Path]) -> None:
    """An eviction takes no descriptor; a file that has nothing else counts as no open one."""
    with SlidingWindowMapManager(2 * GRANULE, 2 * GRANULE, reader="pread") as manager:
        for path in paths[:3]:
            touch(manager, path)
        assert kept(manager, paths) == [0, 1, 2]
        assert (manager.num_open_files(), len(manager.stats().files), manager.stats().evictions) == (1, 1, 2)


def test_it_is_the_first_to_go_at_the_handle_limit(paths: list[Path]) -> None:
    """Before any region, least recently used first; and it is kept only where a handle is free."""
    with SlidingWindowMapManager(2 * GRANULE, max_open_handles=4, reader="pread") as manager:
        for path in paths[:2]:
            touch(manager, path)
        assert kept(manager, paths) == [0, 1]
        # The one that is mapped by is used just now.
        touch(manager, paths[0], 1)
        assert kept(manager, paths) == [0]
        touch(manager, paths[2])
        assert kept(manager, paths) == []
        assert (manager.stats().handles, manager.stats().evictions) == (4, 0)
        touch(manager, paths[3])
        assert kept(manager, paths) == []
        assert (manager.stats().handles, manager.stats().evictions) == (4, 1)
        manager.collect()
        touch(manager, paths[3])
        assert kept(manager, paths) == [3]


@pytest.mark.parametrize("handles", [1, 2, 3, 5, 9])
def test_with_the_regions_there_are_never_more_than_handles(paths: list[Path], handles: int) -> None:
    """At the limit, just below and far below; and what can be kept is."""
    chance = random.Random(handles)
    with SlidingWindowMapManager(2 * GRANULE, max_open_handles=handles) as manager:
        for _ in range(100):
            cursor = manager.make_cursor(paths[chance.randrange(4)])
            offset = chance.randrange(2) * 2 * GRANULE
            cursor.use_region(offset, 1)
            stats = manager.stats()
            assert stats.handles + stats.kept_descriptors <= handles
            if stats.handles < handles:
                assert stats.kept_descriptors > 0
            cursor.close()
            if not chance.randrange(20):
                manager.collect()
            check_invariants(manager)
            assert_books_match_kernel(manager, *paths[:4])


def test_collect_closes_those_of_files_on_which_no_cursor_is(
    paths: list[Path], copying: SlidingWindowMapManager
) -> None:
    """A view is no cursor: nobody moves it on."""
    cursors = [copying.make_cursor(path).use_region(0, 1) for path in paths[:4]]
    view = cursors[1].buffer()
    cursors[1].close()
    cursors[2].close()
    assert kept(copying, paths) == [0, 1, 2, 3]
    assert copying.collect() == 1
    assert kept(copying, paths) == [0, 3]
    assert bytes(view) == pattern(1, 1)
    paths[0].unlink()
    assert bytes(cursors[0].use_region(2 * GRANULE, 9).buffer()) == pattern(4 * GRANULE, 0)[2 * GRANULE :][:9]


def test_collect_closes_one_whose_file_has_no_region(paths: list[Path], copying: SlidingWindowMapManager) -> None:
    touch(copying, paths[0])
    assert copying.collect() == 1
    assert kept(copying, paths) == []
    cursor = copying.make_cursor(paths[1])
    cursor.prefetch(0, 1)
    copying.collect()
    assert kept(copying, paths) == []


def test_a_file_keeps_the_one_that_it_has(paths: list[Path]) -> None:
    """Two threads that open one file at once both have one to keep; the second one is closed."""
    with SlidingWindowMapManager(GRANULE) as manager:
        file = manager.make_cursor(paths[0]).use_region(0, 1)._state.file()
        kept, second = file.descriptor, Descriptor()
        second.numbers.append(os.open(paths[0], os.O_RDONLY))
        manager._pool.tables.keep_descriptor(file, second)
        del second
        assert file.descriptor is kept
        assert descriptors_of(paths[0]) == DESCRIPTORS_PER_REGION + 1


def test_close_closes_all(paths: list[Path]) -> None:
    """Whatever cursors and views there are, and nothing is kept from then on."""
    manager = SlidingWindowMapManager(2 * GRANULE)
    cursors = [manager.make_cursor(path).use_region(0, 1) for path in paths[:3]]
    view = cursors[0].buffer()
    assert manager.stats().kept_descriptors == 3
    manager.close()
    assert manager.stats().kept_descriptors == 0
    assert [cursor.is_valid() for cursor in cursors] == [False] * 3
    assert manager.num_file_handles() == 1
    assert descriptors_of(paths[0]) == DESCRIPTORS_PER_REGION
    assert_books_match_kernel(manager, *paths)
    view.release()
    assert_books_match_kernel(manager, *paths)
    check_invariants(manager)


def test_a_forced_removal_closes_those_of_its_files(tmp_path: Path, copying: SlidingWindowMapManager) -> None:
    """Those below the folder, whatever else they have; others stay."""
    (tmp_path / "folder").mkdir()
    paths = [tmp_path / name for name in ("folder/pinned", "folder/idle", "folder/evicted", "folders")]
    for path in paths:
        write_pattern(path, 4 * GRANULE)
        touch(copying, path)
    cursor = copying.make_cursor(paths[0]).use_region(0, 1)
    assert kept(copying, paths) == [0, 1, 2, 3]
    assert copying._force_removal(str(tmp_path / "folder")) == 3
    assert kept(copying, paths) == [3]
    assert not cursor.is_valid()


def test_configure_closes_them_before_it_evicts(paths: list[Path], copying: SlidingWindowMapManager) -> None:
    """Least recently used first, and only as many as must go."""
    for path in paths[:4]:
        touch(copying, path)
    copying.configure(max_open_handles=6)
    assert kept(copying, paths) == [2, 3]
    assert copying.stats().handles == 4
    copying.configure(max_open_handles=4)
    assert kept(copying, paths) == []
    assert (copying.stats().handles, copying.stats().evictions) == (4, 0)
    copying.configure(max_open_handles=3)
    assert (copying.stats().handles, copying.stats().evictions) == (3, 1)


def test_a_limit_that_cannot_be_set_leaves_them(paths: list[Path], copying: SlidingWindowMapManager) -> None:
    cursors = [copying.make_cursor(path).use_region(0, 1) for path in paths[:3]]
    with pytest.raises(OSError, match="regions are pinned"):
        copying.configure(max_open_handles=2)
    assert kept(copying, paths) == [0, 1, 2]
    assert all(cursor.is_valid() for cursor in cursors)


def test_they_are_of_one_state_each(paths: list[Path], copying: SlidingWindowMapManager) -> None:
    """A file that was changed has one for the cursors of before, and one for those of now."""
    old = copying.make_cursor(paths[0]).use_region(0, 1)
    with paths[0].open("ab") as file:
        file.write(b"more")
    new = copying.make_cursor(paths[0]).use_region(0, 1)
    assert descriptors_of(paths[0]) == copying.stats().kept_descriptors == 2
    assert old.region() != new.region()
    old.close()
    copying.collect()
    assert descriptors_of(paths[0]) == copying.stats().kept_descriptors == 1
    release_descriptors(copying)
    assert descriptors_of(paths[0]) == copying.stats().kept_descriptors == 0
    assert new.read(4 * GRANULE, 9) == b"more"
