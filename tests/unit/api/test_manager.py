"""The managers: their arguments, their figures, and how they end.

Limits are in test_limits.py, statistics in test_stats.py.
"""

import mmap
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

import pytest

from smmap_typed import (
    CursorInvalidError,
    HandleLimitError,
    ManagerClosedError,
    MemoryLimitError,
    RegionUnmappedError,
    SlidingWindowMapBuffer,
    SlidingWindowMapManager,
    StaticWindowMapManager,
)
from smmap_typed.readers import FileState, MmapReader, Source
from support import GRANULE, assert_books_match_kernel, descriptors_of, mapped_bytes_of, open_descriptor, write_pattern

MIB = 1024 * 1024

ManagerClass: TypeAlias = type[SlidingWindowMapManager] | type[StaticWindowMapManager]

both = pytest.mark.parametrize("manager_class", [SlidingWindowMapManager, StaticWindowMapManager])


def make(manager_class: ManagerClass, name: str, value: int) -> StaticWindowMapManager:
    """A manager with one argument of interest."""
    given = {"window_size": 0, "max_memory_size": 0, "max_open_handles": 1, name: value}
    return manager_class(given["window_size"], given["max_memory_size"], given["max_open_handles"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of four granules."""
    path = tmp_path / "file"
    write_pattern(path, 4 * GRANULE)
    return path


def test_defaults_are_those_of_smmap_on_64_bit() -> None:
    """1 GiB windows (1 MiB when they are read whole), 8 GiB of memory; ``test_room.py`` has the handle limit."""
    sliding, static = SlidingWindowMapManager(), StaticWindowMapManager()
    assert (sliding.window_size(), static.window_size()) == (1024 * MIB, 0)
    assert SlidingWindowMapManager(reader="pread").window_size() == MIB
    for manager in (sliding, static):
        assert manager.max_mapped_memory_size() == 8192 * MIB
        assert (manager.num_file_handles(), manager.num_open_files(), manager.mapped_memory_size()) == (0, 0, 0)


@pytest.mark.parametrize(
    ("given", "reported"),
    [(0, 0), (1, GRANULE), (GRANULE, GRANULE), (GRANULE + 1, 2 * GRANULE), (16 * GRANULE, 16 * GRANULE)],
)
def test_the_window_size_is_reported_as_rounded(given: int, reported: int) -> None:
    """Up to whole granules; 0 stays 0; the static manager always says 0."""
    assert SlidingWindowMapManager(given).window_size() == reported
    assert StaticWindowMapManager(given).window_size() == 0


@both
@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("window_size", -2, "-1 for the default, 0 for whole files, or positive"),
        ("max_memory_size", -1, "0 for the default, or positive"),
        ("max_open_handles", 0, "at least 1"),
        ("max_open_handles", -1, "at least 1"),
    ],
)
def test_a_number_out_of_range_is_refused(manager_class: ManagerClass, name: str, value: int, rule: str) -> None:
    """A ValueError that names the argument, the rule and the value."""
    with pytest.raises(ValueError, match=f"{name} must be {rule}, got {value}"):
        make(manager_class, name, value)


@both
@pytest.mark.parametrize("name", ["window_size", "max_memory_size", "max_open_handles"])
@pytest.mark.parametrize("value", [1.5, "1", None, 4096.0, True], ids=repr)
def test_what_is_no_integer_is_refused(manager_class: ManagerClass, name: str, value: int) -> None:
    """A TypeError that names the argument and the type, for each argument; also from ``configure``."""
    with pytest.raises(TypeError, match=f"{name} must be an integer, got {type(value).__name__}"):
        make(manager_class, name, value)
    if name != "window_size":
        manager = manager_class(GRANULE)
        with pytest.raises(TypeError, match=f"{name} must be an integer, got {type(value).__name__}"):
            manager.configure(**{name: value})


def test_a_class_is_no_reader() -> None:
    """Though it has all the members that its instances have."""
    with pytest.raises(TypeError, match=r"an object with copies, identify, open and load .*, got <class .*MmapReader"):
        StaticWindowMapManager(reader=MmapReader)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("reader", ["readv", "", "MMAP"])
def test_an_unknown_reader_is_refused(reader: Literal["mmap", "pread"]) -> None:
    """A ValueError with the names that there are."""
    with pytest.raises(ValueError, match=f'reader must be "mmap", "pread" or "auto", got {reader!r}'):
        StaticWindowMapManager(reader=reader)


class ObservedReader:
    """A reader of the user's own: one of the library's, that notes what it loads."""

    copies: ClassVar[bool] = False

    def __init__(self) -> None:
        self._real = MmapReader()
        self.loaded: list[tuple[int, int]] = []

    def identify(self, source: Source) -> FileState:
        return self._real.identify(source)

    def open(self, source: Source, seen: FileState, flags: int) -> int:
        return self._real.open(source, seen, flags)

    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        self.loaded.append((offset, size))
        return self._real.load(descriptor, source, seen, offset, size)


def test_a_reader_of_ones_own_brings_the_windows(path: Path) -> None:
    reader = ObservedReader()
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        assert manager.make_cursor(path).read(GRANULE + 5, 10) == path.read_bytes()[GRANULE + 5 : GRANULE + 15]
    assert reader.loaded == [(GRANULE, GRANULE)]


def test_what_is_no_reader_is_refused() -> None:
    words = r"or an object with copies, identify, open and load \(smmap_typed.readers\), got <object"
    with pytest.raises(TypeError, match=words):
        SlidingWindowMapManager(reader=object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # must not work


@pytest.mark.parametrize(
    "given", [None, 1.5, object(), ["file"], True], ids=["None", "float", "object", "list", "bool"]
)
def test_what_is_no_path_is_refused(given: str) -> None:
    """A TypeError from ``make_cursor`` with the type."""
    with pytest.raises(TypeError, match=r"path_or_fd must be .*, got (a )?" + type(given).__name__):
        StaticWindowMapManager().make_cursor(given)


def test_make_cursor_reads_nothing(tmp_path: Path) -> None:
    """A missing file is no error before the first use."""
    manager = StaticWindowMapManager()
    cursor = manager.make_cursor(tmp_path / "missing")
    assert not cursor.is_valid()
    assert cursor.is_associated()
    with pytest.raises(FileNotFoundError):
        cursor.file_size()
    write_pattern(tmp_path / "missing", 10)
    assert cursor.file_size() == 10


def test_the_figures_follow_what_is_mapped(path: Path, tmp_path: Path) -> None:
    """Handles count regions, open files count files, bytes are real: the last window ends with the file."""
    other = tmp_path / "other"
    write_pattern(other, GRANULE + 10)
    with SlidingWindowMapManager(GRANULE) as manager:
        cursors = [manager.make_cursor(path).use_region(offset) for offset in (0, GRANULE)]
        cursors.append(manager.make_cursor(other).use_region(GRANULE))
        assert (manager.num_file_handles(), manager.num_open_files()) == (3, 2)
        assert manager.mapped_memory_size() == 2 * GRANULE + 10
        assert manager.collect() == 0
        del cursors[0]
        assert manager.num_file_handles() == 3
        assert manager.collect() == 1
        assert (manager.num_file_handles(), manager.mapped_memory_size()) == (2, GRANULE + 10)


def test_collect_returns_the_number_of_regions_and_spares_the_pinned(path: Path) -> None:
    """What is idle goes; what a cursor or a view uses stays, and goes with the first ``collect`` after."""
    with SlidingWindowMapManager(GRANULE) as manager:
        cursor = manager.make_cursor(path)
        for offset in range(0, 4 * GRANULE, GRANULE):
            cursor.use_region(offset)
        view = manager.make_cursor(path).use_region(0).buffer()
        assert manager.collect() == 2
        assert manager.collect() == 0
        cursor.close()
        assert manager.collect() == 1
        view.release()
        assert manager.collect() == 1
        assert_books_match_kernel(manager, path)


def test_its_representation_says_what_is_used_and_what_is_unlimited(path: Path) -> None:
    with SlidingWindowMapManager(GRANULE, 5 * GRANULE, 7) as manager:
        manager.make_cursor(path).use_region()
        assert repr(manager) == f"<SlidingWindowMapManager: 1 of 7 handles, {GRANULE} of {5 * GRANULE} bytes>"
    with StaticWindowMapManager(0, sys.maxsize) as manager:
        assert repr(manager).endswith(", 0 bytes, unlimited>")


class TestClose:
    """``close()`` and the end of a ``with`` block."""

    def test_idle_regions_go_at_once_and_pinned_ones_with_their_cursor(self, path: Path) -> None:
        """The cursor's next call or its drop lets its region go."""
        manager = SlidingWindowMapManager(GRANULE)
        asked = manager.make_cursor(path).use_region(0)
        dropped = manager.make_cursor(path).use_region(GRANULE)
        manager.make_cursor(path).use_region(2 * GRANULE)
        manager.close()
        assert mapped_bytes_of(path) <= 2 * GRANULE
        assert not asked.is_valid()
        del dropped
        assert manager.num_file_handles() == 0
        assert_books_match_kernel(manager, path)

    def test_a_live_view_stays_readable_and_its_end_frees_the_region(self, path: Path) -> None:
        """No map and no descriptor is left after the last view."""
        manager = SlidingWindowMapManager(GRANULE)
        cursor = manager.make_cursor(path).use_region(GRANULE, 100)
        view = cursor.buffer()
        manager.close()
        del cursor
        assert manager.num_file_handles() == 1
        assert bytes(view) == path.read_bytes()[GRANULE : GRANULE + 100]
        view.release()
        del view
        assert (mapped_bytes_of(path), descriptors_of(path)) == (0, 0)
        assert manager.num_file_handles() == 0

    def test_cursors_and_regions_say_that_the_manager_was_closed(self, path: Path) -> None:
        """They are invalid, and the error names the cause."""
        manager = StaticWindowMapManager()
        cursor = manager.make_cursor(path).use_region()
        region = cursor.region()
        assert region is not None
        manager.close()
        with pytest.raises(CursorInvalidError, match="manager was closed"):
            cursor.buffer()
        assert (cursor.is_valid(), cursor.size(), cursor.region(), region.client_count()) == (False, 0, None, 0)
        with pytest.raises(RegionUnmappedError, match="manager was closed"):
            region.buffer()

    def test_queries_still_answer(self, path: Path) -> None:
        """Also ``stats``, ``collect``, and ``close`` once more."""
        manager = SlidingWindowMapManager(GRANULE, 5 * GRANULE, 7)
        manager.make_cursor(path).use_region()
        for _ in range(2):
            manager.close()
        assert (manager.num_file_handles(), manager.num_open_files(), manager.mapped_memory_size()) == (0, 0, 0)
        assert (manager.window_size(), manager.max_mapped_memory_size()) == (GRANULE, 5 * GRANULE)
        assert (manager.max_file_handles(), manager.collect()) == (7, 0)
        assert (manager.stats().maps, manager.stats().unmaps) == (1, 1)
        assert "closed" in repr(manager)
        manager.reset_stats()

    def test_what_would_map_or_pin_is_refused(self, path: Path) -> None:
        """ManagerClosedError from every such call, for cursors of before too, and nothing is opened."""
        manager = SlidingWindowMapManager(GRANULE)
        cursor = manager.make_cursor(path).use_region()
        buffer = SlidingWindowMapBuffer(cursor)
        manager.close()
        calls: list[Callable[[], object]] = [
            lambda: manager.make_cursor(path),
            lambda: manager.configure(max_open_handles=5),
            lambda: cursor.use_region(0, 5),
            lambda: cursor.use_region(GRANULE, 5),
            lambda: cursor.view(0, 5),
            lambda: cursor.read(0, 5),
            lambda: cursor.prefetch(0, 5),
            lambda: buffer[0],
            lambda: buffer[0:5],
            lambda: SlidingWindowMapBuffer(cursor),
        ]
        for call in calls:
            with pytest.raises(ManagerClosedError, match="make a new one"):
                call()
        assert (mapped_bytes_of(path), descriptors_of(path)) == (0, 0)

    def test_a_with_block_closes_after_an_error_too(self, path: Path) -> None:
        """The error passes through."""

        def fail(manager: StaticWindowMapManager) -> None:
            with manager:
                manager.make_cursor(path).use_region()
                raise KeyError

        manager = StaticWindowMapManager()
        with pytest.raises(KeyError):
            fail(manager)
        assert (mapped_bytes_of(path), manager.num_file_handles()) == (0, 0)
        with pytest.raises(ManagerClosedError):
            manager.make_cursor(path)


class TestConfigure:
    """``configure``, which shrinks at once or changes nothing."""

    def test_lower_limits_evict_the_least_recently_used_at_once(self, path: Path) -> None:
        """Just enough goes, oldest first; the other limit stays."""
        with SlidingWindowMapManager(GRANULE, 8 * GRANULE, 8) as manager:
            for offset in (2, 0, 3, 1):
                manager.make_cursor(path).use_region(offset * GRANULE)
            manager.configure(max_open_handles=3)
            assert (manager.max_file_handles(), manager.max_mapped_memory_size()) == (3, 8 * GRANULE)
            assert manager.num_file_handles() == 3
            manager.configure(max_memory_size=GRANULE)
            assert (manager.max_file_handles(), manager.max_mapped_memory_size()) == (3, GRANULE)
            assert manager.mapped_memory_size() == GRANULE
            before = manager.stats().maps
            manager.make_cursor(path).use_region(GRANULE)
            assert manager.stats().maps == before
            assert_books_match_kernel(manager, path)

    def test_higher_limits_evict_nothing_and_count(self, path: Path) -> None:
        """The same call that failed works after the limit was raised."""
        with SlidingWindowMapManager(GRANULE, 0, 1) as manager:
            first = manager.make_cursor(path).use_region(0)
            second = manager.make_cursor(path)
            with pytest.raises(HandleLimitError):
                second.use_region(GRANULE)
            manager.configure(max_open_handles=2)
            assert second.use_region(GRANULE).is_valid()
            assert first.is_valid()

    def test_a_memory_limit_of_zero_is_the_default(self) -> None:
        """As in the constructor."""
        manager = SlidingWindowMapManager(GRANULE, GRANULE)
        manager.configure(max_memory_size=0)
        assert manager.max_mapped_memory_size() == SlidingWindowMapManager().max_mapped_memory_size()

    @pytest.mark.parametrize("pin_by_view", [False, True], ids=["cursors", "views"])
    def test_a_handle_limit_below_what_is_pinned_changes_nothing(self, path: Path, *, pin_by_view: bool) -> None:
        """HandleLimitError; limits, regions and the other argument are as before."""
        with SlidingWindowMapManager(GRANULE, 8 * GRANULE, 8) as manager:
            cursors = [manager.make_cursor(path).use_region(offset * GRANULE) for offset in range(3)]
            views = [cursor.buffer() for cursor in cursors]
            if pin_by_view:
                cursors.clear()
            else:
                views.clear()
            manager.make_cursor(path).use_region(3 * GRANULE)
            with pytest.raises(HandleLimitError, match="3 regions are pinned"):
                manager.configure(max_open_handles=2, max_memory_size=GRANULE)
            assert (manager.max_file_handles(), manager.max_mapped_memory_size()) == (8, 8 * GRANULE)
            assert (manager.num_file_handles(), manager.stats().evictions) == (4, 0)
            manager.configure(max_open_handles=3)
            assert manager.num_file_handles() == 3

    def test_a_strict_memory_limit_below_what_is_pinned_changes_nothing(self, path: Path) -> None:
        """MemoryLimitError with the figures."""
        with SlidingWindowMapManager(GRANULE, 8 * GRANULE, strict_memory=True) as manager:
            handles = manager.max_file_handles()
            cursors = [manager.make_cursor(path).use_region(offset * GRANULE) for offset in range(3)]
            manager.make_cursor(path).use_region(3 * GRANULE)
            with pytest.raises(MemoryLimitError, match=f"{3 * GRANULE} bytes are pinned"):
                manager.configure(max_memory_size=2 * GRANULE, max_open_handles=3)
            assert (manager.max_file_handles(), manager.max_mapped_memory_size()) == (handles, 8 * GRANULE)
            assert manager.num_file_handles() == 4
            cursors.pop()
            manager.configure(max_memory_size=2 * GRANULE)
            assert manager.mapped_memory_size() == 2 * GRANULE

    def test_a_soft_memory_limit_below_what_is_pinned_frees_what_is_idle(self, path: Path) -> None:
        """It is set, and exceeded by what is pinned only."""
        with SlidingWindowMapManager(GRANULE, 8 * GRANULE) as manager:
            cursors = [manager.make_cursor(path).use_region(offset * GRANULE) for offset in range(3)]
            manager.make_cursor(path).use_region(3 * GRANULE)
            manager.configure(max_memory_size=2 * GRANULE)
            assert manager.mapped_memory_size() == len(cursors) * GRANULE
            assert manager.max_mapped_memory_size() == 2 * GRANULE

    @pytest.mark.parametrize(("name", "value"), [("max_memory_size", -1), ("max_open_handles", 0)])
    def test_a_number_out_of_range_is_refused(self, name: str, value: int) -> None:
        """As by the constructor, and nothing is changed."""
        manager = SlidingWindowMapManager(GRANULE, 8 * GRANULE, 8)
        with pytest.raises(ValueError, match=f"{name} must be .*, got {value}"):
            manager.configure(**{name: value})
        assert (manager.max_file_handles(), manager.max_mapped_memory_size()) == (8, 8 * GRANULE)


def test_a_sliding_manager_is_a_static_one_as_in_smmap() -> None:
    """Code that asks ``isinstance`` keeps working."""
    assert issubclass(SlidingWindowMapManager, StaticWindowMapManager)


@both
def test_each_kind_of_source_and_reader_gives_the_bytes(path: Path, manager_class: ManagerClass) -> None:
    """{sliding, static} x {path, descriptor} x {mmap, pread}: the same content."""
    content = path.read_bytes()
    for reader in ("mmap", "pread"):
        with manager_class(2 * GRANULE, reader=reader) as manager, open_descriptor(path) as descriptor:
            for source in (path, descriptor):
                cursor = manager.make_cursor(source)
                assert cursor.read(0, len(content)) == content
                assert bytes(cursor.use_region(GRANULE + 3, 77).buffer()) == content[GRANULE + 3 : GRANULE + 80]
            assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0


@both
def test_reads_have_two_names(manager_class: ManagerClass) -> None:
    with pytest.raises(ValueError, match=r'^reads must be "auto" or "pread", got \'mmap\'$'):
        manager_class(reads="mmap")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
