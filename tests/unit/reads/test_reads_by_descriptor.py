"""``reads="pread"``: whatever happens to the file at whatever moment of a read, it gives bytes or an OSError.

A stepper cuts the file between any two lines of the library that a read runs. A read that touched the map afterwards
would be ended by SIGBUS, and the child that runs the test with it.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import pytest

from interrupts import LIBRARY, traced
from isolated import in_a_child
from kinds_of_reads import KINDS, SIZE, WINDOW, Kind, ready
from smmap_typed import FileChangedError, SlidingWindowMapManager, _builtin_readers
from smmap_typed._types import Reads
from smmap_typed.testing import check_invariants
from support import GRANULE, pattern, write_pattern

if TYPE_CHECKING:
    from _typeshed import TraceFunction

# The kernel's advice is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform == "linux"

CONTENT: Final = pattern(SIZE)
MOMENTS: Final = 60
"""About as many moments of each read are tried, spread evenly."""


BUFFERED: Final = {"file.read", "file.readline"}
"""What a file object reads again out of its own buffer, as any ``io.BufferedReader``."""


class Stepper:
    """Counts the lines of the library that run, and calls ``act`` before the one with number ``at``; -1 for none."""

    def __init__(self, at: int = -1, act: Callable[[], object] = lambda: None) -> None:
        self._at: Final = at
        self._act: Final = act
        self.lines = 0

    def trace(self, frame: FrameType, event: str, _: object) -> "TraceFunction | None":
        """See ``sys.settrace``."""
        if not frame.f_code.co_filename.startswith(LIBRARY):
            return None
        if event == "line":
            if self.lines == self._at:
                self._act()
            self.lines += 1
        return self.trace


def assert_bytes_or_error(act: Callable[[], object], wanted: object) -> bool:
    """Whether ``act`` gives what is ``wanted``; else it must raise FileChangedError."""
    try:
        return act() == wanted
    except FileChangedError as error:
        error.with_traceback(None)
        return False


@pytest.mark.pure
@pytest.mark.parametrize("read_before", [True, False])
@pytest.mark.parametrize("name", [
    "cursor.read", "cursor.read of several windows", "cursor.view of several windows", "an index", "a slice",
    "a slice of several windows", "a slice with a step", "find", "rfind", "readinto of a buffer", "bytes", "file.read",
    "file.read of all", "file.readinto",
])  # fmt: skip
@in_a_child
def test_a_file_is_cut_at_any_moment_of_a_read(name: str, read_before: bool, tmp_path: Path) -> None:
    """Also if the bytes were read before and their windows are mapped."""
    kind, path = KINDS[name], tmp_path / "file"

    def run(at: int) -> tuple[int, bool]:
        path.write_bytes(CONTENT)
        with SlidingWindowMapManager(WINDOW, reads="pread") as manager:
            act = ready(kind, manager, path, mapped=True)
            if read_before:
                assert act() == kind.wanted
            stepper = Stepper(at, lambda: os.truncate(path, 0))
            with traced(stepper.trace):
                is_whole = assert_bytes_or_error(act, kind.wanted)
            check_invariants(manager)
        return stepper.lines, is_whole

    lines, is_whole = run(-1)
    assert is_whole
    outcomes = [run(at)[1] for at in range(0, lines, max(lines // MOMENTS, 1))]
    # Cut before the first line it is an error, but for bytes that a file object has copied before.
    assert outcomes[0] == (read_before and name in BUFFERED)


@pytest.mark.parametrize("reads", ["auto", "pread"])
@in_a_child
def test_pages_that_the_kernel_has_dropped_are_read_again(kind: Kind, reads: Reads, tmp_path: Path) -> None:
    """What was noted is a hint: a wrong one gives no wrong byte."""
    path = tmp_path / "file"
    write_pattern(path, SIZE)
    with SlidingWindowMapManager(WINDOW, reads=reads) as manager, open(path, "rb") as file:
        act = ready(kind, manager, path, mapped=True)
        os.fsync(file.fileno())
        for _ in range(3):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            assert act() == kind.wanted
        check_invariants(manager)


@pytest.mark.parametrize("name", sorted(KINDS.keys() - BUFFERED))
@in_a_child
def test_a_file_that_is_cut_after_its_bytes_were_read(name: str, tmp_path: Path) -> None:
    """Each time, and while the windows are mapped: the marks are not trusted."""
    kind, path = KINDS[name], tmp_path / "file"
    write_pattern(path, SIZE)
    with SlidingWindowMapManager(WINDOW, reads="pread") as manager:
        act = ready(kind, manager, path, mapped=True)
        for _ in range(3):
            assert act() == kind.wanted
        os.truncate(path, 0)
        for _ in range(2):
            with pytest.raises(FileChangedError, match="ends at 0 bytes"):
                act()
        check_invariants(manager)
        # And it is there again.
        write_pattern(path, SIZE)
        assert act() == kind.wanted


@pytest.mark.pure
def test_more_than_one_call_reads_is_read_by_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of 2 GiB and more, which Linux never reads at once; here it is told that a granule is the most."""
    monkeypatch.setattr(_builtin_readers, "_MOST_AT_ONCE", GRANULE)
    path = tmp_path / "file"
    write_pattern(path, 8 * GRANULE)
    with SlidingWindowMapManager(2 * GRANULE, reads="pread") as manager:
        assert manager.make_cursor(path).read(5, 7 * GRANULE) == pattern(7 * GRANULE, offset=5)
