"""Sizes as people write and read them: ``64MiB`` to bytes and back."""

import re
import sys
from typing import Final

__all__ = ["parse_size", "size_text"]

_SIZE: Final = re.compile(r"(\d{1,20})(?:([kmgt])(?:ib)?)?", re.ASCII | re.IGNORECASE)
_SHIFTS: Final = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_KIBI: Final = 1024
_UNITS: Final = ("KiB", "MiB", "GiB", "TiB", "PiB")


def parse_size(text: str) -> int:
    """Return the number of bytes of a size as people write it.

    >>> parse_size("4096"), parse_size("64k"), parse_size("1GiB")
    (4096, 65536, 1073741824)

    :raises ValueError: for anything else. The message says which forms are accepted.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not a size; write bytes as 4096, or powers of 1024 as 64k, 64KiB, 16MiB, 1GiB, 1TiB"
        )
    size = int(match[1]) << _SHIFTS[(match[2] or "").lower()]
    if size > sys.maxsize:
        raise ValueError(f"{text!r} is too large; sizes go up to {sys.maxsize} bytes")
    return size


def size_text(size: int) -> str:
    """Format ``size`` bytes in the largest unit of which there is at least one.

    >>> size_text(512), size_text(64 * 1024**2), size_text(1_500_000)
    ('512 B', '64 MiB', '1.4 MiB')
    """
    if size < _KIBI:
        return f"{size} B"
    power = min((size.bit_length() - 1) // 10, len(_UNITS))
    return f"{size / _KIBI**power:.1f}".removesuffix(".0") + f" {_UNITS[power - 1]}"
