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
_ATTRIBUTES: Final = struct.Struct("<QQQQQQIIIIIIIIII")
_ENTRY: Final = struct.Struct("<QQQQII")
_ATTRIBUTES_VALID: Final = struct.Struct("<QII")
_OPENED: Final = struct.Struct("<QIi")
_READ: Final = struct.Struct("<QQI")
_FAULTS: Final = struct.Struct("<dI")

_ROOT: Final = 1
_PROTOCOL: Final = (7, 31)
_ASYNC_READ: Final = 1 << 0
_AUTO_INVAL_DATA: Final = 1 << 12
_DIRECT_IO: Final = 1 << 0
_LONGEST_REQUEST: Final = 1 << 20


@dataclass(frozen=True)
class Whims:
    """What such a file system does to its files' attributes, and how it reads."""

    inodes: Literal["real", "all one", "never the same"] = "real"
    """Numbers that are those of the files; that tell no file from another; that are new at each look."""
    equal_times: bool = False
    """Whether mtime and ctime are the same for all files, for ever."""
    direct_io: bool = False
    """Files that nobody can map."""


class FuseMount:
    """A mounted file system: where it is, the folder behind it, and what becomes of reads from here on."""

    def __init__(self, path: Path, behind: Path, faults: mmap.mmap) -> None:
        self.path: Final = path
        self.behind: Final = behind
        self._faults: Final = faults

    def disturb_reads(self, *, delay: float = 0.0, error: int = 0) -> None:
        """Answer each read of the kernel after so many seconds, or with this error number. Its page cache stays."""
        self._faults[: _FAULTS.size] = _FAULTS.pack(delay, error)


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
    with mounted("fuse", path, options), mmap.mmap(-1, _FAULTS.size) as faults:
        ended, end = os.pipe()
        server = os.fork()
        if server == 0:
            _end_as_server(_Server(device, behind, whims or Whims(), faults), ended)
        # Only the server has them, so that the kernel ends all waiting when it is gone.
        os.close(device)
        os.close(ended)
        try:
            yield FuseMount(path, behind, faults)
        finally:
            # Not killed: what measures coverage there has a file to write.
            os.close(end)
            os.waitpid(server, 0)


def _end_as_server(server: "_Server", ended: int) -> None:
    """Answer requests until the mount's owner is gone, or says so, and end this process."""
    if sys.platform != "linux":
        raise NotImplementedError
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # For a server that nobody ends.
    signal.alarm(SECONDS)
    try:
        # What the test has open is not the server's, and a pipe that it waits on would stay open.
        first, second = sorted((server.device, ended))
        os.closerange(3, first)
        os.closerange(first + 1, second)
        os.closerange(second + 1, 4096)
        server.serve(ended)
    finally:
        os._exit(0)


class _Refused(Exception):  # noqa: N818 - an answer
    """The answer to a request is an error number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number: Final = number


class _Server:
    def __init__(self, device: int, behind: Path, whims: Whims, faults: mmap.mmap) -> None:
        self.device: Final = device
        self._behind: Final = behind
        self._whims: Final = whims
        self._faults: Final = faults
        self._looks: Final = itertools.count(1000)
        # An O_PATH descriptor for each file that was ever looked up, so that its number is not used again.
        self._nodes: Final[dict[int, int]] = {}
        self._numbers: Final[dict[tuple[int, int], int]] = {}
        self._calls: Final[dict[int, Callable[[int, bytes], bytes]]] = {
            1: self._look_up,
            3: self._get_attributes,
            5: self._read_link,
            14: self._open,
            15: self._read,
            18: self._release,
            26: self._initialise,
        }

    def serve(self, ended: int) -> None:
        """Answer requests until there is something to read from ``ended``, or its other end is closed."""
        if sys.platform != "linux":
            raise NotImplementedError
        self._nodes[_ROOT] = os.open(self._behind, os.O_PATH)
        while ended not in select([self.device, ended], [], [])[0]:
            # A request that was given up meanwhile is none.
            with suppress(FileNotFoundError, InterruptedError):
                self._answer(os.read(self.device, _LONGEST_REQUEST))

    def _answer(self, request: bytes) -> None:
        _, code, unique, node, *_ = _REQUEST.unpack_from(request)
        # FORGET, INTERRUPT and BATCH_FORGET want none.
        if code in (2, 36, 42):
            return
        number, answer = 0, b""
        try:
            answer = self._calls[code](node, request[_REQUEST.size :])
        except _Refused as refused:
            number = refused.number
        except KeyError:
            number = errno.ENOSYS
        except OSError as error:
            number = error.errno or errno.EIO
        delay, _ = _FAULTS.unpack_from(self._faults)
        whole = _ANSWER.pack(_ANSWER.size + len(answer), -number, unique) + answer
        if code == 15 and delay:
            threading.Timer(delay, self._send, [whole]).start()
        else:
            self._send(whole)

    def _send(self, answer: bytes) -> None:
        # Nobody waits any more, as above.
        with suppress(FileNotFoundError):
            os.write(self.device, answer)

    def _initialise(self, _: int, arguments: bytes) -> bytes:
        (read_ahead,) = struct.unpack_from("<8xI", arguments)
        return _INIT.pack(*_PROTOCOL, read_ahead, _ASYNC_READ | _AUTO_INVAL_DATA, 16, 12, 1 << 16, 1, 0, 0, 0)

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
        _, error = _FAULTS.unpack_from(self._faults)
        if error:
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
