"""The errors of the library: one root, sorted by what the caller can do about each.

Every class also derives from the builtin that callers of ``smmap`` or of the operating system
already catch, carries the values it speaks of as attributes, and survives pickling.
Arguments of the wrong type or value are plain ``TypeError`` and ``ValueError``.
"""

import errno

from typing_extensions import override

__all__ = [
    "CompatError",
    "CursorInvalidError",
    "FileChangedError",
    "HandleLimitError",
    "ManagerClosedError",
    "MemoryLimitError",
    "ReentrantCallError",
    "RegionUnmappedError",
    "SmmapError",
]


class SmmapError(Exception):
    """The root of every error that this library defines."""


class CursorInvalidError(SmmapError, ValueError):
    """The cursor stands on no window: never placed, released, past the end, or taken from it."""


class RegionUnmappedError(SmmapError, ValueError):
    """The region was unmapped; get a new one from a cursor's ``use_region``."""


class ManagerClosedError(SmmapError, ValueError):
    """The manager was closed; make a new one to map more."""


class ReentrantCallError(SmmapError, RuntimeError):
    """A handler or callback interrupted the library and asked for what would have to wait for it."""


class CompatError(SmmapError, RuntimeError):
    """``compat.install`` came too late: the real ``smmap`` is imported already."""


class FileChangedError(SmmapError, OSError):
    """The file is another one now, or shorter than this cursor saw it; make a new cursor.

    ``errno`` is ``ESTALE``, ``filename`` the path or descriptor.
    """

    def __init__(self, target: str | bytes | int, reason: str) -> None:
        super().__init__(
            errno.ESTALE,
            f"{reason}; this cursor keeps what it has mapped, make a new one to read the file as it is now",
            target,
        )
        self.target = target
        self.reason = reason

    @override
    def __reduce__(self) -> tuple[type["FileChangedError"], tuple[str | bytes | int, str]]:
        return type(self), (self.target, self.reason)


class HandleLimitError(SmmapError, OSError):
    """Every handle that ``max_open_handles`` allows is pinned; release a cursor or a view and call again.

    ``errno`` is ``EMFILE``.
    """

    def __init__(self, limit: int, pinned: int) -> None:
        super().__init__(
            errno.EMFILE,
            f"{pinned} regions are pinned by cursors or views and max_open_handles is {limit}; "
            "release a cursor or a view, or raise the limit with configure()",
        )
        self.limit = limit
        self.pinned = pinned

    @override
    def __reduce__(self) -> tuple[type["HandleLimitError"], tuple[int, int]]:
        return type(self), (self.limit, self.pinned)


class MemoryLimitError(SmmapError, OSError):
    """With ``strict_memory``: nothing idle is left and the next window would exceed ``max_memory_size``.

    ``errno`` is ``ENOMEM``. All figures are bytes.
    """

    def __init__(self, limit: int, pinned: int, wanted: int) -> None:
        super().__init__(
            errno.ENOMEM,
            f"{pinned} bytes are pinned by cursors or views, {wanted} more are wanted and max_memory_size is {limit}; "
            "release a cursor or a view, or raise the limit with configure()",
        )
        self.limit = limit
        self.pinned = pinned
        self.wanted = wanted

    @override
    def __reduce__(self) -> tuple[type["MemoryLimitError"], tuple[int, int, int]]:
        return type(self), (self.limit, self.pinned, self.wanted)
