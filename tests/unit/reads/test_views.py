"""Views on storage that is slow or fails: what docs/guide/slow-storage.md says of them and of asyncio."""

import asyncio
import errno
import faulthandler
import hashlib
import os
import signal
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from forks import fork, status_of
from fuse_server import Whims, fuse_mount
from isolated import in_a_child, in_mount_namespace
from kinds_of_reads import PLACE, SIZE, WINDOW
from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager
from smmap_typed.testing import check_invariants
from support import GRANULE, pattern, write_pattern

# FUSE is Linux here; the type checkers pass over the rest elsewhere.
assert sys.platform == "linux"

COUNT: Final = 2 * GRANULE


def status_of_child(act: Callable[[], object]) -> int:
    """How a child ends that does ``act``, without a word about a signal, which is expected."""

    def quietly() -> None:
        faulthandler.disable()
        act()

    return status_of(fork(quietly))


def sha256(view: memoryview) -> bytes:
    return hashlib.sha256(view).digest()


@pytest.mark.parametrize("digest", [sha256, zlib.crc32, zlib.adler32])
@in_mount_namespace
def test_what_touches_a_view_without_the_gil_stops_nobody(
    digest: Callable[[memoryview], object], tmp_path: Path
) -> None:
    with fuse_mount(tmp_path, Whims(reads_ahead=False)) as mount, SlidingWindowMapManager(WINDOW) as manager:
        write_pattern(mount.behind / "file", SIZE)
        with manager.make_cursor(mount.path / "file").view(PLACE, COUNT) as view:
            with ThreadPoolExecutor(1) as pool, mount.held_reads():
                future = pool.submit(digest, view)
                mount.wait_for_read()
                assert not future.done()
            assert future.result() == digest(memoryview(pattern(COUNT, 0, PLACE)))


@pytest.mark.parametrize("how", ["eio", "cut"])
@in_mount_namespace
def test_a_touch_of_a_view_is_a_signal_where_a_read_is_an_error(how: str, tmp_path: Path) -> None:
    """Or the tests of reads would show nothing."""
    with fuse_mount(tmp_path, Whims(reads_ahead=False)) as mount, SlidingWindowMapManager(WINDOW) as manager:
        behind = mount.behind / "file"
        write_pattern(behind, SIZE)
        cursor = manager.make_cursor(mount.path / "file").use_region(PLACE, COUNT)
        if how == "eio":
            mount.disturb_reads(error=errno.EIO)
        else:
            os.truncate(behind, 0)
        assert status_of_child(lambda: bytes(cursor.buffer())) == -signal.SIGBUS
        with pytest.raises(OSError, match="file"):
            cursor.read(PLACE, COUNT)
        check_invariants(manager)


@in_mount_namespace
def test_views_of_copies_survive_everything(tmp_path: Path) -> None:
    """With ``reader="pread"``: what is shown was read before."""
    with (
        fuse_mount(tmp_path, Whims(reads_ahead=False)) as mount,
        SlidingWindowMapManager(WINDOW, reader="pread") as manager,
    ):
        behind = mount.behind / "file"
        write_pattern(behind, SIZE)
        cursor = manager.make_cursor(mount.path / "file").use_region(PLACE, COUNT)
        os.truncate(behind, 0)
        mount.disturb_reads(error=errno.EIO)
        assert bytes(cursor.buffer()) == cursor.read(PLACE, COUNT) == pattern(COUNT, 0, PLACE)
        buffer = SlidingWindowMapBuffer(cursor, PLACE, COUNT)
        assert bytes(next(buffer.views())) == bytes(buffer) == pattern(COUNT, 0, PLACE)


@in_a_child
def test_the_default_trusts_what_it_has_read(tmp_path: Path) -> None:
    """A file that is cut after its bytes were read is a signal; with ``reads="pread"`` it is an error."""
    path = tmp_path / "file"
    for reads in ("auto", "pread"):
        write_pattern(path, SIZE)
        with SlidingWindowMapManager(WINDOW, reads="pread" if reads == "pread" else "auto") as manager:
            cursor = manager.make_cursor(path).use_region(PLACE, COUNT)
            assert cursor.read(PLACE, COUNT) == pattern(COUNT, 0, PLACE)
            os.truncate(path, 0)

            def read() -> None:
                with pytest.raises(OSError, match="ends at 0 bytes"):
                    cursor.read(PLACE, COUNT)  # noqa: B023 - called in this turn

            assert status_of_child(read) == (-signal.SIGBUS if reads == "auto" else 0)


@in_mount_namespace
def test_an_event_loop_goes_on_beside_a_read_in_a_thread(tmp_path: Path) -> None:
    """By ``asyncio.to_thread``."""
    with fuse_mount(tmp_path, Whims(reads_ahead=False)) as mount, SlidingWindowMapManager(WINDOW) as manager:
        write_pattern(mount.behind / "file", SIZE)
        cursor = manager.make_cursor(mount.path / "file")

        async def main() -> bytes:
            with mount.held_reads():
                reading = asyncio.create_task(asyncio.to_thread(cursor.read, PLACE, COUNT))
                await asyncio.to_thread(mount.wait_for_read)
                for _ in range(1000):
                    await asyncio.sleep(0)
                assert not reading.done()
            return await reading

        assert asyncio.run(main()) == pattern(COUNT, 0, PLACE)
