"""Interrupts: real signals that strike the main thread of a test wherever it is."""

import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import smmap_typed
from smmap_typed._pool.reentrancy import is_inside

if TYPE_CHECKING:
    from _typeshed import TraceFunction

__all__ = ["LIBRARY", "Struck", "alarms", "is_inside_library", "striking_alarm", "traced"]

LIBRARY: Final = str(Path(smmap_typed.__file__).parent)
"""Where its code lies."""


def is_inside_library(frame: FrameType | None) -> bool:
    """Whether the library is on the stack that ends in ``frame``; compiled it has no frames, and must tell itself."""
    if smmap_typed.COMPILED:
        return is_inside()
    while frame is not None and not frame.f_code.co_filename.startswith(LIBRARY):
        frame = frame.f_back
    return frame is not None


_DEPTH: Final = 2


class Struck(BaseException):
    """What a handler raises: nothing in the library catches it by name."""


@contextmanager
def alarms(handler: Callable[[FrameType | None], None], every: float = 0.0) -> Generator[None]:
    """Let SIGALRM call ``handler`` with the frame that it interrupted: ``every`` so many seconds, or when it is set.

    pytest-timeout uses SIGALRM, too; mark the test with ``timeout(..., method="thread")``.
    """
    depth = 0

    def strike(_number: int, frame: FrameType | None) -> None:
        nonlocal depth
        # A handler may interrupt another one; but on a busy machine, where it takes longer than from one signal to the
        # next, they would pile up.
        if depth < _DEPTH:
            depth += 1
            try:
                handler(frame)
            finally:
                depth -= 1

    if sys.platform != "win32":
        before = signal.signal(signal.SIGALRM, strike)
        try:
            signal.setitimer(signal.ITIMER_REAL, every, every)
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    else:
        raise NotImplementedError("interval timers are POSIX")


@contextmanager
def traced(trace: "TraceFunction") -> Generator[None]:
    """Let ``trace`` see what this thread does, and raise in the middle of it."""
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@contextmanager
def striking_alarm() -> Generator[None]:
    """SIGALRM raises Struck in the main thread; the test sets the timer."""

    def strike(_: FrameType | None) -> None:
        raise Struck

    with alarms(strike):
        yield
