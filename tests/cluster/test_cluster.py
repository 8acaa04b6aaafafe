"""joblib and Dask: cursors and buffers are arguments of tasks in worker processes, each under limits of its own."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from distributed import Client, LocalCluster
from joblib import Parallel, delayed

from smmap_typed import FileChangedError, SlidingWindowMapBuffer, SlidingWindowMapManager
from support import GRANULE, pattern, write_pattern
from workers import MIB, Hashed, hash_part, hash_range, use

SIZE: Final = 1024 * MIB
PART: Final = 64 * MIB
WINDOW: Final = MIB
LIMIT: Final = 32 * MIB
"""Room for the window that each buffer pins."""
WORKERS: Final = 2


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file of 1 GiB, no two MiB of which are alike."""
    path = tmp_path_factory.mktemp("cluster") / "large"
    with path.open("wb") as file:
        for number in range(SIZE // MIB):
            file.write(number.to_bytes(8, "big") * (MIB // 8))
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def hashes(large: Path) -> list[str]:
    """What plain reads give, part by part."""
    found: list[str] = []
    with large.open("rb") as file:
        while part := file.read(PART):
            found.append(hashlib.blake2b(part).hexdigest())
    return found


@pytest.fixture
def manager() -> Iterator[SlidingWindowMapManager]:
    with SlidingWindowMapManager(WINDOW, LIMIT, strict_memory=True) as manager:
        yield manager


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Of a cluster of processes on this machine."""
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=2, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def assert_right(results: Sequence[Hashed], hashes: list[str]) -> None:
    """The hashes are those of plain reads, and every worker has kept its limit, in one manager."""
    assert [result.digest for result in results] == hashes
    assert len({(result.process, result.manager) for result in results}) == WORKERS
    assert os.getpid() not in {result.process for result in results}
    assert all(0 < result.peak_bytes <= LIMIT for result in results)


def test_dask_hashes_a_gibibyte(
    client: Client, manager: SlidingWindowMapManager, large: Path, hashes: list[str]
) -> None:
    """With cursors as arguments."""
    cursors = [manager.make_cursor(large) for _ in hashes]
    begins = [number * PART for number in range(len(hashes))]
    tasks = client.map(hash_range, [manager] * len(hashes), cursors, begins, size=PART, pure=False)
    assert_right(client.gather(tasks), hashes)
    assert manager.stats().maps == 0


def test_dask_hashes_buffers(client: Client, manager: SlidingWindowMapManager, large: Path, hashes: list[str]) -> None:
    """Each at its own offset."""
    cursor = manager.make_cursor(large)
    parts = [SlidingWindowMapBuffer(cursor, number * PART, PART) for number in range(len(hashes))]
    assert_right(client.gather(client.map(hash_part, [manager] * len(parts), parts, pure=False)), hashes)


def test_dask_reports_a_file_that_has_changed(client: Client, manager: SlidingWindowMapManager, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_pattern(path, 3 * GRANULE)
    cursor = manager.make_cursor(path)
    assert client.submit(use, cursor, pure=False).result() == pattern(3 * GRANULE)
    arrived = client.scatter(cursor)
    path.write_bytes(b"other")
    with pytest.raises(FileChangedError):
        client.submit(use, arrived, pure=False).result()


def test_joblib_hashes_a_gibibyte(manager: SlidingWindowMapManager, large: Path, hashes: list[str]) -> None:
    """In loky's workers, with a cursor and with buffers as arguments."""
    cursor = manager.make_cursor(large)
    begins = [number * PART for number in range(len(hashes))]
    with Parallel(n_jobs=WORKERS, backend="loky") as parallel:
        results = list(parallel(delayed(hash_range)(manager, cursor, begin, PART) for begin in begins))
        assert_right(results, hashes)
        buffers = [SlidingWindowMapBuffer(cursor, begin, PART) for begin in begins]
        assert_right(list(parallel(delayed(hash_part)(manager, buffer) for buffer in buffers)), hashes)
