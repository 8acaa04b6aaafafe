"""Compiling: the marks by which classes tell mypyc how to compile them, without a need for mypyc at run time."""

from collections.abc import Callable
from typing import TYPE_CHECKING

__all__ = ["mypyc_attr"]

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**_settings: bool) -> Callable[[type], type]:
        """Say how mypyc compiles a class. It means nothing to the interpreter."""
        return lambda definition: definition
