"""Files that are written in place, grow, shrink or are replaced: a new cursor sees the file as it is now."""

import os
from pathlib import Path

import pytest

from rewriting import SIZE, ReaderName, append, assert_keeps_to, assert_reads, replace, rewrite
from smmap_typed import FileChangedError, SlidingWindowMapManager
from support import GRANULE, mapped_bytes_of, pattern, write_pattern

LINE = GRANULE // 4 + 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of four granules."""
    path = tmp_path / "file"
    write_pattern(path, SIZE, 1)
    return path


def make_after(time: int, path: Path, seed: int) -> int:
    """Make a file whose size and mtime are always the same, and whose ctime is not ``time``; return that.

    Done again until it is: before Linux 6.13 that clock stands still for milliseconds.
    """
    changed = time
    while changed == time:
        path.unlink(missing_ok=True)
        write_pattern(path, SIZE, seed)
        os.utime(path, ns=(5, 5))
        changed = os.stat(path).st_ctime_ns
    return changed


@pytest.mark.parametrize("keep_mtime", [False, True])
def test_a_new_cursor_reads_what_was_written_in_place(path: Path, reader: ReaderName, keep_mtime: bool) -> None:
    """Of the same size, also with mtime set back, as ``cp -p``, rsync and git do: ctime tells."""
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        old = manager.make_cursor(path)
        assert_reads(old, pattern(SIZE, 1))
        assert_reads(manager.make_cursor(path), rewrite(path, 2, keep_mtime=keep_mtime))
        old.close()
        assert_reads(manager.make_cursor(path), rewrite(path, 3, keep_mtime=keep_mtime))


@pytest.mark.parametrize("keep_mtime", [False, True])
def test_an_old_cursor_of_copies_never_mixes_two_states(path: Path, keep_mtime: bool) -> None:
    """With ``reader="pread"`` windows keep the bytes that they were read with, so new ones must be of one state."""
    with SlidingWindowMapManager(GRANULE, reader="pread") as manager:
        old = manager.make_cursor(path).use_region(0, 16)
        view = old.view(32, 16)
        new = rewrite(path, 2, keep_mtime=keep_mtime)
        assert_keeps_to(old, pattern(SIZE, 1))
        assert_reads(manager.make_cursor(path), new)
        assert_keeps_to(old, pattern(SIZE, 1))
        assert view == pattern(16, 1, 32)


@pytest.mark.parametrize("keep_mtime", [False, True])
def test_a_new_cursor_reads_a_replacement(path: Path, reader: ReaderName, keep_mtime: bool) -> None:
    """Of the same size, also with the same mtime."""
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        old = manager.make_cursor(path).use_region(0, 16)
        new = replace(path, 2, keep_mtime=keep_mtime)
        assert_reads(manager.make_cursor(path), new)
        assert_keeps_to(old, pattern(SIZE, 1))


@pytest.mark.parametrize("max_open_handles", [1, 64])
def test_a_file_made_anew_under_the_number_of_the_old_one(
    path: Path, reader: ReaderName, max_open_handles: int
) -> None:
    """File systems give the number of a file that is gone to the next one."""
    with SlidingWindowMapManager(GRANULE, max_open_handles=max_open_handles, reader=reader) as manager:
        changed = 0
        for seed in range(1, 9):
            changed = make_after(changed, path, seed)
            assert_reads(manager.make_cursor(path), pattern(SIZE, seed))
            path.unlink()


def test_a_new_cursor_sees_a_file_that_grew_or_shrank(path: Path, reader: ReaderName) -> None:
    """Its size and its bytes, also within the last window of before."""
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        for size in (SIZE - 100, SIZE + 100, 2 * SIZE, 100, 0, SIZE):
            content = rewrite(path, size, size)
            assert_reads(manager.make_cursor(path), content)


@pytest.mark.parametrize("max_open_handles", [1, 64])
def test_appending_is_no_change_for_an_old_cursor(path: Path, reader: ReaderName, max_open_handles: int) -> None:
    """It reads on, up to the size that it saw; the window at that end is cut there."""
    content = pattern(3 * SIZE, 1)
    os.truncate(path, SIZE - 100)
    with SlidingWindowMapManager(GRANULE, max_open_handles=max_open_handles, reader=reader) as manager:
        old = manager.make_cursor(path).use_region(0, 16)
        append(path, content[SIZE - 100 : 2 * SIZE])
        assert_reads(old, content[: SIZE - 100])
        assert_reads(manager.make_cursor(path), content[: 2 * SIZE])
        append(path, content[2 * SIZE :])
        assert_reads(old, content[: SIZE - 100])


@pytest.mark.parametrize("max_open_handles", [1, 64])
def test_a_shorter_file_is_a_changed_one(path: Path, reader: ReaderName, max_open_handles: int) -> None:
    """Where an old cursor needs a new window, with its descriptor kept or not; what it shows, it keeps."""
    with SlidingWindowMapManager(GRANULE, max_open_handles=max_open_handles, reader=reader) as manager:
        old = manager.make_cursor(path).use_region(0, 16)
        os.truncate(path, 2 * GRANULE)
        for offset in (2 * GRANULE, SIZE - 1):
            with pytest.raises(FileChangedError) as caught:
                old.use_region(offset)
            assert caught.value.filename == str(path)
            with pytest.raises(FileChangedError):
                old.read(offset, 1)
        assert bytes(old.buffer()) == pattern(16, 1)
        old.unuse_region()
        assert_reads(manager.make_cursor(path), pattern(2 * GRANULE, 1))


def test_a_log_that_is_followed_does_not_fill_the_memory(tmp_path: Path, reader: ReaderName) -> None:
    """200 times a line, a cursor, a read: idle windows of old states go at once, and evict nobody else's."""
    log, other = tmp_path / "log", tmp_path / "other"
    content = pattern(SIZE + 200 * LINE, 1)
    log.write_bytes(content[:SIZE])
    others = write_pattern(other, SIZE, 2)
    # Each state of the log fits ten times; all of them, more than two hundred times as much, do not.
    limit = SIZE + 10 * len(content)
    with SlidingWindowMapManager(0, limit, reader=reader) as manager:
        manager.make_cursor(other).use_region()
        for end in range(SIZE + LINE, len(content) + 1, LINE):
            append(log, content[end - LINE : end])
            cursor = manager.make_cursor(log).use_region()
            assert bytes(cursor.buffer()) == content[:end]
        # The last state, and the one before, which the last cursor was still on when the new one came.
        assert manager.num_file_handles() <= 3
        assert manager.mapped_memory_size() <= SIZE + 2 * len(content)
        if reader == "mmap":
            assert mapped_bytes_of(other) == SIZE
        misses = manager.stats().misses
        assert bytes(manager.make_cursor(other).use_region().buffer()) == others
        assert manager.stats().misses == misses


def test_a_pack_whose_mtime_is_refreshed_pays_a_map_and_is_right(path: Path, reader: ReaderName) -> None:
    """Git does that to live packs: an old cursor goes on, a new one maps again, and old idle windows go."""
    content = pattern(SIZE, 1)
    with SlidingWindowMapManager(0, reader=reader) as manager:
        for time in range(5):
            os.utime(path, ns=(time, time))
            assert_reads(manager.make_cursor(path), content)
        assert manager.num_file_handles() <= 2
