"""Which file is which: identity by device, inode and size, on the descriptor that is mapped.

smmap's defects in this field are in test_defects_files.py.
"""

import errno
import mmap
import operator
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smmap_typed import FileChangedError, SlidingWindowMapManager, WindowCursor
from support import GRANULE, Fault, assert_books_match_kernel, descriptors_of, open_descriptor, pattern, write_pattern

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

SIZE = 4 * GRANULE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of four granules."""
    path = tmp_path / "file"
    write_pattern(path, SIZE, 1)
    return path


@pytest.fixture
def manager() -> Iterator[SlidingWindowMapManager]:
    """Windows of one granule: every move needs a new one."""
    with SlidingWindowMapManager(GRANULE) as manager:
        yield manager


def replace(path: Path, size: int = SIZE, seed: int = 2) -> bytes:
    """Put another inode in the place of ``path``, as git does, and return its content."""
    other = path.with_name("other")
    content = write_pattern(other, size, seed)
    other.rename(path)
    return content


def test_modification_time_alone_is_no_change(path: Path, manager: SlidingWindowMapManager) -> None:
    """Git refreshes it on live packs: old cursors map on, and share regions with new ones."""
    old = manager.make_cursor(path).use_region(0, 8)
    os.utime(path, ns=(5, 5))
    assert bytes(old.use_region(GRANULE, 8).buffer()) == path.read_bytes()[GRANULE : GRANULE + 8]
    new = manager.make_cursor(path).use_region(GRANULE, 8)
    assert new.region() is old.region()


def test_an_old_cursor_of_a_grown_file_maps_on_at_its_size(path: Path, manager: SlidingWindowMapManager) -> None:
    """Appending is no change; its windows end where the file ended."""
    tail = SIZE + 100
    write_pattern(path, tail, 1)
    old = manager.make_cursor(path)
    assert old.file_size() == tail
    grown = write_pattern(path.with_name("longer"), SIZE + GRANULE, 1)
    with path.open("ab") as file:
        file.write(grown[tail:])
    assert bytes(old.use_region(SIZE).buffer()) == grown[SIZE:tail]
    assert old.read(0, 10 * GRANULE) == grown[:tail]
    assert manager.make_cursor(path).read(0, 10 * GRANULE) == grown


def test_a_cursor_made_before_and_used_after_a_replacement_sees_the_new_file(
    path: Path, manager: SlidingWindowMapManager
) -> None:
    """What counts is the first use."""
    cursor = manager.make_cursor(path)
    content = replace(path)
    assert bytes(cursor.use_region(8, 8).buffer()) == content[8:16]


def test_a_file_that_is_replaced_between_look_and_open_is_looked_at_again(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new cursor has seen no byte yet, so it reads the new file and raises nothing."""
    real_open = os.open
    contents: list[bytes] = []

    def replace_first(target: str, flags: int) -> int:
        if not contents:
            contents.append(replace(path, SIZE - GRANULE))
        return real_open(target, flags)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", replace_first)
        cursor = manager.make_cursor(path).use_region(8, 8)
    assert bytes(cursor.buffer()) == contents[0][8:16]
    assert cursor.file_size() == SIZE - GRANULE
    assert_books_match_kernel(manager, path)


@pytest.mark.parametrize("first_use", ["read", "view", "use_region"])
def test_every_first_use_fixes_the_file(path: Path, manager: SlidingWindowMapManager, first_use: str) -> None:
    """From then on the cursor refuses another one."""
    cursor = manager.make_cursor(path)
    operator.methodcaller(first_use, 0, 8)(cursor)
    replace(path)
    with pytest.raises(FileChangedError, match="inode"):
        cursor.use_region(2 * GRANULE, 8)


def test_a_changed_file_is_an_oserror_that_names_it(path: Path, manager: SlidingWindowMapManager) -> None:
    """Errno ESTALE, the absolute path, and the reason; nothing stays open."""
    cursor = manager.make_cursor(path)
    assert cursor.file_size() == SIZE
    os.truncate(path, 10)
    with pytest.raises(FileChangedError) as caught:
        cursor.use_region(0)
    assert isinstance(caught.value, OSError)
    assert (caught.value.errno, caught.value.filename) == (errno.ESTALE, str(path))
    assert "make a new" in str(caught.value)
    assert descriptors_of(path) == 0


