"""gitdb reads a whole pack: with smmap, which it is made for, and with this library in smmap's place."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol

from benchmarks.contest import Factory, Line, Row, Target, Turn, timed
from benchmarks.stage import Stage
from smmap_typed import compat

__all__ = ["ROWS"]

FILES: Final = 60
VERSIONS: Final = 2
OBJECTS: Final = 3 * FILES * VERSIONS
"""A commit, a tree and a blob for each version of each file."""


class Stream(Protocol):
    """An object, as gitdb gives it; gitdb itself has no types."""

    def read(self) -> bytes: ...


class Database(Protocol):
    """What is used of ``gitdb.db.PackedDB``."""

    def sha_iter(self) -> Iterator[bytes]: ...
    def stream(self, sha: bytes) -> Stream: ...


def history() -> Iterator[bytes]:
    """Commits for ``git fast-import``: files that hardly compress, and then each with a little change."""
    source = random.Random(1)
    contents = [source.randbytes(source.randrange(24 * 1024)) for _ in range(FILES)]
    for number in range(FILES * VERSIONS):
        file = number % FILES
        contents[file] += b"version %d" % number
        yield b"commit refs/heads/main\n"
        yield b"committer Nobody <nobody@example.org> %d +0000\ndata 0\n" % (1_700_000_000 + number)
        yield b"M 100644 inline file-%d\ndata %d\n%s\n" % (file, len(contents[file]), contents[file])


def pack_folder(stage: Stage) -> Path:
    """The folder of a repository's one pack, the same each time."""
    repository = stage.folder / "repository"
    if not repository.exists():
        repository.mkdir()
        environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

        def git(*arguments: str, stdin: bytes = b"") -> None:
            subprocess.run(("git", *arguments), cwd=repository, env=environment, input=stdin, check=True)

        git("init", "--quiet", "--bare", "--initial-branch=main")
        git("fast-import", "--quiet", stdin=b"".join(history()))
        git("-c", "pack.threads=1", "repack", "-a", "-d", "-f", "-q", "--depth=10")
    return repository / "objects/pack"


def gitdb_on(library: str) -> Callable[[str], Database]:
    """A ``PackedDB`` from a gitdb of its own whose ``smmap`` is that library."""
    aside = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in {"smmap", "gitdb"}}
    try:
        if library == "smmap_typed":
            compat.install()
        packed: Callable[[str], Database] = vars(import_module("gitdb.db"))["PackedDB"]
        return packed
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] in {"smmap", "gitdb"}]:
            del sys.modules[name]
        sys.modules.update(aside)


def read_pack(library: str) -> Factory:
    """Open the pack and read every object, with gitdb's own manager and its default limits."""

    def make(stage: Stage) -> Turn:
        folder = str(pack_folder(stage))
        packed = gitdb_on(library)

        def work() -> None:
            database = packed(folder)
            assert sum(1 for sha in database.sha_iter() if database.stream(sha).read()) > OBJECTS // 2

        return timed(OBJECTS, work)

    return make


ROWS: Final = (
    Row(
        "gitdb",
        {"smmap": read_pack("smmap"), "ours": read_pack("smmap_typed")},
        (Line("gitdb reading a whole pack, 1 thread", bare=None, at_least=Target(1.0, 1.05)),),
    ),
)
