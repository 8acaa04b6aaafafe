"""Limits: which ones are allowed, and how they are changed while regions are mapped."""

from collections.abc import Callable
from typing import NamedTuple

from smmap_typed._arguments import integer
from smmap_typed._core import Core
from smmap_typed._ledger import Ledger
from smmap_typed._platform import DEFAULT_MEMORY_SIZE, DEFAULT_WINDOW_SIZE, PREAD_WINDOW_SIZE
from smmap_typed.exceptions import HandleLimitError, MemoryLimitError

__all__ = ["Limits", "check_pinned", "handles", "memory_bytes", "shrinking", "window_bytes"]


def window_bytes(window_size: int, *, copies: bool) -> int:
    """Bytes of a window before they are rounded, 0 for whole files; ValueError or TypeError for what is none."""
    if integer("window_size", window_size) < -1:
        raise ValueError(f"window_size must be -1 for the default, 0 for whole files, or positive, got {window_size}")
    if window_size == -1:
        return PREAD_WINDOW_SIZE if copies else DEFAULT_WINDOW_SIZE
    return window_size


def memory_bytes(max_memory_size: int) -> int:
    """The memory limit, in bytes; ValueError or TypeError for what is none."""
    if integer("max_memory_size", max_memory_size) < 0:
        raise ValueError(f"max_memory_size must be 0 for the default, or positive, got {max_memory_size}")
    return max_memory_size or DEFAULT_MEMORY_SIZE


def handles(max_open_handles: int) -> int:
    """The handle limit; ValueError or TypeError for what is none."""
    if integer("max_open_handles", max_open_handles) < 1:
        raise ValueError(f"max_open_handles must be at least 1, got {max_open_handles}")
    return max_open_handles


class Limits(NamedTuple):
    """The limits that ``configure`` was given; None stays as it is, whatever other threads make of it meanwhile."""

    memory: int | None
    handles: int | None

    def resolve(self, ledger: Ledger) -> tuple[int, int]:
        """Both limits as they are to be. Under the lock."""
        return (
            ledger.max_memory if self.memory is None else self.memory,
            ledger.max_handles if self.handles is None else self.handles,
        )


def check_pinned(core: Core, wanted: Limits) -> None:
    """Raise a limit error if the new limits cannot be kept, before anything is evicted. Under the lock."""
    while True:
        try:
            return _check_pinned_once(core, *wanted.resolve(core.ledger))
        except (HandleLimitError, MemoryLimitError):
            # One look after the other is no snapshot: a cursor that moves meanwhile is seen in several places.
            if not core.tables.released:
                raise
        core.tables.drain()


def _check_pinned_once(core: Core, memory: int, handles: int) -> None:
    pinned = [hold for hold in core.tables.holds.values() if hold.is_pinned() or hold.has_views()]
    if len(pinned) > handles:
        raise HandleLimitError(handles, len(pinned))
    size = sum(hold.size for hold in pinned)
    if core.ledger.strict and size > memory:
        raise MemoryLimitError(memory, size, 0)


def shrinking(core: Core, wanted: Limits) -> Callable[[bool], bool]:
    """How ``Evictor.make_room`` sets new limits: only once they are kept, so that they hold at every instant."""

    def set_limits(last: bool) -> bool:  # noqa: FBT001 - see Evictor.make_room
        ledger = core.ledger
        memory, handles = wanted.resolve(ledger)
        if ledger.total_handles > handles:
            if last:
                raise HandleLimitError(handles, ledger.handles())
            return False
        if ledger.total_bytes > memory:
            if last and ledger.strict:
                raise MemoryLimitError(memory, ledger.total_bytes, 0)
            if not last:
                return False
        ledger.max_memory, ledger.max_handles = memory, handles
        return True

    return set_limits
