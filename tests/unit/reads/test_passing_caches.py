"""Files whose reads leave nothing in the page cache for maps to find: a read waits and fails as the first one did.

A FUSE server of ours has them: files with direct I/O that can be mapped all the same, and files whose pages the kernel
drops when somebody opens them. 9p, SMB and Ceph have such files, too.
"""

import errno
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from fuse_server import FuseMount, Whims, fuse_mount
from isolated import in_mount_namespace
from kinds_of_reads import SIZE, WINDOW, Kind, ready
from smmap_typed import SlidingWindowMapManager
from smmap_typed._platform import keeps_pages
from smmap_typed.testing import check_invariants
from support import write_pattern

# FUSE is Linux here; the type checkers pass over the rest elsewhere.
assert sys.platform == "linux"

PAST_THE_CACHE: Final = Whims(direct_io=True, maps_direct_io=True)
WHIMS: Final = {"direct I/O": PAST_THE_CACHE, "opened by others": Whims(reads_ahead=False)}


@pytest.fixture(params=WHIMS)
def whims(request: pytest.FixtureRequest) -> Whims:
    return WHIMS[str(request.param)]


def files(mount: FuseMount, whims: Whims) -> Iterator[Path]:
    """Files to read; skips the test if the system cannot map them."""
    for number in range(2):
        path = mount.path / str(number)
        write_pattern(mount.behind / path.name, SIZE)
        if whims is PAST_THE_CACHE:
            with SlidingWindowMapManager(WINDOW) as manager:
                try:
                    manager.make_cursor(path).use_region(0, 1)
                except OSError as error:
                    pytest.skip(f"the system does not map such files: {error}")
        yield path


@in_mount_namespace
def test_a_bystander_goes_on_beside_a_second_read(kind: Kind, whims: Whims, tmp_path: Path) -> None:
    """If it were copied from the map, the page fault would hold the GIL, and this test would not come to its end."""
    with fuse_mount(tmp_path, whims) as mount, SlidingWindowMapManager(WINDOW) as manager:
        path = next(files(mount, whims))
        act = ready(kind, manager, path, mapped=True)
        assert act() == kind.wanted
        act = ready(kind, manager, path, mapped=True)
        # The kernel drops what it has.
        path.open("rb").close()
        with ThreadPoolExecutor(1) as pool, mount.held_reads():
            future = pool.submit(act)
            mount.wait_for_read()
            assert not future.done()
        assert future.result() == kind.wanted
        check_invariants(manager)


@in_mount_namespace
def test_an_error_under_a_second_read_is_an_oserror(kind: Kind, whims: Whims, tmp_path: Path) -> None:
    """And no signal, which would end the child that runs the test."""
    with fuse_mount(tmp_path, whims) as mount, SlidingWindowMapManager(WINDOW) as manager:
        for path in files(mount, whims):
            act = ready(kind, manager, path, mapped=True)
            assert act() == kind.wanted
            act = ready(kind, manager, path, mapped=True)
            path.open("rb").close()
            mount.disturb_reads(error=errno.EIO)
            with pytest.raises(OSError, match="the storage failed") as caught:
                act()
            assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(path))
            mount.disturb_reads()
            assert act() == kind.wanted
            check_invariants(manager)


@pytest.mark.parametrize(
    ("name", "keeps"),
    [
        ("fuse", False),
        ("fuse.sshfs", False),
        ("9p", False),
        ("nfs4", True),
        ("overlay", True),
        ("tmpfs", True),
        ("", True),
    ],
)
def test_which_file_systems_keep_pages(name: str, keeps: bool) -> None:
    assert keeps_pages(name) == keeps
