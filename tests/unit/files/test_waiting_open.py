"""Opening waits where the builtin ``open`` does, for a lease, and for nothing else: a FIFO is an error at once."""

import errno
import fcntl
import operator
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import pytest

from isolated import in_a_child
from rewriting import SIZE, ReaderName, assert_reads, descriptors_named
from smmap_typed import SlidingWindowMapManager
from support import GRANULE, SECONDS, pattern, write_pattern

# Leases are Linux; the type checkers pass over the rest elsewhere.
assert sys.platform == "linux"

T = TypeVar("T")

"""When a thread that hangs is given up; nothing takes so long that is right."""


class Lease:
    """A lease on a file that another process has, as a file server's."""

    def __init__(self, asked: int, command: int) -> None:
        self._asked: Final = asked
        self._command: Final = command

    def wait_until_it_is_asked_back(self) -> None:
        """Somebody opens the file now, and waits."""
        assert select.select([self._asked], [], [], SECONDS)[0], "nobody has opened the file"
        assert os.read(self._asked, 1) == b"a"

    def give_back(self) -> None:
        """Let whoever waits go on."""
        os.write(self._command, b"g")


@contextmanager
def lease(path: Path) -> Generator[Lease]:
    """A lease for writing on ``path``, which conflicts with every other open; ends with its process."""
    asked, asks = os.pipe()
    commands, command = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(command)
            hold_lease(path, asks, commands)
        finally:
            os._exit(0)
    os.close(asks)
    os.close(commands)
    try:
        if os.read(asked, 1) != b"h":
            pytest.skip("the file system gives no lease")
        yield Lease(asked, command)
    finally:
        # It ends when nobody can ask for the lease any more.
        os.close(command)
        os.waitpid(child, 0)
        os.close(asked)


