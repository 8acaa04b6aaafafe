"""No test here finds anything in the page cache, so that each prefetch is a system call."""

import pytest

from support import forget_the_page_cache


@pytest.fixture(autouse=True)
def nothing_is_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_the_page_cache(monkeypatch)
