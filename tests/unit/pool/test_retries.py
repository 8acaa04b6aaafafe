"""What the system refuses for want of something is tried once more, after just as much was given back as helps."""

import errno
import mmap
import os
import time
from pathlib import Path

import pytest

from smmap_typed import StaticWindowMapManager
from smmap_typed._platform import WRITING_FLAGS
from smmap_typed.readers import ReaderName
from support import Fault, release_descriptors


def idle_files(manager: StaticWindowMapManager, folder: Path, count: int) -> None:
    """Leave that many mapped files of one byte idle."""
    for number in range(count):
        path = folder / f"idle-{number}"
        path.write_bytes(b"x")
        manager.make_cursor(path).use_region().close()


@pytest.mark.parametrize(("function", "code", "kept", "evictions"), [
    ("mmap", errno.ENOMEM, 0, 5), ("mmap", errno.EMFILE, 0, 1), ("open", errno.ENFILE, 0, 1),
    ("stat", errno.EMFILE, 0, 1),
    ("mmap", errno.ENOMEM, 8, 5), ("mmap", errno.EMFILE, 8, 0), ("open", errno.ENFILE, 8, 0),
    ("stat", errno.EMFILE, 8, 0),
])  # fmt: skip
def test_as_much_is_given_back_as_is_wanted(
    function: str, code: int, kept: int, evictions: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If there are kept descriptors, and they help, they go and no region does."""
    module = mmap if function == "mmap" else os
    real, refusals = getattr(module, function), [OSError(code, os.strerror(code))]

    def refuse_once(*args: object, **keywords: object) -> object:
        if refusals:
            raise refusals.pop()
        return real(*args, **keywords)

    (tmp_path / "wanted").write_bytes(b"12345")
    with StaticWindowMapManager() as manager:
        idle_files(manager, tmp_path, 8)
        if not kept:
            release_descriptors(manager)
        assert manager.stats().kept_descriptors == kept
        cursor = manager.make_cursor(tmp_path / "wanted")
        monkeypatch.setattr(module, function, refuse_once)
        assert bytes(cursor.use_region().buffer()) == b"12345"
        monkeypatch.undo()
        stats = manager.stats()
        assert (stats.evictions, stats.map_failures) == (evictions, 0 if function == "stat" else 1)
        # A region that goes leaves its file's descriptor.
        assert stats.kept_descriptors == 1 + (kept if evictions else 0)
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
        assert cursor.file_size() == 5
        release_descriptors(manager)
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
        assert cursor.file_size() == 5
        release_descriptors(manager)
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
