"""Files whose size is not that of their content: those of /proc say 0, and those of /sys a page."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal

import pytest

from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager, UnsizedFileError, WindowCursor
from smmap_typed._builtin_readers import _ends_before_its_size
from smmap_typed._source import state_of
from smmap_typed.testing import check_invariants
from support import GRANULE, Fault, open_descriptor

EMPTY_SIZED: Final = Path("/proc/self/status")
GIVES_ALL_OR_NOTHING: Final = ["/proc/sys/net/core/rps_default_mask", "/proc/sys/net/core/flow_limit_cpu_bitmap"]
Name = Literal["mmap", "pread", "auto"]
READERS: Final[list[Name]] = ["mmap", "pread", "auto"]
FIRST_USES: Final[dict[str, Callable[[WindowCursor], object]]] = {
    "use_region": lambda cursor: cursor.use_region(0, 10),
    "read": lambda cursor: cursor.read(0, 5000),
    "view": lambda cursor: cursor.view(0, 10),
    "buffer": SlidingWindowMapBuffer,
    "file_size": lambda cursor: cursor.file_size(),
}


def page_sized() -> Path:
    """A file of /sys that says it has a page, and has fewer bytes."""
    for path in ("/sys/kernel/mm/transparent_hugepage/enabled", "/sys/kernel/uevent_seqnum", "/sys/kernel/profiling"):
        with_bytes = Path(path)
        if with_bytes.is_file() and 0 < len(with_bytes.read_bytes()) < with_bytes.stat().st_size:
            return with_bytes
    pytest.skip("the system has no such file in /sys")


@pytest.fixture(params=READERS)
def manager(request: pytest.FixtureRequest) -> Iterator[SlidingWindowMapManager]:
    with SlidingWindowMapManager(2 * GRANULE, reader=request.param) as manager:
        yield manager


def assert_refused(manager: SlidingWindowMapManager, path: Path, size: int, use: Callable[[], object]) -> None:
    """It is told what helps, and that does help."""
    with pytest.raises(UnsizedFileError, match=rf"size as {size} bytes.* read it with open\(\)") as caught:
        use()
    assert (caught.value.filename, caught.value.size) == (str(path), size)
    assert len(path.read_bytes()) not in (0, size)
    check_invariants(manager)
    assert manager.num_file_handles() == 0


@pytest.mark.skipif(not EMPTY_SIZED.exists(), reason="there is no /proc")
@pytest.mark.parametrize("use", FIRST_USES.values(), ids=FIRST_USES)
def test_a_file_of_proc_is_not_taken_for_an_empty_one(
    manager: SlidingWindowMapManager, use: Callable[[WindowCursor], object]
) -> None:
    cursor = manager.make_cursor(EMPTY_SIZED)
    assert_refused(manager, EMPTY_SIZED, 0, lambda: use(cursor))
    with open_descriptor(EMPTY_SIZED) as number:
        name = Path(os.readlink(f"/proc/self/fd/{number}"))
        assert_refused(manager, name, 0, lambda: use(manager.make_cursor(number)))
        assert os.read(number, 5) == b"Name:"


def test_a_file_that_gives_no_part_of_its_content_is_not_taken_for_an_empty_one(
    manager: SlidingWindowMapManager,
) -> None:
    """Some files of /proc/sys answer a read for too few bytes with none."""
    path = next((path for path in map(Path, GIVES_ALL_OR_NOTHING) if path.exists()), None)
    if path is None:
        pytest.skip("the system has no such file")
    with open_descriptor(path) as number:
        assert os.read(number, 1) == b""
    assert_refused(manager, path, 0, lambda: manager.make_cursor(path).read(0, 10))


@pytest.mark.parametrize("use", [FIRST_USES[name] for name in ("use_region", "read", "view", "buffer")])
def test_a_file_of_sys_has_no_windows(manager: SlidingWindowMapManager, use: Callable[[WindowCursor], object]) -> None:
    """Its file system maps nothing, so another reader would be the usual advice, and would not help."""
    path = page_sized()
    assert_refused(manager, path, path.stat().st_size, lambda: use(manager.make_cursor(path)))


def test_an_empty_file_is_empty(manager: SlidingWindowMapManager, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    cursor = manager.make_cursor(path)
    assert (cursor.file_size(), cursor.read(0, 5), cursor.use_region().is_valid()) == (0, b"", False)


def test_a_file_that_grows_while_it_is_looked_at_is_no_such_file(
    manager: SlidingWindowMapManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was empty for stat, and has a byte when it is read."""
    path = tmp_path / "growing"
    path.touch()
    real = os.read

    def write_first(descriptor: int, size: int) -> bytes:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            path.write_bytes(b"grown")
        return real(descriptor, size)

    with monkeypatch.context() as patch:
        patch.setattr(os, "read", write_first)
        cursor = manager.make_cursor(path)
        assert cursor.file_size() in (0, 5)
    assert manager.make_cursor(path).read(0, 9) == b"grown"


def test_an_empty_file_that_cannot_be_read_is_an_error(
    manager: SlidingWindowMapManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It might have bytes. One that has none yet, and may get some, has no size."""
    path = tmp_path / "empty"
    path.touch()
    with monkeypatch.context() as patch:
        patch.setattr(os, "read", Fault(os.read, OSError(errno.EIO, "no luck"), at=1))
        with pytest.raises(OSError, match="no luck while reading the first bytes"):
            manager.make_cursor(path).file_size()
    with monkeypatch.context() as patch:
        patch.setattr(os, "read", Fault(os.read, BlockingIOError(errno.EAGAIN, "not yet"), at=1))
        with pytest.raises(UnsizedFileError):
            manager.make_cursor(path).file_size()
    assert manager.make_cursor(path).file_size() == 0


def test_what_cannot_be_looked_at_does_not_end_before_its_size() -> None:
    """Then the error that is told is another one."""
    assert not _ends_before_its_size(-1, state_of(os.stat(__file__)))


SIZED: Final = Path("/proc/cmdline")


@pytest.mark.skipif(not (SIZED.exists() and SIZED.stat().st_size), reason="/proc tells no size of the file")
def test_a_file_of_proc_that_has_its_size_and_no_maps_is_read() -> None:
    """The kernel refuses to map it with EIO, as if the storage had failed."""
    content = SIZED.read_bytes()
    with SlidingWindowMapManager(GRANULE, reader="auto") as manager:
        assert manager.make_cursor(SIZED).use_region(0, 10).buffer() == content[:10]
    with SlidingWindowMapManager(GRANULE) as manager:
        cursor = manager.make_cursor(SIZED)
        with pytest.raises(OSError, match=r'the system maps no such file: reader="auto"') as caught:
            cursor.use_region(0, 10)
        assert caught.value.filename == str(SIZED)
        assert cursor.read(0, 10) == content[:10]
