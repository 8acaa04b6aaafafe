"""The compiled build: the hot modules as machine code, if ``SMMAP_TYPED_MYPYC=1`` asks for it and there is a compiler.

Everything else about the package stands in pyproject.toml. Without that variable, without a C compiler, or on an
interpreter without a GIL, which mypyc's code is not made for, the same modules are installed as Python.
"""

import os
import sys
import sysconfig
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path

from setuptools import Extension, setup
from setuptools._distutils.ccompiler import new_compiler
from setuptools._distutils.errors import CCompilerError, DistutilsError
from setuptools._distutils.sysconfig import customize_compiler

# What a hit, a move or a miss runs. The rest would only grow: public values, statistics, forks, errors.
HOT = (
    "_arguments",
    "_builtin_readers",
    "_handles/cursor",
    "_handles/indexing",
    "_handles/reading",
    "_handles/sharing",
    "_handles/span",
    "_handles/state",
    "_platform",
    "_pool/file",
    "_pool/frame",
    "_pool/grid",
    "_pool/inflight",
    "_pool/ledger",
    "_pool/monitor",
    "_pool/pool",
    "_pool/replacement",
    "_pool/resident",
    "_pool/tables",
    "_source",
)


def is_wanted() -> bool:
    """Whether the user asks for the compiled build."""
    return os.environ.get("SMMAP_TYPED_MYPYC") == "1"


def is_possible() -> bool:
    """Whether there is mypyc, a GIL, and a C compiler that can make something that includes Python.h."""
    if find_spec("mypyc") is None or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return False
    compiler = new_compiler()
    customize_compiler(compiler)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <Python.h>\n")
        try:
            compiler.compile([str(source)], output_dir=folder, include_dirs=[sysconfig.get_path("include")])
        except (CCompilerError, DistutilsError, OSError):
            return False
    return True


def extensions() -> list[Extension]:
    """The modules to compile, none for the pure build."""
    # The metadata are the same for both builds.
    if not is_wanted() or "egg_info" in sys.argv:
        return []
    if not is_possible():
        warnings.warn("no mypyc, GIL or C compiler here, so this is the pure build", stacklevel=1)
        return []
    from mypyc.build import mypycify  # noqa: PLC0415 - here only if it is asked for

    return mypycify(
        # Without any settings of mypy: those of a folder above would decide what the modules are called.
        ["--config-file=", *(f"src/smmap_typed/{module}.py" for module in HOT)],
        # The name of the library that they share; by default a hash.
        group_name="smmap_typed",
        opt_level="3",
        # Or every build has debug information of twice its size.
        debug_level="0",
    )


setup(ext_modules=extensions())