def hold_lease(path: Path, asks: int, commands: int) -> None:
    """In the other process: tell when it has the lease and when somebody asks for it; give it back when told to."""
    signal.alarm(SECONDS)
    signal.signal(signal.SIGIO, lambda _signal, _frame: os.write(asks, b"a"))
    descriptor = os.open(path, os.O_RDWR)
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    os.write(asks, b"h")
    os.read(commands, 1)
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    os.read(commands, 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of four granules."""
    path = tmp_path / "file"
    write_pattern(path, SIZE, 1)
    return path


def start(act: Callable[[], T]) -> Future[T]:
    """Do ``act`` in a thread that nobody has to wait for at the end."""
    future = Future[T]()

    def run() -> None:
        try:
            future.set_result(act())
        except BaseException as error:  # noqa: BLE001 - who asks for the result gets it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


@pytest.mark.parametrize("first_use", ["use_region", "read", "view"])
@in_a_child
def test_a_lease_is_waited_for(path: Path, reader: ReaderName, first_use: str) -> None:
    """As ``open`` waits; other threads read other files meanwhile, of the same manager."""
    other = path.with_name("other")
    write_pattern(other, SIZE, 2)
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager, lease(path) as held:
        cursor = manager.make_cursor(path)
        waiting = start(lambda: operator.methodcaller(first_use, GRANULE, 16)(cursor))
        held.wait_until_it_is_asked_back()
        assert_reads(manager.make_cursor(other), pattern(SIZE, 2))
        assert not waiting.done(), waiting.exception()
        held.give_back()
        waiting.result(SECONDS)
        assert_reads(cursor, pattern(SIZE, 1))


@in_a_child
def test_a_window_of_an_old_cursor_waits_for_a_lease(path: Path, reader: ReaderName) -> None:
    """With one handle nothing is kept of the file, so its next window opens it again."""
    with SlidingWindowMapManager(GRANULE, max_open_handles=1, reader=reader) as manager:
        cursor = manager.make_cursor(path).use_region(0, 8)
        cursor.unuse_region()
        # What is still mapped of a file, or open, keeps it from being leased.
        manager.collect()
        with lease(path) as held:
            waiting = start(lambda: bytes(cursor.use_region(GRANULE + 3, 16).buffer()))
            held.wait_until_it_is_asked_back()
            assert not waiting.done(), waiting.exception()
            held.give_back()
            assert waiting.result(SECONDS) == pattern(16, 1, GRANULE + 3)


class TestNoFile:
    """What has no windows is an error at once, by its name and by its descriptor."""

    @pytest.mark.parametrize("by_descriptor", [False, True])
    def test_a_fifo(self, tmp_path: Path, reader: ReaderName, by_descriptor: bool) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        descriptor = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        try:
            if not by_descriptor:
                # Nobody has it open: who opens it for reading waits for one who writes.
                os.close(descriptor)
            assert_refused(descriptor if by_descriptor else fifo, reader, OSError)
        finally:
            if by_descriptor:
                os.close(descriptor)

    def test_a_pipe_and_a_terminal(self, reader: ReaderName) -> None:
        first, second = os.pipe()
        master, slave = os.openpty()
        try:
            for descriptor in (first, second, master, slave):
                assert_refused(descriptor, reader, OSError)
            assert_refused(Path(os.ttyname(slave)), reader, OSError)
        finally:
            for descriptor in (first, second, master, slave):
                os.close(descriptor)

    def test_a_directory(self, tmp_path: Path, reader: ReaderName) -> None:
        descriptor = os.open(tmp_path, os.O_RDONLY)
        try:
            assert_refused(tmp_path, reader, IsADirectoryError)
            assert_refused(descriptor, reader, IsADirectoryError)
        finally:
            os.close(descriptor)

    def test_a_socket(self, tmp_path: Path, reader: ReaderName, monkeypatch: pytest.MonkeyPatch) -> None:
        # A socket's name is short.
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket")
            assert_refused(tmp_path / "socket", reader, OSError)
            assert_refused(listening.fileno(), reader, OSError)

    @pytest.mark.parametrize("name", ["/dev/null", "/dev/zero", "/dev/urandom"])
    def test_a_character_device(self, reader: ReaderName, name: str) -> None:
        descriptor = os.open(name, os.O_RDONLY)
        try:
            assert_refused(Path(name), reader, OSError)
            assert_refused(descriptor, reader, OSError)
        finally:
            os.close(descriptor)


def assert_refused(source: Path | int, reader: ReaderName, error: type[OSError]) -> None:
    """Every first use of ``source`` raises ``error`` with its name, in time, and keeps nothing open."""
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        name = source if isinstance(source, Path) else Path(os.readlink(f"/proc/self/fd/{source}"))
        before = descriptors_named(name)
        cursor = manager.make_cursor(source)
        for call in (cursor.use_region, cursor.file_size, lambda: cursor.read(0, 8), lambda: cursor.view(0, 8)):
            with pytest.raises(error) as caught:
                start(call).result(SECONDS)
            if isinstance(source, Path):
                assert caught.value.filename == str(source)
        assert descriptors_named(name) == before
        assert manager.num_file_handles() == 0


@pytest.mark.parametrize("busy_first", [False, True])
@in_a_child
def test_a_fifo_that_takes_the_place_of_a_file_hangs_nobody(
    path: Path, reader: ReaderName, busy_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a file and the opening of it, also between a try that must not wait and one that may."""
    real_open = os.open
    swapped = False

    def swap_first(target: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        nonlocal swapped
        if not swapped and (flags & os.O_NONBLOCK or not busy_first):
            swapped = True
            path.unlink()
            os.mkfifo(path)
            if busy_first:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), target)
        return real_open(target, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swap_first)
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        waiting = start(lambda: bytes(manager.make_cursor(path).use_region(3, 16).buffer()))
        error = waiting.exception(SECONDS)
        # Where no open comes that must not wait, nothing was swapped.
        assert isinstance(error, OSError) if swapped else waiting.result() == pattern(16, 1, 3)
