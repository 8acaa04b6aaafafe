"""Faults: system calls that fail now and then, as they do when something is scarce or a disk is bad."""

import errno
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from random import Random
from types import ModuleType
from typing import Final, ParamSpec, TypeVar, final

from support import SYSTEM_CALLS

__all__ = ["NO_FAULTS", "Faults"]

P = ParamSpec("P")
T = TypeVar("T")

_ERRORS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EINTR, errno.EIO)
# Never this one: what it closes it would leave open, and that is no fault of the library.
_SPARED: Final = "close"
_WORDS: Final = "injected by the test"


class _Exposed(threading.local):
    to_faults = False


@final
class Faults:
    """One of so many system calls of an exposed thread fails, with any of the usual errors."""

    def __init__(self, one_in: int, seed: int) -> None:
        self._one_in: Final = one_in
        self._random: Final = Random(seed)
        self._exposed: Final = _Exposed()

    @contextmanager
    def installed(self) -> Generator[None]:
        """Put this in the way of every system call of the process."""
        calls = [(module, name, getattr(module, name)) for module, name in SYSTEM_CALLS if name != _SPARED]
        try:
            for module, name, real in calls:
                self._replace(module, name, real)
            yield
        finally:
            for module, name, real in calls:
                setattr(module, name, real)

    def _replace(self, module: ModuleType, name: str, real: Callable[P, T]) -> None:
        def call(*arguments: P.args, **keywords: P.kwargs) -> T:
            if self._exposed.to_faults and self._random.randrange(self._one_in) == 0:
                number = self._random.choice(_ERRORS)
                raise OSError(number, _WORDS)
            return real(*arguments, **keywords)

        setattr(module, name, call)

    def expose(self, act: Callable[[], T]) -> T:
        """What ``act`` returns, if no fault strikes this thread meanwhile."""
        if not self._one_in:
            return act()
        self._exposed.to_faults = True
        try:
            return act()
        finally:
            self._exposed.to_faults = False

    @staticmethod
    def caused(error: OSError) -> bool:
        """Whether an error is one of ours."""
        return error.strerror == _WORDS


NO_FAULTS: Final = Faults(0, 0)
