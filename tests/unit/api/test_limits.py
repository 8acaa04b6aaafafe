"""Limits: hard handles, soft memory, what is evicted and when, and what the system's own limits do.

The defects of smmap in this field are in test_defects_limits.py.
"""

import errno
import itertools
import mmap
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from smmap_typed import HandleLimitError, MemoryLimitError, SlidingWindowMapManager, StaticWindowMapManager
from support import (
    GRANULE,
    Fault,
    assert_books_match_kernel,
    close_proc,
    mapped_ranges_of,
    release_descriptors,
    write_pattern,
)

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

MIB = 1024 * 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of sixteen granules."""
    path = tmp_path / "file"
    write_pattern(path, 16 * GRANULE)
    return path


def touch(manager: StaticWindowMapManager, path: Path, *granules: int) -> None:
    """Use windows one after the other, each with a cursor of its own that is dropped at once."""
    for granule in granules:
        manager.make_cursor(path).use_region(granule * GRANULE, 1)


def mapped_granules(path: Path) -> list[int]:
    """Which granules of the file the kernel has mapped."""
    ranges = mapped_ranges_of(path)
    return sorted(itertools.chain(*(range(low // GRANULE, (low + size) // GRANULE) for low, size in ranges)))


class TestHandles:
    """``max_open_handles`` is hard."""

    def test_the_limit_holds_at_every_system_call(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither the count nor the descriptors exceed it while a window is opened and mapped."""
        manager = SlidingWindowMapManager(GRANULE, max_open_handles=3)
        real_map = mmap.mmap
        seen: list[tuple[int, int]] = []

        def watched(descriptor: int, size: int, **rest: bool) -> mmap.mmap:  # as narrow as the narrowest of its options
            seen.append((manager.num_file_handles(), len(mapped_granules(path))))
            return real_map(descriptor, size, **rest)

        monkeypatch.setattr(mmap, "mmap", watched)
        touch(manager, path, *range(10))
        assert seen == [(min(count, 3), min(count - 1, 2)) for count in range(1, 11)]

    def test_a_cursor_moves_with_a_single_handle(self, path: Path) -> None:
        """At the limit a move may give up the cursor's own window, so one handle reads a whole file."""
        content = path.read_bytes()
        with SlidingWindowMapManager(2 * GRANULE, max_open_handles=1) as manager:
            cursor = manager.make_cursor(path)
            for offset in range(0, 15 * GRANULE, GRANULE + 11):
                assert bytes(cursor.use_region(offset, GRANULE).buffer()) == content[offset : offset + GRANULE]
                assert manager.num_file_handles() == 1
            cursor.close()
            assert cursor.read(0, 16 * GRANULE) == content

    def test_views_pin_handles_and_their_end_gives_them_back(self, path: Path) -> None:
        """A live view is counted as pinned; after its release the same call works."""
        with SlidingWindowMapManager(GRANULE, max_open_handles=2) as manager:
            views = [manager.make_cursor(path).use_region(offset * GRANULE).buffer() for offset in range(2)]
            cursor = manager.make_cursor(path)
            for _ in range(2):
                with pytest.raises(HandleLimitError, match="2 regions are pinned") as caught:
                    cursor.use_region(5 * GRANULE)
                assert (caught.value.limit, caught.value.pinned) == (2, 2)
            views.pop()
            assert cursor.use_region(5 * GRANULE).is_valid()
            assert mapped_granules(path) == [0, 5]

    def test_a_failed_move_at_the_limit_costs_its_own_cursor_only(self, path: Path) -> None:
        """Other cursors stay where they are, and the ledger is that of the kernel."""
        with SlidingWindowMapManager(GRANULE, max_open_handles=2) as manager:
            other = manager.make_cursor(path).use_region(0, 9)
            cursor = manager.make_cursor(path).use_region(GRANULE, 9)
            view = cursor.buffer()
            with pytest.raises(HandleLimitError):
                cursor.use_region(2 * GRANULE, 9)
            assert bytes(other.buffer()) == path.read_bytes()[:9]
            assert bytes(view) == path.read_bytes()[GRANULE : GRANULE + 9]
            assert_books_match_kernel(manager, path)


