"""Real scarcity: too few descriptors, too little address space, too many maps. The library makes room, or says why not.

What limits a whole process is tried in an interpreter of its own.
"""

import errno
import mmap
import sys
import weakref
from pathlib import Path
from typing import ClassVar, Self

import pytest
from typing_extensions import override

from faults.fixture import READERS, ReaderName
from smmap_typed import SlidingWindowMapManager
from smmap_typed.testing import check_invariants
from support import DESCRIPTORS_PER_REGION, GRANULE, assert_books_match_kernel, pattern, run_python, write_pattern

# Limits of a process are POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

PROLOGUE = """
import errno, os, resource, sys
from pathlib import Path
from smmap_typed import SlidingWindowMapManager
from smmap_typed.testing import check_invariants

folder, reader, granule = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
paths = sorted(folder.iterdir())
contents = [path.read_bytes() for path in paths]

def limit(what, figure):
    resource.setrlimit(what, (figure, resource.getrlimit(what)[1]))

def opened():
    return len(os.listdir("/proc/self/fd")) - 1

def refused(code, act):
    try:
        act()
    except OSError as error:
        assert error.errno == code, error
    else:
        raise AssertionError("not refused")
"""

FEW_DESCRIPTORS = """
limit(resource.RLIMIT_NOFILE, 32)
before = opened()
with SlidingWindowMapManager(granule, max_open_handles=1000, reader=reader) as manager:
    for path, content in zip(paths * 2, contents * 2):
        for offset in (0, granule):
            assert bytes(manager.make_cursor(path).use_region(offset, 8).buffer()) == content[offset : offset + 8]
        check_invariants(manager)
    stats = manager.stats()
    print(stats.handles, stats.map_failures)
assert opened() == before
"""

FULL_TABLE = """
limit(resource.RLIMIT_NOFILE, 32)
given = os.open(paths[1], os.O_RDONLY)
manager = SlidingWindowMapManager(granule, reader=reader)
by_path, by_descriptor = manager.make_cursor(paths[0]), manager.make_cursor(given)
table = []
try:
    while True:
        table.append(os.open(os.devnull, os.O_RDONLY))
except OSError as error:
    assert error.errno == errno.EMFILE
for cursor in (by_path, by_descriptor):
    refused(errno.EMFILE, cursor.use_region)
    refused(errno.EMFILE, lambda: cursor.read(0, 8))
    refused(errno.EMFILE, lambda: cursor.prefetch(0, 8))
    assert not cursor.is_valid()
assert (manager.num_file_handles(), manager.stats().in_flight) == (0, 0)
# One to open the file, and one that the map may keep.
os.close(table.pop())
os.close(table.pop())
for cursor, content in ((by_path, contents[0]), (by_descriptor, contents[1])):
    assert cursor.use_region().buffer() == content[:granule]
    cursor.unuse_region()
manager.collect()
table.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(2))
refused(errno.EMFILE, manager.make_cursor(paths[2]).use_region)
check_invariants(manager)
print("right")
"""

LITTLE_ADDRESS_SPACE = """
window = 16 << 20
big = folder / "big"
with big.open("wb") as file:
    file.truncate(20 * window)
    for offset in range(0, 20 * window, window):
        file.seek(offset + 5)
        file.write(offset.to_bytes(8, "big"))
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit(resource.RLIMIT_AS, pages * resource.getpagesize() + 5 * window + window // 2)

def read(cursor, offset):
    return bytes(cursor.use_region(offset + 5, 8).buffer()) == offset.to_bytes(8, "big")

with SlidingWindowMapManager(window, reader=reader) as manager:
    cursor = manager.make_cursor(big)
    assert all(read(cursor, offset) for offset in range(0, 20 * window, window))
    failures = manager.stats().map_failures
    cursor.close()
    # Now all are pinned, so there is nothing to evict.
    cursors = [manager.make_cursor(big) for _ in range(20)]
    def pin_all():
        for number, one in enumerate(cursors):
            assert read(one, number * window)
    refused(errno.ENOMEM, pin_all)
    check_invariants(manager)
    pinned = sum(one.is_valid() for one in cursors)
    assert pinned == manager.num_file_handles() and not cursors[pinned].is_valid()
    cursors[0].close()
    assert read(cursors[pinned], pinned * window)
    check_invariants(manager)
    print(failures, pinned)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty files of three granules."""
    for number in range(40):
        write_pattern(tmp_path / f"{number:02}", 3 * GRANULE, number)
    return tmp_path


