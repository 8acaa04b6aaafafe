"""Standard input, for which the file name ``-`` stands."""

import os
import shutil
import stat
import sys
from contextlib import ExitStack
from typing import IO, Final

__all__ = ["STANDARD_INPUT", "mappable_input"]

STANDARD_INPUT: Final = "-"


def mappable_input(opened: ExitStack) -> IO[bytes]:
    """Return standard input if it is a regular file that nobody has read from, else a temporary file with its bytes.

    ``opened`` closes the temporary file.
    """
    source = sys.stdin.buffer
    status = os.fstat(source.fileno())
    # Files in /proc and /sys report a size of 0 although they have content.
    if stat.S_ISREG(status.st_mode) and status.st_size and not source.tell():
        return source
    import tempfile  # noqa: PLC0415 - it takes long, and only a pipe needs it

    copy = opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    shutil.copyfileobj(source, copy)
    copy.flush()
    return copy
