"""What the command line reads besides ordinary files: disks, files of /proc and /sys, files that cannot be mapped."""

import hashlib
import re
from pathlib import Path
from typing import Final

import pytest

from fuse_server import Whims, fuse_mount
from isolated import in_mount_namespace
from loop_devices import loop_device
from smmap_typed.cli import moving_bar
from smmap_typed.cli.options import window_of
from support import GRANULE, pattern
from terminals import run

MIB: Final = 1024 * 1024
CONTENT: Final = pattern(8 * GRANULE) + b"needle" + bytes(506)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_disk(tmp_path: Path) -> None:
    """All commands take its size from ``lseek``."""
    (tmp_path / "image").write_bytes(CONTENT)
    with loop_device(tmp_path / "image") as device:
        name = str(device)
        for reader in ("auto", "pread"):
            hashed = run(tmp_path, "hash", "--reader", reader, name)
            assert (hashed.stdout.decode(), hashed.stderr) == (f"{digest(CONTENT)}  {name}\n", b"")
        assert run(tmp_path, "find", "needle", name).stdout == b"%d\n" % (8 * GRANULE)
        assert f"({len(CONTENT)} bytes)" in run(tmp_path, "stat", name).stdout.decode()
        assert run(tmp_path, "map", "--reads", "9", name).stdout.decode().startswith(name)
        timed = run(tmp_path, "bench", "--rounds", "1", "--reads", "9", name).stdout.decode()
        assert [row.split("  ")[0] for row in timed.splitlines()[2:]] == ["smmap_typed", "one mmap", "pread"]


def test_the_bar_knows_the_size_of_a_disk(tmp_path: Path) -> None:
    """And takes what cannot be opened for nothing."""
    (tmp_path / "image").write_bytes(CONTENT)
    with loop_device(tmp_path / "image") as device:
        assert moving_bar._total([str(device), str(tmp_path / "image")]) == 2 * len(CONTENT)
    assert moving_bar._device_size(str(tmp_path / "none")) == 0


@pytest.mark.parametrize("name", ["/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"])
def test_a_file_that_is_made_as_it_is_read(tmp_path: Path, name: str) -> None:
    """Hashed and searched as other programs do; what needs windows says what helps."""
    if not Path(name).exists():
        pytest.skip(f"there is no {name}")
    content = Path(name).read_bytes()
    assert run(tmp_path, "hash", name).stdout.decode() == f"{digest(content)}  {name}\n"
    word = re.findall(rb"[a-z]{5,}", content)[0].decode()
    assert run(tmp_path, "find", word, name).stdout.startswith(b"%d\n" % content.find(word.encode()))
    refused = run(tmp_path, "map", "--reads", "9", name)
    assert refused.returncode == 2
    assert refused.stderr.decode().endswith("read it with open()\n")


@in_mount_namespace
def test_a_file_that_cannot_be_mapped(tmp_path: Path) -> None:
    """All commands read it, by any reader: what is only read needs no map."""
    with fuse_mount(tmp_path, Whims(direct_io=True)) as mount:
        (mount.behind / "file").write_bytes(CONTENT)
        name = str(mount.path / "file")
        assert run(tmp_path, "hash", name).stdout.decode() == f"{digest(CONTENT)}  {name}\n"
        assert run(tmp_path, "find", "needle", name).stdout == b"%d\n" % (8 * GRANULE)
        timed = run(tmp_path, "bench", "--rounds", "1", "--reads", "9", name).stdout.decode()
        assert [row.split("  ")[0] for row in timed.splitlines()[2:]] == ["smmap_typed", "pread"]
        assert run(tmp_path, "hash", "--reader", "mmap", name).stdout.decode() == f"{digest(CONTENT)}  {name}\n"


@pytest.mark.parametrize(
    ("asked", "memory", "window"),
    [(None, 1024 * MIB, 64 * MIB), (None, 64 * MIB, 16 * MIB), (None, 1, 1), (0, MIB, 0), (32 * MIB, MIB, 32 * MIB)],
)
def test_a_small_memory_limit_makes_the_windows_small(asked: int | None, memory: int, window: int) -> None:
    """Unless a window was asked for."""
    assert window_of(asked, memory) == window


def test_max_memory_is_kept_with_the_default_window(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(32 * MIB))
    hashed = run(tmp_path, "hash", "--max-memory", "8MiB", "--threads", "2", "--stats", "file")
    assert hashed.returncode == 0
    (peak,) = re.findall(r"^peak_mapped_bytes (\d+)$", hashed.stderr.decode(), re.MULTILINE)
    assert int(peak) <= 8 * MIB
    assert (
        "windows   32 of 2 MiB, one every 1 MiB"
        in run(tmp_path, "stat", "--max-memory", "8MiB", "file").stdout.decode()
    )
