"""Events: what a manager tells an observer, and the log, of what it maps, unmaps and cannot map.

A call takes short notes while it works, and they become events when it is on its way out: without the lock, and no
longer inside the library, so that an observer or a handler of the log may use the manager like anybody else. Nothing is
noted on the way of a hit or of a move to a mapped window.
"""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Final, Literal, TypeAlias, cast, final

from smmap_typed._types import Target
from smmap_typed._window import Window
from smmap_typed.exceptions import HandleLimitError, MemoryLimitError

__all__ = [
    "LOGGER",
    "Event",
    "LimitReached",
    "MapFailed",
    "Note",
    "Observer",
    "Outcome",
    "RegionMapped",
    "RegionUnmapped",
    "Teller",
]

LOGGER: Final = logging.getLogger("smmap_typed")

Reason: TypeAlias = Literal["evicted", "collected", "given up"]
"""To make room; by ``collect``; by ``close`` or forced removal."""


@final
@dataclass(frozen=True, slots=True)
class RegionMapped:
    """A window has been mapped, or read into memory."""

    target: Target
    """The absolute path or the descriptor by which it was mapped."""
    window: Window
    seconds: float
    """Spent in the system call, or the calls that read it."""


@final
@dataclass(frozen=True, slots=True)
class RegionUnmapped:
    """A region has been unmapped, or given up: then what views show of it stays mapped until they are gone."""

    target: Target
    """The absolute path or the descriptor by which it was mapped."""
    window: Window
    reason: Reason


@final
@dataclass(frozen=True, slots=True)
class MapFailed:
    """A window could not be mapped: the error is the caller's, too."""

    target: Target
    """The absolute path or the descriptor."""
    window: Window
    error: OSError


@final
@dataclass(frozen=True, slots=True)
class LimitReached:
    """A call has met a limit.

    At a hard one it has failed, unless giving up its cursor's own window helped. Past the soft memory limit a window
    was mapped, since nothing idle was left to be unmapped.
    """

    limit: Literal["handles", "memory"]
    maximum: int
    """The limit: regions, or bytes."""
    in_use: int
    """Regions that are pinned, or bytes that are mapped."""
    hard: bool


Event: TypeAlias = RegionMapped | RegionUnmapped | MapFailed | LimitReached
"""What can happen."""

Observer: TypeAlias = Callable[[Event], object]
"""What is called with each event, in the thread that caused it, one after the other."""

Outcome: TypeAlias = float | OSError | Reason
"""What a note tells: mapped in so many seconds, not mapped because of an error, or unmapped for a reason."""

Note: TypeAlias = tuple[Target, int, int, Outcome]
"""Which target, at which offset, how many bytes, and what has become of them."""


@final
class Teller:
    """Makes events of notes, for one manager. Safe in any thread."""

    __slots__ = ("observer",)

    def __init__(self, observer: Observer | None) -> None:
        self.observer: Final = observer

    def tell(
        self, notes: Sequence[Note], error: BaseException | None, mapped: int, maximum: int, *, logs: bool
    ) -> None:
        """Tell what was noted, and a limit that was met: by the call's ``error``, or by ``mapped`` bytes."""
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
    """Call an observer or the log, whose errors are nobody's here: reported like those of a finaliser."""
    try:
        listener(event)
    except Exception as error:  # noqa: BLE001 - whatever it raises
        # Nor is what the hook raises. No name for the report: its traceback refers to this frame, and so to the frames
        # of the callers and their pins; a circle would keep those until the garbage collector comes.
        with suppress(Exception):
            sys.unraisablehook(
                # The class of what the hook is given cannot be instantiated from Python.
                cast(
                    "sys.UnraisableHookArgs",
                    SimpleNamespace(
                        exc_type=type(error),
                        exc_value=error,
                        exc_traceback=error.__traceback__,
                        err_msg=f"Exception ignored where a manager tells of {event!r}",
                        object=listener,
                    ),
                )
            )


def _log(event: Event) -> None:
    """One line, with the fields of the event as ``smmap_...`` of the record."""
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
