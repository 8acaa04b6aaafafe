"""Files that misbehave: what may happen to a file, every kind of use that it may hit, and what comes of it.

Each use is tried in a child process of its own, which has the file open as its user would, lets it misbehave, and tells
what it got: so a signal ends nothing but the child, and a child may give its rights up.
"""

import errno
import faulthandler
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from forks import fork, status_of
from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager, WindowCursor
from support import GRANULE, pattern, write_pattern

__all__ = ["DESCRIPTOR", "MISBEHAVIOURS", "SIZE", "USES", "Misbehaviour", "Use", "clear", "outcome_of"]

SIZE: Final = 8 * GRANULE
NEAR: Final = GRANULE + 8
"""In the first window, and not in its first page."""
FAR: Final = 6 * GRANULE
DESCRIPTOR: Final = 100
"""A number that is free in every child."""
TERABYTES: Final = 3 << 40
NOBODY: Final = 65534
NOT_UTF_8: Final = os.fsdecode(b"\xff\xfe")


@dataclass(frozen=True)
class Misbehaviour:
    """What happens to a good file."""

    name: str
    happen: Callable[[Path], None]
    by_descriptor: bool = False
    """Whether the user gives the library ``DESCRIPTOR``, not the path."""
    file: str = "file"


class Fixture(NamedTuple):
    """What a user has of the good file before."""

    manager: SlidingWindowMapManager
    source: Path | int
    placed: WindowCursor
    """On its first window."""
    buffer: SlidingWindowMapBuffer
    """Over all of it, on its first window."""

    def new(self) -> WindowCursor:
        """A cursor that has not seen the file before."""
        return self.manager.make_cursor(self.source)


@dataclass(frozen=True)
class Use:
    """What a user does after it."""

    name: str
    act: Callable[[Fixture], object]
    """Returns the bytes that it got, if it gets any."""
    begin: int = 0
    """Where in the file they begin."""


def truncate(path: Path) -> None:
    os.truncate(path, 10)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(pattern(2 * SIZE)[SIZE:])


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def rewrite(path: Path) -> None:
    path.write_bytes(pattern(SIZE, 1))
    os.utime(path, ns=(1, 1))


def replace(path: Path) -> None:
    other = path.with_name("other")
    write_pattern(other, SIZE, 1)
    other.rename(path)


def recreate(path: Path) -> None:
    # Its inode must not be free for the new file: what holds it here is often a map, a descriptor or another name.
    os.link(path, path.with_name("another name"))
    path.unlink()
    write_pattern(path, SIZE, 1)


def close_to_all(path: Path) -> None:
    path.chmod(0)
    _become_nobody()


def close_folder(path: Path) -> None:
    path.parent.chmod(0)
    _become_nobody()


def _become_nobody() -> None:
    """Have no more rights than files give: root may read whatever it wants."""
    if sys.platform != "win32" and os.geteuid() == 0:
        os.seteuid(NOBODY)


def make_pipe(path: Path) -> None:
    if sys.platform != "win32":
        os.mkfifo(path)


def become(make: Callable[[Path], None]) -> Callable[[Path], None]:
    """The file is removed, and something else is made in its place."""

    def happen(path: Path) -> None:
        path.unlink()
        make(path)

    return happen


def link_to(target: str) -> Callable[[Path], None]:
    """Another file by that name in its place."""
    return become(lambda path: path.symlink_to(target))


def close_descriptor(_: Path) -> None:
    os.close(DESCRIPTOR)


def reuse_descriptor(path: Path) -> None:
    other = path.with_name("other")
    write_pattern(other, SIZE, 1)
    os.dup2(os.open(other, os.O_RDONLY), DESCRIPTOR)


def sparse(path: Path) -> None:
    os.truncate(path, TERABYTES)


MISBEHAVIOURS: Final = [
    Misbehaviour("as it was", lambda _: None),
    Misbehaviour("truncated to 10 bytes", truncate),
    Misbehaviour("truncated to nothing", empty),
    Misbehaviour("grown", grow),
    Misbehaviour("grown to 3 TiB, sparse", sparse),
    Misbehaviour("touched", touch),
    Misbehaviour("rewritten in place", rewrite),
    Misbehaviour("replaced by renaming", replace),
    Misbehaviour("unlinked and recreated", recreate),
    Misbehaviour("deleted", Path.unlink),
    Misbehaviour("not to be read any more", close_to_all),
    Misbehaviour("in a folder not to be searched any more", close_folder),
    Misbehaviour("a directory now", become(Path.mkdir)),
    Misbehaviour("a FIFO now", become(make_pipe)),
    Misbehaviour("a loop of links now", become(lambda path: path.symlink_to(path.name))),
    Misbehaviour("a link to nothing now", link_to("nothing")),
    Misbehaviour("a link to `/dev/zero` now", link_to("/dev/zero")),
    Misbehaviour("a link to `/proc/self/status` now", link_to("/proc/self/status")),
    Misbehaviour("a link to `/proc` now", link_to("/proc")),
    Misbehaviour("of a name that is not UTF-8", lambda _: None, file=NOT_UTF_8),
    Misbehaviour("of a name that is not UTF-8, and deleted", Path.unlink, file=NOT_UTF_8),
    Misbehaviour("given by a descriptor, and truncated to nothing", empty, by_descriptor=True),
    Misbehaviour("given by a descriptor, and deleted", Path.unlink, by_descriptor=True),
    Misbehaviour("given by a descriptor, closed by now", close_descriptor, by_descriptor=True),
    Misbehaviour("given by a descriptor, another file's by now", reuse_descriptor, by_descriptor=True),
]

