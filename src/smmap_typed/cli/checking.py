"""Parsing checksum files as ``sha256sum`` writes them, with one line for each file.

Pure: touches neither files nor the terminal.
"""

import re
from dataclasses import dataclass
from typing import Final, final

__all__ = ["Expected", "parse_checksums"]

_LINE: Final = re.compile(rb"(\\?)([0-9a-fA-F]+) [ *](.+)", re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\(.?)", re.DOTALL)
_MEANING: Final = {b"\\": b"\\", b"n": b"\n", b"r": b"\r"}


@final
@dataclass(frozen=True, slots=True)
class Expected:
    """One line of a checksum file."""

    name: bytes
    """The name of the file, as it is in the file system."""
    digest: str
    """Lower-case hexadecimal."""


def parse_checksums(text: bytes, digest_size: int) -> tuple[list[Expected], int]:
    r"""Return the lines of ``text`` with digests of ``digest_size`` bytes, and the number of badly formatted lines.

    A star before the name, which marks a file that was read as binary, is ignored. A backslash at the start of the line
    means that the name is escaped. Empty lines and lines that begin with ``#`` are skipped.

    >>> parse_checksums(b"\\d3 *line\\nfeed\nnonsense\n", 1)
    ([Expected(name=b'line\nfeed', digest='d3')], 1)
    """
    expected: list[Expected] = []
    improper = 0
    for line in text.split(b"\n"):
        if not line or line.startswith(b"#"):
            continue
        parsed = _parse_line(line.removesuffix(b"\r"), digest_size)
        if parsed is None:
            improper += 1
        else:
            expected.append(parsed)
    return expected, improper


def _parse_line(line: bytes, digest_size: int) -> Expected | None:
    match = _LINE.fullmatch(line)
    if match is None or len(match[2]) != 2 * digest_size:
        return None
    name = match[3]
    if match[1]:
        if not all(escape[1] in _MEANING for escape in _ESCAPE.finditer(name)):
            return None
        name = _ESCAPE.sub(lambda escape: _MEANING[escape[1]], name)
    return None if b"\0" in name else Expected(name, match[2].decode().lower())
