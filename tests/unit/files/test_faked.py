"""Faked file systems: who replaces os.open and os.fstat, and no more, gets an error and not a real file's bytes."""

import errno
import os
from pathlib import Path

import pytest

from smmap_typed import SlidingWindowMapManager
from smmap_typed.readers import ReaderName
from support import GRANULE, descriptors_of, pattern, write_pattern


@pytest.mark.parametrize("reader", ["mmap", "pread"])
@pytest.mark.parametrize("number", ["another file's", "nobody's"])
def test_a_descriptor_that_is_not_what_fstat_says_is_refused(
    tmp_path: Path, reader: ReaderName, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pyfakefs does. The manager goes on afterwards."""
    path, other = tmp_path / "file", tmp_path / "other"
    write_pattern(path, 2 * GRANULE)
    write_pattern(other, 2 * GRANULE)
    real, status = os.open, os.stat(path)

    def open_another(_: str, flags: int) -> int:
        return real(other, flags) if number == "another file's" else 1 << 20

    def tell_of_the_file(_: int) -> os.stat_result:
        return status

    def close_nothing(_: int) -> None: ...

    with SlidingWindowMapManager(reader=reader) as manager:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fstat", tell_of_the_file)
            patch.setattr(os, "open", open_another)
            if number == "nobody's":
                patch.setattr(os, "close", close_nothing)
            with pytest.raises(OSError, match="faked") as caught:
                manager.make_cursor(path).read(0, 10)
        assert (caught.value.errno, caught.value.filename) == (errno.ENOTSUP, str(path))
        assert descriptors_of(other) == 0
        assert manager.make_cursor(path).read(0, 10) == pattern(10)


def test_who_only_looks_on_is_not_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced ``os.fstat`` that tells the truth, as tracing has it."""
    write_pattern(tmp_path / "file", 2 * GRANULE)
    real, calls = os.fstat, [0]

    def fstat(descriptor: int) -> os.stat_result:
        calls.append(descriptor)
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", fstat)
    with SlidingWindowMapManager() as manager:
        assert manager.make_cursor(tmp_path / "file").read(0, 10) == pattern(10)
    assert len(calls) > 1
