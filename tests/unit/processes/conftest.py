"""Other processes: a pool of one worker for each way to start one."""

import multiprocessing
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

assert sys.platform != "win32"


@pytest.fixture(scope="package", params=["spawn", "forkserver", "fork"])
def worker(request: pytest.FixtureRequest) -> Iterator[ProcessPoolExecutor]:
    """A process that tests share: each test makes a manager of its own, which is new there."""
    yield from pool_of_one(str(request.param))


@pytest.fixture(scope="package")
def stranger() -> Iterator[ProcessPoolExecutor]:
    """A process that has inherited nothing."""
    yield from pool_of_one("spawn")


def pool_of_one(method: str) -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool, warnings.catch_warnings():
        # CPython warns since 3.12 that a child may find locks taken: pytest-xdist's threads hold none of ours.
        warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
        pool.submit(int).result()
        yield pool