def run(code: str, folder: Path, reader: ReaderName) -> list[str]:
    """What an interpreter prints that was right."""
    result = run_python(PROLOGUE + code, folder, reader, str(GRANULE))
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return result.stdout.split()


@pytest.mark.parametrize("reader", READERS)
def test_thirty_two_descriptors_are_enough_for_eighty_windows(folder: Path, reader: ReaderName) -> None:
    """The handle limit is beyond what the system allows: its EMFILE evicts some regions, and the call goes on."""
    handles, failures = map(int, run(FEW_DESCRIPTORS, folder, reader))
    if reader == "mmap" and DESCRIPTORS_PER_REGION:
        assert handles < 32
        assert failures >= 80 - handles
    else:
        # No map has a descriptor, and no more than half of what there are is kept.
        assert (handles, failures) == (80, 0)


@pytest.mark.parametrize("reader", READERS)
def test_a_full_descriptor_table_at_first_use_is_an_error_and_no_more(folder: Path, reader: ReaderName) -> None:
    """EMFILE from every kind of use, nothing mapped or left; the same call works as soon as there is room."""
    assert run(FULL_TABLE, folder, reader) == ["right"]


@pytest.mark.parametrize("reader", READERS)
def test_five_windows_of_address_space_are_enough_for_twenty(folder: Path, reader: ReaderName) -> None:
    """RLIMIT_AS: ENOMEM evicts as much as is wanted; with all pinned it is the caller's, and a release mends it."""
    failures, pinned = map(int, run(LITTLE_ADDRESS_SPACE, folder, reader))
    assert failures >= 10
    assert 2 <= pinned <= 5


class CountedMap(mmap.mmap):
    """A map of a system that allows a few of them, as ``vm.max_map_count`` does."""

    allowed = 5
    living: "ClassVar[weakref.WeakSet[CountedMap]]"

    def __new__(cls, fileno: int, length: int, **keywords: bool) -> Self:
        if sum(not counted.closed for counted in cls.living) >= cls.allowed:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        # Offsets are numbers; that a bool is one, too, is all that is true of both.
        made = super().__new__(cls, fileno, length, **keywords)
        cls.living.add(made)
        return made

    @override
    def __hash__(self) -> int:
        return id(self)


@pytest.mark.parametrize("reader", READERS)
def test_a_system_with_five_maps_is_enough_for_eight_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: ReaderName
) -> None:
    """The sixth evicts one that is idle; if none is, it is ENOMEM and the five stay; a release mends it."""
    path = tmp_path / "file"
    content = write_pattern(path, 8 * GRANULE)
    monkeypatch.setattr(CountedMap, "living", weakref.WeakSet[CountedMap](), raising=False)
    monkeypatch.setattr(mmap, "mmap", CountedMap)
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        for offset in range(0, 8 * GRANULE, GRANULE):
            assert manager.make_cursor(path).use_region(offset).buffer() == content[offset : offset + GRANULE]
        stats = manager.stats()
        assert (stats.handles, stats.evictions, stats.map_failures) == (5, 3, 3)
        cursors = [manager.make_cursor(path) for _ in range(6)]
        for number, cursor in enumerate(cursors[:5]):
            cursor.use_region(number * GRANULE)
        with pytest.raises(OSError, match="Cannot allocate memory"):
            cursors[5].use_region(5 * GRANULE)
        assert [cursor.is_valid() for cursor in cursors] == [True] * 5 + [False]
        check_invariants(manager)
        cursors[2].close()
        assert bytes(cursors[5].use_region(5 * GRANULE).buffer()) == pattern(6 * GRANULE)[5 * GRANULE :]
        check_invariants(manager)
        if reader == "mmap":
            assert_books_match_kernel(manager, path)
