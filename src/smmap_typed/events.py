"""Events: a manager reports to an observer, and to the log, what it maps, unmaps and fails to map.

A call takes short notes while it works and turns them into events on its way out. By then it holds no lock and counts
as outside the library, so an observer or a log handler may use the manager like any other code. A hit, or a move to a
mapped window, takes no notes.
"""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Final, Literal, TypeAlias, cast, final

from smmap_typed._types import Target
from smmap_typed.exceptions import HandleLimitError, MemoryLimitError
from smmap_typed.values import Window

__all__ = [
    "LOGGER",
    "Event",
    "LimitReached",
    "MapFailed",
    "Note",
    "Notifier",
    "Observer",
    "Outcome",
    "RegionMapped",
    "RegionUnmapped",
]

LOGGER: Final = logging.getLogger("smmap_typed")

Reason: TypeAlias = Literal["evicted", "collected", "given up"]
"""Unmapped to make room; by ``collect``; by ``close`` or ``force_map_handle_removal_win``."""


@final
@dataclass(frozen=True, slots=True)
class RegionMapped:
    """A window has been mapped, or read into memory."""

    target: Target
    """The absolute path or the descriptor by which it was mapped."""
    window: Window
    seconds: float
    """Seconds spent in the system calls that mapped or read it."""


@final
@dataclass(frozen=True, slots=True)
class RegionUnmapped:
    """A region has been unmapped, or given up: then it stays mapped until the last view of it is gone."""

    target: Target
    """The absolute path or the descriptor by which it was mapped."""
    window: Window
    reason: Reason


@final
@dataclass(frozen=True, slots=True)
class MapFailed:
    """A window could not be mapped; the caller gets the same error."""

    target: Target
    """The absolute path or the descriptor by which it was to be mapped."""
    window: Window
    error: OSError


@final
@dataclass(frozen=True, slots=True)
class LimitReached:
    """A call has met a limit.

    If the limit is hard, the call failed, unless releasing its cursor's own window helped. If it is the soft memory
    limit, a window was mapped beyond it, since nothing idle was left to unmap.
    """

    limit: Literal["handles", "memory"]
    maximum: int
    """The limit: regions, or bytes."""
    in_use: int
    """Regions or bytes in use when the limit was met."""
    hard: bool


Event: TypeAlias = RegionMapped | RegionUnmapped | MapFailed | LimitReached
"""Any of the events that an observer is called with."""

Observer: TypeAlias = Callable[[Event], object]
"""A callable that gets each event in the thread that caused it, one after the other."""

Outcome: TypeAlias = float | OSError | Reason
"""The content of a note: the seconds of a successful map, the error of a failed one, or the reason of an unmap."""

Note: TypeAlias = tuple[Target, int, int, Outcome]
"""The target, the offset and size of the window in bytes, and the outcome."""


@final
class Notifier:
    """Turns notes into events and passes them to the observer and the log. Safe in any thread."""

    __slots__ = ("observer",)

    def __init__(self, observer: Observer | None) -> None:
        self.observer: Final = observer

    def notify(
        self, notes: Sequence[Note], error: BaseException | None, mapped: int, maximum: int, *, logs: bool
    ) -> None:
        """Report ``notes``, and the limit that the call has met, as its ``error`` or the ``mapped`` bytes tell."""
        for event in _events(notes, error, mapped, maximum):
            if logs:
                _call(_log, event)
            if self.observer is not None:
                _call(self.observer, event)


def _events(notes: Sequence[Note], error: BaseException | None, mapped: int, maximum: int) -> Iterator[Event]:
    maps = False
    for target, offset, size, outcome in notes:
        window = Window(offset, size)
        if isinstance(outcome, str):
            yield RegionUnmapped(target, window, outcome)
        elif isinstance(outcome, OSError):
            yield MapFailed(target, window, outcome)
        else:
            maps = True
            yield RegionMapped(target, window, outcome)
    if isinstance(error, HandleLimitError):
        yield LimitReached("handles", error.limit, error.pinned, hard=True)
    elif isinstance(error, MemoryLimitError):
        yield LimitReached("memory", error.limit, error.pinned, hard=True)
    elif maps and mapped > maximum:
        yield LimitReached("memory", maximum, mapped, hard=False)


def _call(listener: Observer, event: Event) -> None:
    """Call an observer or the log. An error goes to ``sys.unraisablehook``, since the user's call did not cause it."""
    try:
        listener(event)
    except Exception as error:  # noqa: BLE001 - whatever it raises
        # An error of the hook itself is dropped. The report has no name here: its traceback refers to this frame, and
        # so to the callers' frames and their pins, and a cycle would keep those until the garbage collector runs.
        with suppress(Exception):
            sys.unraisablehook(
                # The class of what the hook is given cannot be instantiated from Python.
                cast(
                    "sys.UnraisableHookArgs",
                    SimpleNamespace(
                        exc_type=type(error),
                        exc_value=error,
                        exc_traceback=error.__traceback__,
                        err_msg=f"Exception ignored while a manager reported {event!r}",
                        object=listener,
                    ),
                )
            )


def _log(event: Event) -> None:
    """Log one line, with the fields of the event as attributes ``smmap_...`` of the record."""
    level = logging.INFO if isinstance(event, LimitReached) else logging.DEBUG
    if LOGGER.isEnabledFor(level):
        extra = {f"smmap_{field.name}": getattr(event, field.name) for field in fields(event)}
        LOGGER.log(level, "%s", _sentence(event), extra={"smmap_event": type(event).__name__, **extra})


def _sentence(event: Event) -> str:
    match event:
        case RegionMapped(target, window, seconds):
            return f"mapped {window.size} bytes at {window.offset} of {target!r} in {seconds:.6f} s"
        case RegionUnmapped(target, window, reason):
            return f"{reason}: {window.size} bytes at {window.offset} of {target!r}"
        case MapFailed(target, window, error):
            return f"could not map {window.size} bytes at {window.offset} of {target!r}: {error}"
        case LimitReached(limit, maximum, in_use, hard):  # pragma: no branch - there is no other event
            return f"the {'hard' if hard else 'soft'} limit of {maximum} for {limit} is reached, with {in_use} in use"
