"""Room that passes from a region that is unmapped to the map that comes in its place, whatever strikes meanwhile."""

import mmap
from pathlib import Path

import pytest

from interrupts import Struck
from smmap_typed import SlidingWindowMapManager, _evictor
from smmap_typed._gate import Flight
from smmap_typed._inventory import Inventory
from smmap_typed._ledger import Ledger
from smmap_typed._tables import Tables
from smmap_typed.testing import check_invariants
from support import GRANULE, pattern

# Machine code calls its methods directly.
pytestmark = pytest.mark.pure

W = 2 * GRANULE


@pytest.fixture
def tables(path: Path) -> Tables:
    """Of a manager with one handle and one region, which is idle."""
    manager = SlidingWindowMapManager(W, max_open_handles=1)
    manager.make_cursor(path).use_region(0, 1)
    tables = manager._core.tables
    tables.drain()
    return tables


def unmapped_for(tables: Tables, heir: Flight) -> Flight:
    """The flight that has unmapped the one region for ``heir``, which is to map another window."""
    flight = Flight()
    (hold,) = tables.holds.values()
    heir.key = (hold.identity, 4 * GRANULE)
    assert tables.take_off(heir, W) is heir
    assert heir.reserved < 0
    assert tables.bury_for(flight, heir)
    assert flight.mapping is not None
    flight.mapping.close()
    return flight


def test_it_passes_in_one_step(tables: Tables) -> None:
    heir = Flight()
    tables.settle(unmapped_for(tables, heir))
    ledger = tables.ledger
    assert (heir.reserved, ledger.total_handles, ledger.total_bytes) == (W, 1, W)
    assert (ledger.unmaps, ledger.evictions, ledger.handles()) == (1, 1, 0)


@pytest.mark.parametrize(("owner", "name"), [(Inventory, "unlink"), (Inventory, "prune"), (Ledger, "pass_on")])
def test_it_is_not_lost_to_an_exception(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    """Else somebody takes it, and the heir, which counts on it, goes past the limit."""

    def strike(*_: object) -> None:
        raise Struck

    heir = Flight()
    flight = unmapped_for(tables, heir)
    # A pin that was withdrawn: then the set is pruned, too.
    (hold,) = tables.holds.values()
    assert hold.mapping is not None
    hold.pins.add(object())
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, strike)
        with pytest.raises(Struck):
            tables.settle(flight)
    tables.finished.append(flight)
    tables.drain()
    ledger = tables.ledger
    assert (heir.reserved, ledger.total_handles, ledger.total_bytes, ledger.handles()) == (W, 1, W, 0)
    assert not ledger.allows(1, last=False)


@pytest.mark.parametrize("name", ["pass_on", "unmap"])
def test_no_look_in_between_finds_more_evictions_than_unmaps(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    ledger = tables.ledger
    real, looks = getattr(Ledger, name), list[bool]()

    def look(*arguments: object) -> None:
        looks.append(ledger.evictions <= ledger.unmaps)
        real(*arguments)
        looks.append(ledger.evictions <= ledger.unmaps)

    heir = Flight()
    flight = unmapped_for(tables, heir)
    heir.done = name == "unmap"
    monkeypatch.setattr(Ledger, name, look)
    tables.settle(flight)
    assert looks == [True, True]


def test_who_inherits_after_all_does_not_wait_for_itself(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view was in the way, and is gone a moment later, when whoever has the map closes it."""
    real = _evictor.close_unless_viewed
    with SlidingWindowMapManager(W, max_open_handles=1) as manager:
        cursor = manager.make_cursor(path).use_region(0, 1)
        first = cursor.map()
        cursor.close()

        def close(mapping: mmap.mmap) -> bool:
            if mapping is not first or first.closed:
                return real(mapping)
            with memoryview(first):
                assert not real(mapping)
            first.close()
            return False

        monkeypatch.setattr(_evictor, "close_unless_viewed", close)
        assert bytes(cursor.use_region(W, 5).buffer()) == pattern(W + 5)[W:]
        check_invariants(manager)
        assert manager.num_file_handles() == 1
