"""The tripwire: counts the system calls of the library, and lets one of them fail."""

import contextlib
import mmap
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, ParamSpec, TypeVar

import pytest
from typing_extensions import override

from support import SYSTEM_CALLS

__all__ = ["CALLS", "Tripwire"]

P = ParamSpec("P")
T = TypeVar("T")

CALLS: Final = [*(name for _, name in SYSTEM_CALLS), "mmap.close"]
"""The names of the calls; ``close`` is that of ``os``, ``mmap.close`` is what unmaps."""


class Tripwire:
    """Stands in the way of every system call while it is armed.

    The call with number ``at``, from 0 on, raises what equals ``error``; with ``after`` it does its work first.
    """

    def __init__(self, error: BaseException | None = None, at: int = -1, *, after: bool = False) -> None:
        self._error: Final = error
        self._at: Final = at
        self._after: Final = after
        self._armed = False
        self.calls: Final[list[str]] = []
        """The name of every call that there was."""
        self.lost: Final[list[int]] = []
        """The descriptor whose close failed without being done."""

    @property
    def is_sprung(self) -> bool:
        """Whether the call that fails has been made."""
        return 0 <= self._at < len(self.calls)

    def pass_through(self, name: str, real: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Make the call, or let it fail."""
        if not self._armed:
            return real(*args, **kwargs)
        self.calls.append(name)
        if len(self.calls) - 1 != self._at or self._error is None:
            return real(*args, **kwargs)
        if self._after:
            # Also if it fails by itself: a map under a view, a file that is not there.
            with contextlib.suppress(Exception):
                real(*args, **kwargs)
        elif name == "close" and isinstance(args[0], int):
            self.lost.append(args[0])
        # A new one, since one that is kept keeps the frames that it has passed, and they their views.
        raise type(self._error)(*self._error.args)

    @contextmanager
    def laid(self) -> Generator[None]:
        """Stand in the way of all of them; nothing is counted yet."""
        with pytest.MonkeyPatch.context() as patch:
            # First, since it is a class that the next one makes maps of.
            watched = _watched_map(self)
            for owner, name in SYSTEM_CALLS:
                patch.setattr(owner, name, self._standing_in(name, watched if name == "mmap" else getattr(owner, name)))
            yield

    @contextmanager
    def armed(self) -> Generator[None]:
        """Count; the judges make system calls, too, so this is for one step."""
        self._armed = True
        try:
            yield
        finally:
            self._armed = False

    def _standing_in(self, name: str, real: Callable[P, T]) -> Callable[P, T]:
        def standing_in(*args: P.args, **kwargs: P.kwargs) -> T:
            return self.pass_through(name, real, *args, **kwargs)

        return standing_in


def _watched_map(tripwire: Tripwire) -> type[mmap.mmap]:
    class WatchedMap(mmap.mmap):
        """A map whose end is watched, too."""

        @override
        def close(self) -> None:
            tripwire.pass_through("mmap.close", super().close)

    return WatchedMap
