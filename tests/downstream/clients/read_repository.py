"""Reads everything that a branch reaches with GitPython, through gitdb, with smmap_typed in smmap's place.

Usage: read_repository.py REPOSITORY NUMBER..., the numbers being the manager's arguments. Prints a line for each
commit, tree and blob: its name, type, size, and the SHA-256 of its content.
"""

import hashlib
import sys
from collections.abc import Iterator
from importlib import import_module

from smmap_typed import SlidingWindowMapManager, compat

compat.install()

# After install: these import smmap.
from git import Blob, GitDB, Repo, Tree  # noqa: E402


def main(path: str, *limits: str) -> None:
    with SlidingWindowMapManager(*map(int, limits)) as manager, Repo(path, odbt=GitDB) as repository:
        for module in ("gitdb.util", "gitdb.pack"):
            vars(import_module(module))["mman"] = manager
        seen: set[str] = set()
        for commit in repository.iter_commits("main"):
            for item in (commit, *reached_from(commit.tree)):
                if item.hexsha not in seen:
                    seen.add(item.hexsha)
                    content = item.data_stream.read()
                    print(item.hexsha, item.type, item.size, hashlib.sha256(content).hexdigest())
        assert manager.stats().maps


def reached_from(tree: Tree) -> Iterator[Tree | Blob]:
    """``tree`` and all that is in it."""
    yield tree
    for folder in tree.trees:
        yield from reached_from(folder)
    yield from tree.blobs


main(*sys.argv[1:])
