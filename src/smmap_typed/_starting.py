"""Ctrl-C while the command line starts: the process ends at once, with status 130 and without a traceback.

Python imports the package before the first line of the command ``smmap-typed`` runs. So the package itself must handle
Ctrl-C until then, by importing this module first. This module does nothing in other programs that import the library.
Once the command runs, ``smmap_typed.cli.app.run`` handles Ctrl-C.
"""

import os
import sys
from itertools import pairwise

__all__ = ["is_command"]

# This module imports nothing that takes long, not even Final.
_COMMAND = "smmap-typed"
_PACKAGE = __name__.partition(".")[0]
_INTERRUPTED = 130


def is_command(argument: str, words: list[str]) -> bool:
    """Whether ``sys.argv[0]`` and ``sys.orig_argv`` are those of the command line.

    While ``python -m PACKAGE`` imports the package, ``sys.argv[0]`` is ``-m``.

    >>> is_command("/usr/bin/smmap-typed", []), is_command("-m", ["python", "-m", "smmap_typed", "hash"])
    (True, True)
    >>> is_command("program.py", ["python", "program.py"]), is_command("-m", ["python", "-m", "smmap_typed.compat"])
    (False, False)
    """
    if argument == "-m":
        return ("-m", _PACKAGE) in pairwise(words)
    return os.path.basename(argument).removesuffix(".exe") == _COMMAND


def _end(*_: object) -> None:
    os._exit(_INTERRUPTED)


if is_command("".join(sys.argv[:1]), sys.orig_argv):
    try:
        import signal

        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _end)
    except KeyboardInterrupt:
        _end()
