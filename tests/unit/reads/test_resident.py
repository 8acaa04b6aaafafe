"""What is known to be in memory of a window, and when it is forgotten: ``Resident`` and ``Ageing``, each alone."""

import mmap
import sys
import time
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmap_typed import SlidingWindowMapManager
from smmap_typed._pool.resident import Ageing, Resident
from smmap_typed.testing import check_invariants
from support import GRANULE, pattern

# Page faults are counted on POSIX only; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

import resource  # noqa: E402 - see above

PAGE: Final = mmap.PAGESIZE
BEGIN: Final = 8 * PAGE
PAGES: Final = 40


def window(pages: int = PAGES, *, begin: int = BEGIN, whole: bool = False) -> Resident:
    return Resident(begin, pages * PAGE, whole=whole)


def known(resident: Resident, pages: int = PAGES) -> set[int]:
    """The pages that are known to be in memory."""
    begins = [BEGIN + number * PAGE for number in range(pages)]
    return {number for number, begin in enumerate(begins) if resident.holds(begin, begin + PAGE)}


def test_nothing_is_known_of_a_new_window_and_all_of_a_copy() -> None:
    assert known(window()) == set()
    assert known(window(whole=True)) == set(range(PAGES))
    assert window(whole=True).holds(BEGIN, BEGIN + PAGES * PAGE)


def test_a_byte_brings_its_page() -> None:
    """The kernel reads whole pages."""
    resident = window()
    resident.mark(BEGIN + 3 * PAGE + 17, BEGIN + 3 * PAGE + 18)
    assert known(resident) == {3}
    assert resident.holds(BEGIN + 3 * PAGE, BEGIN + 4 * PAGE)
    assert not resident.holds(BEGIN + 3 * PAGE - 1, BEGIN + 3 * PAGE + 1)
    assert not resident.holds(BEGIN + 4 * PAGE - 1, BEGIN + 4 * PAGE + 1)


def test_the_last_page_ends_with_the_file() -> None:
    """The run must not promise bytes that are not there."""
    resident = Resident(0, 2 * PAGE + 5, whole=False)
    resident.mark(2 * PAGE + 1, 2 * PAGE + 5)
    assert (resident.run.begin, resident.run.end) == (2 * PAGE, 2 * PAGE + 5)
    resident.forget()
    resident.mark(0, 1)
    resident.mark(2 * PAGE + 1, 2 * PAGE + 5)
    for _ in range(20):
        assert resident.holds(2 * PAGE, 2 * PAGE + 5)
    assert resident.run.end == 2 * PAGE + 5


def test_a_scan_only_moves_the_run() -> None:
    """A reader that goes forward needs no marks."""
    resident = window()
    for offset in range(BEGIN, BEGIN + PAGES * PAGE, PAGE // 2):
        resident.mark(offset, offset + PAGE // 2)
    assert resident.holds(BEGIN, BEGIN + PAGES * PAGE)
    assert resident._marks is None


def test_the_run_moves_where_reads_go_on() -> None:
    """After some reads that the marks serve; and nothing is lost of what it knew."""
    resident = window()
    resident.mark(BEGIN, BEGIN + 2 * PAGE)
    for number in (20, 21, 22, 30):
        resident.mark(BEGIN + number * PAGE, BEGIN + (number + 1) * PAGE)
    first = resident.run
    assert (first.begin, first.end) == (BEGIN, BEGIN + 2 * PAGE)
    reads = 0
    while resident.run is first:
        assert resident.holds(BEGIN + 21 * PAGE + 5, BEGIN + 21 * PAGE + 9)
        reads += 1
        assert reads < 100
    assert (resident.run.begin, resident.run.end) == (BEGIN + 20 * PAGE, BEGIN + 23 * PAGE)
    assert known(resident) == {0, 1, 20, 21, 22, 30}


def test_what_the_run_and_the_marks_know_together_is_known() -> None:
    """A range may lie in both, with the run in its middle."""
    resident = window()
    resident.mark(BEGIN + 10 * PAGE, BEGIN + 12 * PAGE)
    resident.mark(BEGIN + 8 * PAGE, BEGIN + 10 * PAGE)
    resident.mark(BEGIN + 20 * PAGE, BEGIN + 21 * PAGE)
    assert resident.holds(BEGIN + 8 * PAGE, BEGIN + 12 * PAGE)
    assert not resident.holds(BEGIN + 8 * PAGE, BEGIN + 13 * PAGE)
    assert not resident.holds(BEGIN + 7 * PAGE, BEGIN + 12 * PAGE)


def test_forgotten_is_not_known_and_can_be_known_again() -> None:
    resident = window()
    resident.mark(BEGIN, BEGIN + PAGE)
    resident.mark(BEGIN + 9 * PAGE, BEGIN + 10 * PAGE)
    resident.forget()
    assert known(resident) == set()
    resident.mark(BEGIN + 9 * PAGE, BEGIN + 10 * PAGE)
    assert known(resident) == {9}


def test_a_discarded_window_is_never_known_again() -> None:
    """A thread that has read bytes of it marks them too late."""
    resident = window()
    resident.mark(BEGIN, BEGIN + PAGE)
    resident.discard()
    for number in (0, 9, 0):
        resident.mark(BEGIN + number * PAGE, BEGIN + (number + 1) * PAGE)
        assert resident.run.end <= resident.run.begin


def test_marks_of_a_huge_window_stand_for_several_pages() -> None:
    """Only those that were read as a whole are set; the marks never weigh more than 4 MiB."""
    size = 1 << 40
    resident = Resident(0, size, whole=False)
    resident.mark(5, 5 + PAGE)
    assert not resident.holds(5, 5 + PAGE)
    coarse = 1 << resident._bits
    assert coarse > PAGE
    resident.mark(coarse - PAGE, 3 * coarse + PAGE)
    assert resident.holds(coarse, 3 * coarse)
    assert not resident.holds(coarse - PAGE, coarse)
    assert not resident.holds(3 * coarse, 3 * coarse + PAGE)
    assert resident._marks is not None
    assert len(resident._marks) <= 1 << 22
    resident.mark(size - coarse, size)
    assert resident.holds(size - coarse, size)


STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(["mark", "mark", "mark", "ask", "ask", "ask often", "forget"]),
        st.integers(0, PAGES * PAGE - 1),
        st.integers(1, 6 * PAGE),
    ),
    max_size=60,
)


