"""Arguments: checks of what users pass. Their code may be untyped, so types are checked, too.

Any object with ``__index__`` is accepted as an integer: a scalar of numpy is one, and a float is not. Parameters are
annotated as ``SupportsIndex`` even where callers usually pass an int, because compiled code would check a parameter of
type ``int`` by itself, with a message of its own, and would refuse all other objects.
"""

import operator
import sys
from typing import Final, SupportsIndex, get_args

from smmap_typed._platform import (
    ALLOCATIONGRANULARITY,
    DEFAULT_MEMORY_SIZE,
    WRITING_FLAGS,
    align_to_mmap,
    default_handle_limit,
)
from smmap_typed._types import Advice, Reads

__all__ = [
    "check_advice",
    "check_flags",
    "check_reads",
    "handle_limit",
    "integer",
    "memory_limit",
    "natural",
    "window_bytes",
]


def integer(name: str, value: SupportsIndex) -> int:
    """Return ``value`` as an int; TypeError if it is not an integer."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}") from None


def natural(name: str, value: SupportsIndex) -> int:
    """Return ``value`` as an int; ValueError if it is negative, TypeError if it is not an integer."""
    number = integer(name, value)
    if number < 0:
        raise ValueError(f"{name} must not be negative, got {number}")
    return number


_ADVICE: Final[tuple[Advice, ...]] = get_args(Advice)


def check_flags(flags: int) -> None:
    """Raise ValueError for flags that would let ``os.open`` change the file."""
    if flags & WRITING_FLAGS:
        raise ValueError(f"flags must not open for writing, create or truncate, got {flags:#o}")


def _setting(name: str, value: SupportsIndex) -> int:
    """Return ``value`` as an int; TypeError if it is not an integer, or if it is a bool, since True is no limit."""
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got bool")
    return integer(name, value)


def check_advice(advice: Advice | None) -> Advice | None:
    """Return ``advice``; ValueError if it is neither None nor one of the names."""
    if advice is None or advice in _ADVICE:
        return advice
    raise ValueError(f"advice must be one of {', '.join(_ADVICE)}, or None; got {advice!r}")


def check_reads(reads: Reads) -> Reads:
    """Return ``reads``; ValueError if it is not one of the names."""
    if reads in {"auto", "pread"}:
        return reads
    raise ValueError(f'reads must be "auto" or "pread", got {reads!r}')


# A default window is no larger than this part of the memory limit, so that several fit.
_SHARE: Final = 4


def window_bytes(window_size: SupportsIndex, memory: int, default: int, *, strict: bool) -> int:
    """Return the size of a window in bytes, rounded up to the allocation granularity; 0 for whole files.

    ``memory`` is the memory limit, and ``strict`` says whether it is hard. ``default`` is the size for -1 where it is
    at most a quarter of the limit; otherwise the window is that quarter, rounded down.

    :raises ValueError: if the number is out of its range, or if no such window would ever fit.
    :raises TypeError: if it is not an integer.
    """
    asked = _setting("window_size", window_size)
    if asked < -1:
        raise ValueError(f"window_size must be -1 for the default, 0 for whole files, or positive, got {asked}")
    if asked == -1:
        return max(align_to_mmap(min(default, memory // _SHARE), round_up=False), ALLOCATIONGRANULARITY)
    size = align_to_mmap(asked, round_up=True)
    if strict and size > memory:
        raise ValueError(
            f"window_size must be at most max_memory_size under strict_memory, got {size} (rounded up from {asked}) "
            f"and {memory}; -1 makes it a quarter of the limit"
        )
    return size


def memory_limit(max_memory_size: SupportsIndex) -> int:
    """Return the memory limit in bytes; ValueError or TypeError if it is invalid."""
    limit = _setting("max_memory_size", max_memory_size)
    if limit < 0:
        raise ValueError(f"max_memory_size must be 0 for the default, or positive, got {limit}")
    return limit or DEFAULT_MEMORY_SIZE


def handle_limit(max_open_handles: SupportsIndex) -> int:
    """Return the handle limit in regions, half of what the system allows for ``sys.maxsize``, which is the default.

    :raises ValueError: if it is less than 1.
    :raises TypeError: if it is not an integer.
    """
    limit = _setting("max_open_handles", max_open_handles)
    if limit < 1:
        raise ValueError(f"max_open_handles must be at least 1, got {limit}")
    return default_handle_limit() if limit == sys.maxsize else limit
