"""What the system tells: whether a map is viewed, how many maps there may be, and which file system has a file."""

import mmap
import os
import sys
from pathlib import Path
from typing import cast

import pytest

from smmap_typed import _platform
from smmap_typed._platform import file_system, has_views, keeps_pages, map_limit
from support import GRANULE


def test_a_view_is_seen_as_long_as_it_lives() -> None:
    with mmap.mmap(-1, GRANULE) as mapping:
        assert not has_views(mapping)
        with memoryview(mapping):
            assert has_views(mapping)
        assert not has_views(mapping)
        assert len(mapping) == GRANULE


def test_without_resize_nobody_can_tell() -> None:
    """As where the C library cannot change the size of a map."""
    assert not has_views(cast("mmap.mmap", memoryview(b"")))


@pytest.mark.parametrize("content", [None, b"many"])
def test_without_a_number_of_maps_there_is_no_limit(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where /proc is not mounted, or shows something else."""
    if content is not None:
        (tmp_path / "count").write_bytes(content)
    monkeypatch.setattr(_platform, "_MAP_COUNT", str(tmp_path / "count"))
    assert map_limit() == sys.maxsize


def test_what_proc_does_not_tell_has_no_type() -> None:
    """As where /proc is not mounted."""
    assert not file_system(-1, 0)


@pytest.mark.parametrize("kind", ["fuseblk", "fuse.sshfs", "9p", "ext4", "overlay", ""])
def test_which_file_systems_keep_pages(kind: str) -> None:
    assert keeps_pages(kind) == (kind in {"ext4", "overlay", ""})


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked")
def test_a_file_system_on_a_block_device_has_a_type(tmp_path: Path) -> None:
    """Its driver can be a FUSE server, which keeps no pages."""
    path = tmp_path / "file"
    path.touch()
    with path.open("rb") as file:
        kind = file_system(file.fileno(), os.fstat(file.fileno()).st_dev)
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    assert kind in {fields[2] for fields in mounts if path.is_relative_to(fields[1])}
