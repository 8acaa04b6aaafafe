"""``python -m smmap_typed.compat``: runs a program in which ``smmap`` is this package, as python itself would run it.

A module is run by the function that ``python -m`` itself calls. A script is run in a new ``__main__`` module. If an
exception ends it, the entries that this module has added to the traceback are removed before the traceback is shown.
"""

import builtins
import os
import pkgutil
import runpy
import sys
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Final

from smmap_typed.compat import install

__all__ = ["main"]

_USAGE: Final = "usage: python -m smmap_typed.compat [-m MODULE | SCRIPT] ARGUMENT...\n"
_USAGE_ERROR: Final = 2


def main() -> None:
    """Run the program that ``sys.argv`` names; ends as the program does."""
    arguments = sys.argv[1:]
    if arguments[:1] in (["-h"], ["--help"]):
        sys.stdout.write(f"{_USAGE}\nRun a program in which smmap is smmap_typed, as python itself would run it.\n")
        return
    is_module = arguments[:1] == ["-m"]
    if len(arguments) <= is_module or (arguments[0].startswith("-") and not is_module):
        sys.stderr.write(_USAGE)
        sys.exit(_USAGE_ERROR)
    install()
    # The program gets a __main__ of its own. The one that runs this code must live on.
    before = sys.modules["__main__"]
    sys.modules["__main__"] = _new_main(before)
    try:
        if is_module:
            sys.argv = arguments[1:]
            _run_module(arguments[1], alter_argv=True)
        else:
            sys.argv = arguments
            _run_script(arguments[0])
    except SystemExit:
        raise
    except BaseException:
        _show_from(sys._getframe())
        raise
    finally:
        del before


def _new_main(like: ModuleType) -> ModuleType:
    module = ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    # Up to CPython 3.13.
    if "__annotations__" in vars(like):  # pragma: no branch - one of these measures
        module.__annotations__ = {}
    return module


def _run_module(name: str, *, alter_argv: bool) -> None:
    """Run a module as ``python -m`` does. This is the function that the interpreter calls for it."""
    runpy._run_module_as_main(name, alter_argv)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - it is not in the stubs


def _run_script(given: str) -> None:
    """Run a file, or what is in a folder or an archive, as ``python SCRIPT`` does."""
    path = os.path.abspath(given)
    is_container = pkgutil.get_importer(path) is not None
    if not sys.flags.safe_path:
        sys.path[0] = path if is_container else os.path.dirname(os.path.realpath(path))
    elif is_container:
        sys.path.insert(0, path)
    if is_container:
        _run_module("__main__", alter_argv=False)
        return
    loader = (SourcelessFileLoader if path.endswith(".pyc") else SourceFileLoader)("__main__", path)
    try:
        data = loader.get_data(path)
    except OSError as error:
        sys.stderr.write(
            f"{sys.orig_argv[0]}: can't open file {path!r}: [Errno {error.errno}] {os.strerror(error.errno or 0)}\n"
        )
        sys.exit(_USAGE_ERROR)
    code = loader.get_code("__main__") if path.endswith(".pyc") else compile(data, path, "exec", dont_inherit=True)
    assert isinstance(code, CodeType), "neither loader returns anything else"  # noqa: S101 - for the type checkers
    namespace = sys.modules["__main__"].__dict__
    namespace.update(__file__=path, __loader__=loader, __cached__=None)
    exec(code, namespace)  # noqa: S102 - to run the program is what this is for


def _show_from(frame: object) -> None:
    """Have the traceback of the exception that ends the program shown without ``frame`` and what is above it."""
    shown = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        entry = traceback
        while entry is not None and entry.tb_frame is not frame:
            entry = entry.tb_next
        entry = entry and entry.tb_next
        # The functions of this module that main has called.
        while entry is not None and entry.tb_frame.f_globals is globals():
            entry = entry.tb_next
        error.__traceback__ = entry
        shown(kind, error, entry)

    # The program has ended, so it does not see this hook.
    sys.excepthook = show


if __name__ == "__main__":  # pragma: no branch - nobody imports it
    main()
