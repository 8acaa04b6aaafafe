"""The documentation tells the truth: its examples run, its links lead somewhere, its commands are those of CI.

Each page runs in an interpreter of its own, as its reader would run it, in an empty directory.
"""

import doctest
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

import smmap_typed

ROOT: Final = Path(__file__).parents[3]
PAGES: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCE: Final = re.compile(r"^```.*$", re.MULTILINE)

PAGES_WITH_EXAMPLES: Final = [page for page in PAGES if "\n>>> " in page.read_text()]
MODULES_WITH_EXAMPLES: Final = [
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    for path in sorted(ROOT.glob("src/**/*.py"))
    if ">>> " in path.read_text()
]

# All names of smmap: those of its modules, and what its classes define, private hooks included.
NAMES_OF_SMMAP: Final = """
import smmap, smmap.mman, smmap.buf, smmap.util

def names():
    yield from (name for name, value in vars(smmap).items() if not hasattr(value, "__path__"))
    for module in (smmap.mman, smmap.buf, smmap.util):
        yield from module.__all__
        for name in module.__all__:
            value = getattr(module, name)
            yield from vars(value) if isinstance(value, type) else ()

packaging = {"__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__", "__package__", "__path__",
    "__spec__"}
of_every_class = {name for name in names() if name.startswith("__")} - {
    "__author__", "__contact__", "__homepage__", "__version__", "__getslice__"}
print(*sorted({*names()} - packaging - of_every_class))
"""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def run_in_new_interpreter(*arguments: str, directory: Path) -> str:
    """What an interpreter prints that turns warnings into errors; on failure, everything it printed."""
    result = subprocess.run(
        [sys.executable, "-W", "error", *arguments], cwd=directory, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def command_lines_of_readme() -> list[str]:
    """The two lines that README.md tells its reader to type: the main job, and the tests."""
    return re.findall(r"^```console\n(.+)\n```$", (ROOT / "README.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES_WITH_EXAMPLES, ids=name_of)
def test_examples_of_a_page_run(page: Path, tmp_path: Path) -> None:
    """Fences become empty lines, so that an example ends there and a failure names the line of the page."""
    (tmp_path / page.name).write_text(FENCE.sub("", page.read_text()))
    run_in_new_interpreter("-m", "doctest", page.name, directory=tmp_path)


def test_readme_and_migration_and_windows_have_examples() -> None:
    """What looks for examples finds them."""
    assert {ROOT / "README.md", ROOT / "docs/migration.md"} <= set(PAGES_WITH_EXAMPLES)
    assert "smmap_typed.values" in MODULES_WITH_EXAMPLES


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_of_python_is_an_example_that_runs(page: Path) -> None:
    """A block without a prompt would be shown and never run."""
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert [block for block in blocks if not block.startswith(">>> ")] == []


@pytest.mark.parametrize("name", MODULES_WITH_EXAMPLES)
def test_examples_of_docstrings_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some write files."""
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text())]
    internal = [target for target in targets if target and not re.match(r"https?:", target)]
    assert [target for target in internal if not (page.parent / target).exists()] == []


def test_changelog_begins_with_the_version_of_the_package() -> None:
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == smmap_typed.__version__


def test_ci_runs_the_command_lines_of_the_readme() -> None:
    lines = [line.strip() for line in (ROOT / ".ci/run").read_text().splitlines()]
    commands = command_lines_of_readme()
    assert len(commands) == 2
    assert [command for command in commands if command not in lines] == []


def test_readme_names_every_version_that_is_promised() -> None:
    """The first and the last version of the classifiers stand in the sentence about what was checked."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = [name.rsplit(" ", 1)[1] for name in project["classifiers"] if re.search(r":: 3\.\d+$", name)]
    assert (
        f"type-checked for {versions[0]} to {versions[-1]} on Linux, macOS and Windows"
        in (ROOT / "README.md").read_text()
    )


def test_migration_names_everything_in_smmap(tmp_path: Path) -> None:
    """No name and no member of the installed smmap is left out, private hooks included."""
    names = run_in_new_interpreter("-c", NAMES_OF_SMMAP, directory=tmp_path).split()
    written = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`\n]+`", (ROOT / "docs/migration.md").read_text()))))
    assert "use_region" in names
    assert [name for name in names if name not in written] == []


HOW_TO: Final = sorted(ROOT.glob("docs/how-to/*.md"))


@pytest.mark.parametrize("page", HOW_TO, ids=name_of)
def test_each_how_to_page_says_what_to_install(page: Path) -> None:
    """By a command that works in a clone, before the first example."""
    first, _, _ = page.read_text().partition("\n>>> ")
    assert re.search(r"^```console\npython -m pip install \.", first, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_can_be_copied(page: Path) -> None:
    """No prompt stands before them, and no output between them."""
    blocks = re.findall(r"^```(?:console|sh)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert [block for block in blocks if re.search(r"^[$#>] ", block, re.MULTILINE)] == []


@pytest.mark.parametrize("page", ["README.md", "docs/migration.md", "docs/how-to/gitdb.md"])
def test_pages_on_gitpython_say_when_it_touches_smmap(page: str) -> None:
    """tests/downstream/test_clients.py shows that it is so."""
    text = (ROOT / page).read_text()
    assert "`git cat-file`" in text
    assert "odbt=" in text
