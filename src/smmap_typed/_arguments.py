"""Arguments: checks of what users pass. Their code may be untyped, so types are checked, too."""

import operator
from typing import Final, SupportsIndex, get_args

from smmap_typed._platform import DEFAULT_MEMORY_SIZE, DEFAULT_WINDOW_SIZE, PREAD_WINDOW_SIZE, WRITING_FLAGS
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


def natural(name: str, value: SupportsIndex) -> int:
    """Return ``value`` as an int; ValueError if it is negative, TypeError if it is not an integer."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}") from None
    if number < 0:
        raise ValueError(f"{name} must not be negative, got {number}")
    return number


_ADVICE: Final[tuple[Advice, ...]] = get_args(Advice)


def check_flags(flags: int) -> None:
    """Raise ValueError for flags that would let ``os.open`` change the file."""
    if flags & WRITING_FLAGS:
        raise ValueError(f"flags must not open for writing, create or truncate, got {flags:#o}")


def integer(name: str, value: object) -> int:
    """Return ``value``; TypeError if it is not an int, or if it is a bool.

    It is annotated as an object, because compiled code would check an int by itself, and accept a bool.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    return value


def check_advice(advice: Advice | None) -> Advice | None:
    """Return ``advice``; ValueError if it is neither None nor one of the names."""
    if advice is None or advice in _ADVICE:
        return advice
    raise ValueError(f"advice must be one of {', '.join(_ADVICE)}, or None; got {advice!r}")


def check_reads(reads: Reads) -> Reads:
    """Return ``reads``; ValueError if it is none of the names."""
    if reads in {"auto", "pread"}:
        return reads
    raise ValueError(f'reads must be "auto" or "pread", got {reads!r}')


def window_bytes(window_size: int, *, copies: bool) -> int:
    """Return the size of a window in bytes, before rounding; 0 for whole files. ValueError or TypeError if invalid."""
    if integer("window_size", window_size) < -1:
        raise ValueError(f"window_size must be -1 for the default, 0 for whole files, or positive, got {window_size}")
    if window_size == -1:
        return PREAD_WINDOW_SIZE if copies else DEFAULT_WINDOW_SIZE
    return window_size


def memory_limit(max_memory_size: int) -> int:
    """Return the memory limit in bytes; ValueError or TypeError if it is invalid."""
    if integer("max_memory_size", max_memory_size) < 0:
        raise ValueError(f"max_memory_size must be 0 for the default, or positive, got {max_memory_size}")
    return max_memory_size or DEFAULT_MEMORY_SIZE


def handle_limit(max_open_handles: int) -> int:
    """Return the handle limit in regions; ValueError or TypeError if it is invalid."""
    if integer("max_open_handles", max_open_handles) < 1:
        raise ValueError(f"max_open_handles must be at least 1, got {max_open_handles}")
    return max_open_handles
