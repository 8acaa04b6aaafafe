"""Descriptors that a user gave: duplicated at the first use, whatever becomes of their numbers later."""

import errno
import operator
import os
import sys
from pathlib import Path

import pytest

from rewriting import SIZE, ReaderName, assert_keeps_to, assert_reads, refused_as_reused, replace, rewrite
from smmap_typed import SlidingWindowMapManager
from support import GRANULE, open_descriptor, pattern, write_pattern

# What it takes to judge is Linux; the type checkers pass over the rest elsewhere.
assert sys.platform == "linux"

CONTENT = pattern(SIZE, 1)
FIRST_USES = ["use_region", "read", "view"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of four granules."""
    path = tmp_path / "file"
    write_pattern(path, SIZE, 1)
    return path


@pytest.fixture
def other(path: Path) -> Path:
    """Another one, which has the same size and mtime."""
    other = path.with_name("other")
    write_pattern(other, SIZE, 2)
    for each in (path, other):
        os.utime(each, ns=(5, 5))
    return other


def reuse(number: int, path: Path) -> None:
    """Let ``number`` be a descriptor of ``path``, whether it is open or not."""
    opened = os.open(path, os.O_RDONLY)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)


@pytest.mark.parametrize("first_use", FIRST_USES)
def test_one_that_was_closed_before_its_first_use(path: Path, reader: ReaderName, first_use: str) -> None:
    """EBADF, whether it was open when the cursor was made or not."""
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        with open_descriptor(path) as number:
            before = manager.make_cursor(number)
        for cursor in (before, manager.make_cursor(number)):
            with pytest.raises(OSError, match="Bad file descriptor") as caught:
                operator.methodcaller(first_use, 0, 8)(cursor)
            assert caught.value.errno == errno.EBADF


@pytest.mark.parametrize("first_use", FIRST_USES)
def test_one_that_was_reused_before_its_first_use(path: Path, other: Path, reader: ReaderName, first_use: str) -> None:
    """An error, and not the other file's bytes; a new cursor on the number reads the other file."""
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager, open_descriptor(path) as number:
        old = manager.make_cursor(number)
        reuse(number, other)
        with refused_as_reused():
            operator.methodcaller(first_use, 0, 8)(old)
        assert_reads(manager.make_cursor(number), pattern(SIZE, 2))


@pytest.mark.parametrize("first_use", FIRST_USES)
def test_one_that_was_closed_or_reused_after_its_first_use(
    path: Path, other: Path, reader: ReaderName, first_use: str
) -> None:
    """The cursor goes on in new windows, by its duplicate, also when the file has no name any more."""
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        with open_descriptor(path) as number:
            cursor = manager.make_cursor(number)
            operator.methodcaller(first_use, 0, 8)(cursor)
        assert_reads(cursor, CONTENT)
        reuse(number, other)
        try:
            path.unlink()
            manager.make_cursor(other).use_region()
            assert_reads(cursor, CONTENT)
            assert_reads(manager.make_cursor(number), pattern(SIZE, 2))
        finally:
            os.close(number)


@pytest.mark.pure
def test_one_is_duplicated_where_the_system_cannot_open_it_again(
    path: Path, reader: ReaderName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled code has the flag in itself."""
    monkeypatch.setattr("smmap_typed._builtin_readers.PATH_FLAGS", 0)
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        with open_descriptor(path) as number:
            cursor = manager.make_cursor(number).use_region(0, 16)
        assert_reads(cursor, CONTENT)


class TestWithoutADuplicate:
    """With one handle, which the window takes, none is left to keep a duplicate."""

    def test_one_that_is_open_is_read(self, path: Path, reader: ReaderName) -> None:
        with (
            SlidingWindowMapManager(GRANULE, max_open_handles=1, reader=reader) as manager,
            open_descriptor(path) as number,
        ):
            path.unlink()
            assert_reads(manager.make_cursor(number), CONTENT)

    def test_one_that_was_closed_is_ebadf(self, path: Path, reader: ReaderName) -> None:
        with SlidingWindowMapManager(GRANULE, max_open_handles=1, reader=reader) as manager:
            with open_descriptor(path) as number:
                cursor = manager.make_cursor(number).use_region(0, 16)
            with pytest.raises(OSError, match="Bad file descriptor") as caught:
                cursor.use_region(GRANULE, 16)
            assert caught.value.errno == errno.EBADF
            assert bytes(cursor.use_region(32, 16).buffer()) == CONTENT[32:48]

    def test_one_that_was_reused_is_an_error(self, path: Path, other: Path, reader: ReaderName) -> None:
        with (
            SlidingWindowMapManager(GRANULE, max_open_handles=1, reader=reader) as manager,
            open_descriptor(path) as number,
        ):
            cursor = manager.make_cursor(number).use_region(0, 16)
            reuse(number, other)
            with refused_as_reused():
                cursor.use_region(GRANULE, 16)
            assert_keeps_to(cursor, CONTENT)


def test_a_file_without_a_name(path: Path, reader: ReaderName) -> None:
    """Deleted and open, and one that never had any: by two descriptors of each."""
    memory = os.memfd_create("file")
    os.write(memory, pattern(SIZE, 3))
    try:
        with SlidingWindowMapManager(GRANULE, reader=reader) as manager, open_descriptor(path) as first:
            second = os.dup(first)
            path.unlink()
            assert_reads(manager.make_cursor(first), CONTENT)
            assert_reads(manager.make_cursor(memory), pattern(SIZE, 3))
            cursor = manager.make_cursor(second).use_region(0, 16)
            os.close(second)
            new = write_pattern(path, SIZE, 2)
            assert_reads(cursor, CONTENT)
            assert_reads(manager.make_cursor(path), new)
            assert_reads(manager.make_cursor(first), CONTENT)
    finally:
        os.close(memory)


def test_one_of_a_file_that_was_replaced_or_rewritten(path: Path, reader: ReaderName) -> None:
    """It names its file as it is now; the path names the new one."""
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager, open_descriptor(path) as number:
        assert_reads(manager.make_cursor(number), CONTENT)
        rewritten = rewrite(path, 2, keep_mtime=True)
        assert_reads(manager.make_cursor(number), rewritten)
        new = replace(path, 3, keep_mtime=True)
        assert_reads(manager.make_cursor(path), new)
        assert_reads(manager.make_cursor(number), rewritten)


def test_the_users_own_stays_open_and_where_it_is(path: Path, reader: ReaderName) -> None:
    """After every way by which a manager gives up what it keeps."""
    with open_descriptor(path) as number:
        os.lseek(number, 5, os.SEEK_SET)
        manager = SlidingWindowMapManager(GRANULE, reader=reader)
        assert_reads(manager.make_cursor(number), CONTENT)
        manager.collect()
        assert os.lseek(number, 0, os.SEEK_CUR) == 5
        assert_reads(manager.make_cursor(number), CONTENT)
        manager.configure(max_open_handles=1)
        assert os.lseek(number, 0, os.SEEK_CUR) == 5
        manager.close()
        del manager
        assert os.lseek(number, 0, os.SEEK_CUR) == 5
