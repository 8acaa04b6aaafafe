"""What a cursor or buffer lets go of is never seen again, also by what runs at that very moment.

Compiled code drops an attribute's old value before it stores the new one. If a map dies with it, a weak reference's
callback may use the same cursor in between: it must find either the old place alive or the new one. Each step here
replaces a reference whose old value holds the last reference to a map. Where one is replaced carelessly the compiled
build reads freed memory; the debug allocator, which overwrites that, makes it crash at once.
"""

import importlib
import pkgutil
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

import pytest

import smmap_typed
from support import GRANULE, run_python, write_pattern

PROGRAM: Final = """
import copy
import sys
import weakref

from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager

path, granule, step = sys.argv[1], int(sys.argv[2]), sys.argv[3]
manager = SlidingWindowMapManager(granule)
other = SlidingWindowMapManager(granule)
elsewhere = other.make_cursor(path).use_region(granule, 9)
cursor = manager.make_cursor(path).use_region(0, 9)
buffer = SlidingWindowMapBuffer(elsewhere)
held = buffer.cursor() if step.startswith("buffer") else cursor
seen = []


def look(_):
    for _ in range(3):
        seen.append((held.is_valid(), held.size(), len(bytes(held.buffer())) if held.is_valid() else 0, buffer[:3]))
        copy.copy(held)


reference = weakref.ref(held.map(), look)
assert reference() is not None
# Given up: whoever stands there has the only reference to the map now.
(other if step.startswith("buffer") else manager).close() if step != "move" else manager._force_removal(path)
if step == "unuse":
    cursor.unuse_region()
elif step == "move":
    cursor.use_region(3 * granule, 9)
elif step == "query":
    cursor.size()
elif step == "assign":
    cursor.assign(other.make_cursor(path).use_region(2 * granule, 9))
elif step == "buffer: end":
    buffer.end_access()
elif step == "buffer: bind":
    fresh = SlidingWindowMapManager(granule).make_cursor(path)
    held = fresh
    buffer.begin_access(fresh, 5)
assert reference() is None
print(len(seen))
"""


@pytest.mark.parametrize("step", ["unuse", "move", "query", "assign", "buffer: end", "buffer: bind"])
def test_a_callback_that_runs_in_a_replacement_finds_nothing_freed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """In an interpreter of its own, since the failure is a crash."""
    monkeypatch.setenv("PYTHONMALLOC", "debug")
    path = tmp_path / "file"
    write_pattern(path, 8 * GRANULE)
    done = run_python(PROGRAM, path, str(GRANULE), step)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


def test_no_compiled_class_is_open_to_weak_references() -> None:
    """They are not cleared by mypyc: one to an object that is gone would lead to what is freed."""
    packages = [smmap_typed, *(importlib.import_module(f"smmap_typed.{name}") for name in ("_pool", "_handles"))]
    found = [
        module.name
        for package in packages
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
        if package is not smmap_typed or (module.name.startswith("smmap_typed._") and not module.name.endswith("__"))
    ]
    modules = [importlib.import_module(name) for name in found]
    assert len(modules) > 20
    compiled = [module for module in modules if str(module.__file__).endswith(tuple(EXTENSION_SUFFIXES))]
    assert bool(compiled) == smmap_typed.COMPILED
    classes = [kind for module in compiled for kind in vars(module).values() if isinstance(kind, type)]
    # What a compiled module imports is none of its own; a named tuple stays Python.
    own = [kind for kind in classes if any(kind.__module__ == module.__name__ for module in compiled)]
    assert [kind.__name__ for kind in own if kind.__weakrefoffset__ and not issubclass(kind, tuple)] == []
