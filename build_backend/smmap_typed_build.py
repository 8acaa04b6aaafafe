"""setuptools, plus mypy where the compiled build is asked for: the pure build needs nothing more.

What a build needs can depend on the environment by such a module only (PEP 517, ``backend-path``).
"""

import os

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 - the hooks that this module does not replace

# What mypyc makes of the source is part of what was tested, so a new minor version is to be taken by hand.
MYPYC = "mypy~=2.4.1"

Settings = dict[str, str | list[str] | None]


def get_requires_for_build_wheel(config_settings: Settings | None = None) -> list[str]:
    """What building a wheel needs beside setuptools."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_compiler()]


def get_requires_for_build_editable(config_settings: Settings | None = None) -> list[str]:
    """The same for an editable installation."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *_compiler()]


def _compiler() -> list[str]:
    return [MYPYC] if os.environ.get("SMMAP_TYPED_MYPYC") == "1" else []
