"""Contracts of the pure parts, for crosshair: each function's first asserts say for which arguments the rest must hold.

Integers are symbols here, not examples: what is confirmed holds for every one. ``nox -s symbolic`` runs them. Window
sizes are numbers, since a remainder by an unknown is beyond the solver.
"""

from typing import Final

from smmap_typed import Window
from smmap_typed._platform import ALLOCATIONGRANULARITY, align_to_mmap
from smmap_typed._pool.frame import TOMBSTONE, Frame
from smmap_typed._pool.grid import Grid
from smmap_typed._pool.ledger import Ledger
from smmap_typed._pool.pin import Pin
from smmap_typed._pool.replacement import LRU

_G: Final = ALLOCATIONGRANULARITY
_STATES: Final = ("free", "unloading", "pinned", "left")


def align(place: int) -> None:
    assert place >= 0
    down, up = align_to_mmap(place, round_up=False), align_to_mmap(place, round_up=True)
    assert down % _G == 0 == up % _G
    assert place - _G < down <= place <= up < place + _G


def include(offset: int, size: int, place: int) -> None:
    assert offset >= 0
    assert size >= 0
    window = Window(offset, size)
    assert window.includes_ofs(place) == (window.ofs_begin() <= place < window.ofs_end())
    assert window.end - window.offset == window.size


def _serve(granules: int, offset: int, size: int, file_size: int) -> None:
    """A window starts at a multiple of half, shows the first byte that is asked for, and ends in the file (I4)."""
    grid = Grid.of(granules * _G)
    stop = grid.wanted_end(offset, size, file_size)
    assert offset < stop <= file_size
    start = grid.start(offset, stop)
    shown = grid.size(start, file_size)
    assert start % grid.half == 0
    assert 0 < shown <= grid.span
    assert start <= offset < start + shown <= file_size
    # Contiguity: up to half a window is not cut.
    if granules > 1 and size <= grid.half:
        assert stop <= start + shown


def serve_by_windows_of_one_granule(offset: int, size: int, file_size: int) -> None:
    assert 0 <= offset < file_size
    assert size >= 0
    _serve(1, offset, size, file_size)


def serve_by_windows_of_two_granules(offset: int, size: int, file_size: int) -> None:
    assert 0 <= offset < file_size
    assert size >= 0
    _serve(2, offset, size, file_size)


def serve_by_windows_of_three_granules(offset: int, size: int, file_size: int) -> None:
    assert 0 <= offset < file_size
    assert size >= 0
    _serve(3, offset, size, file_size)


def serve_by_windows_of_sixteen_mebibytes(offset: int, size: int, file_size: int) -> None:
    assert 0 <= offset < file_size
    assert size >= 0
    _serve(4096, offset, size, file_size)


def allow(max_memory: int, max_handles: int, handles: int, used: int, nbytes: int, strict: bool, last: bool) -> None:
    """What is allowed keeps both limits (I2, I3), but for a soft one at the last attempt; nothing else is refused.

    Without the calls that end in a limit error: its message is made of symbols, of which there is no end.
    """
    assert 0 <= handles <= max_handles
    assert max_handles >= 1
    assert used >= 0
    assert nbytes >= 1
    assert max_memory >= 1
    assert not strict or used <= max_memory
    assert not strict or (nbytes <= max_memory and not last)
    assert not last or handles < max_handles
    ledger = Ledger(max_memory, max_handles, strict=strict)
    ledger.total_handles, ledger.total_bytes = handles, used
    allowed = ledger.allows(nbytes, last=last)
    ledger.reserve(nbytes)
    assert allowed == (ledger.keeps_limits() or last)


def choose(first: int, second: int, third: int, refused: int) -> None:
    """Of three idle regions the first goes that is free and not refused; what a cursor is on leaves the queue."""
    assert 0 <= first <= 3
    assert 0 <= second <= 3
    assert 0 <= third <= 3
    assert 0 <= refused <= 3
    states = [_STATES[state] for state in (first, second, third)]
    view = memoryview(b"of a cursor")
    policy = LRU()
    for serial, state in enumerate(states):
        frame = Frame(serial, 1, 1, "", serial, 1, None, reach=1, copied=False, mapped_at=0.0)
        if state == "unloading":
            frame.pins.add(TOMBSTONE)
        elif state != "free":
            frame.pins.add(Pin(view if state == "pinned" else memoryview(b"of nobody")))
        policy.restored(frame)
    free = [serial for serial, state in enumerate(states) if state in {"free", "left"} and serial != refused]
    victim = policy.victim({refused})
    assert (None if victim is None else victim.serial) == next(iter(free), None)
    passed = range(free[0] if free else 3)
    gone = {serial for serial in passed if states[serial] == "pinned" and serial != refused}
    assert {frame.serial for frame in policy.order()} == {0, 1, 2} - gone
