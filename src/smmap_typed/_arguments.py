"""Arguments: what callers, who may be untyped, are told about numbers that mean nothing."""

import operator
from typing import Final, SupportsIndex, get_args

from smmap_typed._platform import WRITING_FLAGS
from smmap_typed._types import Advice

__all__ = ["check_advice", "check_flags", "integer", "natural"]


def natural(name: str, value: SupportsIndex) -> int:
    """``value`` as an int; ValueError if it is negative, TypeError if it is no integer: callers may be untyped."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}") from None
    if number < 0:
        raise ValueError(f"{name} must not be negative, got {number}")
    return number


_ADVICE: Final[tuple[Advice, ...]] = get_args(Advice)


def check_flags(flags: int) -> None:
    """ValueError for flags that would let ``os.open`` change the file."""
    if flags & WRITING_FLAGS:
        raise ValueError(f"flags must not open for writing, create or truncate, got {flags:#o}")


def integer(name: str, value: object) -> int:
    """``value``, or TypeError if it is no int, or a bool.

    An object by its annotation: compiled code would refuse anything but an int before it begins, and take a bool.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    return value


def check_advice(advice: Advice | None) -> Advice | None:
    """``advice``, or ValueError if it is none of those that there are."""
    if advice is None or advice in _ADVICE:
        return advice
    raise ValueError(f"advice must be one of {', '.join(_ADVICE)}, or None; got {advice!r}")
