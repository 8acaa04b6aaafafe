"""Sources: the path or descriptor that the user gave, and the state in which the system finds that file.

Device and inode number do not identify a file: on overlayfs, 9p, virtio-fs, FUSE and some network file systems two
files can have the same numbers, or the numbers of one file can change. So a state also has the size and both times, and
cursors share a file only if all of these are equal and their names lead to the same file (see ``_pool.file``).
"""

import errno
import os
import sys
from typing import Final, NamedTuple, SupportsIndex, final

from smmap_typed._arguments import integer
from smmap_typed._platform import IS_WINDOWS
from smmap_typed._types import Advice, PathOrFd, Target
from smmap_typed.exceptions import FileChangedError, SmmapError

__all__ = ["Arrival", "FileState", "Source", "explain", "explain_unnamed", "lies_below", "resolve", "state_behind"]


# Linux appends this to the path of a file that has lost its name.
_DELETED: Final = " (deleted)"


class FileState(NamedTuple):
    """What the system says of a file at one instant, as an immutable value."""

    device: int
    """The number of its device, as in ``os.stat_result.st_dev``."""
    inode: int
    """Its inode number on the device."""
    size: int
    """The size in bytes."""
    mtime: int
    """When its content was last changed, in nanoseconds since the epoch; any program that owns the file can set it."""
    ctime: int
    """When its inode was last changed, in nanoseconds since the epoch; on POSIX a write, rename, link or unlink
    sets it."""
    links: int = 1
    """How many names the inode has. If more than 1, cursors of different names may share the file."""

    def check(self, now: "FileState", target: Target, *, copies: bool = False) -> None:
        """Raise FileChangedError unless ``now`` can still serve a cursor that saw this state.

        A file that has grown can serve it, since it still has the bytes that the cursor saw. A new modification time
        matters only for windows that are ``copies``: a map shows what is written anyway.

        :raises FileChangedError: if the inode is another one (unless size and both times are equal, as on file systems
            whose numbers change), if the file is shorter, or if copies would be of two states.
        """
        another = (now.device, now.inode) != (self.device, self.inode)
        if another and (now.size, now.mtime, now.ctime) != (self.size, self.mtime, self.ctime):
            raise FileChangedError(
                target,
                f"it is inode {now.inode} on device {now.device} now and was {self.inode} on {self.device}",
            )
        if now.size < self.size:
            raise FileChangedError(target, f"it has {now.size} bytes now, and had {self.size} before")
        if copies and now.size == self.size and now.mtime != self.mtime:
            raise FileChangedError(
                target, f"it was rewritten: modification time {now.mtime} ns now, {self.mtime} ns before"
            )


@final
class Arrival:
    """What an unpickled cursor brings with it. Immutable."""

    __slots__ = ("manager", "seen")

    def __init__(self, seen: FileState | None, manager: object) -> None:
        self.seen: Final = seen
        """The state in which the pickled cursor saw its file; None if it could not look."""
        self.manager: Final = manager
        """The manager, which lives as long as any cursor that was unpickled with it: see ``_handles.pickling``."""

    def check(self, now: FileState, target: Target) -> None:
        """Raise FileChangedError unless ``now`` has the size and the times that the pickled cursor saw.

        Device and inode number are not compared, since they differ between machines that share a file system.
        """
        seen = self.seen
        if seen is None or (now.size, now.mtime, now.ctime) == (seen.size, seen.mtime, seen.ctime):
            return
        raise FileChangedError(
            target,
            f"it has {now.size} bytes, mtime {now.mtime} ns and ctime {now.ctime} ns now, and where the cursor was "
            f"pickled it had {seen.size} bytes, mtime {seen.mtime} ns and ctime {seen.ctime} ns",
        )


