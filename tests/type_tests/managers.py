"""Types of the managers and of their statistics: checked by mypy and pyright, never run.

Each ignore marks a call that must be refused: an ignore that is not needed is an error in both checkers.
"""

import sys
from pathlib import Path
from typing import assert_type

from smmap_typed import FileStats, ManagerStats, PathOrFd, SlidingWindowMapManager, StaticWindowMapManager, WindowCursor


def making() -> None:
    assert_type(StaticWindowMapManager(), StaticWindowMapManager)
    assert_type(StaticWindowMapManager(0, 0, sys.maxsize), StaticWindowMapManager)
    assert_type(SlidingWindowMapManager(-1, 1 << 30, 100), SlidingWindowMapManager)
    assert_type(
        SlidingWindowMapManager(window_size=65536, max_memory_size=400_000, max_open_handles=40),
        SlidingWindowMapManager,
    )
    assert_type(SlidingWindowMapManager(reader="mmap", strict_memory=False), SlidingWindowMapManager)
    assert_type(StaticWindowMapManager(reader="pread", strict_memory=True), StaticWindowMapManager)


def derived(manager: SlidingWindowMapManager) -> StaticWindowMapManager:
    return manager


def opening(manager: StaticWindowMapManager, path: Path, either: PathOrFd) -> None:
    assert_type(manager.make_cursor("name"), WindowCursor)
    assert_type(manager.make_cursor(b"name"), WindowCursor)
    assert_type(manager.make_cursor(path), WindowCursor)
    assert_type(manager.make_cursor(3), WindowCursor)
    assert_type(manager.make_cursor(path_or_fd=either), WindowCursor)


def asking(manager: SlidingWindowMapManager) -> None:
    assert_type(manager.collect(), int)
    assert_type(manager.num_file_handles(), int)
    assert_type(manager.num_open_files(), int)
    assert_type(manager.mapped_memory_size(), int)
    assert_type(manager.window_size(), int)
    assert_type(manager.max_file_handles(), int)
    assert_type(manager.max_mapped_memory_size(), int)
    assert_type(manager.reset_stats(), None)
    assert_type(manager.force_map_handle_removal_win("base"), int)
    assert_type(manager.force_map_handle_removal_win(base_path=Path("base")), int)


def changing(manager: SlidingWindowMapManager) -> None:
    assert_type(manager.configure(), None)
    assert_type(manager.configure(max_memory_size=0), None)
    assert_type(manager.configure(max_open_handles=10), None)
    assert_type(manager.close(), None)


def leaving() -> int:
    with SlidingWindowMapManager() as sliding, StaticWindowMapManager() as static:
        assert_type(sliding, SlidingWindowMapManager)
        assert_type(static, StaticWindowMapManager)
        return 1
    # Not reached, which both checkers must know: a manager's context swallows no exception.


def statistics(manager: SlidingWindowMapManager) -> None:
    stats = manager.stats()
    assert_type(stats, ManagerStats)
    assert_type(stats.acquisitions, int)
    assert_type(stats.hits, int)
    assert_type(stats.misses, int)
    assert_type(stats.maps, int)
    assert_type(stats.unmaps, int)
    assert_type(stats.evictions, int)
    assert_type(stats.map_failures, int)
    assert_type(stats.map_seconds, float)
    assert_type(stats.mapped_bytes, int)
    assert_type(stats.peak_mapped_bytes, int)
    assert_type(stats.handles, int)
    assert_type(stats.in_flight, int)
    assert_type(stats.peak_handles, int)
    assert_type(stats.kept_descriptors, int)
    assert_type(stats.idle_regions, int)
    assert_type(stats.pinned_regions, int)
    assert_type(stats.view_pinned_regions, int)
    assert_type(stats.open_files, int)
    assert_type(stats.files, tuple[FileStats, ...])
    assert_type({stats: stats.files}, dict[ManagerStats, tuple[FileStats, ...]])


def statistics_of_a_file(stats: FileStats) -> None:
    assert_type(stats.target, str | bytes | int)
    assert_type(stats.file_size, int)
    assert_type(stats.mapped_bytes, int)
    assert_type(stats.handles, int)
    assert_type(stats.idle_regions, int)
    assert_type(stats.pinned_regions, int)
    assert_type(stats.view_pinned_regions, int)


def refused_of_managers(manager: SlidingWindowMapManager, name: str) -> None:
    SlidingWindowMapManager("64MiB")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SlidingWindowMapManager(1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SlidingWindowMapManager(max_open_handles=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SlidingWindowMapManager(0, 0, 1, "pread")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    SlidingWindowMapManager(reader="read")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SlidingWindowMapManager(reader=name)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    StaticWindowMapManager(handles=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    manager.make_cursor()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    manager.make_cursor(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    manager.make_cursor(1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    manager.make_cursor(sys.stdin)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    manager.configure(1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    manager.configure(max_open_handles=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    manager.configure(window_size=4096)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    manager.force_map_handle_removal_win(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    manager.window_size = 3  # type: ignore[assignment, method-assign]  # pyright: ignore[reportAttributeAccessIssue]


def refused_of_statistics(stats: ManagerStats, file: FileStats) -> None:
    stats.maps = 0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    stats.hits = 0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    stats.files.append(file)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    file.handles += 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


class Manager(SlidingWindowMapManager):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    """Final: what smmap's subclasses overrode is not there."""
