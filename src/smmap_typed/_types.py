"""Names for types that several modules share; nothing here runs."""

import os
from typing import Literal, Protocol, TypeAlias

__all__ = ["Advice", "ManagerLike", "PathLike", "PathOrFd", "ReaderName", "Target"]

PathLike: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""Any way to write a path."""

PathOrFd: TypeAlias = int | PathLike
"""What ``make_cursor`` takes: a path, or an open file descriptor."""

Target: TypeAlias = str | bytes | int
"""What system calls take: an absolute path, or a file descriptor."""

ReaderName: TypeAlias = Literal["mmap", "pread"]
"""How windows come into memory: mapped, or read into anonymous memory."""


Advice: TypeAlias = Literal["normal", "sequential", "random", "willneed"]
"""How a file will be read, for the kernel: in order, here and there, or all of it soon."""


class ManagerLike(Protocol):
    """What a cursor expects of the manager that it is given; both public managers satisfy it."""

    def window_size(self) -> int:
        """Bytes of one window, 0 for whole files."""
        ...

    def collect(self) -> int:
        """Unmap everything idle."""
        ...