class TestMemory:
    """``max_memory_size`` is soft, exactly so."""

    def test_it_is_kept_as_long_as_something_idle_can_go(self, path: Path) -> None:
        """Pinned regions go past it; the next map after their release brings it back."""
        with SlidingWindowMapManager(GRANULE, 3 * GRANULE) as manager:
            cursors = [manager.make_cursor(path).use_region(offset * GRANULE) for offset in range(5)]
            assert manager.mapped_memory_size() == 5 * GRANULE
            while cursors:
                cursors.pop(0)
            assert manager.mapped_memory_size() == 5 * GRANULE
            touch(manager, path, 7)
            assert mapped_granules(path) == [3, 4, 7]
            assert_books_match_kernel(manager, path)

    def test_the_end_of_a_view_unmaps_nothing_by_itself(self, path: Path) -> None:
        """The next map does."""
        with SlidingWindowMapManager(GRANULE, GRANULE) as manager:
            views = [manager.make_cursor(path).use_region(offset * GRANULE).buffer() for offset in range(3)]
            views.clear()
            assert mapped_granules(path) == [0, 1, 2]
            touch(manager, path, 5)
            assert mapped_granules(path) == [5]

    def test_a_hit_unmaps_nothing(self, path: Path) -> None:
        """Only a call that needs room evicts."""
        with SlidingWindowMapManager(GRANULE, GRANULE) as manager:
            cursors = [manager.make_cursor(path).use_region(offset * GRANULE) for offset in range(3)]
            cursors.pop()
            touch(manager, path, 2)
            assert mapped_granules(path) == [0, 1, 2]

    def test_a_window_larger_than_the_limit_is_mapped_alone(self, path: Path) -> None:
        """Everything idle goes first."""
        with StaticWindowMapManager(max_memory_size=GRANULE) as manager:
            small = path.with_name("small")
            write_pattern(small, GRANULE, 1)
            touch(manager, small, 0)
            touch(manager, path, 0)
            assert (mapped_granules(small), mapped_granules(path)) == ([], list(range(16)))

    def test_just_enough_is_evicted_for_a_larger_window(self, tmp_path: Path) -> None:
        """Real bytes are counted: room for two granules takes the two oldest of one granule each."""
        sizes = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 2}
        paths = {name: tmp_path / name for name in sizes}
        for seed, (name, size) in enumerate(sizes.items()):
            write_pattern(paths[name], size * GRANULE, seed)
        with StaticWindowMapManager(max_memory_size=4 * GRANULE) as manager:
            for name in "bacde":
                touch(manager, paths[name], 0)
            assert [name for name in sizes if mapped_granules(paths[name])] == ["c", "d", "e"]

    def test_a_strict_limit_is_hard(self, path: Path) -> None:
        """MemoryLimitError, an OSError with ENOMEM and the figures; the same call works after a release."""
        with SlidingWindowMapManager(GRANULE, 2 * GRANULE, strict_memory=True) as manager:
            cursors = [manager.make_cursor(path).use_region(offset * GRANULE) for offset in range(2)]
            late = manager.make_cursor(path)
            with pytest.raises(MemoryLimitError, match=f"{2 * GRANULE} bytes are pinned") as caught:
                late.use_region(5 * GRANULE)
            assert caught.value.errno == errno.ENOMEM
            assert (caught.value.limit, caught.value.pinned, caught.value.wanted) == (2 * GRANULE, 2 * GRANULE, GRANULE)
            assert mapped_granules(path) == [0, 1]
            cursors.pop(0)
            assert late.use_region(5 * GRANULE).is_valid()
            assert mapped_granules(path) == [1, 5]

    def test_under_a_strict_limit_a_cursor_moves_with_a_single_window(self, path: Path) -> None:
        """Its own window is given up for the next one."""
        with SlidingWindowMapManager(GRANULE, GRANULE, strict_memory=True) as manager:
            cursor = manager.make_cursor(path)
            for offset in range(0, 16 * GRANULE, GRANULE):
                expected = path.read_bytes()[offset : offset + GRANULE]
                assert bytes(cursor.use_region(offset).buffer()) == expected
            cursor.close()
            assert cursor.read(0, 16 * GRANULE) == path.read_bytes()
            assert manager.mapped_memory_size() == GRANULE


