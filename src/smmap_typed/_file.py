"""Files: what the user named, and which file that is.

A file is an inode at one size. A cursor keeps the identity that it saw first, and every window that is mapped for it
is checked against that identity on the very descriptor that is mapped.
"""

import os
from typing import Final, NamedTuple

from smmap_typed._platform import IS_WINDOWS
from smmap_typed._types import Advice, PathOrFd, Target
from smmap_typed.exceptions import FileChangedError

__all__ = ["Identity", "Source", "inode_behind", "lies_below", "resolve"]


class Identity(NamedTuple):
    """Which file, as a value: equal identities share regions."""

    device: int
    """Its number, as in ``os.stat_result.st_dev``."""
    inode: int
    """Its number on the device."""
    size: int
    """Bytes, as the cursor saw it first; a file that has grown since is another identity."""
    stamp: int
    """Modification time in nanoseconds for readers that copy, else 0: a map shows new bytes by itself."""

    def check(self, now: "Identity", target: Target) -> None:
        """Raise FileChangedError unless ``now`` can still serve a cursor that saw this identity.

        Growing is no change: an appended file still has the bytes that the cursor saw.
        """
        if (now.device, now.inode) != (self.device, self.inode):
            raise FileChangedError(
                target,
                f"it is inode {now.inode} on device {now.device} now and was {self.inode} on {self.device}",
            )
        if now.size < self.size:
            raise FileChangedError(target, f"it has {now.size} bytes now, it had {self.size}")
        if now.size == self.size and now.stamp != self.stamp:
            raise FileChangedError(
                target, f"it was rewritten: modification time {now.stamp} ns now, {self.stamp} ns before"
            )


class Source:
    """What the user gave to ``make_cursor``, and what system calls are given for it. Never changes."""

    __slots__ = ("advice", "given", "inode", "target")

    def __init__(
        self, given: PathOrFd, target: Target, inode: tuple[int, int] | None, advice: Advice | None = None
    ) -> None:
        self.given: Final = given
        """The very object that the user gave."""
        self.target: Final = target
        """An absolute path, fixed when the cursor was made, or the user's descriptor."""
        self.inode: Final = inode
        """Device and inode behind a descriptor when the cursor was made: its number may be reused since."""
        self.advice: Final = advice
        """What the kernel is told of the windows that are mapped for it."""

    def check(self, identity: Identity) -> None:
        """Raise FileChangedError if the descriptor's number belongs to another file by now."""
        if self.inode is not None and self.inode != (identity.device, identity.inode):
            raise FileChangedError(self.target, "the descriptor was closed and its number belongs to another file now")


def resolve(given: PathOrFd) -> Target:
    """What system calls are given for it from now on, whatever becomes of the working directory."""
    # The usual case first. On Windows such a path has no drive.
    if type(given) is str and given[:1] == "/" and not IS_WINDOWS:
        return given
    if isinstance(given, bool):
        raise TypeError("path_or_fd must be a path or a file descriptor, got a bool")
    if isinstance(given, int):
        return given
    if not isinstance(given, (str, bytes, os.PathLike)):
        raise TypeError(
            f"path_or_fd must be str, bytes, os.PathLike or an open file descriptor, got {type(given).__name__}"
        )
    path = os.fspath(given)
    # Joined, not normalised: abspath would turn link/.. into another file.
    if isinstance(path, bytes):
        return path if os.path.isabs(path) or not path else os.path.join(os.getcwdb(), path)
    return path if os.path.isabs(path) or not path else os.path.join(os.getcwd(), path)


def inode_behind(descriptor: int) -> tuple[int, int] | None:
    """Device and inode of an open descriptor; a closed one is reported by the first use, like a bad path."""
    try:
        status = os.fstat(descriptor)
    except (OSError, OverflowError):
        return None
    return status.st_dev, status.st_ino


def lies_below(target: Target, base: str) -> bool:
    """Whether a path is ``base`` or below it, compared by whole components."""
    if isinstance(target, int):
        return False
    path = os.path.normcase(os.path.abspath(os.fsdecode(target)))
    return path == base or path.startswith(base.rstrip(os.sep) + os.sep)
