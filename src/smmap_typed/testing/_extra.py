"""The error message for users who have not installed the extra ``testing``."""

from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["hypothesis_needed"]


@contextmanager
def hypothesis_needed() -> Generator[None]:
    """Turn a failed import of hypothesis into an error that names the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ModuleNotFoundError(
            'this part of smmap_typed.testing needs hypothesis; pip install "smmap-typed[testing]"', name=error.name
        ) from error
