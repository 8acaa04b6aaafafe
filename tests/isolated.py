"""Tests whose body runs in a child process: with limits, leases or a mount namespace of its own.

The child is a fork, so fixtures, closures and patches are there as in any test; what it mounts and opens ends with it.
"""

import functools
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Never, ParamSpec

import pytest

from mounts import enter_mount_namespace
from support import SECONDS

__all__ = ["in_a_child", "in_mount_namespace"]

P = ParamSpec("P")


def in_a_child(test: Callable[P, None]) -> Callable[P, None]:
    """Let ``test`` run in a child process; its failure, or its skip, is this test's."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        _run_in_child(lambda: test(*args, **kwargs))

    return run


def in_mount_namespace(test: Callable[P, None]) -> Callable[P, None]:
    """Let ``test`` run in a child process that may mount, unseen by all others; skip it where no process may."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        def act() -> None:
            enter_mount_namespace()
            test(*args, **kwargs)

        _run_in_child(act)

    return run


def _run_in_child(act: Callable[[], None]) -> None:
    """Do ``act`` in a child, and do here what its end asks for."""
    if sys.platform != "linux":
        raise NotImplementedError
    outcomes, outcome = os.pipe()
    with warnings.catch_warnings():
        # CPython warns since 3.12 that a child may find locks taken: pytest-xdist's threads hold none of ours.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _end_child(act, outcome)
    os.close(outcome)
    with open(outcomes, encoding="utf-8") as pipe:
        kind, _, text = pipe.read().partition("\n")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if kind == "skipped":
        pytest.skip(text)
    if kind != "passed":
        pytest.fail(text or f"the child has ended with status {status} and said nothing", pytrace=False)


def _end_child(act: Callable[[], None], outcome: int) -> Never:
    """Do ``act``, tell how it went, and end this process; at the latest by an alarm."""
    if sys.platform != "linux":
        raise NotImplementedError
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)
    told = "passed\n"
    try:
        act()
    except pytest.skip.Exception as skipped:
        told = f"skipped\n{skipped.msg}"
    except BaseException:  # noqa: BLE001 - there is nobody else to raise it to
        told = f"failed\n{traceback.format_exc()}"
    with open(outcome, "w", encoding="utf-8") as pipe:
        pipe.write(told)
    os._exit(0)
