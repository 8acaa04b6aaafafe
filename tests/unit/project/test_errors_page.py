"""docs/errors.md: each error of its table is caused for real, and has the text and the file that the page says."""

import errno
import mmap
import os
import re
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import pytest

from fuse_server import FuseMount, Whims, fuse_mount
from isolated import in_a_child, in_mount_namespace
from smmap_typed import SlidingWindowMapManager, StaticWindowMapManager, WindowCursor
from smmap_typed.readers import ReaderName
from support import GRANULE, open_descriptor, run_python, write_pattern

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

PAGE: Final = Path(__file__).parents[3] / "docs" / "errors.md"
W: Final = 2 * GRANULE

pytestmark = pytest.mark.skipif(GRANULE != 4096, reason="the page has the figures of granules of 4 KiB")


@dataclass(frozen=True)
class Row:
    """A row of the table: the class, its errno if it has one, and what its text contains."""

    kind: str
    number: str
    text: str


def rows() -> list[Row]:
    found = re.findall(r"^\| `([\w.]+)(?:: (\w+))?`[^|]*\|(?: `(.*?)`)? \|", PAGE.read_text(), re.MULTILINE)
    return [Row(*parts) for parts in found]


class Watch:
    """Notes the error of a call, and the name that it must have: None where there is no file."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.name: object = None

    def __call__(self, name: object, call: Callable[[], object]) -> None:
        self.name = str(name) if isinstance(name, Path) else name
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error


Cause = Callable[[Path, Watch], object]
"""Makes the error in a folder with a ``file`` of eight granules, and an ``empty`` one."""


def first_use(path: Path | int, reader: ReaderName = "mmap", offset: int = 0) -> object:
    return SlidingWindowMapManager(W, reader=reader).make_cursor(path).use_region(offset, 5)


def cannot_be_mapped(folder: Path, watch: Watch) -> None:
    with fuse_mount(folder, Whims(direct_io=True)) as mount:
        write_pattern(mount.behind / "file", 8 * GRANULE)
        watch(mount.path / "file", lambda: first_use(mount.path / "file", offset=W))


def storage_fails(folder: Path, watch: Watch) -> None:
    with fuse_mount(folder, Whims(direct_io=True)) as mount:
        write_pattern(mount.behind / "file", 8 * GRANULE)
        _fail_reads(mount, watch)


def _fail_reads(mount: FuseMount, watch: Watch) -> None:
    cursor = SlidingWindowMapManager(W, reader="pread").make_cursor(mount.path / "file").use_region(0, 5)
    mount.disturb_reads(error=errno.EIO)
    watch(mount.path / "file", lambda: cursor.use_region(W, 5))


def no_address_space(folder: Path, watch: Watch) -> None:
    cursor = SlidingWindowMapManager(W).make_cursor(folder / "file").use_region(0, 5)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * mmap.PAGESIZE, resource.RLIM_INFINITY))
    try:
        watch(folder / "file", lambda: cursor.use_region(W, 5))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def no_descriptor(folder: Path, watch: Watch) -> None:
    cursor = SlidingWindowMapManager(W).make_cursor(folder / "file")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open_descriptor(folder / "file") as lowest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, hard))
        watch(folder / "file", lambda: cursor.use_region(0, 5))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def truncated(folder: Path, watch: Watch) -> None:
    cursor = SlidingWindowMapManager(W).make_cursor(folder / "file").use_region(0, 5)
    os.truncate(folder / "file", GRANULE)
    watch(folder / "file", lambda: cursor.use_region(W, 5))


def fifo(folder: Path, watch: Watch) -> None:
    os.mkfifo(folder / "fifo")
    watch(folder / "fifo", lambda: first_use(folder / "fifo"))


def closed_descriptor(folder: Path, watch: Watch) -> None:
    with open_descriptor(folder / "file") as number:
        cursor = SlidingWindowMapManager(W).make_cursor(number)
    watch(folder / "file", lambda: cursor.use_region(0, 5))


def reused_descriptor(folder: Path, watch: Watch) -> None:
    with open_descriptor(folder / "file") as number:
        cursor = SlidingWindowMapManager(W).make_cursor(number)
        with open_descriptor(folder / "empty") as other:
            os.dup2(other, number)
        watch(folder / "file", lambda: cursor.use_region(0, 5))


def handles_pinned(folder: Path, watch: Watch) -> None:
    manager = SlidingWindowMapManager(W, max_open_handles=1)
    keeper = manager.make_cursor(folder / "file").use_region(0, 5)
    watch(folder / "file", lambda: manager.make_cursor(folder / "file").use_region(W, 5))
    del keeper


def handles_lowered(folder: Path, watch: Watch) -> None:
    manager = SlidingWindowMapManager(W)
    keepers = [manager.make_cursor(folder / "file").use_region(offset, 5) for offset in (0, W)]
    watch(None, lambda: manager.configure(max_open_handles=1))
    del keepers


def memory_pinned(folder: Path, watch: Watch) -> None:
    manager = SlidingWindowMapManager(W, 3 * GRANULE, strict_memory=True)
    keeper = manager.make_cursor(folder / "file").use_region(0, 5)
    watch(folder / "file", lambda: manager.make_cursor(folder / "file").use_region(W, 5))
    del keeper


def memory_too_small(folder: Path, watch: Watch) -> None:
    manager = StaticWindowMapManager(max_memory_size=3 * GRANULE, strict_memory=True)
    watch(folder / "file", lambda: manager.make_cursor(folder / "file").use_region(0, 5))


def memory_lowered(folder: Path, watch: Watch) -> None:
    manager = SlidingWindowMapManager(W, 3 * GRANULE, strict_memory=True)
    keeper = manager.make_cursor(folder / "file").use_region(0, 5)
    watch(None, lambda: manager.configure(max_memory_size=GRANULE))
    del keeper


def of_a_closed_manager(folder: Path) -> tuple[SlidingWindowMapManager, WindowCursor]:
    manager = SlidingWindowMapManager(W)
    cursor = manager.make_cursor(folder / "file").use_region(0, 5)
    return manager, cursor


def invalid_by_close(folder: Path, watch: Watch) -> None:
    manager, cursor = of_a_closed_manager(folder)
    manager.close()
    watch(None, cursor.buffer)


def unmapped_by_close(folder: Path, watch: Watch) -> None:
    manager, cursor = of_a_closed_manager(folder)
    region = cursor.region()
    assert region is not None
    manager.close()
    watch(None, region.map)


def unmapped(folder: Path, watch: Watch) -> None:
    manager, cursor = of_a_closed_manager(folder)
    region = cursor.region()
    assert region is not None
    cursor.close()
    assert manager.collect() == 1
    watch(None, region.map)


def closed(folder: Path, watch: Watch) -> None:
    manager, cursor = of_a_closed_manager(folder)
    manager.close()
    watch(None, lambda: cursor.use_region(W, 5))


def empty(folder: Path, watch: Watch) -> None:
    cursor = SlidingWindowMapManager(W).make_cursor(folder / "empty").use_region(0, 5)
    watch(None, cursor.buffer)


def interrupted(folder: Path, watch: Watch) -> None:
    """A handler that strikes in the middle of a map needs the very window."""
    manager = SlidingWindowMapManager(W)
    real = mmap.mmap

    def strike(*args: int, **options: bool) -> mmap.mmap:  # as narrow as the narrowest of its options
        mmap.mmap = real  # type: ignore[misc]
        watch(None, lambda: manager.make_cursor(folder / "file").use_region(0, 5))
        return real(*args, **options)

    mmap.mmap = strike  # type: ignore[assignment, misc]
    try:
        manager.make_cursor(folder / "file").use_region(0, 5)
    finally:
        mmap.mmap = real  # type: ignore[misc]


BUS: Final = """
import os, sys
from smmap_typed import SlidingWindowMapManager
view = SlidingWindowMapManager().make_cursor(sys.argv[1]).use_region().buffer()
os.truncate(sys.argv[1], 0)
bytes(view)
"""


def bus(folder: Path, watch: Watch) -> None:
    def run() -> None:
        done = run_python(BUS, folder / "file")
        raise ChildProcessError(signal.Signals(-done.returncode).name)

    watch(None, run)


CAUSES: Final[dict[tuple[str, str], Cause]] = {
    ("FileNotFoundError", "No such file"): lambda folder, watch: watch(folder / "no", lambda: first_use(folder / "no")),
    ("IsADirectoryError", "Is a dir"): lambda folder, watch: watch(folder, lambda: first_use(folder)),
    ("OSError", "neither a regular file"): fifo,
    ("OSError", "Bad file"): closed_descriptor,
    ("UnsizedFileError", "0 bytes"): lambda _, watch: watch(
        Path("/proc/version"), lambda: first_use(Path("/proc/version"))
    ),
    ("OSError", "the system maps no such file"): cannot_be_mapped,
    ("OSError", "the storage failed"): storage_fails,
    ("OSError", "smaller windows"): no_address_space,
    ("OSError", "used up its descriptors"): no_descriptor,
    ("FileChangedError", "make a new one"): truncated,
    ("FileChangedError", "the descriptor was closed"): reused_descriptor,
    ("HandleLimitError", "max_open_handles is 1"): handles_pinned,
    ("HandleLimitError", "max_open_handles cannot be"): handles_lowered,
    ("MemoryLimitError", "more are needed"): memory_pinned,
    ("MemoryLimitError", "is larger than"): memory_too_small,
    ("MemoryLimitError", "max_memory_size cannot be"): memory_lowered,
    ("CursorInvalidError", "inside the file"): lambda folder, watch: watch(
        None, SlidingWindowMapManager(W).make_cursor(folder / "file").buffer
    ),
    ("CursorInvalidError", "was empty"): empty,
    ("CursorInvalidError", "manager was closed"): invalid_by_close,
    ("CursorInvalidError", "has no file"): lambda _, watch: watch(None, lambda: WindowCursor().use_region()),
    ("RegionUnmappedError", "get a new one"): unmapped,
    ("RegionUnmappedError", "manager was closed"): unmapped_by_close,
    ("ManagerClosedError", "was closed"): closed,
    ("ReentrantCallError", "call again"): interrupted,
    ("io.UnsupportedOperation", "use buffer()"): lambda folder, watch: watch(
        None, cast("WindowCursor", first_use(folder / "file", "pread")).map
    ),
    ("ValueError", "strict_memory"): lambda _, watch: watch(
        None, lambda: SlidingWindowMapManager(W, GRANULE, strict_memory=True)
    ),
    ("TypeError", "must be an integer"): lambda folder, watch: watch(
        None, lambda: SlidingWindowMapManager(W).make_cursor(folder / "file").read(cast("int", 1.5), 5)
    ),
    ("SIGBUS", ""): bus,
}
"""By class and a part of the text: what makes the error."""

IN_A_NAMESPACE: Final = (cannot_be_mapped, storage_fails)


def causes_of(row: Row) -> list[Cause]:
    return [cause for (kind, part), cause in CAUSES.items() if kind == row.kind and part in row.text]


def test_each_row_has_one_cause_and_each_cause_a_row() -> None:
    assert len(rows()) == len(CAUSES)
    for row in rows():
        assert len(causes_of(row)) == 1, row


def check(row: Row, folder: Path) -> None:
    write_pattern(folder / "file", 8 * GRANULE)
    (folder / "empty").touch()
    watch = Watch()
    (cause,) = causes_of(row)
    cause(folder, watch)
    error = watch.error
    if row.kind == "SIGBUS":
        assert str(error) == "SIGBUS"
        return
    assert type(error).__name__ == row.kind.rpartition(".")[2], repr(error)
    assert row.text in str(error)
    if isinstance(error, OSError) and row.number:
        assert error.errno == getattr(errno, row.number)
        assert error.filename == watch.name


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.kind}-{row.text[:25]}")
def test_an_error_has_the_text_and_the_file_that_the_page_says(row: Row, tmp_path: Path) -> None:
    """In a child, which may limit itself, and mount what it needs."""
    run = in_mount_namespace if causes_of(row)[0] in IN_A_NAMESPACE else in_a_child
    run(check)(row, tmp_path)
