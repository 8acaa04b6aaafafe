"""Room for the program around us: what the limits are where nobody sets them, and a window that fits its limit."""

import contextlib
import mmap
import os
import resource
import socket
import sys
from pathlib import Path
from typing import Final, Literal

import pytest

from isolated import in_a_child
from smmap_typed import SlidingWindowMapManager, StaticWindowMapManager
from smmap_typed.testing import check_invariants
from support import DESCRIPTORS_PER_REGION, GRANULE, write_pattern

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

MIB: Final = 1024 * 1024
MAX_MAP_COUNT: Final = Path("/proc/sys/vm/max_map_count")
ReaderName = Literal["mmap", "pread", "auto"]


def set_descriptors(soft: int) -> None:
    """Let this process, a child, have so many descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, max(soft, hard)))
    except (ValueError, PermissionError) as error:
        pytest.skip(f"the system does not let us have {soft} descriptors: {error}")


def half_of_the_maps() -> int:
    return int(MAX_MAP_COUNT.read_text()) // 2 if MAX_MAP_COUNT.exists() else sys.maxsize


def own_descriptors() -> int:
    """How many descriptors this process has, but for the one that counts them."""
    return len(os.listdir("/proc/self/fd")) - 1


@pytest.mark.parametrize("make", [SlidingWindowMapManager, StaticWindowMapManager])
@in_a_child
def test_the_default_is_half_of_what_the_system_allows_now(
    make: type[SlidingWindowMapManager | StaticWindowMapManager],
) -> None:
    """Of maps, and of descriptors where a map costs one; ``configure`` asks the system again."""
    set_descriptors(200)
    with make() as manager:
        assert manager.max_file_handles() == (100 if DESCRIPTORS_PER_REGION else half_of_the_maps())
        set_descriptors(60)
        assert manager.max_file_handles() == (100 if DESCRIPTORS_PER_REGION else half_of_the_maps())
        manager.configure(max_open_handles=sys.maxsize)
        assert manager.max_file_handles() == (30 if DESCRIPTORS_PER_REGION else half_of_the_maps())
        manager.configure(max_open_handles=1000)
        assert manager.max_file_handles() == 1000


@in_a_child
def test_a_program_keeps_half_of_its_descriptors(tmp_path: Path) -> None:
    """1,500 small files under ``ulimit -n 1024``, and then the program's own sockets."""
    set_descriptors(1024)
    before = own_descriptors()
    with SlidingWindowMapManager() as manager, contextlib.ExitStack() as own:
        for number in range(1500):
            path = tmp_path / str(number)
            path.write_bytes(b"content %d" % number)
            assert manager.make_cursor(path).read(0, 20) == b"content %d" % number
        assert own_descriptors() - before <= 512
        for _ in range((1024 - before - 512) // 2):
            for end in socket.socketpair():
                own.enter_context(end)
        assert manager.make_cursor(tmp_path / "7").read(0, 20) == b"content 7"
        assert manager.stats().map_failures == 0
        check_invariants(manager)


@in_a_child
def test_few_descriptors_are_halved_too(tmp_path: Path) -> None:
    """Kept descriptors included, where maps cost none."""
    set_descriptors(own_descriptors() + 40)
    before, allowed = own_descriptors(), own_descriptors() + 40
    with SlidingWindowMapManager() as manager:
        for number in range(100):
            write_pattern(tmp_path / str(number), GRANULE)
            manager.make_cursor(tmp_path / str(number)).use_region(0, 5)
        assert 0 < own_descriptors() - before <= allowed // 2


@pytest.mark.skipif(not MAX_MAP_COUNT.exists(), reason="the system does not tell how many maps it allows")
@in_a_child
def test_a_program_keeps_half_of_its_maps(tmp_path: Path) -> None:
    """More windows than the system allows maps; places jump, since the kernel joins maps of neighbours."""
    half = half_of_the_maps()
    if half > 40_000:
        pytest.skip(f"the system allows {2 * half} maps, too many to reach here")
    if DESCRIPTORS_PER_REGION:
        set_descriptors(3 * half)
    count = half + 500
    with (tmp_path / "file").open("wb") as file:
        file.truncate(2 * count * GRANULE)
    with SlidingWindowMapManager(GRANULE) as manager:
        assert manager.max_file_handles() == half
        cursor = manager.make_cursor(tmp_path / "file")
        for number in range(count):
            cursor.use_region(2 * (number * 7919 % count) * GRANULE, 5)
        stats = manager.stats()
        assert (stats.handles, stats.map_failures) == (half, 0)
        maps = len(Path("/proc/self/maps").read_text().splitlines())
        assert maps > half - 500
        for number in range(half - 1000):
            # Of two kinds in turn, for the same reason.
            kind = mmap.PROT_READ | (mmap.PROT_WRITE if number % 2 else 0)
            OWN.append(mmap.mmap(-1, GRANULE, prot=kind))


OWN: Final[list[mmap.mmap]] = []
"""The maps of the program around us, in a child that ends with them."""


@pytest.mark.parametrize(
    ("memory", "reader", "window"),
    [
        (0, "mmap", 1024 * MIB),
        (4096 * MIB, "mmap", 1024 * MIB),
        (4096 * MIB - 4, "mmap", 1024 * MIB - GRANULE),
        (64 * MIB, "mmap", 16 * MIB),
        (MIB + 12345, "mmap", 256 * 1024),
        (3 * GRANULE, "mmap", GRANULE),
        (1, "mmap", GRANULE),
        (0, "pread", MIB),
        (2 * MIB, "pread", MIB // 2),
        (0, "auto", 16 * MIB),
        (8 * MIB, "auto", 2 * MIB),
    ],
)
def test_the_default_window_is_a_quarter_of_a_small_memory_limit(memory: int, reader: ReaderName, window: int) -> None:
    """Rounded down, so that four fit, and at least a granule."""
    assert SlidingWindowMapManager(max_memory_size=memory, reader=reader).window_size() == window
    assert SlidingWindowMapManager(-1, memory, reader=reader, strict_memory=True).window_size() == window


@pytest.mark.parametrize("strict", [False, True])
def test_a_small_memory_limit_with_the_default_window_holds(tmp_path: Path, strict: bool) -> None:
    """A file of 1 GiB under 64 MiB: smmap's default window alone would be sixteen times that."""
    with (tmp_path / "file").open("wb") as file:
        file.truncate(1024 * MIB)
    with SlidingWindowMapManager(max_memory_size=64 * MIB, strict_memory=strict) as manager:
        cursor = manager.make_cursor(tmp_path / "file")
        for offset in range(0, 1024 * MIB, 8 * MIB):
            assert cursor.use_region(offset, 8 * MIB).size() == 8 * MIB
        assert manager.stats().peak_mapped_bytes <= 64 * MIB
        assert manager.num_file_handles() > 1


@pytest.mark.parametrize(("window", "memory"), [(2 * GRANULE, GRANULE), (1, GRANULE - 1), (1024 * MIB, 64 * MIB)])
def test_a_window_that_never_fits_a_strict_limit_is_refused(window: int, memory: int) -> None:
    """When the manager is made; a soft limit may be exceeded, so there it is only unwise."""
    rounded = -(-window // GRANULE) * GRANULE
    with pytest.raises(
        ValueError, match=rf"window_size must be at most max_memory_size .* got {rounded} \(.* {window}\) and {memory}"
    ):
        SlidingWindowMapManager(window, memory, strict_memory=True)
    assert SlidingWindowMapManager(window, memory).window_size() == rounded
    assert SlidingWindowMapManager(window, rounded, strict_memory=True).window_size() == rounded
    assert SlidingWindowMapManager(0, memory, strict_memory=True).window_size() == 0
    assert StaticWindowMapManager(window, memory, strict_memory=True).window_size() == 0
