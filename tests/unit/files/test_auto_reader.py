"""``reader="auto"``: windows are maps, and copies where the system refuses to map."""

import errno
import io
import mmap
import os
from pathlib import Path
from typing import Final

import pytest

from fuse_server import Whims, fuse_mount
from isolated import in_mount_namespace
from rewriting import assert_reads, rewrite
from smmap_typed import FileChangedError, SlidingWindowMapManager
from smmap_typed.readers import AutoReader, Reader
from smmap_typed.testing import check_invariants
from support import GRANULE, mapped_bytes_of, pattern, write_pattern

SIZE: Final = 4 * GRANULE


def test_it_is_a_reader() -> None:
    reader: Reader = AutoReader()
    assert not reader.copies


def test_a_file_that_can_be_mapped_is(tmp_path: Path) -> None:
    write_pattern(tmp_path / "file", SIZE)
    with SlidingWindowMapManager(2 * GRANULE, reader="auto") as manager:
        cursor = manager.make_cursor(tmp_path / "file")
        assert_reads(cursor, pattern(SIZE))
        assert mapped_bytes_of(tmp_path / "file") > 0
        assert len(cursor.use_region(0, 5).map()) == 2 * GRANULE
        check_invariants(manager)


@in_mount_namespace
def test_a_file_that_cannot_be_mapped_is_read(tmp_path: Path) -> None:
    """One manager does both, under one set of limits."""
    with fuse_mount(tmp_path, Whims(direct_io=True)) as mount:
        content = pattern(SIZE, 3)
        (mount.behind / "file").write_bytes(content)
        write_pattern(tmp_path / "other", SIZE)
        with SlidingWindowMapManager(2 * GRANULE, max_open_handles=2, reader="auto") as manager:
            cursor, other = manager.make_cursor(mount.path / "file"), manager.make_cursor(tmp_path / "other")
            for _ in range(2):
                assert_reads(cursor, content)
                assert_reads(other, pattern(SIZE))
            with cursor.view(5, 10) as view:
                assert view.readonly
            with pytest.raises(io.UnsupportedOperation, match="use buffer"):
                cursor.use_region(0, 5).map()
            assert cursor.buffer().readonly
            assert other.use_region(0, 5).map()[:5] == pattern(5)
            assert manager.stats().map_failures == 0
            check_invariants(manager)


@in_mount_namespace
def test_copies_are_of_one_state(tmp_path: Path) -> None:
    """As with ``reader="pread"``: a cursor gets no second window of a file that was written to."""
    with fuse_mount(tmp_path, Whims(direct_io=True)) as mount:
        file = mount.behind / "file"
        file.write_bytes(pattern(SIZE))
        with SlidingWindowMapManager(GRANULE, reader="auto") as manager:
            cursor = manager.make_cursor(mount.path / "file").use_region(0, 5)
            content = rewrite(file, 7)
            with pytest.raises(FileChangedError):
                cursor.use_region(2 * GRANULE, 5)
            assert bytes(cursor.buffer()) == pattern(5)
            assert_reads(manager.make_cursor(mount.path / "file"), content)


@in_mount_namespace
def test_the_other_readers_say_what_helps(tmp_path: Path) -> None:
    with fuse_mount(tmp_path, Whims(direct_io=True)) as mount, SlidingWindowMapManager(GRANULE) as manager:
        (mount.behind / "file").write_bytes(pattern(SIZE))
        path = mount.path / "file"
        with pytest.raises(OSError, match=rf'mapping {GRANULE} bytes at offset {GRANULE}; .* reader="auto"') as caught:
            manager.make_cursor(path).use_region(GRANULE, 5)
        assert (caught.value.errno, caught.value.filename) == (errno.ENODEV, str(path))


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EPERM, errno.EINVAL])
def test_another_error_of_mmap_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    write_pattern(tmp_path / "file", SIZE)

    def fail(*_: object, **__: object) -> mmap.mmap:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(mmap, "mmap", fail)
    with SlidingWindowMapManager(GRANULE, reader="auto") as manager, pytest.raises(OSError) as caught:  # noqa: PT011 - its number says it
        manager.make_cursor(tmp_path / "file").use_region(0, 5)
    assert (caught.value.errno, caught.value.filename) == (number, str(tmp_path / "file"))
