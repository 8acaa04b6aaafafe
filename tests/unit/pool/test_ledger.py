"""The books by themselves: what each entry adds and takes, and where exactly the limits are."""

import pytest

from smmap_typed import HandleLimitError, MemoryLimitError
from smmap_typed._pool.ledger import Ledger

COUNTERS = (
    *("total_handles", "total_bytes", "kept", "maps", "unmaps", "peak_handles", "peak_bytes"),
    *("evictions", "failures", "misses", "seconds", "pins_ended"),
)


def counters(ledger: Ledger) -> dict[str, float]:
    """Those that are not zero."""
    return {name: value for name in COUNTERS if (value := getattr(ledger, name))}


def mapped(ledger: Ledger, *sizes: int) -> Ledger:
    """The ledger after regions of these sizes were mapped in half a second each, after one failure each."""
    for size in sizes:
        ledger.reserve(size)
        ledger.commit(0.5, 1)
    return ledger


def test_a_new_ledger_is_empty() -> None:
    ledger = Ledger(100, 3, strict=True)
    assert (ledger.max_memory, ledger.max_handles, ledger.strict) == (100, 3, True)
    assert counters(ledger) == {}
    assert isinstance(ledger.seconds, float)


def test_a_map_is_reserved_then_committed_then_unmapped() -> None:
    ledger = Ledger(100, 3, strict=False)
    ledger.reserve(40)
    assert counters(ledger) == {"total_handles": 1, "total_bytes": 40, "peak_handles": 1, "peak_bytes": 40}
    assert ledger.handles() == 0
    ledger.commit(0.25, 2)
    assert counters(ledger) == {
        "total_handles": 1,
        "total_bytes": 40,
        "peak_handles": 1,
        "peak_bytes": 40,
        "maps": 1,
        "misses": 1,
        "seconds": 0.25,
        "failures": 2,
    }
    assert ledger.handles() == 1
    mapped(ledger, 10)
    assert (ledger.maps, ledger.misses, ledger.seconds, ledger.failures) == (2, 2, 0.75, 3)
    ledger.unmap(40)
    ledger.unmap(10)
    assert (ledger.total_handles, ledger.total_bytes, ledger.unmaps, ledger.handles()) == (0, 0, 2, 0)
    assert (ledger.peak_handles, ledger.peak_bytes) == (2, 50)


def test_what_is_passed_on_is_unmapped_and_reserved_in_one_step() -> None:
    ledger = mapped(Ledger(100, 3, strict=False), 40, 10)
    ledger.pass_on(40, 30)
    assert (ledger.total_handles, ledger.total_bytes, ledger.unmaps, ledger.handles()) == (2, 40, 1, 1)
    assert (ledger.peak_handles, ledger.peak_bytes, ledger.maps) == (2, 50, 2)
    ledger.pass_on(10, 10)
    assert (ledger.total_handles, ledger.total_bytes, ledger.unmaps, ledger.handles()) == (2, 40, 2, 0)
    ledger.cancel(30)
    assert (ledger.total_handles, ledger.total_bytes) == (1, 10)


def test_a_cancelled_reservation_leaves_its_peak_alone() -> None:
    ledger = mapped(Ledger(100, 3, strict=False), 10, 20)
    ledger.reserve(30)
    ledger.cancel(30)
    assert (ledger.total_handles, ledger.total_bytes) == (2, 30)
    assert (ledger.peak_handles, ledger.peak_bytes, ledger.handles()) == (3, 60, 2)


@pytest.mark.parametrize("strict", [False, True])
def test_a_map_is_allowed_up_to_the_very_limits(strict: bool) -> None:
    ledger = mapped(Ledger(100, 3, strict=strict), 30, 30)
    assert ledger.allows(40, last=False)
    assert not ledger.allows(41, last=False)
    mapped(ledger, 40)
    assert ledger.keeps_limits()
    assert not ledger.over_memory()
    assert not ledger.allows(0, last=False)


def test_more_than_a_limit_is_told() -> None:
    ledger = mapped(Ledger(100, 2, strict=False), 50, 50)
    ledger.max_memory = 99
    assert ledger.over_memory()
    assert not ledger.keeps_limits()
    ledger.max_memory, ledger.max_handles = 100, 1
    assert not ledger.over_memory()
    assert not ledger.keeps_limits()


