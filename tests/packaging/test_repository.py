"""What a repository tells its users and machines: the citation, the workflows, the versions, are right."""

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from distributions import ROOT, run

WORKFLOWS: Final = sorted((ROOT / ".github/workflows").glob("*.yml"))
PAGES: Final = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
ACTION: Final = re.compile(r"uses: *(\S+)(.*)")


def test_the_citation_is_one() -> None:
    run("cffconvert", "--validate", "--infile", ROOT / "CITATION.cff")


def test_the_version_is_written_in_one_file() -> None:
    """A changelog has every version; the rest reads it from the package, or leaves it out."""
    root = (ROOT / "src/smmap_typed/__init__.py").read_text()
    version = re.search(r'^__version__ = "((\d+)\.(\d+)\.(\d+).*)"$', root, re.MULTILINE)
    assert version
    assert f" = ({', '.join(version.groups()[1:])})\n" in root, "version_info"
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"] == ["version"]
    for name in ("pyproject.toml", "setup.py", "CITATION.cff", "SECURITY.md", "docs/releasing.md"):
        assert version[1] not in (ROOT / name).read_text(), name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_commands_that_need_a_newer_pip_get_it_first(path: Path) -> None:
    """Groups need pip 25.1, and CPython 3.11 to 3.13 bring an older one."""
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
        before, *_ = block.partition("--group")
        assert before == block or 'pip install --upgrade "pip>=25.1"\n' in before, block


def test_the_workflows_have_no_weakness_that_zizmor_knows() -> None:
    run("zizmor", "--offline", "--persona=pedantic", ROOT / ".github")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_action_is_a_commit_and_nothing_is_allowed_by_default(path: Path) -> None:
    text = path.read_text()
    used = ACTION.findall(text)
    assert used
    assert [name for name, tag in used if not re.fullmatch(r"\S+@[0-9a-f]{40} # v\S+", name + tag)] == []
    assert "\npermissions: {}\n" in text
