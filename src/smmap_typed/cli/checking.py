"""Parsing checksum files as ``sha256sum`` writes them, with or without ``--tag``: one line for each file.

Pure: touches neither files nor the terminal.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, final

__all__ = ["Expected", "parse_checksums"]

_LINE: Final = re.compile(rb"(?P<mark>\\?)(?P<digest>[0-9a-fA-F]+) [ *](?P<name>.+)", re.DOTALL)
_TAGGED: Final = re.compile(
    # Without the spaces around the parentheses, openssl writes such lines.
    rb"(?P<mark>\\?)(?P<tag>[A-Za-z0-9-]+) ?\((?P<name>.+)\) ?= (?P<digest>[0-9a-fA-F]+)",
    re.DOTALL,
)
_DEFAULT: Final = "sha256"
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
    algorithm: str
    """The algorithm of ``hashlib`` that the digest is of."""


def parse_checksums(text: bytes, algorithm: str | None = None) -> tuple[list[Expected], int]:
    r"""Return the lines of ``text``, and the number of badly formatted lines.

    ``algorithm`` is that of each line; a digest of another length, or a line that names another algorithm, is badly
    formatted. If it is None, a line has the algorithm that it names, and sha256 if it names none.

    A star before the name, which marks a file that was read as binary, is ignored. A backslash at the start of the line
    means that the name is escaped. Empty lines and lines that begin with ``#`` are skipped.

    >>> parse_checksums(b"MD5 (a) = d41d8cd98f00b204e9800998ecf8427e\nnonsense\n")
    ([Expected(name=b'a', digest='d41d8cd98f00b204e9800998ecf8427e', algorithm='md5')], 1)
    """
    expected: list[Expected] = []
    improper = 0
    for line in text.split(b"\n"):
        if not line or line.startswith(b"#"):
            continue
        parsed = _parse_line(line.removesuffix(b"\r"), algorithm)
        if parsed is None:
            improper += 1
        else:
            expected.append(parsed)
    return expected, improper


def _parse_line(line: bytes, algorithm: str | None) -> Expected | None:
    match = _TAGGED.fullmatch(line)
    used = algorithm or _DEFAULT
    if match is not None:
        used = _algorithm_of(match["tag"].decode())
        if algorithm not in {None, used}:
            return None
    else:
        match = _LINE.fullmatch(line)
    if match is None or len(match["digest"]) != 2 * _digest_size(used):
        return None
    name: bytes = match["name"]
    if match["mark"]:
        if not all(escape[1] in _MEANING for escape in _ESCAPE.finditer(name)):
            return None
        name = _ESCAPE.sub(lambda escape: _MEANING[escape[1]], name)
    return None if b"\0" in name else Expected(name, match["digest"].decode().lower(), used)


def _algorithm_of(tag: str) -> str:
    """Return the name in ``hashlib`` of an algorithm as a tag has it: ``SHA256``, ``SHA2-256`` or ``SHA3-256``."""
    name = tag.lower()
    return f"sha{name[5:]}" if name.startswith("sha2-") else name.replace("-", "_")


def _digest_size(algorithm: str) -> int:
    """Return the bytes of a digest, 0 for an unknown algorithm."""
    try:
        return hashlib.new(algorithm).digest_size
    except ValueError:
        return 0