USES: Final[list[Use]] = [
    Use("make a cursor", Fixture.new),
    Use("first use", lambda fixture: bytes(fixture.new().use_region(NEAR, 16).buffer()), NEAR),
    Use("first view", lambda fixture: bytes(fixture.new().view(FAR, 16)), FAR),
    Use("first read", lambda fixture: fixture.new().read(FAR, 16), FAR),
    Use("first prefetch", lambda fixture: fixture.new().prefetch(0, 16)),
    Use("first bind", lambda fixture: SlidingWindowMapBuffer(fixture.new())[NEAR : NEAR + 16], NEAR),
    Use("stay", lambda fixture: bytes(fixture.placed.use_region(NEAR, 16).buffer()), NEAR),
    Use("move", lambda fixture: bytes(fixture.placed.use_region(FAR, 16).buffer()), FAR),
    Use("view", lambda fixture: bytes(fixture.placed.view(FAR, 16)), FAR),
    Use("read", lambda fixture: fixture.placed.read(FAR, 16), FAR),
    Use("prefetch", lambda fixture: fixture.placed.prefetch(FAR, 16)),
    Use("bind", lambda fixture: SlidingWindowMapBuffer(fixture.placed, FAR)[:16], FAR),
    Use("index", lambda fixture: bytes(fixture.buffer[FAR + number] for number in range(16)), FAR),
    Use("slice in the window", lambda fixture: fixture.buffer[NEAR : NEAR + 16], NEAR),
    Use("slice", lambda fixture: fixture.buffer[FAR : FAR + 16], FAR),
    Use("slice across windows", lambda fixture: fixture.buffer[GRANULE : 7 * GRANULE], GRANULE),
]


def outcome_of(folder: Path, reader: str, misbehaviour: Misbehaviour, use: Use) -> str:
    """What comes of one use, in words that are the same for every run."""
    path = folder / misbehaviour.file
    write_pattern(path, SIZE)
    reading, writing = os.pipe()
    child = fork(lambda: os.write(writing, _try(path, reader, misbehaviour, use).encode()))
    os.close(writing)
    status = status_of(child)
    with open(reading, encoding="utf-8") as pipe:
        told = pipe.read()
    if status < 0:
        return signal.Signals(-status).name
    assert status == 0
    return told


def _try(path: Path, reader: str, misbehaviour: Misbehaviour, use: Use) -> str:
    """The same, in the child."""
    # A signal is one of the answers, not a crash to be reported.
    faulthandler.disable()
    manager = SlidingWindowMapManager(2 * GRANULE, reader="pread" if reader == "pread" else "mmap")
    os.dup2(os.open(path, os.O_RDONLY), DESCRIPTOR)
    source = DESCRIPTOR if misbehaviour.by_descriptor else path
    placed = manager.make_cursor(source).use_region(0, 9)
    fixture = Fixture(manager, source, placed, SlidingWindowMapBuffer(placed))
    misbehaviour.happen(path)
    try:
        result = use.act(fixture)
    except Exception as error:  # noqa: BLE001 - whatever it is, the page tells its type and words
        return _words(error, path)
    return _contents(result, use.begin) if isinstance(result, bytes) else "works"


def _contents(data: bytes, begin: int) -> str:
    """Of which file these bytes are."""
    if not data:
        return "no bytes"
    if not any(data):
        return "zeros"
    for seed, name in enumerate(("the bytes", "the new bytes")):
        if data == pattern(2 * SIZE, seed)[begin : begin + len(data)]:
            return name
    raise AssertionError(f"bytes from nowhere: {data[:16]!r}")


def _words(error: Exception, path: Path) -> str:
    """Type and words, with numbers that differ from run to run left out."""
    words = str(error).replace(repr(str(path)), "FILE")
    words = re.sub(r"\[Errno (\d+)\]", lambda found: errno.errorcode[int(found[1])], words)
    words = re.sub(
        r"\d+ ns|(?<=inode )\d+|(?<=device )\d+|(?<=was )\d+|(?<=on )\d+|\d+(?= bytes)|(?<=had )\d+|(?<=than the )\d+",
        "N",
        words,
    )
    return f"{type(error).__name__}: {words}"


def clear(folder: Path) -> None:
    """Make the folder as it was, whatever became of its file."""
    folder.chmod(0o755)
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
