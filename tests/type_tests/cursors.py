"""Types of cursors: checked by mypy and pyright, never run.

Each ignore marks a call that must be refused: an ignore that is not needed is an error in both checkers.
"""

import copy
import mmap
import os
from typing import assert_type

from smmap_typed import PathOrFd, Region, SlidingWindowMapManager, StaticWindowMapManager, Window, WindowCursor


def moving(cursor: WindowCursor) -> None:
    assert_type(cursor.use_region(), WindowCursor)
    assert_type(cursor.use_region(0, 10, os.O_RDONLY), WindowCursor)
    assert_type(cursor.use_region(offset=0, size=10, flags=0), WindowCursor)
    assert_type(cursor.use_region(True).buffer(), memoryview)
    assert_type(cursor.unuse_region(), None)
    assert_type(cursor.close(), None)


def reading(cursor: WindowCursor) -> None:
    assert_type(cursor.buffer(), memoryview)
    assert_type(cursor.buffer()[0], int)
    assert_type(cursor.buffer()[:4], memoryview)
    assert_type(cursor.map(), mmap.mmap)
    assert_type(cursor.map()[:4], bytes)
    assert_type(cursor.view(0, 4), memoryview)
    assert_type(cursor.view(offset=0, size=4), memoryview)
    assert_type(cursor.read(0, 4), bytes)
    assert_type(cursor.read(offset=0, size=4), bytes)
    assert_type(cursor.prefetch(offset=0, size=4), None)


def asking(cursor: WindowCursor) -> None:
    assert_type(cursor.is_valid(), bool)
    assert_type(cursor.is_associated(), bool)
    assert_type(cursor.ofs_begin(), int)
    assert_type(cursor.ofs_end(), int)
    assert_type(cursor.size(), int)
    assert_type(cursor.includes_ofs(ofs=7), bool)
    assert_type(cursor.file_size(), int)
    assert_type(cursor.region(), Region | None)
    assert_type(cursor.path_or_fd(), PathOrFd)
    assert_type(cursor.path_or_fd(), int | str | bytes | os.PathLike[str] | os.PathLike[bytes])
    assert_type(cursor.path(), str | bytes | os.PathLike[str] | os.PathLike[bytes])
    assert_type(cursor.fd(), int)


def copying(cursor: WindowCursor, static: StaticWindowMapManager, sliding: SlidingWindowMapManager) -> None:
    assert_type(copy.copy(cursor), WindowCursor)
    assert_type(cursor.assign(cursor), None)
    assert_type(WindowCursor(), WindowCursor)
    assert_type(WindowCursor(None), WindowCursor)
    assert_type(WindowCursor(static), WindowCursor)
    assert_type(WindowCursor(manager=sliding), WindowCursor)


def leaving(cursor: WindowCursor) -> int:
    with cursor as same, cursor.use_region(0, 1) as moved:
        assert_type(same, WindowCursor)
        assert_type(moved, WindowCursor)
        return 1
    # Not reached, which both checkers must know: a cursor's context swallows no exception.


def regions(cursor: WindowCursor) -> None:
    region = cursor.region()
    region.size()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    if region is None:
        return
    assert_type(region, Region)
    assert_type(region.window, Window)
    assert_type(region.ofs_begin(), int)
    assert_type(region.ofs_end(), int)
    assert_type(region.size(), int)
    assert_type(region.includes_ofs(ofs=7), bool)
    assert_type(region.client_count(), int)
    assert_type(region.map(), mmap.mmap)
    assert_type(region.buffer(), memoryview)
    assert_type({region: 1}, dict[Region, int])


def refused_of_cursors(cursor: WindowCursor, manager: SlidingWindowMapManager) -> None:
    cursor.use_region("0")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cursor.use_region(0.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cursor.use_region(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cursor.use_region(0, 1, 2, 3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cursor.use_region(length=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cursor.view()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cursor.read(0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cursor.read(0, None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cursor.assign(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cursor.assign(manager)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cursor.buffer().tobytes().decode(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cursor.path().upper()  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    cursor.offset = 3  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    WindowCursor(manager, [])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    WindowCursor("path")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def refused_of_regions(region: Region, other: Region) -> None:
    region.increment_client_count()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    region.release()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    region.window = Window(0, 1)  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    _ = region < other  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]


class Cursor(WindowCursor):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    """Final: a subclass would be a second kind of cursor, which the manager does not make."""


class MyRegion(Region):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    """Final, too."""
