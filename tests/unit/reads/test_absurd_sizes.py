"""Reads of more bytes than there is memory fail at once: what is needed is allocated before the first byte is read."""

import errno
import mmap
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Final

import pytest
from typing_extensions import override

from isolated import in_a_child
from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager, WindowCursor
from smmap_typed._types import ReaderName
from smmap_typed.readers import FileState, Reader, Source
from smmap_typed.testing import check_invariants
from support import GRANULE, WindowReader

# Limits of address space are POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

import resource  # noqa: E402 - see above

TERA: Final = 1 << 40
SIZE: Final = 3 * TERA
WINDOW: Final = 16 * GRANULE


class CountingReader(WindowReader):
    """Copies windows, and counts them."""

    copies: ClassVar[bool] = True

    def __init__(self) -> None:
        self.loads = 0

    @override
    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        """See readers.Reader."""
        self.loads += 1
        memory = mmap.mmap(-1, size)
        memory[:] = os.pread(descriptor, size, offset)
        return memory


ABSURD: Final[dict[str, Callable[[WindowCursor], object]]] = {
    "cursor.read": lambda cursor: cursor.read(5, SIZE),
    "cursor.read past the end": lambda cursor: cursor.read(5, 1 << 62),
    "cursor.view": lambda cursor: cursor.view(5, SIZE),
    "a slice": lambda cursor: SlidingWindowMapBuffer(cursor)[5:],
    "a slice with a step": lambda cursor: SlidingWindowMapBuffer(cursor)[::3],
    "a slice backwards": lambda cursor: SlidingWindowMapBuffer(cursor)[::-1],
    "bytes": lambda cursor: bytes(SlidingWindowMapBuffer(cursor)),
    "finditer": lambda cursor: next(SlidingWindowMapBuffer(cursor).finditer(b"x", longest=TERA)),
    "startswith": lambda cursor: SlidingWindowMapBuffer(cursor).startswith((b"x" * GRANULE,)),
}
"""Calls that need terabytes; but for the last, which needs little and must work."""


@pytest.fixture
def sparse(tmp_path: Path) -> Iterator[Path]:
    """A file of three terabytes, without a block."""
    path = tmp_path / "sparse"
    path.touch()
    try:
        os.truncate(path, SIZE)
    except OSError as error:
        if error.errno not in {errno.EFBIG, errno.EINVAL}:
            raise
        pytest.skip("this file system has no files of three terabytes")
    yield path
    path.unlink()


def limit_memory() -> None:
    """Let this process have half a gibibyte more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * mmap.PAGESIZE + (1 << 29), -1))


def assert_refused(manager: SlidingWindowMapManager, act: Callable[[], object]) -> None:
    """MemoryError before anything is read."""
    manager.reset_stats()
    with pytest.raises(MemoryError) as caught:
        act()
    caught.value.with_traceback(None)
    assert manager.stats().detached_reads == 0
    check_invariants(manager)


@pytest.mark.parametrize("populate", [False, True])
@pytest.mark.parametrize("name", [name for name in ABSURD if name != "startswith"])
@in_a_child
def test_a_read_of_more_than_there_is_memory_fails_at_once(
    name: str, reader: ReaderName | Reader, populate: bool, sparse: Path
) -> None:
    limit_memory()
    with SlidingWindowMapManager(WINDOW, reader=reader, populate=populate) as manager:
        cursor = manager.make_cursor(sparse)
        assert_refused(manager, lambda: ABSURD[name](cursor))
        assert not ABSURD["startswith"](cursor)


@pytest.mark.parametrize("name", [name for name in ABSURD if name != "startswith"])
@in_a_child
def test_a_reader_without_positions_loads_no_window_in_vain(name: str, sparse: Path) -> None:
    """But the one that a buffer is on from its beginning."""
    limit_memory()
    reader = CountingReader()
    with SlidingWindowMapManager(WINDOW, reader=reader) as manager:
        cursor = manager.make_cursor(sparse)
        assert_refused(manager, lambda: ABSURD[name](cursor))
        assert reader.loads == (not name.startswith("cursor"))


@pytest.mark.parametrize("size", [-1, SIZE - 9])
@in_a_child
def test_a_file_object_refuses_at_once(size: int, reader: ReaderName | Reader, sparse: Path) -> None:
    limit_memory()
    with SlidingWindowMapManager(WINDOW, reader=reader) as manager, manager.open(sparse) as file:
        assert_refused(manager, lambda: file.read(size))
        file.seek(TERA)
        assert file.read(9) == bytes(9)


@in_a_child
def test_whole_files_are_refused_at_once(reader: ReaderName | Reader, sparse: Path) -> None:
    """No window of this size fits, which is no error of a read by position."""
    limit_memory()
    with SlidingWindowMapManager(0, reader=reader) as manager:
        cursor = manager.make_cursor(sparse)
        assert_refused(manager, lambda: cursor.read(5, SIZE))


@in_a_child
def test_a_populating_manager_reads_no_more_than_it_hands_out(sparse: Path) -> None:
    """A request that its window cuts is brought into memory as far as the window goes; a buffer is no request."""
    with SlidingWindowMapManager(WINDOW, populate=True) as manager:
        cursor = manager.make_cursor(sparse)
        assert cursor.use_region(0, SIZE).size() == WINDOW
        assert len(SlidingWindowMapBuffer(cursor)) == SIZE
