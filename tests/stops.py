"""Stops: a thread is held inside a system call of the library for as long as a test needs."""

import mmap
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from smmap_typed import SlidingWindowMapManager
from support import SECONDS, SYSTEM_CALLS, ObservedMap

__all__ = ["STOPS", "Stop", "call_that_needs"]

STOPS: Final = [*(name for _, name in SYSTEM_CALLS), "mmap.close"]
"""Where a thread can be held."""


class Stop:
    """Holds the threads that have called ``volunteer`` inside the system call ``name``, until ``go_on`` is set."""

    def __init__(self, patch: pytest.MonkeyPatch, name: str) -> None:
        self.inside: Final = threading.Event()
        self.go_on: Final = threading.Event()
        self._volunteers: Final[list[int]] = []
        patch.setattr(mmap, "mmap", ObservedMap)
        if name == "mmap.close":
            patch.setattr(ObservedMap, "observers", [self._wait])
        else:
            owner = mmap if name == "mmap" else os
            patch.setattr(owner, name, self._stopping(getattr(owner, name)))

    def volunteer(self) -> None:
        """Let this thread be held."""
        self._volunteers.append(threading.get_ident())

    def _wait(self) -> None:
        if threading.get_ident() in self._volunteers:
            self.inside.set()
            assert self.go_on.wait(SECONDS)

    def _stopping(self, real: Callable[..., object]) -> Callable[..., object]:
        def stopping(*arguments: object, **rest: object) -> object:
            self._wait()
            return real(*arguments, **rest)

        return stopping


def call_that_needs(name: str, manager: SlidingWindowMapManager, path: Path, descriptor: int) -> bool:
    """Do something with the first window of ``path``, or of its ``descriptor``, that makes the system call."""
    content = path.read_bytes()
    if name == "stat":
        return manager.make_cursor(path).file_size() == len(content)
    if name == "dup":
        return manager.make_cursor(descriptor).read(5, 9) == content[5:14]
    if name == "posix_fadvise":
        manager.make_cursor(path).prefetch(0, len(content))
        return True
    if name == "preadv":
        manager.make_cursor(path).prefetch(0, len(content), wait=True)
        return True
    if name == "mmap.close":
        manager.make_cursor(path).use_region(0)
        return manager.collect() == 1
    return manager.make_cursor(path).read(5, 9) == content[5:14]
