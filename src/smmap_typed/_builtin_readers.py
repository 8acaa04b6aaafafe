"""The built-in readers: they identify a file, open it, and bring one window of it into memory.

Functions of ``os`` and ``mmap`` are looked up when they are called, since users and tests replace them. Readers know
nothing of limits and pins, and are safe in any thread.
"""

import contextlib
import errno
import io
import mmap
import os
import stat
import sys
from typing import ClassVar, Final, final

from typing_extensions import override

from smmap_typed import _platform
from smmap_typed._platform import MIB, OPEN_FLAGS, PAST_CACHE_FLAGS, PATH_FLAGS
from smmap_typed._source import FileState, Source, explain, state_of
from smmap_typed.exceptions import FileChangedError, UnsizedFileError

__all__ = ["AutoReader", "MmapReader", "PreadReader"]

# Linux reads at most 2 GiB by one call, less a page.
_MOST_AT_ONCE: Final = 1024 * MIB

_FAKED: Final = "the file system is faked, but neither os.pread nor mmap is, so they cannot read the file"

_NOT_READY: Final = frozenset({errno.EWOULDBLOCK, errno.EAGAIN})

# Errors for a file that cannot be mapped at all: its file system maps no files, or none of this kind. /proc raises EIO;
# making a map reads nothing, so it is not the storage that fails.
_UNMAPPABLE: Final = frozenset({errno.ENODEV, errno.EACCES, errno.EPERM, errno.EINVAL, errno.EIO})


