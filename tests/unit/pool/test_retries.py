"""What the system refuses for want of something is tried once more, after just as much was unmapped as helps."""

import errno
import mmap
import os
import time
from pathlib import Path

import pytest

from smmap_typed import StaticWindowMapManager
from smmap_typed._platform import WRITING_FLAGS
from smmap_typed.readers import ReaderName
from support import Fault


def idle_files(manager: StaticWindowMapManager, folder: Path, count: int) -> None:
    """Leave that many mapped files of one byte idle."""
    for number in range(count):
        path = folder / f"idle-{number}"
        path.write_bytes(b"x")
        manager.make_cursor(path).use_region().close()


@pytest.mark.parametrize(("function", "code", "evictions"), [
    ("mmap", errno.ENOMEM, 5), ("mmap", errno.EMFILE, 1), ("open", errno.ENFILE, 1), ("stat", errno.EMFILE, 1),
])  # fmt: skip
def test_as_much_is_unmapped_as_is_wanted(
    function: str, code: int, evictions: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = mmap if function == "mmap" else os
    real, refusals = getattr(module, function), [OSError(code, os.strerror(code))]

    def refuse_once(*args: object, **keywords: object) -> object:
        if refusals:
            raise refusals.pop()
        return real(*args, **keywords)

    (tmp_path / "wanted").write_bytes(b"12345")
    with StaticWindowMapManager() as manager:
        idle_files(manager, tmp_path, 8)
        cursor = manager.make_cursor(tmp_path / "wanted")
        monkeypatch.setattr(module, function, refuse_once)
        assert bytes(cursor.use_region().buffer()) == b"12345"
        monkeypatch.undo()
        stats = manager.stats()
        assert (stats.evictions, stats.map_failures) == (evictions, 0 if function == "stat" else 1)
        cursor.close()


def test_to_prefetch_makes_room_for_its_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, refusals = os.open, [OSError(errno.EMFILE, os.strerror(errno.EMFILE))]

    asked: list[int] = []

    def refuse_once(path: Path, flags: int) -> int:
        asked.append(flags & WRITING_FLAGS)
        if refusals:
            raise refusals.pop()
        return real(path, flags)

    (tmp_path / "wanted").write_bytes(b"12345")
    with StaticWindowMapManager() as manager:
        idle_files(manager, tmp_path, 8)
        cursor = manager.make_cursor(tmp_path / "wanted")
        monkeypatch.setattr(os, "open", refuse_once)
        cursor.prefetch(0, 5)
        assert manager.stats().evictions == 1
    assert asked == [os.O_RDONLY, os.O_RDONLY]


@pytest.mark.parametrize("reader", ["mmap", "pread"])
def test_every_refusal_is_counted(reader: ReaderName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also two of one call, which works in the end."""
    (tmp_path / "wanted").write_bytes(b"12345")
    with StaticWindowMapManager(reader=reader) as manager:
        idle_files(manager, tmp_path, 8)
        cursor = manager.make_cursor(tmp_path / "wanted")
        cursor.file_size()
        for module, name in ((os, "open"), (mmap, "mmap")):
            fail = Fault(getattr(module, name), OSError(errno.EMFILE, "refused"), at=1)
            monkeypatch.setattr(module, name, fail)
        assert bytes(cursor.use_region().buffer()) == b"12345"
        monkeypatch.undo()
        assert (manager.stats().map_failures, manager.stats().evictions) == (2, 2)
        cursor.close()


def test_time_is_what_went_by(tmp_path: Path) -> None:
    began = time.perf_counter()
    with StaticWindowMapManager() as manager:
        idle_files(manager, tmp_path, 3)
        assert 0 < manager.stats().map_seconds <= time.perf_counter() - began
