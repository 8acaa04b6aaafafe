"""The distribution smmap, built for a private index: beside gitdb and GitPython it takes smmap's place by its name."""

import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

import distributions
from distributions import REMAINS, ROOT, new_environment, run
from downstream.repositories import make_repository
from downstream.test_clients import CLIENTS, objects_by_git
from smmap_typed import __version__

PROJECT: Final = tomllib.loads((ROOT / "stand_in/pyproject.toml").read_text())["project"]

# Prints the names that each module lists.
NAMES: Final = """
import smmap, smmap.mman, smmap.buf, smmap.util
for module in (smmap, smmap.mman, smmap.buf, smmap.util):
    print(module.__name__, module.__version__ if module is smmap else "", *sorted(set(module.__all__)))
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    assert all(value.__module__.startswith("smmap_typed.") for value in classes)
"""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of both, as a private index has them."""
    folder = tmp_path_factory.mktemp("stand-in")
    distributions.copy(
        ("build_backend", "src", "pyproject.toml", "setup.py", "README.md", "LICENSE", "MANIFEST.in"), folder / "typed"
    )
    shutil.copytree(ROOT / "stand_in", folder / "stand_in", ignore=REMAINS)
    for source in ("typed", "stand_in"):
        run(sys.executable, "-m", "build", "--outdir", folder / "dist", folder / source)
    run(sys.executable, "-m", "twine", "check", "--strict", *(folder / "dist").iterdir())
    run("check-wheel-contents", *(folder / "dist").glob("smmap-*.whl"))
    return folder / "dist"


@pytest.fixture(scope="module")
def python(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which pip has found smmap for gitdb by itself."""
    requirements = ("--find-links", index, PROJECT["name"] + "==" + PROJECT["version"], "gitdb", "GitPython")
    return new_environment(tmp_path_factory.mktemp("environment") / "new", *requirements)


def test_its_version_is_above_smmaps_and_tells_ours() -> None:
    peers = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["peer"]
    real, _, local = PROJECT["version"].partition("+")
    assert f"smmap=={real}" in peers
    assert local == f"typed.{__version__}"
    assert PROJECT["dependencies"] == [f"smmap-typed=={__version__}"]
    assert (ROOT / "stand_in/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_pip_takes_it_for_the_newest_smmap(python: Path) -> None:
    """It satisfies what gitdb asks for, and an upgrade does not replace it by the version that it stands for."""
    run(python, "-m", "pip", "check")
    listed = run(python, "-m", "pip", "list", "--format=freeze").splitlines()
    assert f"smmap=={PROJECT['version']}" in listed
    run(python, "-m", "pip", "install", "--quiet", "--upgrade", "smmap<=5.0.3")
    assert f"smmap=={PROJECT['version']}" in run(python, "-m", "pip", "list", "--format=freeze").splitlines()


def test_it_has_the_names_that_compat_installs(python: Path, tmp_path: Path) -> None:
    installed = run(python, "-c", NAMES, folder=tmp_path)
    in_place = run(sys.executable, "-c", "from smmap_typed.compat import install\ninstall()\n" + NAMES, folder=tmp_path)
    assert installed == in_place
    run(python, "-c", "import smmap\nfrom smmap_typed.compat import install\ninstall()", folder=tmp_path)


def test_gitpython_reads_a_repository_on_it(python: Path, tmp_path: Path) -> None:
    """By a program that knows nothing of it."""
    repository = make_repository(tmp_path / "sample.git")
    program = [str(python), str(CLIENTS / "plain_program.py"), str(repository)]
    first, *lines = subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines()
    assert first == "smmap_typed.manager"
    assert Counter(lines) == Counter(objects_by_git(repository))