class TestOrder:
    """Among idle regions the one whose last cursor left longest ago goes first."""

    def test_regions_go_in_the_order_of_their_last_release(self, path: Path) -> None:
        """Neither the order of mapping nor that of pinning matters."""
        with SlidingWindowMapManager(GRANULE, max_open_handles=4) as manager:
            cursors = {offset: manager.make_cursor(path).use_region(offset * GRANULE) for offset in range(4)}
            for offset in (2, 0, 3, 1):
                del cursors[offset]
            order: list[int] = []
            for new in range(4, 8):
                before = set(mapped_granules(path))
                touch(manager, path, new)
                order += sorted(before - set(mapped_granules(path)))
            assert order == [2, 0, 3, 1]

    def test_a_move_is_a_release(self, path: Path) -> None:
        """The window that a cursor left first goes first, and a hit brings a window to the end."""
        with SlidingWindowMapManager(GRANULE, max_open_handles=4) as manager:
            cursor = manager.make_cursor(path)
            for offset in (0, 1, 2, 0, 3):
                cursor.use_region(offset * GRANULE, 1)
            touch(manager, path, 5)
            assert mapped_granules(path) == [0, 2, 3, 5]
            touch(manager, path, 6)
            assert mapped_granules(path) == [0, 3, 5, 6]

    def test_the_last_of_several_cursors_counts(self, path: Path) -> None:
        """A region with two cursors is idle when the second one left."""
        with SlidingWindowMapManager(GRANULE, max_open_handles=2) as manager:
            first, second = (manager.make_cursor(path).use_region(0) for _ in range(2))
            first.close()
            touch(manager, path, 1)
            second.close()
            touch(manager, path, 2)
            assert mapped_granules(path) == [0, 2]

    def test_order_is_kept_across_files(self, path: Path, tmp_path: Path) -> None:
        """One queue for all files."""
        other = tmp_path / "other"
        write_pattern(other, 4 * GRANULE, 1)
        with SlidingWindowMapManager(GRANULE, max_open_handles=4) as manager:
            for granule in range(2):
                touch(manager, path, granule)
                touch(manager, other, granule)
            touch(manager, path, 5, 6)
            assert (mapped_granules(path), mapped_granules(other)) == ([1, 5, 6], [1])

    def test_a_view_delays_the_unmapping_and_keeps_the_place(self, path: Path) -> None:
        """While it lives the next one goes; once it is gone its region is the oldest still."""
        with SlidingWindowMapManager(GRANULE, max_open_handles=3) as manager:
            view = manager.make_cursor(path).use_region(0).buffer()
            touch(manager, path, 1, 2, 3)
            assert mapped_granules(path) == [0, 2, 3]
            view.release()
            touch(manager, path, 4)
            assert mapped_granules(path) == [2, 3, 4]


SCARCE = [errno.EMFILE, errno.ENFILE, errno.ENOMEM]
CALLS: list[tuple[ModuleType, str]] = [(os, "open"), (os, "dup"), (os, "fstat"), (mmap, "mmap")]
FATAL = [errno.EIO, errno.EACCES, errno.EINTR, errno.EAGAIN]
# The one that an open waits for is in a test of its own.
FAILURES = [(*call, code) for code in FATAL for call in CALLS if (call[1], code) != ("open", errno.EAGAIN)]


