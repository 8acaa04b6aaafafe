"""Files that are deleted, rotated or repacked away under a reader, who goes on, as with a descriptor."""

import shutil
from pathlib import Path

import pytest

from downstream.repositories import make_repository
from rewriting import SIZE, ReaderName, assert_keeps_to, assert_reads, replace
from smmap_typed import FileChangedError, SlidingWindowMapBuffer, SlidingWindowMapManager
from support import GRANULE, pattern, run_python, write_pattern

OLD = pattern(SIZE, 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of four granules."""
    path = tmp_path / "file"
    write_pattern(path, SIZE, 1)
    return path


def test_a_cursor_goes_on_when_its_file_is_deleted(path: Path, reader: ReaderName) -> None:
    """In new windows, too; there is nothing for a new cursor to read."""
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        cursor = manager.make_cursor(path).use_region(0, 16)
        path.unlink()
        assert_reads(cursor, OLD)
        assert SlidingWindowMapBuffer(cursor)[:] == OLD
        with pytest.raises(FileNotFoundError):
            manager.make_cursor(path).use_region()


def test_a_cursor_goes_on_when_its_file_is_replaced(path: Path, reader: ReaderName) -> None:
    """Many times over: each cursor reads the file that it saw first."""
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        contents = [OLD]
        cursors = [manager.make_cursor(path).use_region(0, 16)]
        for seed in (2, 3, 4):
            contents.append(replace(path, seed, keep_mtime=True))
            cursors.append(manager.make_cursor(path).use_region(GRANULE, 16))
        for cursor, content in zip(cursors, contents, strict=True):
            assert_reads(cursor, content)


def test_a_log_that_is_rotated_away(path: Path, reader: ReaderName) -> None:
    """By logrotate: renamed, written anew, and compressed; the reader of the first ends it in peace."""
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        old = manager.make_cursor(path).use_region(0, 16)
        path.rename(path.with_name("file.1"))
        new = write_pattern(path, SIZE, 2)
        assert_reads(old, OLD)
        assert_reads(manager.make_cursor(path), new)
        assert_reads(manager.make_cursor(path.with_name("file.1")), OLD)
        path.with_name("file.1").unlink()
        assert_reads(old, OLD)


def test_only_a_look_is_enough_to_go_on(path: Path, reader: ReaderName) -> None:
    """``file_size`` fixes the file as the first window does."""
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        cursor = manager.make_cursor(path)
        assert cursor.file_size() == SIZE
        replace(path, 2)
        assert_reads(cursor, OLD)


class TestWithoutADescriptor:
    """With one handle, which the window takes, none is left to keep the file's descriptor."""

    def test_a_deleted_file_is_not_found(self, path: Path, reader: ReaderName) -> None:
        with SlidingWindowMapManager(GRANULE, max_open_handles=1, reader=reader) as manager:
            cursor = manager.make_cursor(path).use_region(0, 16)
            path.unlink()
            with pytest.raises(FileNotFoundError) as caught:
                cursor.use_region(GRANULE, 16)
            assert caught.value.filename == str(path)
            assert bytes(cursor.use_region(32, 16).buffer()) == OLD[32:48]

    def test_a_replaced_file_is_a_changed_one(self, path: Path, reader: ReaderName) -> None:
        with SlidingWindowMapManager(GRANULE, max_open_handles=1, reader=reader) as manager:
            cursor = manager.make_cursor(path).use_region(0, 16)
            new = replace(path, 2, keep_mtime=True)
            with pytest.raises(FileChangedError) as caught:
                cursor.use_region(GRANULE, 16)
            assert caught.value.filename == str(path)
            assert bytes(cursor.use_region(32, 16).buffer()) == OLD[32:48]
            assert_keeps_to(cursor, OLD)
            cursor.unuse_region()
            assert_reads(manager.make_cursor(path), new)
            assert_keeps_to(cursor, OLD)

    def test_a_file_that_comes_back_is_read_on(self, path: Path, reader: ReaderName) -> None:
        """It is the same one; of copies nobody can tell whether it was rewritten with its time set back."""
        with SlidingWindowMapManager(GRANULE, max_open_handles=1, reader=reader) as manager:
            cursor = manager.make_cursor(path).use_region(0, 16)
            path.rename(path.with_name("away"))
            with pytest.raises(FileNotFoundError):
                cursor.use_region(GRANULE, 16)
            path.with_name("away").rename(path)
            if reader == "mmap":
                assert_reads(cursor, OLD)
            else:
                with pytest.raises(FileChangedError, match="change time"):
                    cursor.use_region(GRANULE, 16)


REPACKED = """
import subprocess
import sys
from pathlib import Path
from smmap_typed import SlidingWindowMapManager, compat
compat.install()
from gitdb.db import PackedDB
folder = Path(sys.argv[1])
packs = set(folder.glob("objects/pack/*.pack"))
database = PackedDB(str(folder / "objects" / "pack"))
names = sorted(database.sha_iter())
expected = [database.stream(name).read() for name in names]
assert len(names) > 400
# The name gitdb.pack is another module's, which gitdb.db brings.
manager = sys.modules["gitdb.pack"].mman = SlidingWindowMapManager(64 << 10)
before = PackedDB(str(folder / "objects" / "pack"))
assert before.stream(names[0]).read() == expected[0]
misses = manager.stats().misses
subprocess.run(["git", "repack", "-a", "-d", "-f", "-q", "--depth=2"], cwd=folder, check=True)
assert not packs & set(folder.glob("objects/pack/*.pack")), "git has kept the old pack"
assert [before.stream(name).read() for name in names] == expected
assert manager.stats().misses > misses + 10
after = PackedDB(str(folder / "objects" / "pack"))
assert [after.stream(name).read() for name in names] == expected
"""


def test_gitdb_reads_on_in_a_pack_that_git_has_repacked_away(tmp_path: Path) -> None:
    """``git gc`` deletes the packs whose objects it has put into a new one."""
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    folder = make_repository(tmp_path / "sample.git")
    done = run_python(REPACKED, folder)
    assert done.stderr == ""
    assert done.returncode == 0