class _FileReader:
    """The steps that the readers share: identify a file, and open it."""

    copies: ClassVar[bool]

    @override
    def __reduce__(self) -> tuple[object, ...]:
        # A native class does not pickle by itself, and this one has no state.
        return type(self), ()

    def identify(self, source: Source) -> FileState:
        """Return the state of the file that ``source`` names now: see ``Reader.identify``."""
        target = source.target
        try:
            status = os.fstat(target) if isinstance(target, int) else os.stat(target)
        except OverflowError:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), target) from None
        except OSError as error:
            explain(error, source, "looking at the file")
            raise
        state = _state(status, source)
        if not state.size:
            # A block device, a file of /proc, or an empty file: the file must be open to tell which.
            state = _measured(status, source)
        if source.known is not None:
            source.check(state)
        return state

    def open(self, source: Source, seen: FileState, flags: int) -> int:
        """Open the file and check that it can serve a cursor that saw ``seen``: see ``Reader.open``."""
        descriptor = _opened(source, flags)
        try:
            status = os.fstat(descriptor)
            if _platform.is_faked(descriptor, status):
                raise OSError(errno.ENOTSUP, _FAKED, source.label())
            now = _state(status, source, descriptor)
            # Usually the states are equal, and nothing more need be asked.
            if now != seen:
                source.check(now, descriptor)
                self._check(seen, now, source, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def read(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> bytes:
        """Read ``size`` bytes at ``offset``: see ``PositionalReader.read``."""
        if size > _MOST_AT_ONCE:
            # BytesIO takes over the new object, and gives it back without a copy. The memory is allocated before the
            # first byte is read, and not touched.
            sink = io.BytesIO(bytes(size))
            with sink.getbuffer() as whole:
                self.readinto(descriptor, source, seen, offset, whole)
            return sink.getvalue()
        try:
            # This is ``_platform.read_at`` without the call, where possible.
            if sys.platform != "win32":
                data = os.pread(descriptor, size, offset)
            else:  # pragma: no cover - Linux measures
                data = _platform.read_at(descriptor, size, offset)
        except OSError as error:
            explain(error, source, f"reading {size} bytes at offset {offset}", descriptor=descriptor)
            raise
        if len(data) != size:
            return data + self._read_rest(descriptor, source, seen, offset + len(data), size - len(data))
        if self.copies:
            self._check_state(descriptor, source, seen)
        return data

    def _read_rest(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> bytes:
        """Read the bytes that a read has left out. Usually they are past the end of a truncated file."""
        rest = bytearray(size)
        with memoryview(rest) as target:
            self.readinto(descriptor, source, seen, offset, target)
        return bytes(rest)

    def readinto(self, descriptor: int, source: Source, seen: FileState, offset: int, target: memoryview) -> None:
        """Fill ``target`` with the bytes at ``offset``: see ``PositionalReader.readinto``."""
        before, done, size = 0, 0, len(target)
        while True:
            try:
                if done or size > _MOST_AT_ONCE:
                    # Released in any case: the traceback of an error would keep users from resizing their memory.
                    with target[done : done + _MOST_AT_ONCE] as room:
                        done += _platform.read_into(descriptor, room, offset + done)
                else:
                    done = _platform.read_into(descriptor, target, offset)
            except OSError as error:
                attempt = f"reading {size - done} bytes at offset {offset + done}"
                explain(error, source, attempt, descriptor=descriptor)
                raise
            # Usually one call fills it.
            if done == size:
                break
            if done == before:
                if _ends_before_its_size(descriptor, seen):
                    raise UnsizedFileError(source.label(descriptor), seen.size)
                # It may end before the offset, and may have grown again since.
                end = min(os.fstat(descriptor).st_size, offset + done)
                raise FileChangedError(
                    source.label(descriptor), f"it ends at {end} bytes now, and had {seen.size} when the cursor looked"
                )
            before = done
        if self.copies:
            self._check_state(descriptor, source, seen)

    def _check_state(self, descriptor: int, source: Source, seen: FileState) -> None:
        """Raise FileChangedError if the open file was written to since it was opened: all copies hold one state."""
        now = _state(os.fstat(descriptor), source, descriptor)
        if now != seen:
            # The open file is still the same one, even if its inode number has changed.
            self._check(
                now._replace(size=seen.size, mtime=seen.mtime, ctime=seen.ctime, links=seen.links),
                now,
                source,
                descriptor,
            )

    def _check(self, seen: FileState, now: FileState, source: Source, descriptor: int) -> None:
        """Raise FileChangedError unless the open file, in the state ``now``, can serve a cursor that saw ``seen``."""
        seen.check(now, source.label(descriptor), copies=self.copies)
        # If mtime was set back after a write, only ctime is new. A rename, a link or an unlink also sets ctime, but
        # changes no byte.
        if (
            self.copies
            and (now.size, now.links) == (seen.size, seen.links)
            and now.ctime != seen.ctime
            and source.still_leads_to(now, descriptor)
        ):
            raise FileChangedError(
                source.label(descriptor), f"it was changed: change time {now.ctime} ns now, {seen.ctime} ns before"
            )


def _opened(source: Source, flags: int) -> int:
    """Open the file of ``source`` with the caller's ``flags`` and ours, through the page cache in any case."""
    target = source.target
    flags &= ~PAST_CACHE_FLAGS
    try:
        return _reopen(target, flags) if isinstance(target, int) else _open(target, flags)
    except OSError as error:
        explain(error, source, "opening the file")
        raise


def _reopen(descriptor: int, flags: int) -> int:
    """Return another descriptor of the file that the user has open, whose number the user may close and reuse.

    Opens the name in /proc, where there is one, rather than call ``dup``: on overlayfs a descriptor from before the
    first write maps the file of the lower layer, while ``fstat`` shows the upper one.
    """
    if PATH_FLAGS:
        with contextlib.suppress(OSError):
            return os.open(f"/proc/self/fd/{descriptor}", OPEN_FLAGS | flags)
    return os.dup(descriptor)


def _open(path: str | bytes, flags: int) -> int:
    """Open a file as the builtin ``open`` does, and wait where that waits, but not for the writer of a FIFO."""
    try:
        return os.open(path, OPEN_FLAGS | flags)
    except OSError as error:
        if error.errno not in _NOT_READY:
            raise
    # Another process has a lease on the file, or it must be fetched from an archive, and OPEN_FLAGS say not to wait.
    probe = os.open(path, OPEN_FLAGS | PATH_FLAGS) if PATH_FLAGS else None
    try:
        # Wait only for a regular file. With O_PATH, the file that is opened is the very one that is looked at here.
        status = os.stat(path) if probe is None else os.fstat(probe)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, _NO_FILE, path)
        name = path if probe is None else f"/proc/self/fd/{probe}"
        return os.open(name, (OPEN_FLAGS & ~_platform.NOT_WAITING) | flags)
    finally:
        if probe is not None:
            os.close(probe)


_NO_FILE: Final = "neither a regular file nor a block device, so it has no windows; read it with open()"


def _state(status: os.stat_result, source: Source, descriptor: int | None = None) -> FileState:
    """Return the state in ``status``; OSError unless it is a regular file or a block device.

    The size of a block device is asked by ``descriptor``, and 0 without one.
    """
    state = state_of(status)
    if stat.S_ISREG(status.st_mode):
        return state
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), source.label(descriptor))
    if not stat.S_ISBLK(status.st_mode):
        raise OSError(errno.EINVAL, _NO_FILE, source.label(descriptor))
    return state if descriptor is None else state._replace(size=_device_size(descriptor))


def _device_size(descriptor: int) -> int:
    """Return the size of an open block device, for which ``fstat`` tells none. Its position stays, if it is shared."""
    here = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        return os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.lseek(descriptor, here, os.SEEK_SET)


