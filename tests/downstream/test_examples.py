"""The demonstration shows what it is there to show, and README.md shows lines of such a run."""

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

LINES: Final = re.compile(
    r"^smmap 5\.0\.3: +8 threads, 900 objects each: FAILED: .+\n"
    r"smmap_typed [\d.]+: +8 threads, 900 objects each: "
    r"all 7200 SHA-1s right in [\d.]+ s, at most (\d+) of 17 handles$",
    re.MULTILINE,
)


def test_gitdb_in_eight_threads_reads_every_object_right_and_on_smmap_fails() -> None:
    command = (sys.executable, "-Werror", ROOT / "examples" / "gitdb_threads.py")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    lines = LINES.fullmatch(result.stdout.strip())
    assert lines is not None, result.stdout
    assert 1 < int(lines[1]) <= 17


def test_readme_shows_both_lines() -> None:
    assert len(LINES.findall((ROOT / "README.md").read_text())) == 1


def test_the_pack_reader_finds_what_git_finds(tmp_path: Path) -> None:
    """Name, type and size of each object, deltas included, of a pack that git made."""
    runpy.run_path(str(ROOT / "examples" / "gitdb_threads.py"))["make_pack"](tmp_path)
    (pack,) = (tmp_path / "objects" / "pack").glob("*.pack")
    git = ("git", "cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype) %(objectsize)")
    expected = subprocess.run(git, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    chains = subprocess.run(("git", "verify-pack", "-v", pack), capture_output=True, text=True, check=True).stdout
    assert "chain length = 1" in chains
    command = (sys.executable, "-Werror", ROOT / "examples" / "pack_reader.py", pack)
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert sorted(found.splitlines()) == sorted(expected.splitlines())
