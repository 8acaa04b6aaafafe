"""What ``help``, ``dir`` and ``import *`` show of the package: what is public, and nothing else."""

import inspect
import pydoc
import re
from pathlib import Path

import pytest

import smmap_typed
from smmap_typed import SlidingWindowMapManager, StaticWindowMapManager


def test_help_shows_an_example_and_the_public_classes() -> None:
    shown = pydoc.plain(pydoc.render_doc(smmap_typed))
    description = shown.partition("PACKAGE CONTENTS")[0]
    assert "cursor.read(offset=1_000_000, size=4)" in description
    assert not re.search(r"\b_(?!_)\w*\.|``_|smmap_typed\._", description)
    for name in smmap_typed.__all__:
        if isinstance(getattr(smmap_typed, name), type):
            assert f"    class {name}(" in shown


def test_every_name_that_is_imported_for_users_is_public() -> None:
    source = Path(smmap_typed.__file__).read_text()
    exported = [name for name in re.findall(r"^from .* import (\w+) as \1\b", source, re.MULTILINE) if name[0] != "_"]
    assert sorted([*exported, "COMPILED", "version_info"]) == sorted(smmap_typed.__all__)


def test_dir_hides_what_is_private() -> None:
    names = dir(smmap_typed)
    assert set(smmap_typed.__all__) | {"__all__", "__doc__", "__version__"} <= set(names)
    assert [name for name in names if name[0] == "_" and not name.endswith("__")] == []


@pytest.mark.parametrize("manager", [StaticWindowMapManager, SlidingWindowMapManager])
def test_a_manager_documents_its_own_parameters(manager: type[StaticWindowMapManager]) -> None:
    documented = re.findall(r":param (\w+):", manager.__doc__ or "")
    assert documented == list(inspect.signature(manager).parameters)
