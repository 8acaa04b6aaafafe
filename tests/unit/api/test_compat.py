"""In smmap's place: ``compat.install()``, each time in an interpreter of its own."""

from pathlib import Path

import pytest

from support import pattern, run_python, write_pattern


def output_of(code: str, *arguments: str | Path) -> str:
    """What ``code`` prints; it must end well and in silence."""
    done = run_python(code, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


WORKS = """
import sys
from smmap_typed import compat
compat.install()
import smmap, smmap.mman, smmap.buf, smmap.util
import smmap_typed
from smmap import SlidingWindowMapManager, StaticWindowMapManager, SlidingWindowMapBuffer
from smmap.mman import WindowCursor
from smmap.util import align_to_mmap, is_64_bit, ALLOCATIONGRANULARITY
assert smmap.mman.SlidingWindowMapManager is SlidingWindowMapManager is smmap_typed.SlidingWindowMapManager
assert smmap.buf.SlidingWindowMapBuffer is SlidingWindowMapBuffer is smmap_typed.SlidingWindowMapBuffer
assert WindowCursor is smmap_typed.WindowCursor and smmap.WindowCursor is WindowCursor
assert smmap.__version__ == "5.0.3" and smmap.version_info == (5, 0, 3)
with SlidingWindowMapManager(align_to_mmap(1, True)) as manager:
    print(SlidingWindowMapBuffer(manager.make_cursor(sys.argv[1]))[8:24].hex())
"""


def test_smmap_and_its_submodules_are_this_package(tmp_path: Path) -> None:
    """Every way to import them gives the classes of this package, and they work."""
    write_pattern(tmp_path / "file", 100)
    assert output_of(WORKS, tmp_path / "file") == pattern(24)[8:].hex()


def test_star_imports_give_the_public_names_alone() -> None:
    """As in smmap's own ``__init__``."""
    code = """
from smmap_typed.compat import install
install()
from smmap import *
from smmap.mman import *
print(sorted(globals()))
"""
    names = output_of(code)
    for name in ("SlidingWindowMapManager", "StaticWindowMapManager", "WindowCursor", "SlidingWindowMapBuffer"):
        assert repr(name) in names


def test_installing_twice_changes_nothing() -> None:
    """The modules are the very same objects."""
    code = """
import sys
from smmap_typed.compat import install
install()
before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "smmap"}
install()
print(sorted(name for name, module in before.items() if sys.modules[name] is module))
"""
    assert output_of(code) == "['smmap', 'smmap.buf', 'smmap.mman', 'smmap.util']"


@pytest.mark.parametrize("module", ["smmap", "smmap.mman", "smmap.util", "gitdb"])
def test_it_refuses_when_the_real_one_is_there(module: str) -> None:
    """CompatError that names the file, and ``sys.modules`` is as before."""
    code = f"""
import sys
import {module}
before = dict(sys.modules)
import smmap_typed.compat
try:
    smmap_typed.compat.install()
except smmap_typed.CompatError as error:
    assert before["smmap"].__file__ in str(error), error
    print(all(sys.modules[name] is before[name] for name in before), isinstance(error, RuntimeError))
"""
    assert output_of(code) == "True True"


def test_gitdb_uses_it() -> None:
    """The client that this is for imports and works on these classes."""
    code = """
from smmap_typed.compat import install
install()
import gitdb.util, smmap_typed
print(type(gitdb.util.mman) in (smmap_typed.SlidingWindowMapManager, smmap_typed.StaticWindowMapManager))
"""
    assert output_of(code) == "True"


def test_importing_the_package_installs_nothing() -> None:
    """Only the call does."""
    code = """
import sys, smmap_typed, smmap_typed.compat
print([name for name in sys.modules if name.partition(".")[0] == "smmap"])
"""
    assert output_of(code) == "[]"
