"""griffe, as the session ``api`` asks it, finds what a change takes from users, and nothing where there is none."""

import sys
from pathlib import Path
from typing import Final

import pytest

from distributions import copy, run

CHECK: Final = ("check", "smmap_typed", "--search", "src", "--extensions", "griffe_public_redundant_aliases")
"""The extension takes ``X as X`` for public, as type checkers do: without it griffe finds nothing public here."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository whose one commit is the source as it is."""
    copy(("src",), tmp_path / "clone")
    for command in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message=released")):
        identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
        run("git", *identity, *command, folder=tmp_path / "clone")
    return tmp_path / "clone"


def changes(clone: Path, *, fails: bool = False) -> str:
    """What griffe finds; that it finds something, or nothing, its exit status tells, and ``run`` asserts."""
    return run(
        sys.executable,
        "-m",
        "griffe",
        *CHECK,
        "--against",
        "HEAD",
        folder=clone,
        fails=fails,
        variables={"NO_COLOR": "1"},
    )


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_is_the_same_or_only_added_to_breaks_nobody(clone: Path) -> None:
    changes(clone)
    root = clone / "src/smmap_typed/__init__.py"
    root.write_text(root.read_text() + "\nADDED = 1\n")
    replace(clone / "src/smmap_typed/_pool/ledger.py", "class Ledger", "class Renamed")
    changes(clone)


@pytest.mark.parametrize(
    ("module", "old", "new", "finding"),
    [
        (
            "__init__",
            "from smmap_typed._handles.region import Region as Region\n",
            "",
            "Region: Public object was removed",
        ),
        (
            "_handles/cursor",
            "def prefetch(self, offset:",
            "def prefetch(self, begin:",
            "prefetch(offset): Parameter was remov",
        ),
        ("manager", "def collect(self)", "def collect(self, force: bool)", "collect(force): Parameter was added"),
    ],
)
def test_a_break_of_the_api_is_found(clone: Path, module: str, old: str, new: str, finding: str) -> None:
    replace(clone / f"src/smmap_typed/{module}.py", old, new)
    assert finding in changes(clone, fails=True)
