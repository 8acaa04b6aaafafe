"""Eight threads read every object of one git pack, each with its own gitdb database, under tight limits.

All threads share one manager of mapped windows: first smmap's, for which gitdb is written, then smmap_typed's in its
place. The program checks the SHA-1 of each object and prints one line for each library. It needs git and gitdb; in a
clone of the repository::

    python -m pip install . gitdb
    python examples/gitdb_threads.py

Each library runs in its own process, because it may crash or hang. The exit status is 0 if all objects that were read
through smmap_typed are right.
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Protocol

from smmap_typed import compat

THREADS: Final = 8
PATIENCE_SECONDS: Final = 60

# The pack: a commit, a tree and a blob for each version of each file.
FILES: Final = 150
VERSIONS: Final = 2
OBJECTS: Final = 3 * FILES * VERSIONS

WINDOW_SIZE: Final = 64 * 1024
MAX_MEMORY_SIZE: Final = 8 * WINDOW_SIZE
# Tight but enough: each thread needs an object and the base of its delta, and all threads share the pack's index.
MAX_OPEN_HANDLES: Final = 2 * THREADS + 1


class Stream(Protocol):
    """An object as gitdb returns it; gitdb itself has no types."""

    type: bytes

    def read(self) -> bytes: ...


class Database(Protocol):
    """The part of ``gitdb.db.PackedDB`` that is used here."""

    def sha_iter(self) -> Iterator[bytes]: ...
    def stream(self, sha: bytes) -> Stream: ...


def main() -> None:
    """Make the pack, and read it with both libraries."""
    if find_spec("gitdb") is None:
        sys.exit("this example needs gitdb: python -m pip install gitdb")
    if shutil.which("git") is None:
        sys.exit("this example needs git, the program")
    with tempfile.TemporaryDirectory() as folder:
        make_pack(Path(folder))
        statuses = [read_in_a_process(library, folder) for library in ("smmap", "smmap_typed")]
    sys.exit(statuses[1])


def make_pack(repository: Path) -> None:
    """Make a repository with all its objects in one pack, the same each time."""
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments: str, stdin: bytes = b"") -> None:
        subprocess.run(("git", *arguments), cwd=repository, env=environment, input=stdin, check=True)

    git("init", "--quiet", "--bare", "--initial-branch=main")
    git("fast-import", "--quiet", stdin=b"".join(history()))
    git("-c", "pack.threads=1", "repack", "-a", "-d", "-f", "-q", "--depth=1")


def history() -> Iterator[bytes]:
    """Commits for ``git fast-import``: files that hardly compress, and later a slightly changed version of each."""
    source = random.Random(1)
    contents = [source.randbytes(source.randrange(24 * 1024)) for _ in range(FILES)]
    for number in range(FILES * VERSIONS):
        file = number % FILES
        contents[file] += b"version %d" % number
        yield b"commit refs/heads/main\n"
        yield b"committer Nobody <nobody@example.org> %d +0000\ndata 0\n" % (1_700_000_000 + number)
        yield b"M 100644 inline file-%d\ndata %d\n%s\n" % (file, len(contents[file]), contents[file])


def read_in_a_process(library: str, repository: str) -> int:
    """Read with one library in a new process, print the outcome, and return the exit status."""
    command = (sys.executable, __file__, library, repository)
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        status, outcome = 1, f"FAILED: not done after {PATIENCE_SECONDS} s"
    else:
        status, outcome = result.returncode, result.stdout.strip()
        if status < 0:
            outcome = f"FAILED: killed by {signal.Signals(-status).name}"
        elif not outcome:
            outcome = f"FAILED: {result.stderr.splitlines()[-1:]}"
    name = f"{library} {version(library)}:"
    print(f"{name:18} {THREADS} threads, {OBJECTS} objects each: {outcome}", flush=True)
    return status


def read_with(library: str, repository: str) -> None:
    """Read the pack in threads, print the outcome, and exit with status 1 unless all objects are right."""
    if library == "smmap_typed":
        # From here on, imports of smmap get smmap_typed.
        compat.install()
    manager = import_module("smmap").SlidingWindowMapManager(WINDOW_SIZE, MAX_MEMORY_SIZE, MAX_OPEN_HANDLES)
    for module in ("gitdb.util", "gitdb.pack"):
        vars(import_module(module))["mman"] = manager

    verdicts: list[str] = []
    threads = [threading.Thread(target=read_all, args=(repository, seed, verdicts)) for seed in range(THREADS)]
    # Switch threads often, as if there were many processors.
    sys.setswitchinterval(1e-5)
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began

    right, wrong = verdicts.count("right"), verdicts.count("wrong")
    if right != THREADS * OBJECTS:
        errors = [verdict for verdict in verdicts if verdict not in {"right", "wrong"}]
        print(f"FAILED: {len(errors)} errors (first: {[*errors, 'none'][0]}), {wrong} wrong objects")
        sys.exit(1)
    handles = f", at most {manager.stats().peak_handles} of {MAX_OPEN_HANDLES} handles" if library != "smmap" else ""
    print(f"all {right} SHA-1s right in {seconds:.1f} s{handles}")


def read_all(repository: str, seed: int, verdicts: list[str]) -> None:
    """Read every object of the pack in an order that depends on ``seed``, and add a verdict for each."""
    try:
        database: Database = import_module("gitdb.db").PackedDB(f"{repository}/objects/pack")
        names = list(database.sha_iter())
    except Exception as error:  # noqa: BLE001 - any error means that the pack could not be opened
        verdicts.append(f"{type(error).__name__}: {error}")
        return
    random.Random(seed).shuffle(names)
    verdicts.extend(judge(database, name) for name in names)


def judge(database: Database, name: bytes) -> str:
    """Read the object called ``name``, and say whether its SHA-1 is ``name``."""
    try:
        stream = database.stream(name)
        content = stream.read()
    except Exception as error:  # noqa: BLE001 - any error means that there is no object
        return f"{type(error).__name__}: {error}"
    digest = hashlib.sha1(b"%s %d\0%s" % (stream.type, len(content), content)).digest()
    return "right" if digest == name else "wrong"


if __name__ == "__main__":
    read_with(*sys.argv[1:]) if len(sys.argv) > 1 else main()