def _measured(status: os.stat_result, source: Source) -> FileState:
    """Return the state of a file whose size is 0 for ``stat``: a block device has bytes, and a regular file none.

    :raises UnsizedFileError: if there are bytes nevertheless, as in the files of ``/proc``.
    """
    descriptor = _opened(source, 0)
    try:
        # Systems without PATH_FLAGS have no such files.
        if PATH_FLAGS and stat.S_ISREG(status.st_mode) and _has_content(descriptor, source):
            raise UnsizedFileError(source.label(descriptor), 0)
        return _state(status, source, descriptor)
    finally:
        os.close(descriptor)


def _has_content(descriptor: int, source: Source) -> bool:
    """Whether an open file has a byte, or may get one, while its size is 0."""
    try:
        # Not by pread, which stand-ins for the file system do not replace. Nobody else knows the descriptor. It asks
        # for a page, since some files of /proc/sys give nothing where there is no room for all of their content.
        found = bool(os.read(descriptor, mmap.PAGESIZE))
    except OSError as error:
        found = error.errno in _NOT_READY
        if not found:
            explain(error, source, "reading the first bytes", descriptor=descriptor)
            raise
    # Somebody may have written meanwhile.
    return found and not os.fstat(descriptor).st_size


def _ends_before_its_size(descriptor: int, seen: FileState) -> bool:
    """Whether the file lacks its last byte, although ``fstat`` still reports the size that was ``seen``."""
    with contextlib.suppress(OSError):
        status = os.fstat(descriptor)
        return status.st_size >= seen.size > 0 and not _platform.read_at(descriptor, 1, seen.size - 1)
    return False


@final
class MmapReader(_FileReader):
    """Maps windows. Nothing is copied, and a window shows bytes that are written to the file later."""

    copies: ClassVar[bool] = False

    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        """Map ``size`` bytes at ``offset`` for reading: see ``Reader.load``."""
        try:
            return _platform.map_file(descriptor, size, offset)
        except ValueError:
            # Usually the file has shrunk since it was opened.
            if os.fstat(descriptor).st_size < seen.size:
                raise FileChangedError(
                    source.label(descriptor), f"it has fewer bytes now than the {seen.size} that it had before"
                ) from None
            raise
        except OSError as error:
            remedy = ""
            if error.errno in _UNMAPPABLE:
                if _ends_before_its_size(descriptor, seen):
                    raise UnsizedFileError(source.label(descriptor), seen.size) from None
                remedy = 'the system maps no such file: reader="auto" or reader="pread" reads it instead'
            explain(error, source, f"mapping {size} bytes at offset {offset}", remedy, descriptor)
            raise


@final
class PreadReader(_FileReader):
    """Reads windows into anonymous memory. Works on files that cannot be mapped, and a truncated file causes no signal.

    The memory is an anonymous map rather than ``bytes``, because a map refuses to close while a view of it is alive.
    """

    copies: ClassVar[bool] = True

    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        """Read ``size`` bytes at ``offset`` into new memory: see ``Reader.load``."""
        try:
            memory = mmap.mmap(-1, size)
        except OSError as error:
            explain(error, source, f"reserving {size} bytes of memory for a window", descriptor=descriptor)
            raise
        try:
            done = 0
            while done < size:
                # Read 1 MiB at a time, so that the copy out of the short-lived bytes stays in the processor's cache.
                piece = _read(descriptor, source, min(size - done, MIB), offset + done)
                if not piece:
                    if _ends_before_its_size(descriptor, seen):
                        raise UnsizedFileError(source.label(descriptor), seen.size)
                    raise FileChangedError(
                        source.label(descriptor), f"it ends at {offset + done} bytes now, inside a window"
                    )
                memory[done : done + len(piece)] = piece
                done += len(piece)
            self._check_state(descriptor, source, seen)
        except BaseException:
            memory.close()
            raise
        return memory


def _read(descriptor: int, source: Source, size: int, offset: int) -> bytes:
    try:
        return _platform.read_at(descriptor, size, offset)
    except OSError as error:
        explain(error, source, f"reading {size} bytes at offset {offset}", descriptor=descriptor)
        raise


@final
class AutoReader(_FileReader):
    """Maps windows, and reads those of a file that the system refuses to map: some FUSE and network file systems.

    Whether a window is a copy is known when it is loaded: windows of files that can be mapped are as with
    ``MmapReader``, the others as with ``PreadReader``.
    """

    copies: ClassVar[bool] = False

    def __init__(self) -> None:
        self._mapping: Final = MmapReader()
        self._reading: Final = PreadReader()

    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        """Map ``size`` bytes at ``offset``, or read them into new memory: see ``Reader.load``."""
        try:
            return self._mapping.load(descriptor, source, seen, offset, size)
        except OSError as error:
            if error.errno not in _UNMAPPABLE:
                raise
        return self._reading.load(descriptor, source, seen, offset, size)
