"""Reads every object of a pack with gitdb and says which do not have their SHA-1.

Usage: read_pack.py smmap_typed|smmap PACK NUMBER..., the numbers being the manager's arguments. Prints how many objects
there are, how many of them came wrong without an error, and how many with one.
"""

import hashlib
import sys
from importlib import import_module
from typing import Protocol

from smmap_typed import compat


class Stream(Protocol):
    """What gitdb reads an object with."""

    type: bytes

    def read(self) -> bytes: ...


class Index(Protocol):
    """Which objects a pack has."""

    def size(self) -> int: ...
    def sha(self, index: int) -> bytes: ...


class Pack(Protocol):
    """A pack with its index, as ``gitdb.pack.PackEntity``; gitdb itself has no types."""

    def index(self) -> Index: ...
    def stream(self, sha: bytes) -> Stream: ...


def main(peer: str, path: str, *limits: str) -> None:
    if peer == "smmap_typed":
        compat.install()
    manager_class = import_module("smmap").SlidingWindowMapManager
    assert manager_class.__module__.partition(".")[0] == peer
    manager = manager_class(*map(int, limits))
    for module in ("gitdb.util", "gitdb.pack"):
        vars(import_module(module))["mman"] = manager
    pack: Pack = import_module("gitdb.pack").PackEntity(path)
    names = [pack.index().sha(number) for number in range(pack.index().size())]
    verdicts = [reason(pack, name) for name in names]
    print(len(verdicts), verdicts.count("wrong"), verdicts.count("error"))


def reason(pack: Pack, name: bytes) -> str:
    """Whether what ``pack`` gives for ``name`` hashes to it."""
    try:
        stream = pack.stream(name)
        content = stream.read()
    except Exception:  # noqa: BLE001 - whatever it is, there is no object
        return "error"
    digest = hashlib.sha1(b"%s %d\0%s" % (stream.type, len(content), content)).digest()
    return "right" if digest == name else "wrong"


main(*sys.argv[1:])
