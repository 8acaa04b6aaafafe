"""Room that passes from a region that is unmapped to the map that comes in its place, whatever strikes meanwhile."""

import mmap
from pathlib import Path

import pytest

from interrupts import Struck
from smmap_typed import SlidingWindowMapManager
from smmap_typed._pool import pool
from smmap_typed._pool.inflight import Load, Unload, close_unless_viewed
from smmap_typed._pool.ledger import Ledger
from smmap_typed._pool.tables import Tables
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
    tables = manager._pool.tables
    tables.drain()
    return tables


def unmapped_for(tables: Tables, successor: Load) -> Unload:
    """The unload that has unmapped the one region for ``successor``, which is to map another window."""
    unload = Unload()
    (file,) = tables.files.values()
    successor.nbytes = W
    assert tables.begin_load(successor, file, 4 * GRANULE) is successor
    assert successor.reserved < 0
    assert tables.unload_for(unload, successor)
    assert unload.mapping is not None
    unload.mapping.close()
    return unload


def test_it_passes_in_one_step(tables: Tables) -> None:
    successor = Load()
    tables.complete(unmapped_for(tables, successor))
    ledger = tables.ledger
    assert (successor.reserved, ledger.total_handles, ledger.total_bytes) == (W, 1, W)
    assert (ledger.unmaps, ledger.evictions, ledger.handles()) == (1, 1, 0)


@pytest.mark.parametrize(("owner", "name"), [(Tables, "unlink"), (Tables, "prune"), (Ledger, "pass_on")])
def test_it_is_not_lost_to_an_exception(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    """Else somebody takes it, and the successor, which counts on it, goes past the limit."""

    def strike(*_: object) -> None:
        raise Struck

    successor = Load()
    unload = unmapped_for(tables, successor)
    # A pin that was withdrawn: then the set is pruned, too.
    (frame,) = tables.frames.values()
    assert frame.mapping is not None
    frame.pins.add(object())
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, strike)
        with pytest.raises(Struck):
            tables.complete(unload)
    tables.finished.append(unload)
    tables.drain()
    ledger = tables.ledger
    assert (successor.reserved, ledger.total_handles, ledger.total_bytes, ledger.handles()) == (W, 1, W, 0)
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

    successor = Load()
    unload = unmapped_for(tables, successor)
    successor.done = name == "unmap"
    monkeypatch.setattr(Ledger, name, look)
    tables.complete(unload)
    assert looks == [True, True]


def test_who_gets_the_room_after_all_does_not_wait_for_itself(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view was in the way, and is gone a moment later, when whoever has the map closes it."""
    real = close_unless_viewed
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

        monkeypatch.setattr(pool, "close_unless_viewed", close)
        assert bytes(cursor.use_region(W, 5).buffer()) == pattern(W + 5)[W:]
        check_invariants(manager)
        assert manager.num_file_handles() == 1
