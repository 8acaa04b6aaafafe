"""How many descriptors a row needs: before CPython 3.13 each map costs one."""

import sys

from benchmarks.contest import Row, Unavailable

if sys.platform != "win32":
    import resource

__all__ = ["allow_descriptors"]


def allow_descriptors(row: Row) -> None:
    """Allow this process as many as it may have; Unavailable if they are too few for the row."""
    if sys.platform != "win32":
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most != resource.RLIM_INFINITY and most < row.descriptors:
            raise Unavailable(f"needs {row.descriptors} descriptors, and {most} are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
