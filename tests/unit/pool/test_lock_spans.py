"""No system call is made under the manager's lock, so a slow one stops nobody who does not need its outcome.

Every function of the system that the library calls is replaced: first by one that looks whether the lock is taken, and
then by one that does not return until another thread has used the manager in every way.
"""

import contextlib
import errno
import gc
import mmap
import os
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Final, Literal

import pytest

from smmap_typed import (
    HandleLimitError,
    MemoryLimitError,
    SlidingWindowMapBuffer,
    SlidingWindowMapManager,
    StaticWindowMapManager,
)
from smmap_typed.testing import check_invariants, in_threads
from stops import STOPS, Stop, call_that_needs
from support import (
    GRANULE,
    SYSTEM_CALLS,
    Fault,
    ObservedMap,
    assert_books_match_kernel,
    close_proc,
    open_descriptor,
    write_pattern,
)

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

ReaderName = Literal["mmap", "pread"]
Manager = SlidingWindowMapManager | StaticWindowMapManager

SIZE: Final = 4 * GRANULE
FILES: Final = 4
SECONDS: Final = 30.0
LIMITS: Final[dict[str, tuple[int, int, bool]]] = {
    "handles": (100 * SIZE, 2, False),
    "memory": (2 * SIZE, 100, False),
    "strict memory": (2 * SIZE, 100, True),
}
"""Memory, handles, and whether the memory limit is strict."""


pytestmark = pytest.mark.usefixtures("nothing_is_cached")


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Four files of four granules."""
    paths = [tmp_path / str(number) for number in range(FILES)]
    for number, path in enumerate(paths):
        write_pattern(path, SIZE, number)
    return paths


class Spans:
    """What is seen of the managers' locks at every system call."""

    def __init__(self) -> None:
        self.managers: Final[list[Manager]] = []
        self.calls: Final[Counter[str]] = Counter()
        self.held: Final[list[str]] = []

    def look(self, name: str) -> None:
        """Note the call, and whether a lock is taken. With one thread that means: by the caller."""
        self.calls[name] += 1
        if any(manager._pool.monitor.lock.locked() for manager in self.managers):
            self.held.append(name)

    @contextlib.contextmanager
    def watched(self) -> Generator[None]:
        """Look before and after every system call."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mmap, "mmap", ObservedMap)
            patch.setattr(ObservedMap, "observers", [lambda: self.look("mmap.close")])
            for owner, name in SYSTEM_CALLS:
                patch.setattr(owner, name, self._watching(getattr(owner, name), name))
            yield

    def _watching(self, real: Callable[..., object], name: str) -> Callable[..., object]:
        def call(*arguments: object, **rest: object) -> object:
            self.look(name)
            try:
                return real(*arguments, **rest)
            finally:
                self.look(name)

        return call


def steps(manager: Manager, paths: list[Path], descriptor: int) -> Iterator[Callable[[], object]]:
    """What is done, in order; at a hard limit a step may be refused."""
    first, second, *others = cursors = [manager.make_cursor(path) for path in paths]
    by_descriptor = manager.make_cursor(descriptor)
    buffer = SlidingWindowMapBuffer()
    views: list[memoryview] = []
    for cursor in cursors:
        yield partial(cursor.use_region, GRANULE, 9)
        yield cursor.buffer
        yield partial(cursor.use_region, 3 * GRANULE)
        yield cursor.unuse_region
    yield lambda: views.append(first.view(0, 9))
    yield manager.collect
    yield lambda: duplicate(manager, descriptor)
    yield lambda: by_descriptor.use_region(2 * GRANULE, 9)
    yield lambda: second.read(5, SIZE)
    yield lambda: second.prefetch(5, SIZE)
    yield lambda: by_descriptor.prefetch(5, SIZE)
    yield lambda: buffer.begin_access(second, 7)
    yield lambda: buffer[5 : 3 * GRANULE]
    yield lambda: buffer.find(b"nowhere")
    for error in (errno.EMFILE, errno.ENOMEM, errno.EACCES):
        yield from (partial(fail, manager, paths[3], call, error) for call in SYSTEM_CALLS)
    yield lambda: manager.configure(max_open_handles=2)
    yield manager.stats
    yield views.clear
    yield manager.num_file_handles
    yield lambda: views.append(others[0].view(0, 9))
    yield lambda: others[1].use_region(0)
    yield manager.close
    yield views.clear
    yield others[1].is_valid
    yield manager.collect


def duplicate(manager: Manager, descriptor: int) -> None:
    """Prefetch from a file by a duplicate of the user's descriptor."""
    with pytest.MonkeyPatch.context() as patch:
        close_proc(patch)
        manager.make_cursor(descriptor).prefetch(0, SIZE)


