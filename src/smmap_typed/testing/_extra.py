"""The extra ``testing``: what to say to those who have not installed it."""

from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["hypothesis_needed"]


@contextmanager
def hypothesis_needed() -> Generator[None]:
    """Name the extra if an import fails for want of hypothesis."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ModuleNotFoundError(
            'this part of smmap_typed.testing needs hypothesis; pip install "smmap-typed[testing]"', name=error.name
        ) from error
