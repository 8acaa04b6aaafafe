"""Whether a map is viewed, where the system can tell."""

import mmap
from typing import cast

from smmap_typed._platform import has_views
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
