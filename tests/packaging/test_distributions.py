"""The source distribution and the wheel: complete, correct, and the same from a clone as from each other."""

import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

import pytest

from distributions import ROOT, copy, new_environment, run

SOURCE: Final = tuple(
    sorted(path.name for path in ROOT.iterdir() if path.name[0] != "." and path.name not in {"build", "dist"})
)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both, the wheel from the source distribution, each in an environment of its own."""
    folder = tmp_path_factory.mktemp("built")
    copy(SOURCE, folder / "source")
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", folder / "source")
    return folder / "dist"


def one(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def test_the_index_would_take_both_and_show_the_readme(built: Path) -> None:
    assert len(list(built.iterdir())) == 2
    run(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir())


def test_the_wheel_holds_each_file_of_the_package_and_nothing_else(built: Path) -> None:
    wheel = one(built, "*.whl")
    run("check-wheel-contents", wheel)
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = ROOT / "src" / "smmap_typed"
    files = [*package.rglob("*.py"), package / "py.typed"]
    assert packed == {str(path.relative_to(ROOT / "src")) for path in files}


def test_the_source_distribution_can_build_again(built: Path, tmp_path: Path) -> None:
    with tarfile.open(one(built, "*.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "again", one(tmp_path, "smmap_typed-*"))
    with zipfile.ZipFile(one(built, "*.whl")) as first, zipfile.ZipFile(one(tmp_path, "again/*.whl")) as second:
        assert [(each.filename, each.CRC) for each in first.infolist()] == [
            (each.filename, each.CRC) for each in second.infolist()
        ]


def test_the_source_distribution_has_the_tests_and_what_they_read(built: Path, tmp_path: Path) -> None:
    """So who packages the library for a system can run them: here, tests of the API, the code and the pages."""
    with tarfile.open(one(built, "*.tar.gz")) as archive:
        names = archive.getnames()
        archive.extractall(tmp_path, filter="data")
    assert not [name for name in names if name.endswith((".pyc", ".so")) or "/." in name]
    source = one(tmp_path, "smmap_typed-*")
    missing = [
        path.relative_to(ROOT)
        for folder in ("tests", "docs", "examples", "benchmarks", "stubs")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix in {".py", ".md", ".svg", ".json", ".toml"}
        if not (source / path.relative_to(ROOT)).exists()
    ]
    assert missing == []
    tests = ("tests/unit/api/test_windows.py", "tests/unit/project/test_layers.py")
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, folder=source)


def test_who_installs_it_gets_types_and_no_more_than_is_needed(built: Path, tmp_path: Path) -> None:
    """The sample is clean in an environment that knows this source from the wheel alone."""
    python = new_environment(tmp_path / "environment", one(built, "*.whl"))
    installed = run(python, "-m", "pip", "list", "--format=freeze").split()
    names = {line.partition("==")[0] for line in installed} - {"pip", "setuptools"}
    assert names == {"smmap-typed", "typing_extensions"}
    sample = tmp_path / "sample.py"
    sample.write_bytes((ROOT / "tests/type_tests/pack_reader.py").read_bytes())
    mypy = ("-m", "mypy", "--strict", "--config-file=", "--python-executable", python)
    run(sys.executable, *mypy, sample, folder=tmp_path)
