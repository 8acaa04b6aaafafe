"""A FUSE server in pure Python: a folder seen through a file system with whims of a 9p, network or FUSE mount.

It speaks the kernel's protocol on ``/dev/fuse`` (<linux/fuse.h>), so nothing needs to be installed. It is a process of
its own: a page fault is taken with the GIL held, so a thread could never answer it. Files are those of the folder
behind it, and are changed there, as on the host of a 9p export; the kernel keeps neither names nor attributes.
"""

import errno
import itertools
import mmap
import os
import signal
import stat
import struct
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from select import select
from typing import Final, Literal

import pytest

from mounts import mounted
from support import SECONDS

__all__ = ["FuseMount", "Whims", "fuse_mount"]

# FUSE is Linux here: functions say so to the type checkers, which pass over the rest of them elsewhere.

_REQUEST: Final = struct.Struct("<IIQQIIII")
_ANSWER: Final = struct.Struct("<IiQ")
_INIT: Final = struct.Struct("<IIIIHHIIHHI28x")
"""Of its last two fields, the second has the flags from bit 32 on."""
_ATTRIBUTES: Final = struct.Struct("<QQQQQQIIIIIIIIII")
_ENTRY: Final = struct.Struct("<QQQQII")
_ATTRIBUTES_VALID: Final = struct.Struct("<QII")
_OPENED: Final = struct.Struct("<QIi")
_READ: Final = struct.Struct("<QQI")
_ORDERS: Final = struct.Struct("<d?IQQ")
_COUNT: Final = struct.Struct("<Q")

_READ_CODE: Final = 15
_ROOT: Final = 1
_PROTOCOL: Final = (7, 31)
_ASYNC_READ: Final = 1 << 0
_AUTO_INVAL_DATA: Final = 1 << 12
_MORE_FLAGS: Final = 1 << 30
_MAPS_DIRECT_IO: Final = 1 << 36
_DIRECT_IO: Final = 1 << 0
_LONGEST_REQUEST: Final = 1 << 20
_EVERYTHING: Final = 1 << 62
_SECONDS: Final = 60
"""When a server that nobody ended is ended."""
_PATIENCE: Final = 10.0
"""Seconds after which reads that are held fail. A page fault that waits for one cannot be ended from outside."""


@dataclass(frozen=True)
class Whims:
    """What such a file system does to its files' attributes, and how it reads."""

    inodes: Literal["real", "all one", "never the same"] = "real"
    """Numbers that are those of the files; that tell no file from another; that are new at each look."""
    equal_times: bool = False
    """Whether mtime and ctime are the same for all files, for ever."""
    direct_io: bool = False
    """Files that are read past the page cache, and that nobody can map."""
    maps_direct_io: bool = False
    """Such files can be mapped all the same. Linux 6.6 or newer."""
    reads_ahead: bool = True
    """Whether the kernel reads more than it was asked for."""


class FuseMount:
    """A mounted file system: where it is, the folder behind it, and what becomes of reads from here on."""

    def __init__(self, path: Path, behind: Path, shared: mmap.mmap, commands: int, arrivals: int) -> None:
        self.path: Final = path
        self.behind: Final = behind
        self._shared: Final = shared
        self._commands: Final = commands
        self._arrivals: Final = arrivals

    def disturb_reads(
        self, *, delay: float = 0.0, error: int = 0, begin: int = 0, end: int = _EVERYTHING, holds: bool = False
    ) -> None:
        """Say what becomes of the kernel's reads from here on. What is in its page cache stays.

        They are answered after ``delay`` seconds; with this ``error`` number if they touch the bytes from ``begin`` to
        ``end``; or not before ``release_reads`` if the server ``holds`` them.
        """
        self._shared[: _ORDERS.size] = _ORDERS.pack(delay, holds, error, begin, end)

    @contextmanager
    def held_reads(self) -> Generator[None]:
        """Let the server answer no read before the end of the block, where it answers all of them."""
        self.disturb_reads(holds=True)
        try:
            yield
        finally:
            self.disturb_reads()
            os.write(self._commands, b"release")

    def wait_for_read(self) -> None:
        """Return as soon as one more read waits in the server. Other threads go on meanwhile."""
        assert os.read(self._arrivals, 1), "the server has ended"

    def count_reads(self) -> int:
        """How many reads the kernel has asked the server for."""
        (count,) = _COUNT.unpack_from(self._shared, _ORDERS.size)
        return int(count)


