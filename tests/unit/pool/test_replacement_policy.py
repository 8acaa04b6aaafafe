"""The replacement policy by itself, and against a list that is sorted by hand."""

import mmap

from hypothesis import given
from hypothesis import strategies as st

from smmap_typed._pool.file import File
from smmap_typed._pool.frame import TOMBSTONE, Frame
from smmap_typed._pool.ledger import Ledger
from smmap_typed._pool.replacement import LRU
from smmap_typed._pool.tables import Tables
from smmap_typed._source import FileState

# Hypothesis declares what its decorators return with an Any.
# mypy: disallow-any-decorated=False


def frame_of(serial: int, file: int = 0) -> Frame:
    return Frame(serial, file, 10, "/a", 0, 10, mmap.mmap(-1, 10), reach=1, copied=False, mapped_at=0.0)


def test_a_region_whose_pin_died_unseen_is_still_idle_and_one_that_is_pinned_is_taken_out() -> None:
    policy = LRU()
    frames = [frame_of(serial) for serial in (1, 2)]
    policy.released(frames)
    pinned, passed = frames[0].pin(id), frames[1].pin(id)
    assert pinned is not None
    del passed
    assert policy.victim(()) is frames[1]
    assert list(policy.order()) == [frames[1]]


def test_a_region_that_is_released_once_more_goes_last_and_one_that_is_restored_keeps_its_place() -> None:
    policy, frames = LRU(), [frame_of(serial) for serial in range(4)]
    policy.released(frames[:2])
    policy.released(frames[2:3])
    policy.restored(frames[1])
    policy.restored(frames[3])
    assert list(policy.order()) == frames
    policy.released([frames[3], frames[0], frames[3]])
    assert list(policy.order()) == [*frames[1:3], frames[0], frames[3]]
    for frame in (frames[2], frames[2]):
        policy.forgotten(frame)
    assert list(policy.order()) == [frames[1], frames[0], frames[3]]


def test_what_is_being_unmapped_or_was_refused_is_passed_over_and_keeps_its_place() -> None:
    policy, frames = LRU(), [frame_of(serial) for serial in range(3)]
    policy.released(frames)
    frames[0].pins.add(TOMBSTONE)
    assert policy.victim({1}) is frames[2]
    assert policy.victim({1, 2}) is None
    assert policy.victim(()) is frames[1]
    assert list(policy.order()) == frames


REGIONS = 5


def pinned(tables: Tables, serial: int) -> memoryview:
    view = tables.frames[serial].pin(tables.released.append)
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
    tables = Tables(Ledger(1000, 1000, strict=False), LRU())
    for serial in range(REGIONS):
        file, _ = tables.enlist(File(FileState(1, serial, 10, 0, 0), f"/{serial}"), f"/{serial}")
        tables.link(file, frame_of(serial, file.serial))
        tables.torn = False
    views: dict[int, list[memoryview]] = {serial: [] for serial in range(REGIONS)}
    # By the step of the last release; before there was one it is in no queue, as when a region is new.
    released: dict[int, int] = {}

    for now, (what, serial) in enumerate([*steps, ("evict", 0)]):
        if what == "drain":
            tables.drain()
        elif what == "evict":
            tables.drain()
            candidates = sorted(released.keys() - refused, key=released.__getitem__)
            victim = tables.replacement.victim(refused)
            assert ([victim.serial] if victim else []) == candidates[:1]
            if victim is not None:
                tables.unlink(victim)
                released.pop(victim.serial)
        elif serial in tables.frames:
            if what == "pin":
                views[serial].append(pinned(tables, serial))
                released.pop(serial, None)
            elif views[serial]:
                views[serial].pop()
                if not views[serial]:
                    released[serial] = now
