"""Block devices: their size is asked by lseek, and everything else is as for a file."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from loop_devices import loop_device
from rewriting import ReaderName, assert_reads
from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager, StaticWindowMapManager
from smmap_typed.testing import check_invariants
from support import GRANULE, open_descriptor, pattern

SIZE: Final = 256 * 1024 + 512
"""Bytes, of whole sectors and not of whole pages."""


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    image = tmp_path / "image"
    image.write_bytes(pattern(SIZE))
    with loop_device(image) as device:
        yield device


def test_a_block_device_is_read_like_a_file(device: Path, reader: ReaderName) -> None:
    with SlidingWindowMapManager(2 * GRANULE, reader=reader) as manager:
        cursor = manager.make_cursor(device)
        assert_reads(cursor, pattern(SIZE))
        assert cursor.use_region(SIZE - 5, 10).size() == 5
        assert bytes(SlidingWindowMapBuffer(cursor, 7)) == pattern(SIZE)[7:]
        with manager.open(device) as file:
            assert file.seek(-3, os.SEEK_END) == SIZE - 3
            assert file.read() == pattern(SIZE)[-3:]
        check_invariants(manager)
    with StaticWindowMapManager(reader=reader) as manager:
        assert manager.make_cursor(device).use_region().size() == SIZE


def test_a_device_given_by_a_descriptor_stays_where_it_is(device: Path, reader: ReaderName) -> None:
    with SlidingWindowMapManager(2 * GRANULE, reader=reader) as manager, open_descriptor(device) as number:
        os.lseek(number, 77, os.SEEK_SET)
        assert_reads(manager.make_cursor(number), pattern(SIZE))
        assert os.lseek(number, 0, os.SEEK_CUR) == 77


def test_a_device_whose_descriptor_can_only_be_duplicated(
    device: Path, reader: ReaderName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where no /proc is mounted: a duplicate shares the position, which is put back."""
    monkeypatch.setattr("smmap_typed._builtin_readers.PATH_FLAGS", 0)
    with SlidingWindowMapManager(2 * GRANULE, reader=reader) as manager, open_descriptor(device) as number:
        os.lseek(number, 77, os.SEEK_SET)
        assert manager.make_cursor(number).read(SIZE - 3, 9) == pattern(SIZE)[-3:]
        assert os.lseek(number, 0, os.SEEK_CUR) == 77


def test_a_new_cursor_reads_what_was_written_to_the_device(device: Path, reader: ReaderName) -> None:
    """The kernel sets the times of the name that was written by."""
    with SlidingWindowMapManager(2 * GRANULE, reader=reader) as manager:
        assert manager.make_cursor(device).read(0, 3) == pattern(3)
        with device.open("r+b", buffering=0) as file:
            file.write(b"new")
        assert manager.make_cursor(device).read(0, 3) == b"new"
