"""Layers: imports run one way. Each group of modules uses only those below it, and so does each module in its group."""

import ast
from pathlib import Path
from typing import Final

import pytest

import smmap_typed

PACKAGE: Final = Path(smmap_typed.__file__).parent

LAYERS: Final[list[tuple[str, tuple[str, ...], str]]] = [
    (
        "users",
        ("__main__", "cli", "testing", "prometheus", "compat.__main__", "compat"),
        "they use the package as any other program could, so nothing in it may need them",
    ),
    (
        "manager",
        ("manager",),
        "it checks arguments and delegates, so what it delegates to cannot ask it for anything",
    ),
    (
        "handles",
        (
            "_handles.mapped_file",
            "_handles.buffer",
            "_handles.indexing",
            "_handles.search",
            "_handles.span",
            "_handles.cursor",
            "_handles.pickling",
            "_handles.reading",
            "_handles.sharing",
            "_handles.state",
            "_handles.region",
            "_handles",
        ),
        "users hold them, and nothing that is shared by all users may depend on one of them",
    ),
    (
        "pool",
        (
            "_pool",
            "_pool.pool",
            "_pool.snapshot",
            "_pool.fork",
            "_pool.monitor",
            "_pool.reentrancy",
            "_pool.tables",
            "_pool.replacement",
            "_pool.ledger",
            "_pool.inflight",
            "_pool.file",
            "_pool.frame",
            "_pool.resident",
            "_pool.descriptor",
            "_pool.pin",
            "_pool.grid",
        ),
        "it owns the lock and knows no cursor, so that its invariants can be checked without one",
    ),
    (
        "readers",
        ("readers", "_builtin_readers"),
        "a reader knows nothing of limits, pins or threads, so that others can write one",
    ),
    (
        "leaves",
        (
            "_source",
            "events",
            "values",
            "exceptions",
            "_arguments",
            "_platform",
            "_compiling",
            "_types",
            "_extras",
            "_starting",
        ),
        "values, errors and what differs between systems are used everywhere, so they use nothing",
    ),
]

ORDER: Final = [module for _, modules, _ in LAYERS for module in modules]
"""Each may use those after it."""

REASONS: Final = {
    module: f"{module} belongs to the {name}: {reason}" for name, some, reason in LAYERS for module in some
}


def module_of(path: Path) -> str:
    """The name of a module below the package, "" for the package itself."""
    name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    return name.removesuffix("__init__").removesuffix(".")


SOURCES: Final = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


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


def layer_of(module: str) -> str:
    """Where a module stands in the order: the command line and the testing package as one each."""
    head = module.partition(".")[0]
    return head if head in {"cli", "testing"} else module


def imports_of(tree: ast.Module) -> set[str]:
    """The modules of the package that ``tree`` imports anywhere, "" for the package itself."""
    found: set[str] = set()
    for name in dotted_imports(tree):
        root, _, inner = name.partition(".")
        if root == "smmap_typed":
            while inner and inner not in SOURCES:
                inner = inner.rpartition(".")[0]
            found.add(layer_of(inner))
    return found


def offences(module: str, used: set[str]) -> list[str]:
    """What ``module`` imports that does not stand below it, each with the reason why that is refused."""
    rank = {name: place for place, name in enumerate(ORDER)}
    own = layer_of(module)
    upward = {name for name in used if name and name != own and rank[name] < rank[own]}
    complaints = [f"{module} imports {name}: {REASONS[own]}" for name in sorted(upward)]
    if "" in used and own not in LAYERS[0][1]:
        complaints.append(f"{module} imports the package itself, which imports everything")
    if own.startswith("_handles") or own == "manager":
        inner = sorted(name for name in used if name.startswith("_pool."))
        complaints += [f"{module} imports {name}: handles and manager know what `_pool` names only" for name in inner]
    return complaints


def test_every_module_has_its_layer_and_every_layer_its_module() -> None:
    assert len(ORDER) == len(set(ORDER))
    assert {layer_of(module) for module in SOURCES} - {""} == set(ORDER)


@pytest.mark.parametrize("module", sorted(set(SOURCES) - {""}))
def test_imports_run_downwards(module: str) -> None:
    """Also those inside of functions and for type checkers."""
    assert offences(module, imports_of(ast.parse(SOURCES[module].read_text()))) == []


