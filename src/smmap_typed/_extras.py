"""The error message for a missing package that an extra of this package would install."""

from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["needed"]


@contextmanager
def needed(module: str, requirement: str, user: str) -> Generator[None]:
    """Turn a failed import of ``module`` into an error that names the command that installs it.

    The command installs ``requirement`` itself, not the extra of this package: that works anywhere, whether this
    package came from a clone, a wheel or an index.

    >>> with needed("zlib_of_mars", "zlib-of-mars>=3", "this example"):
    ...     import zlib_of_mars
    Traceback (most recent call last):
    ModuleNotFoundError: this example needs zlib_of_mars: python -m pip install "zlib-of-mars>=3"
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module:
            raise
        raise ModuleNotFoundError(
            f'{user} needs {module}: python -m pip install "{requirement}"', name=error.name
        ) from error
