"""docs/invariants.md says what is true: the same invariants as the function, and code and tests that there are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

import smmap_typed
from smmap_typed.testing._invariants import IDENTIFIERS

ROOT: Final = Path(__file__).parents[3]
LIBRARY: Final = Path(smmap_typed.__file__).parent
PAGE: Final = ROOT / "docs/invariants.md"
# About what a thread does, not about what is: no look at one instant can tell.
WITHOUT_A_STATE: Final = {"I10"}


class Entry(NamedTuple):
    identifier: str
    text: str

    def about(self, what: str) -> str:
        match = re.search(rf"^- {what}: (.*?)(?=^- |\Z)", self.text, re.MULTILINE | re.DOTALL)
        assert match is not None, (self.identifier, what)
        return match.group(1)


def entries() -> list[Entry]:
    parts = re.split(r"^## (I\d+): .*$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return [Entry(identifier, text) for identifier, text in zip(parts[::2], parts[1::2], strict=True)]


def functions_of(path: Path) -> Iterator[str]:
    """Names as pytest has them, and as the page has them: ``Class::test`` and ``Class.method``."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield node.name
            yield from (f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef))


def test_the_page_and_the_function_know_the_same_invariants() -> None:
    written = [entry.identifier for entry in entries()]
    assert written == [f"I{number}" for number in range(1, 14)]
    looked_at = {entry.identifier for entry in entries() if "`check_invariants`" in entry.about("looked at by")}
    assert looked_at == set(IDENTIFIERS) == set(written) - WITHOUT_A_STATE


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.identifier)
def test_an_entry_has_a_predicate_and_names_code_and_tests_that_there_are(entry: Entry) -> None:
    assert re.search(r"^```text\n.+\n(.+\n)*```$", entry.text, re.MULTILINE)
    code = {name.replace("::", ".") for path in LIBRARY.glob("_pool/*.py") for name in functions_of(path)}
    named = set(re.findall(r"`([A-Za-z_.]+)`", entry.about("kept by"))) - {"finally", "setdefault"}
    assert named
    assert named <= code
    tests = re.findall(r"`(tests/\S+?\.py)::(\S+)`", entry.about("fails without it"))
    assert tests
    for path, name in tests:
        assert name in set(functions_of(ROOT / path)), name
