"""The invariants as a specification: each rule notices what breaks it, and docs/invariants.md says what is true."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

import smmap_typed
from smmap_typed import SlidingWindowMapManager
from smmap_typed._evictor import Evictor
from smmap_typed._gate import Flight
from smmap_typed._pin import TOMBSTONE, Pin
from smmap_typed.testing import InvariantError, check_invariants
from smmap_typed.testing._invariants import IDENTIFIERS
from support import GRANULE

ROOT: Final = Path(__file__).parents[2]
LIBRARY: Final = Path(smmap_typed.__file__).parent
PAGE: Final = ROOT / "docs/invariants.md"
# About what a thread does, not about what is: no look at one instant can tell.
WITHOUT_A_STATE: Final = {"I10"}


# What breaks them: each gets a manager with two regions, one with a cursor on it and one idle.


def loses_a_byte(manager: SlidingWindowMapManager) -> None:
    manager._core.ledger.total_bytes -= 1


def forgets_a_handle(manager: SlidingWindowMapManager) -> None:
    manager._core.ledger.unmaps += 1


def lowers_the_handle_limit(manager: SlidingWindowMapManager) -> None:
    manager._core.ledger.max_handles = 1


def lowers_the_strict_limit(manager: SlidingWindowMapManager) -> None:
    manager._core.ledger.max_memory = GRANULE


def shortens_a_file(manager: SlidingWindowMapManager) -> None:
    """As its regions see it."""
    tables = manager._core.tables
    ((identity, windows),) = tables.index.items()
    shorter = identity._replace(size=3 * GRANULE)
    for hold in windows.values():
        object.__setattr__(hold, "identity", shorter)
    tables.index.clear()
    tables.index[shorter] = windows


def unlinks_in_one_place_only(manager: SlidingWindowMapManager) -> None:
    (windows,) = manager._core.tables.index.values()
    del windows[0]


def closes_what_is_pinned(manager: SlidingWindowMapManager) -> None:
    (pinned,) = (hold for hold in manager._core.tables.holds.values() if hold.is_pinned())
    pinned.mapping = None


def takes_a_release_away(manager: SlidingWindowMapManager) -> None:
    (pinned,) = (hold for hold in manager._core.tables.holds.values() if hold.is_pinned())
    view = memoryview(b"dies at once")
    pin = Pin(view, lambda _: None)
    pin.serial = pinned.serial
    pinned.pins.add(pin)


def strands_a_region(manager: SlidingWindowMapManager) -> None:
    manager._core.tables.idle.holds.clear()


def leaves_a_tombstone(manager: SlidingWindowMapManager) -> None:
    for hold in manager._core.tables.holds.values():
        hold.pins.add(TOMBSTONE)


def maps_a_window_twice(manager: SlidingWindowMapManager) -> None:
    tables = manager._core.tables
    flight = Flight()
    (hold, *_) = tables.holds.values()
    flight.key = (hold.identity, hold.begin)
    tables.flights[flight.key] = flight


def leaves_a_flight(manager: SlidingWindowMapManager) -> None:
    tables = manager._core.tables
    flight = Flight()
    (hold, *_) = tables.holds.values()
    flight.key = (hold.identity, 100 * GRANULE)
    tables.flights[flight.key] = flight


def counts_a_miss_too_many(manager: SlidingWindowMapManager) -> None:
    manager._core.ledger.misses += 100


def counts_an_eviction_too_many(manager: SlidingWindowMapManager) -> None:
    manager._core.ledger.evictions += 1


BREAKS: Final[list[tuple[str, Callable[[SlidingWindowMapManager], None]]]] = [
    ("I1", loses_a_byte),
    ("I1", forgets_a_handle),
    ("I2", lowers_the_handle_limit),
    ("I3", lowers_the_strict_limit),
    ("I4", shortens_a_file),
    ("I4", unlinks_in_one_place_only),
    ("I5", closes_what_is_pinned),
    ("I6", takes_a_release_away),
    ("I7", strands_a_region),
    ("I8", leaves_a_tombstone),
    ("I8", maps_a_window_twice),
    ("I11", leaves_a_flight),
    ("I12", counts_a_miss_too_many),
    ("I12", counts_an_eviction_too_many),
]


@pytest.mark.pure
@pytest.mark.parametrize(("identifier", "breaks"), BREAKS)
def test_each_rule_notices_what_breaks_it(
    identifier: str, breaks: Callable[[SlidingWindowMapManager], None], path: Path
) -> None:
    """And names it, with the state."""
    manager = SlidingWindowMapManager(2 * GRANULE, strict_memory=True)
    cursor = manager.make_cursor(path)
    cursor.use_region(0, 1)
    cursor.use_region(4 * GRANULE, 1)
    check_invariants(manager)

    breaks(manager)

    with pytest.raises(InvariantError, match=rf"^{identifier} .*\n(.*\n)*  region 1: ") as caught:
        check_invariants(manager)
    assert caught.value.identifier == identifier
    assert cursor.is_associated()


@pytest.mark.pure
def test_a_close_that_leaves_regions_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else breaks I9, since who looks has a close that is under way end first."""

    def close(self: Evictor) -> None:
        self.tables.closed = True

    monkeypatch.setattr(Evictor, "close", close)
    manager = SlidingWindowMapManager(2 * GRANULE)
    manager.make_cursor(path).use_region(0, 1)
    manager.close()
    with pytest.raises(InvariantError) as caught:
        check_invariants(manager)
    assert caught.value.identifier == "I9"


# The page.


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
    assert written == [f"I{number}" for number in range(1, 13)]
    looked_at = {entry.identifier for entry in entries() if "`check_invariants`" in entry.about("looked at by")}
    assert looked_at == set(IDENTIFIERS) == set(written) - WITHOUT_A_STATE


def test_each_rule_is_broken_here() -> None:
    assert {identifier for identifier, _ in BREAKS} | {"I9"} == set(IDENTIFIERS)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.identifier)
def test_an_entry_has_a_predicate_and_names_code_and_tests_that_there_are(entry: Entry) -> None:
    assert re.search(r"^```text\n.+\n(.+\n)*```$", entry.text, re.MULTILINE)
    code = {name.replace("::", ".") for path in LIBRARY.glob("_*.py") for name in functions_of(path)}
    named = set(re.findall(r"`([A-Za-z_.]+)`", entry.about("kept by"))) - {"finally", "setdefault"}
    assert named
    assert named <= code
    tests = re.findall(r"`(tests/\S+?\.py)::(\S+)`", entry.about("fails without it"))
    assert tests
    for path, name in tests:
        assert name in set(functions_of(ROOT / path)), name
