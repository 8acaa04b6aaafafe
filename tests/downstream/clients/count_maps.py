"""Reads the last commit of a repository with GitPython, and prints how many windows were mapped for that.

Usage: count_maps.py REPOSITORY DATABASE, the latter being a class of GitPython, as in ``Repo(path, odbt=DATABASE)``.
"""

import sys
from importlib import import_module

from smmap_typed import SlidingWindowMapManager, compat

compat.install()

# After install: this imports smmap.
import git  # noqa: E402


def main(path: str, database: str) -> None:
    manager = SlidingWindowMapManager()
    for module in ("gitdb.util", "gitdb.pack"):
        vars(import_module(module))["mman"] = manager
    default = database == git.GitCmdObjectDB.__name__
    with git.Repo(path) if default else git.Repo(path, odbt=git.GitDB) as repository:
        assert repository.head.commit.tree.data_stream.read()
    print(manager.stats().maps)


if __name__ == "__main__":
    main(*sys.argv[1:])
