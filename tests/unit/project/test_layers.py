"""Layers: imports run one way, downwards in the list that the package's docstring gives."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

import smmap_typed

PACKAGE: Final = Path(smmap_typed.__file__).parent
MODULES: Final = sorted(path.stem for path in PACKAGE.glob("*.py"))
# What uses the package as any other program could: on top of all layers.
USERS: Final = {"__main__"}


def layers() -> list[str]:
    """The modules in the order of the docstring: each may use those after it."""
    lines = re.findall(r"^    (\S.*)$", smmap_typed.__doc__ or "", re.MULTILINE)
    named: list[str] = []
    for line in lines:
        column, _, words = line.partition("  ")
        named += re.findall(r"\w+", column) + re.findall(r"\b_\w+", words)
    return named


def dotted_imports(tree: ast.Module) -> set[str]:
    """What ``tree`` imports anywhere, with dots."""
    dotted: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            dotted.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            root = f"smmap_typed.{node.module or ''}".rstrip(".") if node.level else node.module or ""
            dotted.update(f"{root}.{alias.name}" for alias in node.names)
    return dotted


def imports_of(tree: ast.Module) -> set[str]:
    """The modules of the package that ``tree`` imports anywhere, ``__init__`` for the package itself."""
    dotted = dotted_imports(tree)
    inner = (name.split(".")[1:2] for name in dotted if name.split(".")[0] == "smmap_typed")
    return {name if name in MODULES else "__init__" for names in inner for name in names or ["__init__"]}


def upward_edges(module: str, used: set[str], order: list[str]) -> set[str]:
    """What ``module`` imports that does not stand below it."""
    rank = {name: place for place, name in enumerate(order)}
    return {name for name in used if rank.get(name, -1) <= rank[module]}


def test_every_module_has_its_layer_and_every_layer_its_module() -> None:
    """The docstring names each once; only what uses the package stands outside."""
    order = layers()
    assert len(order) == len(set(order))
    assert set(order) | USERS | {"__init__"} == set(MODULES)


@pytest.mark.parametrize("module", sorted(set(MODULES) - USERS - {"__init__"}))
def test_imports_run_downwards(module: str) -> None:
    """Also those inside of functions and for type checkers; only ``compat`` may use the package itself."""
    used = imports_of(ast.parse((PACKAGE / f"{module}.py").read_text()))
    upward = upward_edges(module, used, layers())
    assert upward == ({"__init__"} if module == "compat" else set())


@pytest.mark.parametrize(
    "line",
    [
        "from smmap_typed._core import Core",
        "from smmap_typed import _core",
        "import smmap_typed._core",
        "from ._core import Core",
        "from . import _core",
        "def late() -> None:\n    from smmap_typed._core import Core",
    ],
)
def test_an_upward_import_would_be_seen(line: str) -> None:
    """In any of its forms."""
    assert upward_edges("_region", imports_of(ast.parse(line)), layers()) == {"_core"}


@pytest.mark.parametrize("line", ["import smmap_typed", "from smmap_typed import WindowCursor"])
def test_an_import_of_the_package_itself_would_be_seen(line: str) -> None:
    """It stands above all layers."""
    assert upward_edges("_region", imports_of(ast.parse(line)), layers()) == {"__init__"}


# The command line, each line of which uses only those below it, and what else the modules of a line may use.
COMMANDS: Final = {"bench_command", "find_command", "hash_command", "map_command", "stat_command"}
COMMAND_LINE: Final = [{"app"}, COMMANDS, {"progress"}, {"terminal", "options"}, {"sizes"}]
WORK: Final = {"checking", "drawing", "finding", "hashing", "racing"}
COMMAND_MODULES: Final = sorted(path.stem for path in (PACKAGE / "cli").glob("[!_]*.py"))


def offences_of(module: str, imported: set[str]) -> set[str]:
    """What a module of the command line may not import: what is not below it, and what is private to the library."""
    of_cli = {name.split(".")[2] for name in imported if name.startswith("smmap_typed.cli.")}
    lines = [*COMMAND_LINE, WORK]
    place = next(place for place, line in enumerate(lines) if module in line)
    offences = of_cli - set[str]().union(*lines[place + 1 :])
    # No public call tells how wide windows are apart.
    private = {name for name in imported if name.startswith("smmap_typed._")} - {"smmap_typed._grid.Grid"}
    terminal = {name for name in imported if name.split(".")[0] in {"typer", "rich"}}
    return offences | private | (terminal if module in WORK | {"sizes"} else set[str]())


def test_every_module_of_the_command_line_has_its_place() -> None:
    assert sorted(set[str]().union(*COMMAND_LINE, WORK)) == COMMAND_MODULES


@pytest.mark.parametrize("module", COMMAND_MODULES)
def test_the_command_line_runs_downwards_and_uses_the_public_library(module: str) -> None:
    """The work knows no terminal; a command knows no other."""
    tree = ast.parse((PACKAGE / "cli" / f"{module}.py").read_text())
    assert offences_of(module, dotted_imports(tree)) == set()


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("finding", "from rich.text import Text"),
        ("sizes", "import typer"),
        ("racing", "from smmap_typed.cli.terminal import complain"),
        ("map_command", "from smmap_typed.cli.bench_command import bench"),
        ("options", "from smmap_typed.cli.app import run"),
        ("hashing", "from smmap_typed._core import Core"),
    ],
)
def test_an_offence_of_the_command_line_would_be_seen(module: str, line: str) -> None:
    assert offences_of(module, dotted_imports(ast.parse(line)))


@pytest.mark.parametrize("module", sorted(set(MODULES) - USERS))
def test_the_library_does_not_know_the_command_line(module: str) -> None:
    imported = dotted_imports(ast.parse((PACKAGE / f"{module}.py").read_text()))
    assert not {name for name in imported if name.startswith("smmap_typed.cli")}