def test_a_file_that_shrinks_between_fstat_and_mmap_is_a_changed_file(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never the ValueError of mmap."""
    real_fstat = os.fstat

    def shrink_afterwards(descriptor: int) -> os.stat_result:
        status = real_fstat(descriptor)
        os.truncate(path, 10)
        return status

    cursor = manager.make_cursor(path).use_region(0, 8)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", shrink_afterwards)
        with pytest.raises(FileChangedError):
            cursor.use_region(2 * GRANULE, 8)
    assert (cursor.ofs_begin(), manager.num_file_handles()) == (0, 1)


def test_a_value_error_of_a_file_that_did_not_change_is_passed_on(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a handler, for instance."""
    monkeypatch.setattr(mmap, "mmap", Fault(mmap.mmap, ValueError("of a handler"), at=1))
    with pytest.raises(ValueError, match="of a handler"):
        manager.make_cursor(path).use_region(0, 8)
    assert manager.num_file_handles() == 0


def test_a_path_through_a_link_and_back_is_not_shortened(
    tmp_path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``link/../file`` lies beside the link's target, not beside the link."""
    (tmp_path / "here").mkdir()
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "here" / "link").symlink_to(tmp_path / "far" / "away")
    near, far = (write_pattern(tmp_path / name / "file", GRANULE, seed) for seed, name in enumerate(("here", "far")))
    assert near != far
    monkeypatch.chdir(tmp_path / "here")
    for name in ("link/../file", b"link/../file"):
        assert manager.make_cursor(name).read(0, 16) == far[:16]


class TestDescriptors:
    """Descriptors that the user gave."""

    def test_it_is_duplicated_for_one_mapping_and_never_kept(self, path: Path) -> None:
        """After the user has closed it, what is mapped stays, and the number is nobody's."""
        with SlidingWindowMapManager(GRANULE, reader="pread") as manager, open_descriptor(path) as descriptor:
            manager.make_cursor(descriptor).use_region()
            assert descriptors_of(path) == 1
        with SlidingWindowMapManager(GRANULE) as manager:
            with open_descriptor(path) as descriptor:
                cursor = manager.make_cursor(descriptor).use_region(8, 8)
                os.lseek(descriptor, 5, os.SEEK_SET)
                assert cursor.read(GRANULE, 8) == path.read_bytes()[GRANULE : GRANULE + 8]
                assert os.lseek(descriptor, 0, os.SEEK_CUR) == 5
            assert bytes(cursor.buffer()) == pattern(16, 1)[8:]
            with pytest.raises(OSError, match="Bad file descriptor") as caught:
                cursor.use_region(2 * GRANULE)
            assert caught.value.errno == errno.EBADF
            assert bytes(cursor.buffer()) == pattern(16, 1)[8:]

    def test_a_closed_one_is_ebadf_from_every_use(self, path: Path, manager: SlidingWindowMapManager) -> None:
        """Also when it was closed before ``make_cursor``."""
        with open_descriptor(path) as descriptor:
            before = manager.make_cursor(descriptor)
        numbers = (descriptor, 1 << 20, 1 << 40)
        cursors: list[WindowCursor] = [before, *map(manager.make_cursor, numbers)]
        for cursor in cursors:
            for call in (cursor.use_region, cursor.file_size):
                with pytest.raises(OSError, match="Bad file descriptor") as caught:
                    call()
                assert caught.value.errno == errno.EBADF

    def test_one_that_is_reused_while_it_is_mapped_maps_the_old_file(
        self, path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The duplicate is what is checked and mapped, so another thread that reuses the number changes nothing."""
        other = path.with_name("other")
        write_pattern(other, SIZE, 2)
        real_dup = os.dup
        with open_descriptor(path) as number, open_descriptor(other) as replacement:
            cursor = manager.make_cursor(number)
            assert cursor.file_size() == SIZE

            def reuse_afterwards(descriptor: int) -> int:
                duplicate = real_dup(descriptor)
                os.dup2(replacement, descriptor)
                return duplicate

            with monkeypatch.context() as patch:
                patch.setattr(os, "dup", reuse_afterwards)
                cursor.use_region(8, 8)
            assert bytes(cursor.buffer()) == pattern(16, 1)[8:]
            with pytest.raises(FileChangedError):
                cursor.use_region(GRANULE, 8)

    def test_a_file_without_a_name_is_read_by_descriptor(self, path: Path, manager: SlidingWindowMapManager) -> None:
        """Unlinked while open, it is still there."""
        content = path.read_bytes()
        with open_descriptor(path) as descriptor:
            path.unlink()
            assert manager.make_cursor(descriptor).read(0, SIZE) == content


class TestNoRegularFile:
    """What has no windows is an OSError, at once."""

    def test_a_directory(self, tmp_path: Path, manager: SlidingWindowMapManager) -> None:
        """IsADirectoryError, by path and by descriptor."""
        descriptor = os.open(tmp_path, os.O_RDONLY)
        try:
            for source in (tmp_path, descriptor):
                with pytest.raises(IsADirectoryError):
                    manager.make_cursor(source).use_region()
        finally:
            os.close(descriptor)

    def test_a_pipe_does_not_block(self, tmp_path: Path, manager: SlidingWindowMapManager) -> None:
        """A FIFO without a writer would, if it were opened as usual."""
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="not a regular file"):
            manager.make_cursor(tmp_path / "pipe").use_region()

    def test_a_device(self, manager: SlidingWindowMapManager) -> None:
        """``/dev/null`` has no size."""
        with pytest.raises(OSError, match="not a regular file"):
            manager.make_cursor("/dev/null").use_region()


def test_a_hit_makes_no_system_call(
    path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a cursor has seen its file, moves among mapped windows ask the system nothing."""
    cursor = manager.make_cursor(path)
    for offset in range(0, SIZE, GRANULE):
        cursor.use_region(offset)
    faults = {name: Fault(getattr(os, name)) for name in ("open", "stat", "fstat", "dup", "close")}
    with monkeypatch.context() as patch:
        for name, fault in faults.items():
            patch.setattr(os, name, fault)
        for offset in range(0, SIZE, GRANULE):
            cursor.use_region(offset, 8).buffer()
    assert {name: fault.calls for name, fault in faults.items()} == dict.fromkeys(faults, 0)
