"""docs/thread-safety.md names every field that changes, and no other, so that a new field comes with its guard.

A field changes if anything but a constructor assigns to its name, or if it is a container. The test reads the modules
of the pool and of the handles, and those at the top of the package; ``cli`` and ``testing`` share nothing with threads.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import smmap_typed

LIBRARY: Final = Path(smmap_typed.__file__).parent
PAGE: Final = Path(__file__).parents[3] / "docs/thread-safety.md"
PACKAGES: Final = (LIBRARY, LIBRARY / "_pool", LIBRARY / "_handles")
MODULES: Final = [ast.parse(path.read_text()) for package in PACKAGES for path in sorted(package.glob("*.py"))]
CONTAINERS: Final = re.compile(r"\b(dict|list|set|deque|OrderedDict)\b")
# Immutable by their kind. Other classes may have fields of the same names that change.
VALUES: Final = re.compile(r"\b(NamedTuple|Protocol|SmmapError|dataclass\(.*frozen=True.*\))")


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def names_assigned_to() -> set[str]:
    """The names of attributes that something other than a constructor assigns to."""
    nodes = (
        node
        for module in MODULES
        for function in functions(module)
        if function.name != "__init__"
        for node in ast.walk(function)
    )
    return {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}


def fields_of(definition: ast.ClassDef) -> dict[str, str]:
    """What a class declares in its body, and what its constructor assigns, each with the line that does."""
    constructors = [function for function in functions(definition) if function.name == "__init__"]
    lines = [*definition.body, *(node for constructor in constructors for node in ast.walk(constructor))]
    fields: dict[str, str] = {}
    for line in lines:
        if not isinstance(line, ast.Assign | ast.AnnAssign):
            continue
        for target in line.targets if isinstance(line, ast.Assign) else [line.target]:
            if isinstance(target, ast.Attribute):
                fields[target.attr] = ast.unparse(line)
            elif line in definition.body:
                fields[ast.unparse(target)] = ast.unparse(line)
    return fields


def is_value(definition: ast.ClassDef) -> bool:
    head = [*definition.bases, *definition.decorator_list]
    return any(VALUES.search(ast.unparse(node)) for node in head) or definition.name == "SmmapError"


def changes(line: str, name: str, assigned: set[str]) -> bool:
    return bool(CONTAINERS.search(line)) or ("Final" not in line and name in assigned)


def fields_that_change() -> set[str]:
    assigned = names_assigned_to()
    return {
        f"{definition.name}.{name}"
        for module in MODULES
        for definition in module.body
        if isinstance(definition, ast.ClassDef) and not is_value(definition)
        for name, line in fields_of(definition).items()
        if name != "__slots__" and changes(line, name, assigned)
    }


def fields_in_the_table() -> set[str]:
    rows = re.findall(r"^\| (`.*?`) \| ", PAGE.read_text().partition("### Guarded by")[2], re.MULTILINE)
    return {field for row in rows for field in re.findall(r"`(\w+\.\w+)`", row)}


def test_every_field_that_changes_is_in_the_table() -> None:
    assert fields_in_the_table() == fields_that_change()
