"""pyfakefs: it fakes neither os.pread nor mmap, so a faked file is refused, and never another file's bytes are read."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pyfakefs.fake_filesystem_unittest import Patcher

from smmap_typed import COMPILED, SlidingWindowMapBuffer, SlidingWindowMapManager
from smmap_typed.readers import ReaderName
from support import GRANULE, pattern, write_pattern


@pytest.mark.parametrize("reader", ["mmap", "pread"])
def test_a_faked_file_is_refused_and_no_real_one_is_read_for_it(tmp_path: Path, reader: ReaderName) -> None:
    """The number that pyfakefs gives out is that of a real file, too, of the same size."""
    write_pattern(tmp_path / "real", 2 * GRANULE)
    opened = [os.open(tmp_path / "real", os.O_RDONLY) for _ in range(20)]
    try:
        with Patcher() as patcher, SlidingWindowMapManager(reader=reader) as manager:
            assert patcher.fs is not None
            patcher.fs.create_file("/faked", contents=b"F" * 2 * GRANULE)
            acts: tuple[Callable[[], bytes], ...] = (
                lambda: manager.make_cursor("/faked").read(0, 10),
                lambda: manager.make_cursor("/faked").use_region(0, 10).buffer().tobytes(),
                lambda: SlidingWindowMapBuffer(manager.make_cursor("/faked"))[:10],
                lambda: manager.open("/faked").read(10),
            )
            for act in acts:
                with pytest.raises(OSError, match="/faked") as caught:
                    act()
                # Compiled code has the real os, for which there is no such file.
                assert caught.value.errno == (errno.ENOENT if COMPILED else errno.ENOTSUP)
            assert manager.num_file_handles() == 0
    finally:
        for descriptor in opened:
            os.close(descriptor)


@pytest.mark.parametrize("reader", ["mmap", "pread"])
def test_real_files_are_read_before_and_after(tmp_path: Path, reader: ReaderName) -> None:
    """And what is mapped stays so meanwhile."""
    write_pattern(tmp_path / "real", 2 * GRANULE)
    with SlidingWindowMapManager(reader=reader) as manager:
        cursor = manager.make_cursor(tmp_path / "real").use_region(0, 10)
        with Patcher():
            assert cursor.buffer().tobytes() == pattern(10)
        assert manager.make_cursor(tmp_path / "real").read(0, 10) == pattern(10)
