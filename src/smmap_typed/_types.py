"""Types: names for types that several modules share. There is no code here."""

import os
from typing import Literal, Protocol, TypeAlias

__all__ = ["Advice", "ManagerLike", "PathLike", "PathOrFd", "ReaderName", "Reads", "Target"]

PathLike: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""Any way to write a path."""

PathOrFd: TypeAlias = int | PathLike
"""The argument of ``make_cursor``: a path, or an open file descriptor."""

Target: TypeAlias = str | bytes | int
"""The argument of system calls: an absolute path, or a file descriptor."""

ReaderName: TypeAlias = Literal["mmap", "pread", "auto"]
"""How windows are brought into memory: mapped; read into anonymous memory; or mapped where the system lets us."""


Reads: TypeAlias = Literal["auto", "pread"]
"""How the library reads bytes that it copies: from a map if they are known to be in memory, or never from a map."""

Advice: TypeAlias = Literal["normal", "sequential", "random", "willneed"]
"""Advice for the kernel on how a file will be read: normally, in order, at random places, or all of it soon."""


class ManagerLike(Protocol):
    """The manager that a ``WindowCursor`` may be given; both public managers satisfy it."""

    def window_size(self) -> int:
        """Return the size of a window in bytes; 0 for whole files."""
        ...

    def collect(self) -> int:
        """Unmap every idle region, and return how many were unmapped."""
        ...
