"""The queue of idle regions by itself."""

import mmap

from smmap_typed._file import Identity
from smmap_typed._hold import Hold
from smmap_typed._lru import IdleQueue


def test_a_region_whose_pin_died_unseen_is_still_idle_and_one_that_is_pinned_is_taken_out() -> None:
    queue = IdleQueue()
    holds = [
        Hold(serial, Identity(1, serial, 10, 0), "/a", 0, 10, mmap.mmap(-1, 10), copied=False, mapped_at=0.0)
        for serial in (1, 2)
    ]
    for hold in holds:
        queue.holds[hold.serial] = hold
    pinned, passed = holds[0].pin(id), holds[1].pin(id)
    assert pinned is not None
    del passed
    assert queue.oldest(()) is holds[1]
    assert list(queue.holds.values()) == [holds[1]]