@pytest.mark.parametrize(
    ("module", "line", "why"),
    [
        ("_pool.tables", "from smmap_typed._pool.pool import Pool", "owns the lock"),
        ("_pool.tables", "from smmap_typed._pool import Pool", "owns the lock"),
        ("_pool.frame", "from smmap_typed._handles import cursor", "knows no cursor"),
        ("_pool.pool", "def late() -> None:\n    import smmap_typed._handles.state", "knows no cursor"),
        ("_handles.state", "from smmap_typed._handles.cursor import WindowCursor", "users hold them"),
        ("_handles.state", "from smmap_typed._pool.tables import Tables", "know what `_pool` names only"),
        ("manager", "from smmap_typed._pool.monitor import Entry", "know what `_pool` names only"),
        ("_builtin_readers", "from smmap_typed._pool import File", "limits, pins or threads"),
        ("values", "from smmap_typed.manager import StaticWindowMapManager", "used everywhere"),
        ("events", "import smmap_typed.testing", "used everywhere"),
        ("_handles.region", "import smmap_typed", "the package itself"),
        ("_handles.region", "from smmap_typed import WindowCursor", "the package itself"),
        ("_pool.grid", "from .. import WindowCursor", "the package itself"),
    ],
)
def test_a_refused_import_says_why(module: str, line: str, why: str) -> None:
    """In any of its forms."""
    (complaint,) = offences(module, imports_of(ast.parse(line)))
    assert why in complaint


def test_only_the_pool_enters_the_lock() -> None:
    """And the executable specification, which looks under it."""
    entering = {module for module, path in SOURCES.items() if "Entry(" in path.read_text()}
    assert entering == {"_pool.pool", "testing._invariants"}


# The command line, each line of which uses only those below it, and what else the modules of a line may use.
COMMANDS: Final = {"bench_command", "find_command", "hash_command", "map_command", "stat_command"}
ABOVE: Final = [{"app"}, COMMANDS, {"progress"}, {"moving_bar"}]
COMMAND_LINE: Final = [*ABOVE, {"bar", "options"}, {"parsing"}, {"terminal"}, {"sizes"}]
WORK: Final = {"checking", "drawing", "finding", "hashing", "plotting", "racing"}
COMMAND_MODULES: Final = sorted(path.stem for path in (PACKAGE / "cli").glob("[!_]*.py"))


def offences_of_a_command(module: str, imported: set[str]) -> set[str]:
    """What a module of the command line may not import: what is not below it, and what is private to the library."""
    of_cli = {name.split(".")[2] for name in imported if name.startswith("smmap_typed.cli.")}
    lines = [*COMMAND_LINE, WORK, {"standard_input"}]
    place = next(place for place, line in enumerate(lines) if module in line)
    above = of_cli - set[str]().union(*lines[place + 1 :])
    # No public call tells how wide windows are apart.
    private = {name for name in imported if name.startswith("smmap_typed._")} - {"smmap_typed._pool.grid.Grid"}
    terminal = {name for name in imported if name.split(".")[0] in {"argparse", "rich"}}
    return above | private | (terminal if module in WORK | {"sizes"} else set[str]())


def test_every_module_of_the_command_line_has_its_place() -> None:
    assert sorted({"standard_input"}.union(*COMMAND_LINE, WORK)) == COMMAND_MODULES


@pytest.mark.parametrize("module", COMMAND_MODULES)
def test_the_command_line_runs_downwards_and_uses_the_public_library(module: str) -> None:
    """The work knows no terminal; a command knows no other."""
    tree = ast.parse((PACKAGE / "cli" / f"{module}.py").read_text())
    assert offences_of_a_command(module, dotted_imports(tree)) == set()


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("finding", "from rich.text import Text"),
        ("sizes", "import argparse"),
        ("racing", "from smmap_typed.cli.terminal import complain"),
        ("map_command", "from smmap_typed.cli.bench_command import bench"),
        ("options", "from smmap_typed.cli.app import run"),
        ("hashing", "from smmap_typed._pool import Pool"),
    ],
)
def test_an_offence_of_the_command_line_would_be_seen(module: str, line: str) -> None:
    assert offences_of_a_command(module, dotted_imports(ast.parse(line)))
