"""Compatibility: stand in for ``smmap`` in programs that import it and cannot be changed.

``install()`` puts modules named ``smmap``, ``smmap.mman``, ``smmap.buf`` and ``smmap.util`` into ``sys.modules``, which
hold the names of this package. Call it before anything imports gitdb or GitPython. ``python -m smmap_typed.compat``
runs a program in which that has been done.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

import smmap_typed
from smmap_typed.exceptions import CompatError

__all__ = ["install"]

_SMMAP_VERSION: Final = (5, 0, 3)
"""The version of smmap whose names and signatures are provided."""

_UTIL: Final = ("ALLOCATIONGRANULARITY", "Region", "Window", "align_to_mmap", "is_64_bit")
_MMAN: Final = ("SlidingWindowMapManager", "StaticWindowMapManager", "WindowCursor", "align_to_mmap", "is_64_bit")
_BUF: Final = ("SlidingWindowMapBuffer",)


def install() -> None:
    """Make ``import smmap`` and imports of its submodules find this package. Idempotent.

    :raises CompatError: if the real ``smmap`` is already imported: code that imported it has its classes.
    """
    present = sys.modules.get("smmap")
    if present is not None:
        if getattr(present, "__smmap_typed__", False):
            return
        raise CompatError(
            f"smmap was imported from {getattr(present, '__file__', 'somewhere')} before compat.install(); "
            "call install() first, before anything that imports smmap, gitdb or git"
        )
    root = _module("smmap", (*_BUF, *_MMAN, *_UTIL))
    root.__path__ = []
    root.__dict__.update(
        __smmap_typed__=True, __version__=".".join(map(str, _SMMAP_VERSION)), version_info=_SMMAP_VERSION
    )
    modules = {"smmap": root}
    for name, members in (("util", _UTIL), ("mman", _MMAN), ("buf", _BUF)):
        module = modules[f"smmap.{name}"] = _module(f"smmap.{name}", members)
        setattr(root, name, module)
    # One step, so that no other thread sees only some of the modules.
    sys.modules.update(modules)


def _module(name: str, members: tuple[str, ...]) -> ModuleType:
    module = ModuleType(name, f"smmap_typed in the place of {name}.")
    module.__spec__ = ModuleSpec(name, None, is_package=name == "smmap")
    module.__dict__.update({member: getattr(smmap_typed, member) for member in members}, __all__=list(members))
    return module
