"""Descriptors under the eyes of a fixture: which are being read by, and which are closed.

The system calls stand in for those of ``os`` while a scenario is explored. Being Python, they let other threads run
between their steps, and a search for interleavings sees that a read and a close touch the same thing.
"""

import os
import sys
import threading
from typing import Final

__all__ = ["Descriptors", "HeldLock", "Watched"]

_close: Final = os.close
if sys.platform != "win32":
    _pread: Final = os.pread


class Descriptors:
    """What the threads of one fixture do with their descriptors."""

    def __init__(self) -> None:
        self.complaints: Final[list[str]] = []
        """What threads found wrong."""
        self.lock: HeldLock | None = None
        """The lock of the manager, if no descriptor may be closed under it."""
        self._read_by: Final[list[int]] = []
        """The numbers by which threads are reading now."""

    def read(self, number: int, size: int, offset: int) -> bytes:
        """Read by a descriptor, as ``os.pread`` does."""
        self._read_by.append(number)
        try:
            if sys.platform != "win32":
                return _pread(number, size, offset)
            raise NotImplementedError
        finally:
            self._read_by.remove(number)

    def close(self, number: int) -> None:
        """Close a descriptor, as ``os.close`` does."""
        if number in self._read_by:
            self.complaints.append(f"descriptor {number} was closed under a read")
        if self.lock is not None and self.lock.holder == threading.get_ident():
            self.complaints.append(f"descriptor {number} was closed under the lock")
        _close(number)


class Watched:
    """Stands in for the functions of ``os``, and passes each call on to the descriptors that are watched."""

    descriptors = Descriptors()
    """Those of the fixture that is being played."""

    @classmethod
    def pread(cls, number: int, size: int, offset: int) -> bytes:
        """See ``os.pread``."""
        return cls.descriptors.read(number, size, offset)

    @classmethod
    def close(cls, number: int) -> None:
        """See ``os.close``."""
        cls.descriptors.close(number)


class HeldLock:
    """A lock that knows which thread holds it."""

    def __init__(self) -> None:
        self.holder = 0
        """The thread that holds it; 0 if none does."""
        self._lock: Final = threading.Lock()

    def acquire(self, blocking: bool = True) -> bool:
        """Take the lock, as ``threading.Lock`` does."""
        acquired = self._lock.acquire(blocking)
        if acquired:
            self.holder = threading.get_ident()
        return acquired

    def release(self) -> None:
        """Release the lock."""
        self.holder = 0
        self._lock.release()

    def locked(self) -> bool:
        """Whether a thread holds it."""
        return self._lock.locked()
