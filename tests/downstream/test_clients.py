"""smmap's own tests, gitdb and GitPython with smmap_typed in smmap's place.

Each runs in an interpreter of its own, since what imported smmap before keeps it; the scripts are in ``clients``.
"""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from downstream.repositories import git

CLIENTS: Final = Path(__file__).parent / "clients"

WINDOW: Final = 65536
SMALL_WINDOWS: Final = (str(WINDOW),)
TIGHT: Final = (str(WINDOW), "400000", "40")
"""window_size, max_memory_size and max_open_handles under which gitdb on smmap loses objects."""

SMMAP_TESTS: Final = (
    "smmap.test.test_mman",
    "smmap.test.test_buf",
    "smmap.test.test_tutorial",
    # Left out, because MapWindow, MapRegion and MapRegionList are: test_window, test_region and test_region_list.
    "smmap.test.test_util.TestMMan.test_util",
)


def run_client(
    script: str, *arguments: str | Path, folder: Path | None = None, variables: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a script of ``clients``, where warnings are errors, except that GitPython prefers git to gitdb."""
    filters = ("-Werror", "-Wignore:GitDB is deprecated:DeprecationWarning")
    command = (sys.executable, *filters, CLIENTS / script, *arguments)
    environment = os.environ | (variables or {})
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_smmaps_own_tests_pass(smmap_tests: Path) -> None:
    result = run_client("run_smmap_tests.py", smmap_tests, *SMMAP_TESTS)
    assert result.returncode == 0, result.stderr
    assert "Ran 6 tests in" in result.stderr


def test_gitdbs_own_tests_pass(gitdb_source: Path, repository: Path, tmp_path: Path) -> None:
    """All but those of its speed. They write to the repository, so they get one of their own."""
    own = tmp_path / "own.git"
    git(tmp_path, "clone", "--quiet", "--mirror", "--no-hardlinks", str(repository), str(own))
    git(own, "hash-object", "-w", "--stdin", stdin=b"a loose object")
    report = tmp_path / "report.xml"
    options = ("-Werror", "-pno:cacheprovider", f"--junitxml={report}", "--ignore=gitdb/test/performance")
    variables = {"GITDB_TEST_GIT_REPO_BASE": str(own)}
    result = run_client("run_gitdb_tests.py", *options, "gitdb/test", folder=gitdb_source, variables=variables)
    assert result.returncode == 0, result.stdout + result.stderr
    (suite,) = ET.parse(report).getroot()
    # gitdb skips one, which nobody has written.
    assert (suite.attrib["tests"], suite.attrib["skipped"]) == ("18", "1")
    assert (suite.attrib["errors"], suite.attrib["failures"]) == ("0", "0")


def test_gitpython_maps_nothing_unless_it_is_told_to_use_gitdb(repository: Path) -> None:
    """The default reads through ``git cat-file``, as the pages on GitPython say."""
    maps: dict[str, int] = {}
    for database in ("GitCmdObjectDB", "GitDB"):
        result = run_client("count_maps.py", repository, database)
        assert result.returncode == 0, result.stderr
        maps[database] = int(result.stdout)
    assert maps["GitCmdObjectDB"] == 0 < maps["GitDB"]


@pytest.mark.parametrize("limits", [(), TIGHT], ids=["default", "tight"])
def test_gitpython_reads_what_git_reads(repository: Path, limits: tuple[str, ...]) -> None:
    """Every commit, tree and blob of the branch: name, type, size and content."""
    result = run_client("read_repository.py", repository, *limits)
    assert result.returncode == 0, result.stderr
    assert Counter(result.stdout.splitlines()) == Counter(objects_by_git(repository))


@pytest.mark.parametrize(
    ("command", "module"),
    [(["-m", "smmap_typed.compat"], "smmap_typed.manager"), ([], "smmap.mman")],
    ids=["smmap_typed", "smmap"],
)
def test_a_program_that_does_not_know_us_reads_the_same(repository: Path, command: list[str], module: str) -> None:
    """``python -m smmap_typed.compat`` runs it, and its code stays as it is."""
    script = (*command, str(CLIENTS / "plain_program.py"), str(repository))
    done = subprocess.run([sys.executable, *script], capture_output=True, text=True, check=True)
    first, *lines = done.stdout.splitlines()
    assert first == module
    assert Counter(lines) == Counter(objects_by_git(repository))


def objects_by_git(repository: Path) -> list[str]:
    """What git reads, a line for each object that the branch reaches, in the format of ``read_repository.py``."""
    listed = git(repository, "rev-list", "--objects", "--no-object-names", "main")
    rest = git(repository, "cat-file", "--batch", stdin=listed)
    lines: list[str] = []
    while rest:
        heading, _, rest = rest.partition(b"\n")
        size = int(heading.split()[-1])
        lines.append(f"{heading.decode()} {hashlib.sha256(rest[:size]).hexdigest()}")
        rest = rest[size + 1 :]
    return lines


def test_the_pack_has_what_small_windows_lose(repository: Path) -> None:
    """Hundreds of objects, deltas among them, and many that lie across the edge of a window."""
    entries = re.findall(r"^\w{40} \w+ +\d+ (\d+) (\d+)( \d+ \w{40})?$", verified(repository), re.MULTILINE)
    assert len(entries) > 900
    assert sum(bool(base) for _, _, base in entries) > 100
    crossing = [size for size, start, _ in entries if int(start) // WINDOW != (int(start) + int(size) - 1) // WINDOW]
    assert len(crossing) >= 20


def verified(repository: Path) -> str:
    """What git tells of the objects in the repository's pack."""
    return git(repository, "verify-pack", "-v", str(index_of(repository))).decode()


def index_of(repository: Path) -> Path:
    (index,) = (repository / "objects" / "pack").glob("*.idx")
    return index


def read_pack(peer: str, repository: Path, limits: tuple[str, ...]) -> tuple[int, int, int]:
    """Objects in the repository's pack, as gitdb reads them on ``peer``: all, silently wrong ones, errors."""
    result = run_client("read_pack.py", peer, index_of(repository).with_suffix(".pack"), *limits)
    assert result.returncode == 0, result.stderr
    objects, wrong, errors = map(int, result.stdout.split())
    return objects, wrong, errors


@pytest.mark.parametrize("limits", [(), SMALL_WINDOWS, TIGHT], ids=["default", "small windows", "tight"])
def test_gitdb_reads_every_object_of_a_pack(repository: Path, limits: tuple[str, ...]) -> None:
    """Whatever the limits, each object hashes to its name."""
    assert read_pack("smmap_typed", repository, limits) == (packed_objects(repository), 0, 0)


def test_gitdb_on_smmap_reads_wrong_objects(repository: Path) -> None:
    """So the test above can tell: windows of 64 KiB cut objects silently, and tight limits break what follows."""
    objects, wrong, errors = read_pack("smmap", repository, SMALL_WINDOWS)
    assert (objects, errors) == (packed_objects(repository), 0)
    assert wrong > 20
    objects, wrong, errors = read_pack("smmap", repository, TIGHT)
    assert objects == packed_objects(repository)
    assert wrong + errors > 20


def packed_objects(repository: Path) -> int:
    """Objects in the repository's pack, as git counts them."""
    counts = dict(line.split(": ") for line in git(repository, "count-objects", "-v").decode().splitlines())
    return int(counts["in-pack"])