@contextmanager
def fuse_mount(folder: Path, whims: Whims | None = None) -> Generator[FuseMount]:
    """``folder/behind``, seen at ``folder/mount``; skips the test where there is no FUSE."""
    if sys.platform != "linux":
        raise NotImplementedError
    behind, path = folder / "behind", folder / "mount"
    behind.mkdir()
    try:
        device = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"the system gives no FUSE: {error}")
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
    with mounted("fuse", path, options), mmap.mmap(-1, _ORDERS.size + _COUNT.size) as shared:
        inbox, commands = os.pipe()
        arrivals, outbox = os.pipe()
        mount = FuseMount(path, behind, shared, commands, arrivals)
        mount.disturb_reads()
        server = os.fork()
        if server == 0:
            _end_as_server(_Server(device, behind, whims or Whims(), shared, outbox), inbox)
        # Only the server has them, so that the kernel ends all waiting when it is gone.
        for descriptor in (device, inbox, outbox):
            os.close(descriptor)
        try:
            yield mount
        finally:
            # Not killed: what measures coverage there has a file to write.
            os.close(commands)
            os.waitpid(server, 0)
            os.close(arrivals)


def _end_as_server(server: "_Server", inbox: int) -> None:
    """Answer requests until the mount's owner is gone, or says so, and end this process."""
    if sys.platform != "linux":
        raise NotImplementedError
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # For a server that nobody ends.
    signal.alarm(SECONDS)
    try:
        # What the test has open is not the server's, and a pipe that it waits on would stay open.
        last = 2
        for kept in sorted((server.device, server.outbox, inbox)):
            os.closerange(last + 1, kept)
            last = kept
        os.closerange(last + 1, 4096)
        server.serve(inbox)
    finally:
        os._exit(0)


