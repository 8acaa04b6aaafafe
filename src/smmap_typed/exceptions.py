"""The errors of the library: one root, sorted by what the caller can do about each.

Each class below the root also derives from a builtin that callers of ``smmap`` or of the operating system already
catch. Errors that speak of values have them as attributes, and all survive pickling. Arguments of a wrong type or value
raise plain ``TypeError`` and ``ValueError``.
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
    "UnsizedFileError",
]


class SmmapError(Exception):
    """The root of every error that this library defines."""


class CursorInvalidError(SmmapError, ValueError):
    """The cursor is on no region: it has no file, was never placed or was released, or the region was discarded."""


class RegionUnmappedError(SmmapError, ValueError):
    """The region was unmapped; get a new one from a cursor's ``use_region``."""


class ManagerClosedError(SmmapError, ValueError):
    """The manager was closed; make a new one to map more."""


class ReentrantCallError(SmmapError, RuntimeError):
    """A call that interrupted the library in the same thread would have to wait for what it interrupted.

    Such a call comes from a signal handler, a finaliser or a callback, or from another greenlet where gevent did not
    patch ``threading`` before this package was imported. Call again when the interrupted call has ended.
    """


class CompatError(SmmapError, RuntimeError):
    """``compat.install`` was called too late: the real ``smmap`` is already imported."""


class FileChangedError(SmmapError, OSError):
    """The file was replaced, truncated or, with a reader that copies, written to; make a new cursor to read it.

    Cursors on a file that was replaced or deleted go on reading it while the manager has a descriptor of it open.
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
    def __reduce__(self) -> tuple[type["FileChangedError"], tuple[str | bytes | int, str], dict[str, object]]:
        return type(self), (self.target, self.reason), _state(self)


class UnsizedFileError(SmmapError, OSError):
    """The size that the system reports for the file is not that of its content, so the file has no windows.

    The files of ``/proc`` and ``/sys`` are of this kind, since their content is made when it is read: read them with
    ``open``. ``errno`` is ``EINVAL``, ``filename`` the path or descriptor, ``size`` the reported size in bytes.
    """

    def __init__(self, target: str | bytes | int, size: int) -> None:
        super().__init__(
            errno.EINVAL,
            f"the system gives its size as {size} bytes, which is not the size of its content, so it has no windows, "
            "like the files of /proc and /sys; read it with open()",
            target,
        )
        self.target = target
        self.size = size

    @override
    def __reduce__(self) -> tuple[type["UnsizedFileError"], tuple[str | bytes | int, int], dict[str, object]]:
        return type(self), (self.target, self.size), _state(self)


class HandleLimitError(SmmapError, OSError):
    """All handles that ``max_open_handles`` allows are pinned; release a cursor or a view and call again.

    ``errno`` is ``EMFILE``, ``filename`` the file of which a window was wanted, None from ``configure``. ``limit`` and
    ``pinned`` are numbers of regions.
    """

    def __init__(self, limit: int, pinned: int) -> None:
        # More are pinned than the limit allows only where ``configure`` is to lower it.
        limited, remedy = (
            (", so max_open_handles cannot be", "choose a higher limit")
            if pinned > limit
            else (" and max_open_handles is", "raise the limit with configure()")
        )
        pins = "1 region is" if pinned == 1 else f"{pinned} regions are"
        super().__init__(
            errno.EMFILE,
            f"{pins} pinned by cursors or views{limited} {limit}; release a cursor or a view, or {remedy}",
        )
        self.limit = limit
        self.pinned = pinned

    @override
    def __reduce__(self) -> tuple[type["HandleLimitError"], tuple[int, int], dict[str, object]]:
        return type(self), (self.limit, self.pinned), _state(self)


class MemoryLimitError(SmmapError, OSError):
    """Under ``strict_memory``, the next window would exceed ``max_memory_size`` and nothing idle is left to unmap.

    ``errno`` is ``ENOMEM``, ``filename`` the file of which a window was wanted, None from ``configure``. ``limit``,
    ``pinned`` and ``wanted`` are bytes. A window that is larger than the limit never fits: make it smaller.
    """

    def __init__(self, limit: int, pinned: int, wanted: int) -> None:
        pins = f"{pinned} bytes are pinned by cursors or views"
        if wanted > limit:
            # Whatever is released, it does not fit.
            text = (
                f"a window of {wanted} bytes is larger than max_memory_size, which is {limit}; "
                "make the windows smaller (window_size, and not 0 or StaticWindowMapManager, which map whole files), "
                "or raise the limit with configure()"
            )
        elif wanted:
            text = (
                f"{pins}, {wanted} more are needed, and max_memory_size is {limit}; "
                "release a cursor or a view, or raise the limit with configure()"
            )
        else:
            # ``configure`` is to lower the limit.
            text = f"{pins}, so max_memory_size cannot be {limit}; release a cursor or a view, or choose a higher limit"
        super().__init__(errno.ENOMEM, text)
        self.limit = limit
        self.pinned = pinned
        self.wanted = wanted

    @override
    def __reduce__(self) -> tuple[type["MemoryLimitError"], tuple[int, int, int], dict[str, object]]:
        return type(self), (self.limit, self.pinned, self.wanted), _state(self)


def _state(error: OSError) -> dict[str, object]:
    """Return what to pickle beside the arguments: the attributes, notes of users included, and the file's name."""
    return {**vars(error), **({} if error.filename is None else {"filename": error.filename})}
