"""Forks: children that do something for a test, and tell whether it was right."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Never

from smmap_typed import SlidingWindowMapManager
from support import SECONDS

__all__ = ["end_child", "fork", "read", "status_of"]


def fork(act: Callable[[], object]) -> int:
    """The number of a child that does ``act`` and ends, with status 0 if that was right; at the latest by an alarm."""
    child = 0
    if sys.platform != "win32":
        child = os.fork()
    if child == 0:
        end_child(act)
    return child


def end_child(act: Callable[[], object]) -> Never:
    """Do ``act`` and end this process."""
    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
    try:
        act()
    except BaseException:  # noqa: BLE001 - there is nobody to raise it to
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def status_of(child: int) -> int:
    """How the child ended."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def read(manager: SlidingWindowMapManager, path: Path, offset: int = 0) -> None:
    """View a few bytes, which takes a window; they must be right."""
    assert manager.make_cursor(path).view(offset + 3, 9) == path.read_bytes()[offset + 3 : offset + 12]
