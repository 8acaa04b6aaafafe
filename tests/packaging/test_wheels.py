"""Wheels of both kinds: built in isolation from a copy of the source, and used in a new environment.

They are kept where ``SMMAP_TYPED_WHEELS`` says, so that the compiled one need not be built twice in one run of nox.
"""

import hashlib
import os
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

from distributions import ROOT, copy, new_environment, run

SOURCE: Final = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "build_backend", "src")

# Building takes a compiler half a minute, and pip may have to fetch it first.
pytestmark = pytest.mark.timeout(600)


def build(folder: Path, **variables: str) -> Path:
    """The wheel that pip makes of a copy of the source in an environment of its own."""
    source, wheels = folder / "source", folder / "wheels"
    copy(SOURCE, source)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", wheels, source, variables=variables)
    (wheel,) = wheels.iterdir()
    return wheel


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheels are built."""
    kept = os.environ.get("SMMAP_TYPED_WHEELS")
    return Path(kept) if kept else tmp_path_factory.mktemp("wheels")


@pytest.fixture(scope="module")
def pure(folder: Path) -> Path:
    return build(folder / "pure")


@pytest.fixture(scope="module")
def compiled(folder: Path) -> Path:
    return build(folder / "compiled", SMMAP_TYPED_MYPYC="1")


def machine_code_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if name.endswith((".so", ".pyd"))]


def use(wheel: Path, folder: Path) -> str:
    """Install it where nothing else is, run the main job of the README, and ask which build it is."""
    python = new_environment(folder / "environment", f"{wheel}[cli]")
    listing = run(python, "-m", "smmap_typed", "hash", ROOT / "LICENSE")
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() in listing
    program = "import smmap_typed, sys; print(smmap_typed.COMPILED, smmap_typed.__file__.startswith(sys.prefix))"
    return run(python, "-W", "error", "-c", program)


def test_the_pure_wheel_works_anywhere(pure: Path, tmp_path: Path) -> None:
    assert pure.name.endswith("-py3-none-any.whl")
    assert machine_code_in(pure) == []
    assert use(pure, tmp_path) == "False True\n"


def test_the_compiled_wheel_is_for_this_machine_and_works(compiled: Path, tmp_path: Path) -> None:
    assert f"-cp3{sys.version_info.minor}-" in compiled.name
    assert any("_handles/cursor." in name for name in machine_code_in(compiled))
    assert use(compiled, tmp_path) == "True True\n"


def test_without_a_compiler_the_wheel_is_pure(tmp_path: Path) -> None:
    """It was asked for, and cannot be had: better a slower library than none."""
    wheel = build(tmp_path, SMMAP_TYPED_MYPYC="1", CC="false")
    assert machine_code_in(wheel) == []
    assert wheel.name.endswith("-py3-none-any.whl")


@pytest.mark.parametrize("platform", ["linux", "macos", "windows"])
def test_cibuildwheel_builds_for_every_version_with_a_gil(platform: str) -> None:
    """Its settings are understood, and leave the free-threaded builds to the pure wheel."""
    listed = run(
        sys.executable, "-m", "cibuildwheel", "--print-build-identifiers", "--platform", platform, ROOT
    ).split()
    versions = {name.partition("-")[0] for name in listed}
    assert versions == {"cp311", "cp312", "cp313", "cp314"}
