"""Repositories for tests: the same objects in the same packs, each time.

git itself makes them, from a stream that a seeded generator writes.
"""

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["git", "make_repository"]

# Nothing of the machine's or the user's configuration, and no clock.
_ENVIRONMENT: Final = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C.UTF-8",
}
_COMMITS: Final = 160
_LARGEST: Final = 24 * 1024
"""Bytes of the largest blob: with windows of 64 KiB every third lies across the edge of one."""


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """What ``git`` prints in ``folder``."""
    command = ("git", *arguments)
    return subprocess.run(command, cwd=folder, env=_ENVIRONMENT, input=stdin, stdout=subprocess.PIPE, check=True).stdout


def make_repository(path: Path) -> Path:
    """A bare repository at ``path``, of one pack with deltas, some loose objects, a branch ``main`` and a tag."""
    path.mkdir()
    git(path, "init", "--quiet", "--bare", "--initial-branch=main")
    git(path, "fast-import", "--quiet", "--date-format=raw", stdin=b"".join(_history(random.Random(1))))
    git(
        path,
        "-c",
        "pack.threads=1",
        "-c",
        "repack.writeBitmaps=false",
        "repack",
        "-a",
        "-d",
        "-f",
        "-q",
        "--depth=20",
        "--window=20",
    )
    for number in range(20):
        git(path, "hash-object", "-w", "--stdin", stdin=b"loose %d\n" % number * 1000)
    return path


def _history(source: random.Random) -> Iterator[bytes]:
    """A stream for fast-import: each commit brings a new file, which hardly compresses, and edits an older one."""
    files: list[bytes] = []
    for number in range(_COMMITS):
        yield b"commit refs/heads/main\n"
        yield b"committer Nobody <nobody@example.org> %d +0000\n" % (1_700_000_000 + number)
        yield _data(b"Commit %d\n" % number)
        files.append(source.randbytes(source.randrange(_LARGEST)))
        yield from _file(number, files[number])
        edited = source.randrange(number + 1)
        place = source.randrange(len(files[edited]) + 1)
        files[edited] = files[edited][:place] + b"edited in %d" % number + files[edited][place + 100 :]
        yield from _file(edited, files[edited])
    yield b"tag v1\nfrom refs/heads/main\ntagger Nobody <nobody@example.org> 1700001000 +0000\n" + _data(b"A tag\n")


def _file(number: int, content: bytes) -> Iterator[bytes]:
    mode = b"100755" if number % 5 == 0 else b"100644"
    yield b"M %s inline folder %d/file %d\n" % (mode, number % 7, number)
    yield _data(content)


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)
