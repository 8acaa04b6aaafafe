"""Interrupts: a handler that strikes at any line of the library and calls it again, in the same thread.

A trace function stands for the handler: it runs where a signal handler or a finaliser may run, at a line of our choice.
"""

import copy
import gc
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import pytest

from interrupts import LIBRARY
from smmap_typed import (
    HandleLimitError,
    ReentrantCallError,
    SlidingWindowMapBuffer,
    SlidingWindowMapManager,
    WindowCursor,
)
from support import GRANULE, assert_books_match_kernel, write_pattern

if TYPE_CHECKING:
    from _typeshed import TraceFunction


def lines_until(act: Callable[[], None], handler: Callable[[], None], at: int) -> int:
    """Run ``act``, with ``handler`` called at the line of the library with number ``at``; how many lines there were."""
    lines = 0

    def trace(frame: FrameType, event: str, _: object) -> "TraceFunction | None":
        nonlocal lines
        if not frame.f_code.co_filename.startswith(LIBRARY):
            return None
        if event == "line":
            lines += 1
            if lines == at:
                handler()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return lines


class Fixture:
    """A manager at its handle limit, and what is done in it, inside and outside of the handler."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.content = content
        self.manager = SlidingWindowMapManager(GRANULE, max_open_handles=4)
        self.new: Callable[[], WindowCursor] = lambda: self.manager.make_cursor(path)
        self.standing = self.new().use_region(0)
        self.leaving = self.new().use_region(GRANULE)
        self.new().use_region(2 * GRANULE).use_region(3 * GRANULE)

    def read(self, cursor: WindowCursor, granule: int) -> None:
        """Read a few bytes of one window; they must be right."""
        offset = granule * GRANULE + 3
        assert bytes(cursor.use_region(offset, 9).buffer()) == self.content[offset : offset + 9]

    def work(self) -> None:
        """What is interrupted: a miss that evicts, a hit, a release, a collection, questions."""
        self.read(self.new(), 5)
        self.read(self.new(), 0)
        self.manager.stats()
        self.manager.collect()

    def handle(self) -> None:
        """What always works: a hit, a release, a collection, questions."""
        self.read(self.standing, 0)
        self.leaving.close()
        self.manager.collect()
        assert 1 <= self.manager.num_file_handles() <= 4
        self.manager.stats()

    def handle_with_a_miss(self) -> None:
        """What works or is refused at once: a new map."""
        try:
            self.read(self.new(), 6)
        except (ReentrantCallError, HandleLimitError):
            return

    def browse(self) -> None:
        """More that is interrupted: copies, a buffer over windows, long reads, views, limits."""
        cursor = self.new()
        self.read(cursor, 4)
        twin = copy.copy(cursor)
        with SlidingWindowMapBuffer(twin, 3) as buffer:
            assert buffer[5:9] == self.content[8:12]
            assert buffer[2 * GRANULE : 4 * GRANULE] == self.content[2 * GRANULE + 3 : 4 * GRANULE + 3]
        view = twin.view(5 * GRANULE, 9)
        cursor.prefetch(0, GRANULE)
        self.manager.configure(max_open_handles=4)
        assert bytes(view) == self.content[5 * GRANULE : 5 * GRANULE + 9]

    def handle_with_everything(self) -> None:
        """A collector that finds a cursor in a cycle, whose finaliser does what always works, and then a miss."""
        Cycle(self)
        gc.collect(0)
        self.handle_with_a_miss()


class Cycle:
    """Garbage that only the collector finds."""

    def __init__(self, fixture: Fixture) -> None:
        self.me = self
        self.fixture = fixture
        self.cursor = copy.copy(fixture.standing)

    def __del__(self) -> None:
        self.fixture.handle()


@pytest.mark.pure
@pytest.mark.parametrize(
    ("work", "handler"),
    [
        (Fixture.work, Fixture.handle),
        (Fixture.work, Fixture.handle_with_a_miss),
        (Fixture.browse, Fixture.handle_with_everything),
    ],
    ids=["what always works", "a miss", "everything"],
)
def test_a_handler_at_any_line_never_waits_and_breaks_nothing(
    tmp_path: Path, work: Callable[[Fixture], None], handler: Callable[[Fixture], None]
) -> None:
    """Wherever it strikes: right bytes on both sides, true books, and nothing is left when all is released."""
    path = tmp_path / "file"
    content = write_pattern(path, 8 * GRANULE)
    at, lines = 0, 0
    while lines >= at:
        at += 1
        fixture = Fixture(path, content)
        lines = lines_until(partial(work, fixture), partial(handler, fixture), at)
        assert_books_match_kernel(fixture.manager, path)
        assert fixture.manager.num_file_handles() <= 4
        fixture.standing.close()
        fixture.leaving.close()
        fixture.manager.collect()
        assert_books_match_kernel(fixture.manager, path)
        assert fixture.manager.num_file_handles() == 0
    assert at > 50
