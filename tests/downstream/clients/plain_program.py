"""A program that reads a repository with GitPython, through gitdb, and knows nothing of smmap_typed.

Usage: plain_program.py REPOSITORY. Prints the module of gitdb's manager, and the lines of ``read_repository.py``.
"""

import hashlib
import sys
from collections.abc import Iterator
from importlib import import_module

from git import Blob, GitDB, Repo, Tree


def reached_from(tree: Tree) -> Iterator[Tree | Blob]:
    """``tree`` and all that is in it."""
    yield tree
    for folder in tree.trees:
        yield from reached_from(folder)
    yield from tree.blobs


print(type(import_module("gitdb.util").mman).__module__)
with Repo(sys.argv[1], odbt=GitDB) as repository:
    seen: set[str] = set()
    for commit in repository.iter_commits("main"):
        for item in (commit, *reached_from(commit.tree)):
            if item.hexsha not in seen:
                seen.add(item.hexsha)
                content = item.data_stream.read()
                print(item.hexsha, item.type, item.size, hashlib.sha256(content).hexdigest())
