"""What the system tells: whether a map is viewed, how many maps there may be, and what is on an overlay."""

import mmap
import sys
from pathlib import Path
from typing import cast

import pytest

from smmap_typed import _platform
from smmap_typed._platform import has_views, map_limit
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


def test_what_proc_does_not_tell_is_on_no_overlay() -> None:
    """As where /proc is not mounted."""
    if sys.platform == "linux":
        assert not _platform._is_on_overlay(-1)
