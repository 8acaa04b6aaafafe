"""The error message for users who have not installed the extra ``testing``."""

from contextlib import AbstractContextManager

from smmap_typed._extras import needed

__all__ = ["hypothesis_needed"]


def hypothesis_needed() -> AbstractContextManager[None]:
    """Turn a failed import of hypothesis into an error that names the command that installs it."""
    return needed("hypothesis", "hypothesis>=6.120", "this part of smmap_typed.testing")
