"""What the downstream tests read: a repository, gitdb's source distribution and smmap's own tests, made once each."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import files, version
from pathlib import Path

import pytest

from downstream.repositories import make_repository

# smmap's private names in its tests, and the public calls in their place.
PUBLIC_CALLS = ((r"\._destroy\(\)", ".close()"), (r"\._collect_lru_region\([\w.]*\)", ".collect()"))
# Mutable in smmap, and gone (docs/migration.md); test_util imports them beside what is there.
LEFT_OUT = r" *(MapWindow|MapRegion|MapRegionList),\n"


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository of one pack, with loose objects beside it; not to be written to."""
    return make_repository(tmp_path_factory.mktemp("repository") / "sample.git")


@pytest.fixture(scope="session")
def gitdb_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gitdb's source distribution, unpacked: its tests need files that the installed package comes without."""
    folder = tmp_path_factory.mktemp("gitdb")
    name = f"gitdb=={version('gitdb')}"
    download = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:", name)
    subprocess.run(download, cwd=folder, check=True)
    (archive,) = folder.iterdir()
    shutil.unpack_archive(archive, folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture
def smmap_tests(tmp_path: Path) -> Path:
    """A folder with the ``test`` package that smmap comes with, calling public names only."""
    (tmp_path / "test").mkdir()
    for file in files("smmap") or []:
        if file.match("smmap/test/*.py"):
            text = file.read_text(encoding="utf-8")
            for private, public in PUBLIC_CALLS:
                text = re.sub(private, public, text)
            if file.name == "test_util.py":
                text = re.sub(LEFT_OUT, "", text)
            (tmp_path / "test" / file.name).write_text(text, encoding="utf-8")
    return tmp_path
