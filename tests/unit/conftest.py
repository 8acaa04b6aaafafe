"""Fixtures that most unit tests share; a file whose subject wants other sizes has its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smmap_typed import SlidingWindowMapManager
from support import GRANULE, forget_the_page_cache, write_pattern


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of eight granules."""
    path = tmp_path / "file"
    write_pattern(path, 8 * GRANULE)
    return path


@pytest.fixture
def manager() -> Iterator[SlidingWindowMapManager]:
    """Windows of two granules."""
    with SlidingWindowMapManager(2 * GRANULE) as manager:
        yield manager


@pytest.fixture
def nothing_is_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    """``prefetch`` asks the kernel each time."""
    forget_the_page_cache(monkeypatch)