class _Refused(Exception):  # noqa: N818 - an answer
    """The answer to a request is an error number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number: Final = number


class _Server:
    def __init__(self, device: int, behind: Path, whims: Whims, shared: mmap.mmap, outbox: int) -> None:
        self.device: Final = device
        self.outbox: Final = outbox
        self._behind: Final = behind
        self._whims: Final = whims
        self._shared: Final = shared
        self._held: Final[list[bytes]] = []
        self._looks: Final = itertools.count(1000)
        # An O_PATH descriptor for each file that was ever looked up, so that its number is not used again.
        self._nodes: Final[dict[int, int]] = {}
        self._numbers: Final[dict[tuple[int, int], int]] = {}
        self._calls: Final[dict[int, Callable[[int, bytes], bytes]]] = {
            1: self._look_up,
            3: self._get_attributes,
            5: self._read_link,
            14: self._open,
            _READ_CODE: self._read,
            18: self._release,
            26: self._initialise,
        }

    def serve(self, inbox: int) -> None:
        """Answer requests until the other end of ``inbox`` is closed; at a command from there, those that are held."""
        if sys.platform != "linux":
            raise NotImplementedError
        self._nodes[_ROOT] = os.open(self._behind, os.O_PATH)
        while True:
            ready = select([self.device, inbox], [], [], _PATIENCE if self._held else None)[0]
            if not ready:
                # The owner waits for itself.
                self._shared[: _ORDERS.size] = _ORDERS.pack(0.0, False, errno.EIO, 0, _EVERYTHING)
            if inbox in ready and not os.read(inbox, 64):
                return
            if inbox in ready or not ready:
                while self._held:
                    self._answer(self._held.pop())
                continue
            # A request that was given up meanwhile is none.
            with suppress(FileNotFoundError, InterruptedError):
                self._receive(os.read(self.device, _LONGEST_REQUEST))

    def _receive(self, request: bytes) -> None:
        _, code, *_ = _REQUEST.unpack_from(request)
        # FORGET, INTERRUPT and BATCH_FORGET want no answer.
        if code in (2, 36, 42):
            return
        if code == _READ_CODE:
            (count,) = _COUNT.unpack_from(self._shared, _ORDERS.size)
            _COUNT.pack_into(self._shared, _ORDERS.size, count + 1)
            _, holds, *_ = _ORDERS.unpack_from(self._shared)
            if holds:
                self._held.append(request)
                os.write(self.outbox, b"!")
                return
        self._answer(request)

    def _answer(self, request: bytes) -> None:
        _, code, unique, node, *_ = _REQUEST.unpack_from(request)
        number, answer = 0, b""
        try:
            answer = self._calls[code](node, request[_REQUEST.size :])
        except _Refused as refused:
            number = refused.number
        except KeyError:
            number = errno.ENOSYS
        except OSError as error:
            number = error.errno or errno.EIO
        delay, *_ = _ORDERS.unpack_from(self._shared)
        whole = _ANSWER.pack(_ANSWER.size + len(answer), -number, unique) + answer
        if code == _READ_CODE and delay:
            threading.Timer(delay, self._send, [whole]).start()
        else:
            self._send(whole)

    def _send(self, answer: bytes) -> None:
        # Nobody waits any more, as above.
        with suppress(FileNotFoundError):
            os.write(self.device, answer)

    def _initialise(self, _: int, arguments: bytes) -> bytes:
        (read_ahead,) = struct.unpack_from("<8xI", arguments) if self._whims.reads_ahead else (0,)
        flags = _ASYNC_READ | _AUTO_INVAL_DATA
        if self._whims.maps_direct_io:
            flags |= _MORE_FLAGS | _MAPS_DIRECT_IO
        low, high = flags & 0xFFFF_FFFF, flags >> 32
        return _INIT.pack(*_PROTOCOL, read_ahead, low, 16, 12, 1 << 16, 1, 0, 0, high)

    def _look_up(self, node: int, arguments: bytes) -> bytes:
        if sys.platform != "linux":
            raise NotImplementedError
        name = arguments.rstrip(b"\0")
        found = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=self._nodes[node])
        status = os.fstat(found)
        number = self._numbers.setdefault((status.st_dev, status.st_ino), len(self._nodes) + _ROOT)
        if number in self._nodes:
            os.close(found)
        else:
            self._nodes[number] = found
        return _ENTRY.pack(number, 0, 0, 0, 0, 0) + self._attributes(status)

    def _get_attributes(self, node: int, _: bytes) -> bytes:
        return _ATTRIBUTES_VALID.pack(0, 0, 0) + self._attributes(os.fstat(self._nodes[node]))

    def _read_link(self, node: int, _: bytes) -> bytes:
        return os.readlink(b"", dir_fd=self._nodes[node])

    def _open(self, node: int, _: bytes) -> bytes:
        opened = os.open(f"/proc/self/fd/{self._nodes[node]}", os.O_RDONLY)
        return _OPENED.pack(opened, _DIRECT_IO if self._whims.direct_io else 0, 0)

    def _read(self, _: int, arguments: bytes) -> bytes:
        if sys.platform != "linux":
            raise NotImplementedError
        opened, offset, size = _READ.unpack_from(arguments)
        _, _, error, begin, end = _ORDERS.unpack_from(self._shared)
        if error and offset < end and begin < offset + size:
            raise _Refused(error)
        return os.pread(opened, size, offset)

    def _release(self, _: int, arguments: bytes) -> bytes:
        (opened,) = struct.unpack_from("<Q", arguments)
        os.close(opened)
        return b""

    def _attributes(self, status: os.stat_result) -> bytes:
        if sys.platform != "linux":
            raise NotImplementedError
        inode = {"real": status.st_ino, "all one": 1, "never the same": next(self._looks)}[self._whims.inodes]
        regular = stat.S_ISREG(status.st_mode)
        times = (
            (0, 0, 0)
            if self._whims.equal_times and regular
            else (
                status.st_atime_ns,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
        )
        seconds, nanoseconds = zip(*(divmod(time, 10**9) for time in times), strict=True)
        return _ATTRIBUTES.pack(
            *(inode, status.st_size, status.st_blocks, *seconds, *nanoseconds),
            *(status.st_mode, status.st_nlink, status.st_uid, status.st_gid, 0, 4096, 0),
        )
