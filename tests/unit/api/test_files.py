"""Which file is which: its inode, size, both times and name, on the descriptor that is mapped.

smmap's defects in this field are in test_defects_files.py.
"""

import errno
import fcntl
import mmap
import operator
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smmap_typed import FileChangedError, SlidingWindowMapManager, WindowCursor
from support import (
    GRANULE,
    Fault,
    assert_books_match_kernel,
    close_proc,
    descriptors_of,
    open_descriptor,
    pattern,
    release_descriptors,
    write_pattern,
)

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


@pytest.mark.parametrize("kept", [True, False], ids=["by the kept descriptor", "opened anew"])
def test_another_modification_time_alone_stops_no_old_cursor(
    path: Path, manager: SlidingWindowMapManager, *, kept: bool
) -> None:
    """Git refreshes it on live packs: old cursors map on; new ones share nothing with them, and free what is idle."""
    content = path.read_bytes()
    old = manager.make_cursor(path).use_region(0, 8)
    os.utime(path, ns=(5, 5))
    if not kept:
        release_descriptors(manager)
    assert bytes(old.use_region(GRANULE, 8).buffer()) == content[GRANULE : GRANULE + 8]
    assert manager.num_file_handles() == 2
    new = manager.make_cursor(path).use_region(GRANULE, 8)
    assert bytes(new.buffer()) == bytes(old.buffer())
    assert new.region() != old.region()
    # The one at the file's beginning was idle.
    assert (manager.num_open_files(), manager.num_file_handles()) == (2, 2)
    assert [region.window.offset for region in manager.regions()] == [GRANULE, GRANULE]
    assert bytes(old.use_region(2 * GRANULE, 8).buffer()) == content[2 * GRANULE : 2 * GRANULE + 8]
    assert bytes(new.use_region(0, 8).buffer()) == content[:8]
    assert_books_match_kernel(manager, path)


def test_equal_states_share_regions(path: Path, manager: SlidingWindowMapManager) -> None:
    first = manager.make_cursor(path).use_region(GRANULE, 8)
    assert manager.make_cursor(path).use_region(GRANULE, 8).region() is first.region()


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
    """From then on the cursor reads that one, by the descriptor that is kept, and without it refuses another one."""
    content = path.read_bytes()
    cursor = manager.make_cursor(path)
    operator.methodcaller(first_use, 0, 8)(cursor)
    replace(path)
    assert cursor.read(GRANULE, 8) == content[GRANULE : GRANULE + 8]
    release_descriptors(manager)
    with pytest.raises(FileChangedError, match="inode"):
        cursor.use_region(2 * GRANULE, 8)


def test_a_changed_file_is_an_oserror_that_names_it(path: Path, manager: SlidingWindowMapManager) -> None:
    """Errno ESTALE, the absolute path, and the reason; nothing stays open but what is kept."""
    cursor = manager.make_cursor(path)
    assert cursor.file_size() == SIZE
    os.truncate(path, 10)
    with pytest.raises(FileChangedError) as caught:
        cursor.use_region(0)
    assert isinstance(caught.value, OSError)
    assert (caught.value.errno, caught.value.filename) == (errno.ESTALE, str(path))
    assert "make a new" in str(caught.value)
    assert (manager.num_file_handles(), descriptors_of(path)) == (0, manager.stats().kept_descriptors)
    release_descriptors(manager)
    with pytest.raises(FileChangedError, match="it has 10 bytes now"):
        cursor.use_region(0)
    assert (manager.num_file_handles(), descriptors_of(path)) == (0, 0)


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
    release_descriptors(manager)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", shrink_afterwards)
        with pytest.raises(FileChangedError):
            cursor.use_region(2 * GRANULE, 8)
    assert (cursor.ofs_begin(), manager.num_file_handles()) == (0, 1)


def test_a_file_that_shrank_is_a_changed_file_by_the_kept_descriptor_too(
    path: Path, manager: SlidingWindowMapManager
) -> None:
    """Where the window that is needed is not there any more."""
    cursor = manager.make_cursor(path).use_region(0, 8)
    os.truncate(path, 10)
    assert manager.stats().kept_descriptors == 1
    with pytest.raises(FileChangedError, match="bytes now"):
        cursor.use_region(2 * GRANULE, 8)
    assert (cursor.ofs_begin(), manager.num_file_handles(), manager.stats().kept_descriptors) == (0, 1, 1)


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


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no working directory")
def test_a_relative_path_in_a_deleted_working_directory(
    manager: SlidingWindowMapManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An OSError with the name, as that of the builtin open."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for name in ("file", b"file"):
        for act in (manager.make_cursor, manager.open):
            with pytest.raises(FileNotFoundError) as caught:
                act(name)
            assert caught.value.filename == name


class TestDescriptors:
    """Descriptors that the user gave."""

    def test_it_is_duplicated_and_the_duplicate_is_kept(self, path: Path) -> None:
        """After the user has closed it, what is mapped stays, and more is mapped as long as the duplicate is kept."""
        with SlidingWindowMapManager(GRANULE, reader="pread") as manager, open_descriptor(path) as descriptor:
            manager.make_cursor(descriptor).use_region()
            assert descriptors_of(path) == 1 + manager.stats().kept_descriptors == 2
        with SlidingWindowMapManager(GRANULE) as manager:
            with open_descriptor(path) as low:
                # A number that nothing else gets meanwhile.
                descriptor = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 500)
                cursor = manager.make_cursor(descriptor).use_region(8, 8)
                os.lseek(descriptor, 5, os.SEEK_SET)
                assert cursor.read(GRANULE, 8) == path.read_bytes()[GRANULE : GRANULE + 8]
                assert os.lseek(descriptor, 0, os.SEEK_CUR) == 5
                os.close(descriptor)
            assert bytes(cursor.buffer()) == pattern(16, 1)[8:]
            assert cursor.read(3 * GRANULE, 8) == path.read_bytes()[3 * GRANULE : 3 * GRANULE + 8]
            release_descriptors(manager)
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

    @pytest.mark.parametrize("call", ["open", "dup"])
    def test_one_that_is_reused_while_it_is_mapped_maps_the_old_file(
        self, path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        """The duplicate is what is checked and mapped, so another thread that reuses the number changes nothing.

        Where there is ``/proc`` it is opened by its name there.
        """
        other = path.with_name("other")
        write_pattern(other, SIZE, 2)
        with open_descriptor(path) as number, open_descriptor(other) as replacement:
            cursor = manager.make_cursor(number)
            assert cursor.file_size() == SIZE
            release_descriptors(manager)
            with monkeypatch.context() as patch:
                if call == "dup":
                    close_proc(patch)
                real: Callable[..., int] = getattr(os, call)

                def reuse_afterwards(*arguments: object) -> int:
                    duplicate = real(*arguments)
                    os.dup2(replacement, number)
                    return duplicate

                patch.setattr(os, call, reuse_afterwards)
                cursor.use_region(8, 8)
            assert bytes(cursor.buffer()) == pattern(16, 1)[8:]
            assert cursor.read(2 * GRANULE, 8) == pattern(SIZE, 1)[2 * GRANULE :][:8]
            release_descriptors(manager)
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
        with pytest.raises(OSError, match="neither a regular file nor a block device"):
            manager.make_cursor(tmp_path / "pipe").use_region()

    def test_a_device(self, manager: SlidingWindowMapManager) -> None:
        """``/dev/null`` has no size."""
        with pytest.raises(OSError, match="neither a regular file nor a block device"):
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
