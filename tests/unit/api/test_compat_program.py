"""``python -m smmap_typed.compat``: a program runs as python itself runs it, except for what smmap is."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

SHOWS: Final = """
import os, sys
main = sys.modules["__main__"]
print(sys.argv, sys.path, __name__, __file__, __package__, main.__dict__ is globals())
print(sorted(globals()), __spec__ and __spec__.name, type(__loader__).__name__, type(__builtins__).__name__)
print(sys.stdin.read())
"""
RAISES: Final = """
import sys
def inner():
    try:
        1 / 0
    except ZeroDivisionError:
        raise ValueError(sys.argv)
inner()
"""
FINISHES: Final = """
import atexit, threading
def late(): print("late", finish.__name__)
def finish():
    threading.main_thread().join()
    print("thread", late.__name__)
atexit.register(late)
threading.Thread(target=finish).start()
print("end")
"""
PROGRAMS: Final = {
    "shows": SHOWS,
    "raises": RAISES,
    "finishes": FINISHES,
    "exits with a number": "import sys; sys.exit(7)",
    "exits with a sentence": "raise SystemExit('a sentence')",
    "exits well": "raise SystemExit",
    "is interrupted": "raise KeyboardInterrupt",
    "is no Python": "x = (",
    "is not in UTF-8": "# coding: latin-1\nprint(ascii('\xe4'))",
    "has a hook": "import sys\nsys.excepthook = lambda *error: print(error[2].tb_frame.f_code.co_name)\n1 / 0",
    "has a hook that fails": "import sys\nsys.excepthook = lambda *error: error[9]\n1 / 0",
    "raises from a deep place": "import json\njson.loads('{')",
    "has annotations": "b: int = 1\nprint(__annotations__)",
}


def run(folder: Path, *arguments: str, options: tuple[str, ...] = (), compat: bool) -> tuple[int, str, str]:
    """How a program ends and what it prints, run by python or by this package."""
    inserted = ("-m", "smmap_typed.compat") if compat else ()
    done = subprocess.run(
        [sys.executable, *options, *inserted, *arguments],
        cwd=folder,
        input="what it reads",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    return done.returncode, done.stdout, done.stderr


def assert_same(folder: Path, *arguments: str, options: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Both ways end alike and print the same."""
    plain = run(folder, *arguments, options=options, compat=False)
    assert run(folder, *arguments, options=options, compat=True) == plain
    return plain


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With each of the programs, as a script and as a module."""
    for name, code in PROGRAMS.items():
        (tmp_path / f"{name.replace(' ', '_')}.py").write_text(code, encoding="latin-1")
    return tmp_path


@pytest.mark.parametrize("name", [name.replace(" ", "_") for name in PROGRAMS])
def test_a_script_and_a_module_run_as_with_python(folder: Path, name: str) -> None:
    """Arguments, path, ``__main__``, exit status, output, traceback."""
    if name == "has_a_hook_that_fails":
        # Here the hook is called by another one, which the interpreter then shows as well.
        status, _, errors = run(folder, f"{name}.py", compat=True)
        assert (status, "Error in sys.excepthook" in errors, "ZeroDivisionError" in errors) == (1, True, True)
        return
    assert_same(folder, f"{name}.py", "-x", "--help", "an argument")
    assert_same(folder, "-m", name, "-m", "an argument")


@pytest.mark.parametrize("options", [("-P",), ("-I",), ("-O", "-X", "dev")])
def test_options_of_the_interpreter_hold(folder: Path, options: tuple[str, ...]) -> None:
    """``-P`` leaves the folder of the script out of the path."""
    assert_same(folder, "shows.py", "a", options=options)


def test_a_script_elsewhere_has_its_folder_in_the_path(folder: Path, tmp_path: Path) -> None:
    """That of the file which a symbolic link leads to."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "link.py").symlink_to(folder / "shows.py")
    assert_same(tmp_path, "other/link.py")
    assert_same(tmp_path / "other", str(folder / "shows.py"))


def test_folders_archives_and_packages_run(tmp_path: Path) -> None:
    """By their ``__main__``."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__main__.py").write_text(SHOWS)
    (package / "__init__.py").touch()
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("__main__.py", RAISES)
    assert assert_same(tmp_path, "package", "a")[0] == 0
    assert assert_same(tmp_path, "-m", "package", "a")[0] == 0
    assert assert_same(tmp_path, "archive.zip", "a")[0] == 1
    assert assert_same(tmp_path, "package", "a", options=("-P",))[0] == 0


def test_what_is_not_there_is_reported_as_by_python(tmp_path: Path) -> None:
    assert assert_same(tmp_path, "none.py")[0] == 2
    assert assert_same(tmp_path, "-m", "none")[0] == 1


def test_smmap_is_this_package(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import smmap\nprint(smmap.SlidingWindowMapManager.__module__)")
    assert run(tmp_path, "script.py", compat=True) == (0, "smmap_typed.manager\n", "")
    assert run(tmp_path, "-m", "script", compat=True) == (0, "smmap_typed.manager\n", "")


@pytest.mark.parametrize("arguments", [(), ("-m",), ("-x", "script.py")])
def test_what_it_does_not_understand_is_a_usage_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    status, output, errors = run(tmp_path, *arguments, compat=True)
    assert (status, output) == (2, "")
    assert errors == "usage: python -m smmap_typed.compat [-m MODULE | SCRIPT] ARGUMENT...\n"


def test_help_says_what_it_does(tmp_path: Path) -> None:
    status, output, errors = run(tmp_path, "--help", compat=True)
    assert (status, errors) == (0, "")
    assert "Run a program in which smmap is smmap_typed" in output
