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


def test_a_run_grows_from_its_first_byte_and_to_the_end_of_a_page() -> None:
    """And what it knows already changes nothing."""
    resident = window()
    resident.mark(BEGIN, BEGIN + PAGE)
    resident.mark(BEGIN, BEGIN + PAGE + 1)
    assert (resident.run.begin, resident.run.end) == (BEGIN, BEGIN + 2 * PAGE)
    run = resident.run
    resident.mark(BEGIN + 5, BEGIN + 2 * PAGE)
    assert resident.run is run
    assert resident._marks is None


def test_the_first_byte_of_a_page_brings_it() -> None:
    resident = window()
    resident.mark(BEGIN, BEGIN + 1)
    resident.mark(BEGIN + 20 * PAGE + 5, BEGIN + 21 * PAGE + 1)
    assert known(resident) == {0, 20, 21}


@pytest.mark.parametrize(("size", "count"), [(4 * PAGE, 4), (2 * PAGE + 1, 3), (3 * PAGE - 1, 3)])
def test_there_is_a_mark_for_each_page(size: int, count: int) -> None:
    resident = Resident(BEGIN, size, whole=False)
    resident.mark(BEGIN + 2 * PAGE, BEGIN + 2 * PAGE + 1)
    resident.mark(BEGIN, BEGIN + 1)
    assert resident._marks is not None
    assert len(resident._marks) == count


def read_often(resident: Resident, page: int) -> None:
    """Read a marked page until the run has moved there."""
    run = resident.run
    for _ in range(8):
        assert resident.run is run
        assert resident.holds(BEGIN + page * PAGE, BEGIN + page * PAGE + 1)
    assert resident.run is not run


def test_a_run_that_moves_leaves_marks_of_all_its_pages() -> None:
    """Wherever it was, and if its last page has one byte."""
    resident = Resident(BEGIN, 9 * PAGE + 1, whole=False)
    resident.mark(BEGIN + 5 * PAGE, BEGIN + 9 * PAGE + 1)
    resident.mark(BEGIN, BEGIN + 2 * PAGE)
    read_often(resident, 1)
    assert (resident.run.begin, resident.run.end) == (BEGIN, BEGIN + 2 * PAGE)
    assert resident.holds(BEGIN + 5 * PAGE, BEGIN + 9 * PAGE + 1)


def test_a_run_that_moves_takes_neighbours_that_are_near() -> None:
    """So that a move costs no more in a window of many pages."""
    resident = window(12_000)
    resident.mark(BEGIN + 11_000 * PAGE, BEGIN + 11_001 * PAGE)
    resident.mark(BEGIN, BEGIN + 10_500 * PAGE)
    read_often(resident, 5000)
    assert (resident.run.begin, resident.run.end) == (BEGIN + 904 * PAGE, BEGIN + 9097 * PAGE)


def test_what_the_run_and_the_marks_know_together_is_known() -> None:
    """A range may lie in both, with the run in its middle."""
    resident = window()
    resident.mark(BEGIN + 10 * PAGE, BEGIN + 12 * PAGE)
    resident.mark(BEGIN + 8 * PAGE, BEGIN + 10 * PAGE)
    resident.mark(BEGIN + 20 * PAGE, BEGIN + 21 * PAGE)
    assert resident.holds(BEGIN + 8 * PAGE, BEGIN + 12 * PAGE)
    assert not resident.holds(BEGIN + 8 * PAGE, BEGIN + 13 * PAGE)
    assert not resident.holds(BEGIN + 7 * PAGE, BEGIN + 12 * PAGE)


def test_a_range_may_end_in_marks_behind_the_run() -> None:
    """Which has grown up to them."""
    resident = window()
    resident.mark(BEGIN, BEGIN + PAGE)
    resident.mark(BEGIN + 5 * PAGE, BEGIN + 7 * PAGE)
    resident.mark(BEGIN + PAGE, BEGIN + 5 * PAGE)
    assert (resident.run.begin, resident.run.end) == (BEGIN, BEGIN + 5 * PAGE)
    assert resident.holds(BEGIN + 3 * PAGE, BEGIN + 7 * PAGE)
    assert not resident.holds(BEGIN + 3 * PAGE, BEGIN + 8 * PAGE)


def test_the_first_page_of_a_window_and_the_last_byte_are_asked_for_like_others() -> None:
    resident = Resident(BEGIN, 9 * PAGE + 1, whole=False)
    resident.mark(BEGIN + 5 * PAGE, BEGIN + 9 * PAGE + 1)
    resident.mark(BEGIN + 4 * PAGE, BEGIN + 5 * PAGE)
    assert resident.holds(BEGIN + 4 * PAGE, BEGIN + 9 * PAGE + 1)
    resident = window()
    resident.mark(BEGIN + PAGE, BEGIN + 3 * PAGE)
    resident.mark(BEGIN + 9 * PAGE, BEGIN + 10 * PAGE)
    assert not resident.holds(BEGIN, BEGIN + 2 * PAGE)


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
    resident = Resident(BEGIN, size, whole=False)
    resident.mark(BEGIN + 5, BEGIN + 5 + PAGE)
    assert not resident.holds(BEGIN + 5, BEGIN + 5 + PAGE)
    assert not resident._marks
    coarse = 1 << resident._bits
    assert coarse > PAGE
    first = BEGIN + coarse
    resident.mark(first - PAGE, first + 2 * coarse + PAGE)
    assert (resident.run.begin, resident.run.end) == (first, first + 2 * coarse)
    assert not resident.holds(first - PAGE, first)
    assert not resident.holds(first + 2 * coarse, first + 2 * coarse + PAGE)
    assert resident._marks is not None
    assert len(resident._marks) <= 1 << 22
    resident.mark(BEGIN + size - 2 * coarse + 1, BEGIN + size)
    assert resident.holds(BEGIN + size - coarse, BEGIN + size)
    assert not resident.holds(BEGIN + size - 2 * coarse, BEGIN + size)


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


@pytest.mark.parametrize("count", [0, 1000])
def test_faults_since_the_last_look_are_told_once(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look only learns the count."""
    faults, ageing, began = Faults(monkeypatch), Ageing(), time.monotonic()
    faults.count = count
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
