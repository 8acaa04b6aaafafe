"""The distribution types-smmap: installed beside smmap, it lets type checkers read what they refuse without it."""

import shutil
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Final

import pytest

from distributions import REMAINS, ROOT, new_environment, run

SAMPLE: Final = ROOT / "tests" / "type_tests" / "pack_reader_on_smmap.py"
WRONG: Final = "import smmap\n\nsmmap.SlidingWindowMapManager().make_cursor('pack').use_region(offset='0')\n"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Through the source distribution, as ``build`` does it."""
    folder = tmp_path_factory.mktemp("stubs")
    shutil.copytree(ROOT / "stubs", folder / "source", ignore=REMAINS)
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", folder / "source")
    run(sys.executable, "-m", "twine", "check", "--strict", *(folder / "dist").iterdir())
    (wheel,) = (folder / "dist").glob("*.whl")
    run("check-wheel-contents", wheel)
    return wheel


def smmap() -> str:
    """The version that we are measured against, as pip calls it."""
    peer = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["peer"]
    return next(str(one) for one in peer if one.startswith("smmap=="))


def test_the_wheel_holds_the_stubs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == {f"smmap-stubs/{path.name}": path.read_bytes() for path in (ROOT / "stubs/smmap").iterdir()}
    assert "smmap-stubs/__init__.pyi" in packed


def test_its_version_is_that_of_smmap_and_its_licence_ours() -> None:
    project = tomllib.loads((ROOT / "stubs/pyproject.toml").read_text())["project"]
    assert "smmap==" + project["version"].rpartition(".")[0] == smmap()
    assert (ROOT / "stubs/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_type_checkers_read_smmap_beside_it_and_refuse_it_without(wheel: Path, tmp_path: Path) -> None:
    python = new_environment(tmp_path / "environment", smmap())
    (tmp_path / "sample").mkdir()
    right, wrong = tmp_path / "sample" / "right.py", tmp_path / "sample" / "wrong.py"
    shutil.copy(SAMPLE, right)
    wrong.write_text(WRONG)
    (right.parent / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    mypy = (sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-executable", python)
    pyright = (sys.executable, "-m", "pyright", "--pythonpath", python)

    assert "[import-untyped]" in run(*mypy, right, folder=right.parent, fails=True)
    assert "reportMissingTypeStubs" in run(*pyright, right, folder=right.parent, fails=True)

    run(python, "-m", "pip", "install", "--quiet", wheel)
    run(*mypy, right, folder=right.parent)
    run(*pyright, right, folder=right.parent)
    assert "[arg-type]" in run(*mypy, wrong, folder=right.parent, fails=True)
    assert "reportArgumentType" in run(*pyright, wrong, folder=right.parent, fails=True)