class TestScarcity:
    """The system's own limits: an extra eviction and one retry."""

    @pytest.mark.parametrize("code", SCARCE, ids=errno.errorcode.get)
    @pytest.mark.parametrize(("owner", "name"), CALLS, ids=["open", "dup", "fstat", "mmap"])
    def test_a_call_that_fails_once_works_after_an_extra_eviction(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, owner: ModuleType, name: str, code: int
    ) -> None:
        """The caller sees nothing of it, and the least recently used region is gone."""
        real: Callable[..., object] = getattr(owner, name)
        with SlidingWindowMapManager(GRANULE) as manager, path.open("rb") as file:
            touch(manager, path, 0, 1, 2)
            source = file.fileno() if name == "dup" else path
            if name == "dup":
                close_proc(monkeypatch)
            cursor = manager.make_cursor(source)
            assert cursor.file_size() == 16 * GRANULE
            release_descriptors(manager)
            fault = Fault(real, OSError(code, os.strerror(code)), at=1)
            monkeypatch.setattr(owner, name, fault)
            assert bytes(cursor.use_region(5 * GRANULE, 9).buffer()) == path.read_bytes()[5 * GRANULE :][:9]
            assert fault.calls == 2
            assert mapped_granules(path) == [1, 2, 5]
            assert manager.stats().map_failures == 1
            assert_books_match_kernel(manager, path, own_descriptors=1)

    @pytest.mark.parametrize("code", SCARCE, ids=errno.errorcode.get)
    def test_a_look_at_the_file_that_fails_once_works_too(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        """``os.stat`` of a new cursor's first use likewise."""
        with SlidingWindowMapManager(GRANULE) as manager:
            touch(manager, path, 0, 1)
            release_descriptors(manager)
            cursor = manager.make_cursor(path)
            with monkeypatch.context() as patch:
                patch.setattr(os, "stat", Fault(os.stat, OSError(code, os.strerror(code)), at=1))
                cursor.use_region(5 * GRANULE, 9)
            assert mapped_granules(path) == [1, 5]

    @pytest.mark.parametrize("code", SCARCE, ids=errno.errorcode.get)
    @pytest.mark.parametrize(
        ("owner", "name"),
        [(os, "stat"), (os, "open"), (os, "fstat"), (mmap, "mmap")],
        ids=["stat", "open", "fstat", "mmap"],
    )
    def test_kept_descriptors_go_before_any_region_does(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, owner: ModuleType, name: str, code: int
    ) -> None:
        """All at once, and then nothing is evicted, if descriptors are what is scarce; they are no use for memory."""
        others = [path.with_name(f"other-{number}") for number in range(2)]
        for number, other in enumerate(others):
            write_pattern(other, GRANULE, number)
        real: Callable[..., object] = getattr(owner, name)
        scarce = code != errno.ENOMEM
        with SlidingWindowMapManager(GRANULE) as manager:
            touch(manager, path, 0, 1)
            release_descriptors(manager)
            for other in others:
                touch(manager, other, 0)
            assert manager.stats().kept_descriptors == 2
            fault = Fault(real, OSError(code, os.strerror(code)), at=1)
            with monkeypatch.context() as patch:
                patch.setattr(owner, name, fault)
                touch(manager, path, 5)
            assert mapped_granules(path) == ([0, 1, 5] if scarce else [1, 5])
            assert manager.stats().evictions == (not scarce)
            assert manager.stats().kept_descriptors == (1 if scarce else 3)
            assert_books_match_kernel(manager, path, *others)

    def test_a_kept_descriptor_that_is_in_use_is_used_again(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The map that fails for want of one is made by it. To release it is no help, so an idle region goes."""
        with SlidingWindowMapManager(GRANULE) as manager:
            touch(manager, path, 0, 1)
            opens = Fault(os.open)
            with monkeypatch.context() as patch:
                patch.setattr(os, "open", opens)
                patch.setattr(mmap, "mmap", Fault(mmap.mmap, OSError(errno.EMFILE, "too many"), at=1))
                touch(manager, path, 5)
            assert (opens.calls, mapped_granules(path)) == (0, [1, 5])
            assert (manager.stats().evictions, manager.stats().kept_descriptors) == (1, 1)
            assert_books_match_kernel(manager, path)

    @pytest.mark.parametrize(("owner", "name"), CALLS, ids=["open", "dup", "fstat", "mmap"])
    def test_there_is_one_retry(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, owner: ModuleType, name: str
    ) -> None:
        """A second failure passes through, and the call works once the system has recovered."""
        calls = 0

        def fail(*_: object, **__: object) -> None:
            nonlocal calls
            calls += 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        with SlidingWindowMapManager(GRANULE) as manager, path.open("rb") as file:
            touch(manager, path, 0, 1, 2)
            cursor = manager.make_cursor(file.fileno() if name == "dup" else path)
            assert cursor.file_size() == 16 * GRANULE
            release_descriptors(manager)
            with monkeypatch.context() as patch:
                if name == "dup":
                    close_proc(patch)
                patch.setattr(owner, name, fail)
                with pytest.raises(OSError, match=os.strerror(errno.EMFILE)) as caught:
                    cursor.use_region(5 * GRANULE)
            assert (type(caught.value), calls) == (OSError, 2)
            assert mapped_granules(path) == [1, 2]
            assert_books_match_kernel(manager, path, own_descriptors=1)
            assert cursor.use_region(5 * GRANULE).is_valid()

    @pytest.mark.parametrize(
        ("owner", "name", "code"), FAILURES, ids=[f"{name}-{errno.errorcode[code]}" for _, name, code in FAILURES]
    )
    @pytest.mark.parametrize("kept", [False, True], ids=["", "with kept descriptors"])
    def test_any_other_error_passes_through_and_evicts_nothing(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, owner: ModuleType, name: str, code: int, *, kept: bool
    ) -> None:
        """The error, once, from one attempt; idle regions stay, and so do descriptors that are kept."""
        real: Callable[..., object] = getattr(owner, name)
        other = path.with_name("other")
        write_pattern(other, GRANULE)
        with SlidingWindowMapManager(GRANULE) as manager, path.open("rb") as file:
            touch(manager, path, 0, 1, 2)
            cursor = manager.make_cursor(file.fileno() if name == "dup" else path)
            assert cursor.file_size() == 16 * GRANULE
            release_descriptors(manager)
            if kept:
                assert manager.make_cursor(other).file_size() == GRANULE
            error = OSError(code, os.strerror(code))
            fault = Fault(real, error, at=1)
            with monkeypatch.context() as patch:
                if name == "dup":
                    close_proc(patch)
                patch.setattr(owner, name, fault)
                with pytest.raises(OSError, match=os.strerror(code)) as caught:
                    cursor.use_region(5 * GRANULE)
            assert (type(caught.value), caught.value.errno) == (type(error), error.errno)
            assert fault.calls == 1
            assert (mapped_granules(path), manager.stats().evictions) == ([0, 1, 2], 0)
            assert manager.stats().kept_descriptors == kept
            assert_books_match_kernel(manager, path, other, own_descriptors=1)

    def test_an_open_that_would_have_to_wait_waits(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Somebody has a lease on the file, say: as ``open`` does, and nothing is evicted or counted for it."""
        real, asked = os.open, list[int]()

        def would_block(target: str, flags: int) -> int:
            asked.append(flags & os.O_NONBLOCK)
            if len(asked) == 1:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), target)
            return real(target, flags)

        with SlidingWindowMapManager(GRANULE) as manager:
            touch(manager, path, 0, 1, 2)
            release_descriptors(manager)
            with monkeypatch.context() as patch:
                patch.setattr(os, "open", would_block)
                touch(manager, path, 5)
            assert (asked[0], asked[-1]) == (os.O_NONBLOCK, 0)
            assert mapped_granules(path) == [0, 1, 2, 5]
            assert (manager.stats().evictions, manager.stats().map_failures) == (0, 0)
            assert_books_match_kernel(manager, path)

    def test_an_error_of_open_at_the_limits_evicts_nothing(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Open comes before any eviction, also where one would be needed."""
        with SlidingWindowMapManager(GRANULE, 3 * GRANULE, 3) as manager:
            touch(manager, path, 0, 1, 2)
            with monkeypatch.context() as patch:
                patch.setattr(os, "open", Fault(os.open, OSError(errno.EIO, "broken disk"), at=1))
                with pytest.raises(OSError, match="broken disk"):
                    touch(manager, path, 5)
            assert (mapped_granules(path), manager.stats().evictions) == ([0, 1, 2], 0)