class Source:
    """The path or descriptor that the user gave to ``make_cursor``, and its form for system calls. Immutable."""

    __slots__ = ("advice", "given", "known", "target")

    def __init__(
        self,
        given: PathOrFd,
        target: Target,
        known: "tuple[FileState, str] | Arrival | None" = None,
        advice: Advice | None = None,
    ) -> None:
        self.given: Final = given
        """The object that the user gave, unchanged."""
        self.target: Final = target
        """An absolute path, fixed when the cursor was made, or the user's descriptor."""
        self.known: Final = known
        """What is known of the file before the first look: ``opened`` for a descriptor, an ``Arrival`` for a cursor
        that was unpickled, else None. One field for both, since each field adds to the size of an unused cursor."""
        self.advice: Final = advice
        """The advice to the kernel about windows that are mapped for this source."""

    @property
    def opened(self) -> tuple[FileState, str] | None:
        """The state and name of a descriptor's file when the cursor was made: the number may be reused later."""
        known = self.known
        return known if isinstance(known, tuple) else None

    def name(self) -> str | int:
        """Return the name by which other cursors find the same file.

        That is the path. For a descriptor it is the path that the system has for it now, which takes a system call, or
        its number if the system has none.
        """
        target = self.target
        if isinstance(target, str):
            return target
        if isinstance(target, bytes):
            return os.fsdecode(target)
        return name_of(target) or target

    def label(self, descriptor: int | None = None) -> Target:
        """Return what to call the file in an error: its path, or a descriptor's number if the system knows no path.

        ``descriptor`` is another one that is open on the file, by which the system is asked: the user's own may be
        closed, or belong to another file by now.
        """
        if not isinstance(self.target, int):
            return self.target
        known = "" if self.opened is None else self.opened[1]
        return (known if descriptor is None else name_of(descriptor) or known) or self.target

    def check(self, now: FileState, descriptor: int | None = None) -> None:
        """Raise FileChangedError if the user's descriptor has been closed and its number given to another file.

        ``now`` is the state of the file that the number leads to. ``descriptor`` is a duplicate to ask for its name
        instead of the number itself, which another thread may close. Does nothing for a path.
        """
        if not isinstance(self.known, tuple):
            return
        was, name = self.known
        if (now.device, now.inode) != (was.device, was.inode):
            # On some file systems the inode number of a file changes.
            same = (now.size, now.mtime, now.ctime) == (was.size, was.mtime, was.ctime) and self._is_named(
                name, descriptor
            )
        else:
            # Equal numbers are not enough, since on some file systems several files share them. If the file was renamed
            # meanwhile, its name is new, and ctime is all that is new in its state.
            renamed = (now.size, now.mtime) == (was.size, was.mtime) and now.ctime != was.ctime
            same = renamed or self._is_named(name, descriptor)
        if not same:
            raise FileChangedError(self.label(), "the descriptor was closed and its number belongs to another file now")

    def _is_named(self, name: str, descriptor: int | None) -> bool:
        """Whether the name that the system has for the descriptor is still ``name``, deleted or not."""
        now = name_of(self.target if descriptor is None else descriptor)
        return now.removesuffix(_DELETED) == name.removesuffix(_DELETED)

    def still_leads_to(self, now: FileState, descriptor: int) -> bool:
        """Whether the name still leads to the open file, whose state is ``now``: it was not renamed or removed."""
        if isinstance(self.known, tuple):
            return self._is_named(self.known[1], descriptor)
        try:
            status = os.stat(self.target)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == (now.device, now.inode)


# Errors that need no explanation besides the file's name.
_PLAIN: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EBADF})

_REMEDIES: Final = {
    errno.EMFILE: "this process has used up its descriptors: close some, lower max_open_handles, or raise ulimit -n",
    errno.ENFILE: "the system has used up its descriptors: close some, or lower max_open_handles",
    errno.ENOMEM: "smaller windows (window_size) or lower limits (max_memory_size, max_open_handles) need less memory",
    errno.EIO: "the storage failed: other parts of the file may still be readable",
    errno.ESTALE: "the server has lost track of the file: make a new cursor",
}


