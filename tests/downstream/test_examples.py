"""The demonstration shows what it is there to show, and README.md shows lines of such a run."""

import re
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