def test_at_last_a_soft_limit_yields_and_handles_do_not() -> None:
    ledger = mapped(Ledger(100, 2, strict=False), 60)
    assert ledger.allows(1000, last=True)
    mapped(ledger, 1)
    ledger.reserve(1)
    with pytest.raises(HandleLimitError) as caught:
        ledger.allows(1, last=True)
    assert (caught.value.limit, caught.value.pinned) == (2, 2)
    ledger.cancel(1)
    with pytest.raises(HandleLimitError):
        ledger.allows(1, last=True)


def test_a_strict_limit_is_an_error_at_last_or_if_it_always_will_be() -> None:
    ledger = mapped(Ledger(100, 5, strict=True), 60)
    assert not ledger.allows(100, last=False)
    for nbytes, last in ((41, True), (101, False)):
        with pytest.raises(MemoryLimitError) as caught:
            ledger.allows(nbytes, last=last)
        assert (caught.value.limit, caught.value.pinned, caught.value.wanted) == (100, 60, nbytes)
    assert ledger.allows(40, last=True)


def test_without_room_for_handles_alone_strict_memory_is_no_error() -> None:
    ledger = mapped(Ledger(100, 1, strict=True), 10)
    assert not ledger.allows(90, last=False)


@pytest.mark.parametrize(
    ("before", "now", "reserved", "maps", "unmaps"),
    [
        ([10, 20], [10, 20], [5, 6], 2, 0),
        ([10], [10, 20, 30], [5], 3, 0),
        ([10, 20, 30], [20], [], 3, 2),
        ([], [], [], 0, 0),
    ],
)
def test_balance_makes_the_books_say_what_is(
    before: list[int], now: list[int], reserved: list[int], maps: int, unmaps: int
) -> None:
    ledger = mapped(Ledger(1000, 9, strict=False), *before)
    ledger.kept = 7
    ledger.balance(now, reserved, 3)
    assert ledger.kept == 3
    assert (ledger.total_handles, ledger.total_bytes) == (len(now) + len(reserved), sum(now) + sum(reserved))
    assert (ledger.handles(), ledger.maps, ledger.unmaps) == (len(now), maps, unmaps)


def test_balance_adds_to_what_was_unmapped_before() -> None:
    ledger = mapped(Ledger(1000, 9, strict=False), 10, 20, 30)
    ledger.unmap(30)
    ledger.balance([10], [], 0)
    assert (ledger.handles(), ledger.maps, ledger.unmaps) == (1, 3, 2)


def test_a_map_that_was_never_published_and_is_open_is_a_map() -> None:
    """Its reservation stays in the figures that are limited, until it is unmapped."""
    ledger = Ledger(100, 3, strict=False)
    ledger.reserve(40)
    ledger.keep_leftover()
    assert (ledger.total_handles, ledger.total_bytes, ledger.handles(), ledger.misses) == (1, 40, 1, 0)
    ledger.unmap(40)
    assert (ledger.total_handles, ledger.total_bytes, ledger.handles()) == (0, 0, 0)


def test_kept_descriptors_are_no_handles() -> None:
    """They are the first to go where handles are scarce, so they are in nobody's way."""
    ledger = mapped(Ledger(100, 3, strict=False), 10)
    ledger.kept = 2
    assert ledger.allows(10, last=False)
    assert (ledger.handles(), ledger.total_handles, ledger.keeps_limits()) == (1, 1, True)


def test_a_reset_clears_the_counters_and_keeps_what_is() -> None:
    ledger = mapped(Ledger(100, 9, strict=False), 10, 20, 30)
    ledger.unmap(30)
    ledger.reserve(5)
    ledger.evictions = 7
    ledger.kept = 2
    ledger.reset(4)
    assert counters(ledger) == {
        "total_handles": 3,
        "total_bytes": 35,
        "kept": 2,
        "peak_handles": 3,
        "peak_bytes": 35,
        "maps": 2,
        "pins_ended": -4,
    }
    assert ledger.handles() == 2
    assert isinstance(ledger.seconds, float)
