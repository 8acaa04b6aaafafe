"""The demonstration shows what it is there to show, and README.md shows lines of such a run."""

import random
import re
import runpy
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Final

import pytest

from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager

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


def make_pack(repository: Path, *, names_offsets: bool) -> Path:
    """A pack of a text that changes a little in each of a hundred commits: its versions are deltas of deltas."""

    def git(*arguments: str, stdin: bytes = b"") -> None:
        subprocess.run(("git", *arguments), cwd=repository, input=stdin, check=True)

    text = random.Random(1).randbytes(100_000).hex().encode()
    commits = [
        b"commit refs/heads/main\ncommitter Nobody <nobody@example.org> %d +0000\ndata 0\n"
        b"M 100644 inline text\ndata %d\n%s\n" % (number, 80_000, text[1_000 * number :][:80_000])
        for number in range(100)
    ]
    git("init", "--quiet", "--bare", "--initial-branch=main")
    git("fast-import", "--quiet", stdin=b"".join(commits))
    offsets = f"repack.useDeltaBaseOffset={str(names_offsets).lower()}"
    git("-c", offsets, "-c", "pack.threads=1", "repack", "-adfq", "--depth=50", "--window=10")
    (pack,) = (repository / "objects" / "pack").glob("*.pack")
    return pack


@pytest.mark.parametrize("names_offsets", [True, False])
def test_the_pack_reader_finds_what_git_finds(tmp_path: Path, *, names_offsets: bool) -> None:
    """Name, type and size of each object; a delta names its base by offset or by name."""
    pack = make_pack(tmp_path, names_offsets=names_offsets)
    git = ("git", "cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype) %(objectsize)")
    expected = subprocess.run(git, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    chains = subprocess.run(("git", "verify-pack", "-v", pack), capture_output=True, text=True, check=True).stdout
    # Longer than what the reader remembers.
    assert "chain length = 40" in chains
    command = (sys.executable, "-Werror", ROOT / "examples" / "pack_reader.py", pack)
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert sorted(found.splitlines()) == sorted(expected.splitlines())


def test_the_pack_reader_keeps_a_few_objects_only(tmp_path: Path) -> None:
    """It never has half of them in memory."""
    pack = make_pack(tmp_path, names_offsets=True)
    objects = runpy.run_path(str(ROOT / "examples" / "pack_reader.py"))["objects"]
    tracemalloc.start()
    with SlidingWindowMapManager(window_size=128 * 1024) as manager:
        total = sum(size for _, _, size in objects(SlidingWindowMapBuffer(manager.make_cursor(pack))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < total / 2, (peak, total)
