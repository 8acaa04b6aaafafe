"""Pickling: how cursors, buffers and file objects find their manager when they are unpickled.

A ``ManagerReference`` stands for a manager. It is pickled as a random token and the manager's settings, and unpickled
as a manager: as the one with this token where it lives in this process, otherwise as a new one with these settings. All
objects that arrive with one token share that manager, so its limits hold for each process.

**What keeps a manager alive that was made here.** Each cursor that arrived with it, and its copies, by their
``Arrival``; and ``_recent``, so that windows stay mapped from one task of a worker to the next. ``_recent`` is bounded,
and a new arrival lets the managers in it unmap what is idle: a program that makes a manager for each batch of tasks
must not fill its workers with the windows of past batches.

**No lock.** Unpickling may happen in a finaliser or a signal handler, and after a fork. So the list of managers changes
by single steps: a thread appends the manager that it has made, and then takes the first that is there, which may be
another thread's.
"""

import contextlib
import os
import weakref
from collections import deque
from typing import Final, NamedTuple, Protocol, Self, final

from typing_extensions import override

from smmap_typed._handles.state import CursorState
from smmap_typed._pool import Pool
from smmap_typed._source import Arrival, FileState
from smmap_typed._types import Advice, PathLike, ReaderName, Reads
from smmap_typed.events import Observer
from smmap_typed.readers import Reader

__all__ = ["ManagerReference", "Settings", "arguments_of", "manager_of", "state_of"]


class Settings(NamedTuple):
    """The arguments of a manager as the user gave them, so that a default is computed anew in each process."""

    window_size: int
    max_memory_size: int
    max_open_handles: int
    reader: ReaderName | Reader
    strict_memory: bool
    observer: Observer | None
    advice: Advice | None
    reads: Reads
    populate: bool


class Manager(Protocol):
    """The part of a manager that this module knows."""

    @property
    def _pool(self) -> Pool: ...

    @property
    def _reference(self) -> "ManagerReference": ...

    @classmethod
    def _with(cls, settings: Settings, /) -> Self: ...

    def collect(self) -> int:
        """Unmap what is idle."""
        ...


_managers: Final[list[weakref.ref[Manager]]] = []
"""The managers of this process that were pickled or unpickled. Dead ones take themselves out."""

_recent: Final[deque[Manager]] = deque(maxlen=8)
"""The managers that were made here for objects of another process, least recently used first."""


@final
class ManagerReference:
    """A manager as its pool and its pickled objects refer to it. Does not keep the manager alive."""

    __slots__ = ("_kind", "_manager", "arrived", "settings", "token")

    def __init__(self, manager: Manager, settings: Settings) -> None:
        self._manager: Final = weakref.ref(manager)
        self._kind: Final = type(manager)
        self.settings = settings
        """The settings, with the limits that the last ``configure`` set. Replaced as a whole."""
        self.token = os.urandom(16).hex()
        """What all that is pickled with the manager has in common."""
        self.arrived = False
        """Whether the manager was made for objects of another process."""

    def configure(self, max_memory_size: int | None, max_open_handles: int | None) -> None:
        """Note new limits, None for a limit that stays as it is."""
        settings = self.settings
        self.settings = settings._replace(
            max_memory_size=settings.max_memory_size if max_memory_size is None else max_memory_size,
            max_open_handles=settings.max_open_handles if max_open_handles is None else max_open_handles,
        )

    @override
    def __reduce__(self) -> tuple[object, ...]:
        settings = self.settings
        for name, part in (("reader", settings.reader), ("observer", settings.observer)):
            _check_pickles(name, part)
        manager = self._manager()
        if manager is not None and _find(self.token) is not manager:
            _note(manager)
        return manager_of, (self.token, self._kind, settings)


def manager_of(token: str, kind: type[Manager], settings: Settings) -> Manager:
    """Return the manager of this process with this ``token``; make it with these settings if there is none."""
    manager = _find(token)
    if manager is None:
        mine = kind._with(settings)
        mine._reference.token = token
        mine._reference.arrived = True
        _note(mine)
        for other in _recent.copy():
            other.collect()
        manager = _find(token) or mine
    if manager._reference.arrived:
        # Two threads may both append it. That costs a place until it falls out.
        with contextlib.suppress(ValueError):
            _recent.remove(manager)
        _recent.append(manager)
    return manager


def _note(manager: Manager) -> None:
    _managers.append(weakref.ref(manager, _managers.remove))


def _find(token: str) -> Manager | None:
    """Return the manager with ``token``, unless it was made here for others and one of them has closed it."""
    living = (reference() for reference in _managers.copy())
    return next(
        (
            manager
            for manager in living
            if manager is not None
            and manager._reference.token == token
            and not (manager._reference.arrived and manager._pool.tables.closed)
        ),
        None,
    )


def _check_pickles(name: str, part: object) -> None:
    """Raise TypeError if a part of the settings does not pickle. Plain pickle decides, also for other picklers."""
    if part is None or isinstance(part, str):
        return
    import pickle  # noqa: PLC0415 - few programs need it; what is written here is not read

    try:
        pickle.dumps(part)
    except Exception as error:
        # Whatever it raises: AttributeError for a local function, what a user's __reduce__ likes.
        raise TypeError(
            f"neither the manager nor its cursors can be pickled, because its {name} cannot: {error}"
        ) from error


def arguments_of(state: CursorState) -> tuple[object, ...]:
    """Return what to pickle of a cursor's state: the arguments of ``state_of``.

    :raises TypeError: if the cursor was made from a descriptor.
    :raises ManagerClosedError: if the manager was closed.
    """
    target, given = state.target, state.given
    if isinstance(target, int):
        raise TypeError(
            f"an object made from a descriptor cannot be pickled, since the number {target} means another file in "
            "another process; make it from a path"
        )
    state.pool.check_open()
    # The only path of the standard library that does not pickle.
    path = target if isinstance(given, os.DirEntry) else given
    return state.pool.reference, path, target, _seen_by(state), state.advice


def _seen_by(state: CursorState) -> FileState | None:
    """Return the state of the file as this cursor sees it; None if it cannot look, so that its first use will tell."""
    if state._file is None and isinstance(state.known, Arrival):
        return state.known.seen
    with contextlib.suppress(OSError):
        return state.file().state
    return None


def state_of(
    manager: Manager, path: PathLike, target: str | bytes, seen: FileState | None, advice: Advice | None
) -> CursorState:
    """Return the state of an unpickled cursor, placed nowhere. Opens nothing: its first use compares the file."""
    return CursorState(manager._pool, path, target, Arrival(seen, manager), None, advice)