@given(STEPS)
def test_what_is_known_are_the_pages_that_were_marked(  # type: ignore[misc]  # Hypothesis forgets the parameters
    steps: list[tuple[str, int, int]],
) -> None:
    """No more, which would be a page fault; and in one thread no less, which would be a read in vain."""
    resident, pages = window(), set[int]()
    for what, first, size in steps:
        stop = min(first + size, PAGES * PAGE)
        touched = set(range(first // PAGE, (stop - 1) // PAGE + 1))
        if what == "mark":
            resident.mark(BEGIN + first, BEGIN + stop)
            pages |= touched
        elif what == "forget":
            resident.forget()
            pages.clear()
        else:
            for _ in range(20 if what == "ask often" else 1):
                assert resident.holds(BEGIN + first, BEGIN + stop) == (touched <= pages)
        run = resident.run
        if run.begin < run.end:
            assert set(range((run.begin - BEGIN) // PAGE, (run.end - 1 - BEGIN) // PAGE + 1)) <= pages


class Faults:
    """Stands in for the kernel's count of page faults that have read from storage."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = 1000

        def count_faults(_who: int) -> resource.struct_rusage:
            # The number of major faults is the eighth field. Compiled code takes nothing but the real class.
            return resource.struct_rusage([0.0] * 7 + [self.count] + [0] * 8)

        patch.setattr(resource, "getrusage", count_faults)


def test_faults_since_the_last_look_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look only learns the count."""
    faults, ageing, began = Faults(monkeypatch), Ageing(), time.monotonic()
    assert [ageing.has_faults(), ageing.has_faults()] == [False, False]
    faults.count += 1
    assert [ageing.has_faults(), ageing.has_faults()] == [True, False]
    assert ageing.next_look > began
    ageing.rest()
    assert ageing.next_look == float("inf")


@pytest.mark.pure
def test_what_is_known_is_forgotten_when_pages_were_taken_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the next look after the count has grown, and never for a copy, whose pages are the process's own."""
    faults = Faults(monkeypatch)
    with (
        SlidingWindowMapManager(2 * GRANULE) as manager,
        SlidingWindowMapManager(2 * GRANULE, reader="pread") as copying,
    ):
        cursor, other = manager.make_cursor(path), copying.make_cursor(path).use_region(0, 9)

        def detached() -> int:
            """Detached reads, after one more read of bytes that were read before."""
            assert cursor.read(5, 9) == other.read(5, 9) == pattern(9, 0, 5)
            return manager.stats().detached_reads

        def look() -> None:
            """Let it be time to look; a read that is no hit in the cursor's own window does so."""
            manager._pool.ageing.next_look = 0.0
            assert cursor.read(GRANULE + 5, 9) == pattern(9, 0, GRANULE + 5)

        cursor.read(GRANULE + 5, 9)
        assert [detached(), detached()] == [2, 2]
        look()
        assert (manager.stats().marks_forgotten, detached()) == (0, 2)
        faults.count += 3
        assert (manager.stats().marks_forgotten, detached()) == (0, 2)
        look()
        assert manager.stats().marks_forgotten == 1
        assert detached() > 2
        look()
        after = detached()
        look()
        assert (manager.stats().marks_forgotten, detached()) == (1, after)
        assert copying.stats().detached_reads == 0
        check_invariants(manager)
        manager.reset_stats()
        assert manager.stats().marks_forgotten == 0


def test_the_pages_of_a_copy_are_never_forgotten(path: Path) -> None:
    """They are the process's own; and every manager that is told forgets those of maps."""
    for reader, is_known in (("mmap", False), ("pread", True)):
        with SlidingWindowMapManager(2 * GRANULE, reader="pread" if reader == "pread" else "mmap") as manager:
            assert manager.make_cursor(path).read(5, 9) == pattern(9, 0, 5)
            (frame,) = manager._pool.tables.frames.values()
            assert frame.resident.holds(5, 14)
            manager._pool.forget_resident()
            assert frame.resident.holds(5, 14) == is_known
            assert manager.stats().marks_forgotten == 1


@pytest.mark.pure
def test_a_reader_who_has_nothing_but_hits_notices_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or each of its reads could be a page fault, for ever."""
    faults = Faults(monkeypatch)
    with SlidingWindowMapManager(2 * GRANULE) as manager:
        cursor = manager.make_cursor(path).use_region(0, 16)
        cursor.read(5, 9)
        for grown in (0, 0, 1):
            faults.count += grown
            assert manager.stats().marks_forgotten == 0
            manager._pool.ageing.next_look = 0.0
            assert cursor.read(5, 9) == pattern(9, 0, 5)
        assert manager.stats().marks_forgotten == 1