def explain(error: OSError, source: Source, attempt: str, remedy: str = "", descriptor: int | None = None) -> None:
    """Give an error of the system the file's name, and say what was tried and what helps. Its class and number stay.

    ``attempt`` begins with the verb, as in "reading 10 bytes at offset 20". ``descriptor`` is one of our own; if
    the user gave a descriptor, the file gets its name from ours. Errors that this library has made, or that have no
    number, get only the name.
    """
    if error.strerror is None:
        return
    if not isinstance(error.filename, (str, bytes)) or isinstance(source.target, int):
        error.filename = source.label(descriptor)
    if not isinstance(error, SmmapError) and error.errno not in _PLAIN:
        remedy = remedy or _REMEDIES.get(error.errno or 0, "")
        text = f"{error.strerror} while {attempt}" + (f"; {remedy}" if remedy else "")
        # The first is what str() shows, and the second what a pickled error is made from.
        error.strerror, error.args = text, (error.errno, text)


def explain_unnamed(error: OSError, source: Source, attempt: str) -> None:
    """Explain an error that names no file yet: an error of a user's own reader, or a limit error."""
    if error.filename is None:
        explain(error, source, attempt)


def resolve(given: PathOrFd | SupportsIndex) -> Target:
    """Return the argument for system calls: a path is made absolute, so the working directory may change later.

    TypeError for anything that is neither a path nor a descriptor.
    """
    # The usual case. On Windows such a path has no drive, so it is not absolute.
    if type(given) is str and given[:1] == "/" and not IS_WINDOWS:
        return given
    if isinstance(given, bool):
        raise TypeError("path_or_fd must be a path or a file descriptor, got a bool")
    if isinstance(given, int):
        return given
    if not isinstance(given, (str, bytes, os.PathLike)):
        if isinstance(given, SupportsIndex):
            return integer("path_or_fd", given)
        raise TypeError(
            f"path_or_fd must be str, bytes, os.PathLike or an open file descriptor, got {type(given).__name__}"
        )
    path = os.fspath(given)
    # The path is joined but not normalised: abspath would turn link/.. into another path.
    try:
        if isinstance(path, bytes):
            return path if os.path.isabs(path) or not path else os.path.join(os.getcwdb(), path)
        return path if os.path.isabs(path) or not path else os.path.join(os.getcwd(), path)
    except OSError as error:
        # The working directory was deleted, for one. The system names no file; the builtin open names this one.
        error.filename = path
        raise


def state_of(status: os.stat_result) -> FileState:
    """Return the state in a result of ``os.stat``."""
    values = (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_nlink,
    )
    # The constructor is a Python function that costs as much as the rest of this one, so it is left out. The look at
    # the file is a large part of what a cursor costs that is used once.
    return tuple.__new__(FileState, values)  # pyright: ignore[reportUnknownMemberType] - a default is untyped


def state_behind(descriptor: int) -> tuple[FileState, str] | None:
    """Return the state and name of an open descriptor; None for a closed one, which the first use then reports."""
    try:
        return state_of(os.fstat(descriptor)), name_of(descriptor)
    except (OSError, OverflowError):
        return None


if sys.platform == "linux":

    def name_of(target: Target) -> str:
        """Return the path that the system has for an open descriptor, or "" if it has none."""
        try:
            return os.readlink(f"/proc/self/fd/{target!s}")
        except OSError:
            # Where /proc is not mounted.
            return ""

else:  # pragma: no cover - Linux measures

    def name_of(target: Target) -> str:  # noqa: ARG001 - the signature is the same as on Linux
        """Return "": this system tells no path."""
        return ""


def lies_below(name: str | int, base: str) -> bool:
    """Whether a path is ``base`` or below it, compared by whole components."""
    if isinstance(name, int):
        return False
    path = os.path.normcase(os.path.abspath(name))
    return path == base or path.startswith(base.rstrip(os.sep) + os.sep)
