"""Block devices: a file that the system shows as a disk, by its loop driver."""

import os
import shutil
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["loop_device"]


@contextmanager
def loop_device(image: Path) -> Generator[Path]:
    """The block device of ``image``, whose size must be whole sectors; skips the test where there is none."""
    tool = shutil.which("losetup")
    # Windows has no such function.
    user: Callable[[], int] = getattr(os, "geteuid", int)
    if tool is None or user() != 0:
        pytest.skip("a loop device takes losetup, and root")
    done = subprocess.run([tool, "--find", "--show", image], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the system gives no loop device: {done.stderr.strip()}")
    device = Path(done.stdout.strip())
    try:
        yield device
    finally:
        subprocess.run([tool, "--detach", device], check=True)
