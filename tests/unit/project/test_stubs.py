"""The stubs of smmap: they tell the truth about smmap, and what they name is in smmap_typed, too.

A code base that is clean under the stubs can change its import and stay clean. The stubs are read as text, since a
process that has imported the real smmap can no longer have smmap_typed in its place.
"""

import __future__

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

import pytest

import smmap_typed

ROOT: Final = Path(__file__).parents[3]
STUBS: Final = ROOT / "stubs"

RENAMED: Final = {"MapRegion": "Region", "MapWindow": "Window"}
"""Classes whose members are compared with those of another name, as far as they are there."""

ABSENT: Final = {
    "__author__",
    "__contact__",
    "__homepage__",
    "MapRegion",
    "MapRegion.increment_client_count",
    "MapRegion.release",
    "MapRegionList",
    "MapWindow",
    "MapWindow.align",
    "MapWindow.extend_left_to",
    "MapWindow.extend_right_to",
    "MapWindow.from_region",
    "MapWindow.ofs",
    "SlidingWindowMapBuffer.__del__",
    "SlidingWindowMapBuffer.__getslice__",
    "SlidingWindowMapManager._obtain_region",
    "StaticWindowMapManager.MapRegionCls",
    "StaticWindowMapManager.MapRegionListCls",
    "StaticWindowMapManager.MapWindowCls",
    "StaticWindowMapManager.WindowCursorCls",
    "StaticWindowMapManager._MB_in_bytes",
    "StaticWindowMapManager._collect_lru_region",
    "StaticWindowMapManager._obtain_region",
    "WindowCursor.__del__",
}
"""What smmap has and this library has not on purpose: mutable helpers, hooks of subclasses, finalisers, credits."""

ABSENT_PARAMETERS: Final = {"WindowCursor.__init__": "regions"}
"""A parameter that only takes what is absent."""

MOVED: Final = ("pack_reader_on_smmap.py", "pack_reader.py")
"""Two files of the type tests, both clean under mypy and pyright: before a move to this library, and after."""

Definition: TypeAlias = ast.ClassDef | ast.FunctionDef | ast.AnnAssign | ast.alias


def definitions(body: list[ast.stmt]) -> Iterator[tuple[str, Definition]]:
    """Every name that a stub defines or exports, a class's members as ``Class.member``."""
    for statement in body:
        match statement:
            case ast.ClassDef(name=name):
                yield name, statement
                yield from ((f"{name}.{member}", found) for member, found in definitions(members(statement)))
            case ast.FunctionDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name, statement
            case ast.ImportFrom(names=names):
                yield from ((alias.name, alias) for alias in names if alias.asname == alias.name)
            case ast.If():
                yield from definitions(statement.body + statement.orelse)
            case _:
                pass


def members(definition: ast.ClassDef) -> list[ast.stmt]:
    """What to compare of a class: of one that nobody can make here no constructor, and if it is gone, nothing."""
    if definition.name not in ABSENT:
        return definition.body
    if definition.name not in RENAMED:
        return []
    return [one for one in definition.body if not (isinstance(one, ast.FunctionDef) and one.name == "__init__")]


STUBBED: Final = [
    found for path in sorted(STUBS.glob("smmap/*.pyi")) for found in definitions(ast.parse(path.read_text()).body)
]
FUNCTIONS: Final = [
    (name, definition) for name, definition in STUBBED if isinstance(definition, ast.FunctionDef) and name not in ABSENT
]


def counterpart(name: str) -> object:
    """What ``smmap_typed`` has for a name of the stubs; AttributeError if nothing."""
    class_name, _, member = name.rpartition(".")
    owner: object = getattr(smmap_typed, RENAMED.get(class_name, class_name)) if class_name else smmap_typed
    return getattr(owner, member)


def is_absent(name: str) -> bool:
    try:
        counterpart(name)
    except AttributeError:
        return True
    return False


def signature_of(definition: ast.FunctionDef) -> inspect.Signature:
    """The signature of a function in a stub, defaults evaluated; each overload is a function of its own."""
    definition.decorator_list.clear()
    namespace: dict[str, Callable[..., object]] = {}
    flags = __future__.annotations.compiler_flag
    exec(compile(ast.Module([definition], []), "stub", "exec", flags=flags), {"sys": sys}, namespace)
    return inspect.signature(namespace[definition.name])


def calls_of(signature: inspect.Signature, name: str) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Every way to split all arguments, or those without a default, into positional ones and keywords."""
    required = [one.name for one in signature.parameters.values() if one.default is inspect.Parameter.empty]
    for names in (list(signature.parameters), required):
        # The object itself goes first; and what syntax calls, gets no keywords.
        least = len(names) if is_called_by_syntax(name) else int("self" in names)
        for positional in range(least, len(names) + 1):
            yield names[:positional], {keyword: keyword for keyword in names[positional:]}


def is_called_by_syntax(name: str) -> bool:
    member = name.rpartition(".")[2]
    return member.startswith("__") and member != "__init__"


def test_stubtest_finds_smmap_as_the_stubs_say(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "smmap", "--concise", "--allowlist", str(STUBS / "allowlist.txt")],
        check=False,
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(STUBS)},
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stdout


def test_what_is_absent_is_exactly_what_is_meant_to_be() -> None:
    assert {name for name, _ in STUBBED if is_absent(name)} == ABSENT


@pytest.mark.parametrize(
    "name", sorted({name.rpartition(".")[2] for name in (*ABSENT, *RENAMED, *ABSENT_PARAMETERS.values())})
)
def test_the_migration_page_names_what_is_absent(name: str) -> None:
    assert re.search(rf"(?<!\w){name}(?!\w)", (ROOT / "docs" / "migration.md").read_text())


@pytest.mark.parametrize(("name", "definition"), FUNCTIONS, ids=[name for name, _ in FUNCTIONS])
def test_every_call_of_smmap_is_accepted(name: str, definition: ast.FunctionDef) -> None:
    ours = counterpart(name)
    assert callable(ours)
    accepted = inspect.signature(ours)
    theirs = signature_of(definition)
    kept = [one for one in theirs.parameters.values() if one.name != ABSENT_PARAMETERS.get(name)]
    for positional, keywords in calls_of(theirs.replace(parameters=kept), name):
        accepted.bind(*positional, **keywords)
    for parameter in kept:
        if parameter.default is not inspect.Parameter.empty:
            assert accepted.parameters[parameter.name].default == parameter.default


def test_a_strict_module_moves_by_its_import_alone() -> None:
    before, after = ((ROOT / "tests" / "type_tests" / name).read_text() for name in MOVED)
    assert after == before.replace("\nimport smmap\n", "\nimport smmap_typed as smmap\n") != before


@pytest.mark.parametrize("checker", [("mypy", "--strict", "--config-file=", "sample.py"), ("pyright",)], ids=str)
def test_the_reader_of_the_testing_page_type_checks_as_written(tmp_path: Path, checker: tuple[str, ...]) -> None:
    """Strictly, what a reader of the page would paste."""
    page, _, _ = (ROOT / "docs" / "testing.md").read_text().partition("pytest and unittest collect")
    pasted = "\n".join(re.findall(r"^(?:>>>|\.\.\.) (.*)$", page, re.MULTILINE))
    assert "class Correcting" in pasted
    (tmp_path / "sample.py").write_text(pasted + "\n")
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict", "include": ["sample.py"]}')
    command = (sys.executable, "-m", *checker)
    result = subprocess.run(command, check=False, capture_output=True, cwd=tmp_path, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
