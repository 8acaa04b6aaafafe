"""Files of checksums as ``sha256sum`` writes them: one line for each file, read and judged.

Pure: knows neither files nor the terminal.
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
    """One line of a file of checksums."""

    name: bytes
    """The file's, as it is in the file system."""
    digest: str
    """Lower-case hexadecimal."""


def parse_checksums(text: bytes, digest_size: int) -> tuple[list[Expected], int]:
    r"""The lines of ``text`` with a digest of ``digest_size`` bytes, and how many are improperly formatted.

    A star before the name, for what was read as binary, means nothing. A backslash in front of the line says that the
    name is escaped. Empty lines and those that begin with ``#`` are passed over.

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