def fail(manager: Manager, path: Path, call: tuple[object, str], error: int) -> None:
    """Read a file with one of the functions failing once."""
    owner, name = call
    real: Callable[..., object] = getattr(owner, name)
    fault = Fault(real, OSError(error, os.strerror(error)), 1, after=name == "close")
    manager.collect()
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(OSError):
        patch.setattr(owner, name, fault)
        manager.make_cursor(path).read(0, SIZE)


@pytest.mark.parametrize("make", [SlidingWindowMapManager, StaticWindowMapManager])
@pytest.mark.parametrize("reader", ["mmap", "pread"])
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_no_system_call_is_made_under_the_lock(
    paths: list[Path],
    make: type[SlidingWindowMapManager | StaticWindowMapManager],
    reader: ReaderName,
    limits: tuple[int, int, bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is done: maps, moves, evictions, collections, failures, closing under views and cursors."""
    spans = Spans()
    reported: list[object] = []

    def note(report: "sys.UnraisableHookArgs") -> None:
        reported.append(getattr(report.exc_value, "errno", None))

    monkeypatch.setattr(sys, "unraisablehook", note)
    memory, handles, strict = limits
    with open_descriptor(paths[0]) as descriptor, spans.watched():
        manager = make(GRANULE, memory, handles, reader=reader, strict_memory=strict)
        spans.managers.append(manager)
        for step in steps(manager, paths, descriptor):
            with contextlib.suppress(HandleLimitError, MemoryLimitError):
                step()
            check_invariants(manager)
        assert spans.held == []
        # Of close, when a kept descriptor is no longer kept.
        assert set(reported) <= {errno.EMFILE, errno.ENOMEM, errno.EACCES}
        # A fault keeps its error, whose traceback keeps frames, and they what they hold.
        gc.collect()
        assert manager.num_file_handles() == 0
    expected = {name for _, name in SYSTEM_CALLS} | {"mmap.close"}
    # With ``reader="mmap"``, only a file that cannot be mapped is read, to see whether another reader would help.
    assert expected - spans.calls.keys() <= ({"pread"} if reader == "mmap" else set())


def use_in_every_way(manager: SlidingWindowMapManager, path: Path, other: Path) -> None:
    """Map, hit, move, release, evict, read across windows, collect, ask."""
    content = path.read_bytes()
    cursor = manager.make_cursor(path)
    for offset in (0, GRANULE, GRANULE + 9, 0, 2 * GRANULE):
        assert bytes(cursor.use_region(offset, 9).buffer()) == content[offset : offset + 9]
    buffer = SlidingWindowMapBuffer(cursor)
    assert buffer[GRANULE - 5 : GRANULE + 5] == content[GRANULE - 5 : GRANULE + 5]
    assert manager.make_cursor(other).read(0, SIZE) == other.read_bytes()
    assert manager.stats().evictions > 0
    assert 0 < manager.num_file_handles() <= 4
    check_invariants(manager)
    cursor.close()
    buffer.end_access()
    assert manager.collect() > 0


@pytest.mark.parametrize("reader", ["mmap", "pread"])
@pytest.mark.parametrize("name", STOPS)
def test_a_thread_inside_a_system_call_stops_nobody_else(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch, reader: ReaderName, name: str
) -> None:
    """While it is in there, others map, move, hit, release, evict, collect and ask; then it goes on."""
    if (reader, name) == ("mmap", "pread"):
        name = "mmap"
    slow, path, other, _ = paths
    with (
        open_descriptor(slow) as descriptor,
        SlidingWindowMapManager(GRANULE, max_open_handles=4, reader=reader) as manager,
    ):
        if name == "dup":
            close_proc(monkeypatch)
        stop = Stop(monkeypatch, name)

        def act(number: int) -> object:
            if number == 0:
                stop.volunteer()
                done = call_that_needs(name, manager, slow, descriptor)
                if name == "close":
                    # Of the descriptor that was kept.
                    manager.collect()
                return done
            assert stop.inside.wait(SECONDS)
            try:
                use_in_every_way(manager, path, other)
            finally:
                stop.go_on.set()
            return True

        assert in_threads(2, act) == [True, True]
        check_invariants(manager)
        manager.collect()
        assert manager.num_file_handles() == 0
        if reader == "mmap":
            assert_books_match_kernel(manager, slow, path, other, own_descriptors=1)
