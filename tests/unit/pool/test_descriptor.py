"""Descriptors: open as long as somebody refers to them, and closed at once when nobody does, whoever was last."""

import gc
import mmap
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smmap_typed import SlidingWindowMapManager
from smmap_typed._pool.descriptor import Descriptor, _closings
from smmap_typed.testing import in_threads
from support import DESCRIPTORS_PER_REGION, GRANULE, descriptors_of, pattern, release_descriptors

# Advice is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"


def open_one(path: Path) -> Descriptor:
    descriptor = Descriptor()
    descriptor.numbers.append(os.open(path, os.O_RDONLY))
    return descriptor


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Of those that a test makes, no entry stays behind."""
    gc.collect()
    before = set(_closings)
    yield
    gc.collect()
    assert set(_closings) <= before


@pytest.fixture
def opened(path: Path) -> Callable[[], Descriptor]:
    """Opens the file."""
    return lambda: open_one(path)


def test_it_is_closed_when_the_last_reference_goes(path: Path, opened: Callable[[], Descriptor]) -> None:
    """Neither before nor later, and its entry goes with it."""
    known = len(_closings)
    descriptor = opened()
    references = [descriptor, descriptor]
    assert os.fstat(descriptor.number).st_ino == path.stat().st_ino
    assert len(_closings) == known + 1
    del descriptor
    references.pop()
    assert descriptors_of(path) == 1
    references.pop()
    assert descriptors_of(path) == 0
    assert len(_closings) == known


def test_each_closes_its_own(path: Path, opened: Callable[[], Descriptor]) -> None:
    """In whatever order they go, also when numbers and objects are used again."""
    descriptors = [opened() for _ in range(10)]
    for at in (3, 7, 0, 5):
        del descriptors[at]
        descriptors.append(opened())
        del descriptors[-2]
    assert descriptors_of(path) == len(descriptors) == 6
    assert {os.fstat(descriptor.number).st_ino for descriptor in descriptors} == {path.stat().st_ino}
    descriptors.clear()
    assert descriptors_of(path) == 0


def test_it_is_closed_in_a_cycle_that_is_collected(path: Path, opened: Callable[[], Descriptor]) -> None:
    """The garbage collector calls no callback of a weak reference that is garbage, too; this one is not."""
    gc.disable()
    try:
        cycle: list[object] = [opened()]
        cycle.append(cycle)
        del cycle
        assert descriptors_of(path) == 1
        gc.collect()
        assert descriptors_of(path) == 0
    finally:
        gc.enable()


def test_it_is_closed_by_whatever_thread_lets_go_last(path: Path, opened: Callable[[], Descriptor]) -> None:
    boxes = [[opened()] for _ in range(8)]
    in_threads(8, lambda number: boxes[number].clear())
    assert descriptors_of(path) == 0
    made = in_threads(8, lambda _: opened())
    assert descriptors_of(path) == 8
    made.clear()
    assert descriptors_of(path) == 0


def test_threads_that_share_one_close_it_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, closed = os.close, list[int]()

    def close(number: int) -> None:
        closed.append(number)
        real(number)

    monkeypatch.setattr(os, "close", close)
    numbers: list[int] = []
    for _ in range(50):
        descriptor = open_one(path)
        numbers.append(descriptor.number)
        boxes = [[descriptor] for _ in range(4)]
        del descriptor
        ready = threading.Barrier(4)

        def let_go(number: int, boxes: list[list[Descriptor]] = boxes, ready: threading.Barrier = ready) -> None:
            ready.wait(30)
            boxes[number].clear()

        in_threads(4, let_go)
    assert [number for number in closed if number in numbers] == numbers


def test_close_is_looked_up_when_it_is_opened(
    path: Path, opened: Callable[[], Descriptor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in for ``os.close`` where a file is opened closes it, and not what stands there later."""
    real, closed = os.close, list[int]()

    def close(number: int) -> None:
        closed.append(number)
        real(number)

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", close)
        descriptor = opened()
    number = descriptor.number
    del descriptor
    assert (closed, descriptors_of(path)) == ([number], 0)


def test_an_error_of_close_is_reported_and_leaves_no_entry(
    path: Path, opened: Callable[[], Descriptor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nobody to raise it to. Linux closes the descriptor all the same."""
    reported: list[BaseException | None] = []
    real, known = os.close, len(_closings)

    def fail_afterwards(number: int) -> None:
        real(number)
        raise OSError(5, "a network that is gone")

    def report(unraisable: "sys.UnraisableHookArgs") -> None:
        reported.append(unraisable.exc_value)

    monkeypatch.setattr(sys, "unraisablehook", report)
    with monkeypatch.context() as patch:
        patch.setattr(os, "close", fail_afterwards)
        descriptor = opened()
    del descriptor
    assert [str(error) for error in reported] == ["[Errno 5] a network that is gone"]
    assert (descriptors_of(path), len(_closings)) == (0, known)


@pytest.mark.parametrize("cyclic", [False, True])
def test_a_manager_that_is_dropped_without_close_closes_what_it_keeps(path: Path, *, cyclic: bool) -> None:
    """At once; in a cycle as soon as the garbage collector comes."""
    gc.disable()
    try:
        manager = SlidingWindowMapManager(GRANULE)
        manager.make_cursor(path).use_region(0, 1)
        assert descriptors_of(path) == DESCRIPTORS_PER_REGION + 1
        cycle: list[object] = [manager]
        if cyclic:
            cycle.append(cycle)
        del cycle, manager
        if cyclic:
            assert descriptors_of(path) == DESCRIPTORS_PER_REGION + 1
            gc.collect()
        assert descriptors_of(path) == 0
    finally:
        gc.enable()


@pytest.mark.pure
@pytest.mark.parametrize("act", [SlidingWindowMapManager.close, SlidingWindowMapManager.collect, release_descriptors])
def test_it_is_not_closed_under_a_thread_that_maps_by_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[SlidingWindowMapManager], object]
) -> None:
    """Another one decides meanwhile that it is kept no longer; it is closed when the map is there."""
    real, during = mmap.mmap, list[int]()
    manager = SlidingWindowMapManager(GRANULE)
    cursor = manager.make_cursor(path)
    assert cursor.file_size() > 0
    cursor.use_region(0, 9).close()

    def let_another_thread_in(
        descriptor: int, size: int, **rest: bool
    ) -> mmap.mmap:  # as narrow as the narrowest of its options
        monkeypatch.setattr(mmap, "mmap", real)
        in_threads(1, lambda _: act(manager))
        during.append(manager.stats().kept_descriptors)
        os.fstat(descriptor)
        return real(descriptor, size, **rest)

    monkeypatch.setattr(mmap, "mmap", let_another_thread_in)
    if act is SlidingWindowMapManager.close:
        with pytest.raises(ValueError, match="closed"):
            cursor.use_region(GRANULE, 9)
        assert descriptors_of(path) == 0
    else:
        assert bytes(cursor.use_region(GRANULE, 9).buffer()) == pattern(GRANULE + 9)[GRANULE:]
        # It is kept again, as the load has it still.
        regions = manager.num_file_handles()
        assert descriptors_of(path) == regions * DESCRIPTORS_PER_REGION + manager.stats().kept_descriptors
        assert manager.stats().kept_descriptors == 1
        manager.close()
        cursor.close()
    assert during == [0]
    assert descriptors_of(path) == 0


def test_one_that_was_never_opened_closes_nothing() -> None:
    known = len(_closings)
    descriptor = Descriptor()
    assert len(_closings) == known + 1
    del descriptor
    assert len(_closings) == known
