"""How many descriptors a row needs: before CPython 3.13 each map costs one."""

import resource
import sys

from benchmarks.contest import Row, Unavailable

__all__ = ["allow_descriptors"]

# What tells of limits is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"


def allow_descriptors(row: Row) -> None:
    """Allow this process as many as it may have; Unavailable if they are too few for the row."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < row.descriptors:
        raise Unavailable(f"needs {row.descriptors} descriptors, and {most} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
