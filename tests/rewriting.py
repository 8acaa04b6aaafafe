"""Files that change under a reader, and what it may see then: the bytes of one state, or an error, and no mixture."""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

import pytest

from smmap_typed import FileChangedError, WindowCursor
from support import GRANULE, pattern

__all__ = [
    "READERS",
    "SIZE",
    "ReaderName",
    "append",
    "assert_keeps_to",
    "assert_reads",
    "descriptors_named",
    "refused_as_reused",
    "replace",
    "rewrite",
]

ReaderName = Literal["mmap", "pread"]
READERS: Final[list[ReaderName]] = ["mmap", "pread"]

SIZE: Final = 4 * GRANULE
"""Bytes of a file of the tests, unless they say another size."""


def rewrite(path: Path, seed: int, size: int = SIZE, *, keep_mtime: bool = False) -> bytes:
    """Write new content into the file itself, as ``cp``, and set its mtime back, as ``cp -p``; return the content.

    Done again until its ctime is another one: before Linux 6.13 that clock stands still for milliseconds.
    """
    before = os.stat(path)
    content = pattern(size, seed)
    while os.stat(path).st_ctime_ns == before.st_ctime_ns:
        with path.open("r+b") as file:
            file.write(content)
            file.truncate()
        if keep_mtime:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return content


def append(path: Path, content: bytes) -> None:
    """Write more bytes at the end of the file."""
    with path.open("ab") as file:
        file.write(content)


def replace(path: Path, seed: int, size: int = SIZE, *, keep_mtime: bool = False) -> bytes:
    """Put another file in the place of ``path``, as git and logrotate do, and return its content."""
    before = os.stat(path)
    other, content = path.with_name("replacement"), pattern(size, seed)
    other.write_bytes(content)
    if keep_mtime:
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)
    return content


def assert_reads(cursor: WindowCursor, content: bytes) -> None:
    """Every way to read gives ``content``, in every window; one handle is enough for that."""
    assert cursor.file_size() == len(content)
    for offset in range(0, len(content), GRANULE):
        for read in (_move, _view, _read):
            assert read(cursor, offset + 3) == content[offset + 3 : offset + 19], read.__name__
            cursor.unuse_region()
    assert cursor.read(0, len(content) + 1) == content


def assert_keeps_to(cursor: WindowCursor, content: bytes) -> None:
    """Whatever ``cursor`` gives in any window is from ``content``; it may refuse instead, as a changed file."""
    for offset in range(0, len(content), GRANULE):
        for read in (_read, _view, _move):
            with suppress(FileChangedError):
                assert read(cursor, offset + 3) == content[offset + 3 : offset + 19], read.__name__


def _read(cursor: WindowCursor, offset: int) -> bytes:
    return cursor.read(offset, 16)


def _view(cursor: WindowCursor, offset: int) -> bytes:
    return bytes(cursor.view(offset, 16))


def _move(cursor: WindowCursor, offset: int) -> bytes:
    return bytes(cursor.use_region(offset, 16).buffer())


@contextmanager
def refused_as_reused() -> Generator[None]:
    """A call, within, on a descriptor whose number is another file's now: it is told so, or that its own is closed."""
    with pytest.raises(OSError) as caught:  # noqa: PT011 - both are OSErrors, and are told apart below
        yield
    assert isinstance(caught.value, FileChangedError) or caught.value.errno == errno.EBADF


def descriptors_named(path: Path) -> int:
    """How many descriptors this process has open on ``path``, as the system names it, or named it before it went.

    Where inode numbers tell no file from another, names do.
    """
    names = {str(path), f"{path} (deleted)"}
    count = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{number}") in names
        except FileNotFoundError:
            # The descriptor of the listing itself.
            continue
    return count
