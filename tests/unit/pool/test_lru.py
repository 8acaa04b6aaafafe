"""The queue of idle regions by itself, and against a list that is sorted by hand."""

import mmap

from hypothesis import given
from hypothesis import strategies as st

from smmap_typed._file import Identity
from smmap_typed._hold import Hold
from smmap_typed._ledger import Ledger
from smmap_typed._lru import IdleQueue
from smmap_typed._tables import Tables

# Hypothesis declares what its decorators return with an Any.
# mypy: disallow-any-decorated=False


def hold_of(serial: int) -> Hold:
    return Hold(
        serial, Identity(1, serial, 10, 0), "/a", 0, 10, mmap.mmap(-1, 10), reach=1, copied=False, mapped_at=0.0
    )


def test_a_region_whose_pin_died_unseen_is_still_idle_and_one_that_is_pinned_is_taken_out() -> None:
    queue = IdleQueue()
    holds = [hold_of(serial) for serial in (1, 2)]
    for hold in holds:
        queue.holds[hold.serial] = hold
    pinned, passed = holds[0].pin(id), holds[1].pin(id)
    assert pinned is not None
    del passed
    assert queue.oldest(()) is holds[1]
    assert list(queue.holds.values()) == [holds[1]]


REGIONS = 5


def pinned(tables: Tables, serial: int) -> memoryview:
    view = tables.holds[serial].pin(tables.released.append)
    assert view is not None
    return view


@given(
    st.lists(
        st.tuples(st.sampled_from(["pin", "pin", "release", "release", "drain", "evict"]), st.integers(0, REGIONS - 1)),
        max_size=60,
    ),
    st.sets(st.integers(0, REGIONS - 1), max_size=2),
)
def test_the_victim_is_the_one_that_a_sorted_list_names(steps: list[tuple[str, int]], refused: set[int]) -> None:
    """Whatever was pinned again, released in whatever order, and drained at whatever moment."""
    tables = Tables(Ledger(1000, 1000, strict=False))
    for serial in range(REGIONS):
        tables.link(hold_of(serial))
    views: dict[int, list[memoryview]] = {serial: [] for serial in range(REGIONS)}
    # By the step of the last release; before there was one it is in no queue, as when a region is new.
    released: dict[int, int] = {}

    for now, (what, serial) in enumerate([*steps, ("evict", 0)]):
        if what == "drain":
            tables.drain()
        elif what == "evict":
            tables.drain()
            candidates = sorted(released.keys() - refused, key=released.__getitem__)
            oldest = tables.idle.oldest(refused)
            assert ([oldest.serial] if oldest else []) == candidates[:1]
            if oldest is not None:
                tables.unlink(oldest)
                released.pop(oldest.serial)
        elif serial in tables.holds:
            if what == "pin":
                views[serial].append(pinned(tables, serial))
                released.pop(serial, None)
            elif views[serial]:
                views[serial].pop()
                if not views[serial]:
                    released[serial] = now
