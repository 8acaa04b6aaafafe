"""Resident: which bytes of a window are known to be in memory, so that copying them waits for no storage.

CPython takes a page fault with the GIL held, so a page that must be read from storage stops every thread, and an error
of the storage is a signal that kills the process. Therefore the library copies from a map only what is known to be in
memory. Other bytes it reads by a descriptor, and notes here that their pages are in memory now.

**All of it is a hint.** The kernel may take a page back at any time, and threads write here without a lock. A page that
is noted and is not in memory costs what every read of a map costs: a fault. A page that is in memory and not noted is
read by a descriptor. Neither gives a wrong byte.

What is known grows old: when the process has had page faults that read from storage, as the kernel counts them, some
page was taken back. Then everything is forgotten (``Ageing``).
"""

import mmap
import time
from typing import Final, final

from smmap_typed._platform import major_faults

__all__ = ["MOST_COPIED", "Ageing", "Resident", "Run"]

MOST_COPIED: Final = 1024 * 1024
"""The most bytes that are copied from a map at once. The copy holds the GIL; of so many bytes it takes a tenth of a
millisecond. A larger read goes by a descriptor, which releases the GIL and takes hardly longer."""

_PAGE_BITS: Final = mmap.PAGESIZE.bit_length() - 1
_IN_PAGE: Final = mmap.PAGESIZE - 1

# A window has at most so many marks. Pages share marks only in windows of more than 16 GiB.
_MOST_MARKS_BITS: Final = 22
_LARGE: Final = 1 << (_PAGE_BITS + _MOST_MARKS_BITS)

# How far to look for marked neighbours of a page, in marks. A scan of so many bytes takes a tenth of a microsecond.
_NEAR: Final = 4096

# After so many reads that the marks have served, the run moves there.
_PATIENCE: Final = 8

# Seconds from one look at the count of page faults to the next.
_LOOK_SECONDS: Final = 0.1


@final
class Run:
    """A range of a file that is in memory. Absolute offsets.

    A run that begins elsewhere is another object, so that no thread combines the begin of one with the end of another.
    """

    __slots__ = ("begin", "end")

    def __init__(self, begin: int, end: int) -> None:
        self.begin: Final = begin
        self.end = end
        """Grows in place while a reader goes forward, since a new object for each read would take as long as the rest
        of ``mark``. Any thread writes it. If two grow it at once, the lower value may stay, and then less is known."""


_NOTHING: Final = Run(0, -1)


@final
class Resident:
    """What is known of one window. Any thread reads and writes it, without a lock."""

    __slots__ = ("_begin", "_bits", "_end", "_marks", "_served", "is_discarded", "run")

    def __init__(self, begin: int, size: int, *, whole: bool) -> None:
        self._begin: Final = begin
        self._end: Final = begin + size
        self._bits: Final = _PAGE_BITS if size < _LARGE else size.bit_length() - _MOST_MARKS_BITS
        """A mark stands for so many bytes, as a power of two."""
        self._marks: bytearray | None = None
        """One byte for each page outside of ``run``, not 0 if the page is in memory; made when first needed. Its length
        never changes."""
        self._served = 0
        """How many reads the marks have served; about, since threads count at once."""
        self.is_discarded = False
        """Whether nothing may be copied from the window any more, since the manager has discarded it."""
        self.run = Run(begin, begin + size) if whole else _NOTHING
        """One stretch of bytes in memory. It serves most reads by two comparisons; the marks serve the rest."""

    def holds(self, offset: int, stop: int) -> bool:
        """Whether the bytes from ``offset`` to ``stop``, which lie in the window, are known to be in memory."""
        run = self.run
        if run.begin <= offset and stop <= run.end:
            return True
        marks = self._marks
        if marks is None:
            return False
        begin, bits = self._begin, self._bits
        first, last = (offset - begin) >> bits, ((stop - 1 - begin) >> bits) + 1
        if run.begin < stop and offset < run.end:
            # The run has some of them, and no marks for those.
            low, high = (run.begin - begin) >> bits, ((run.end - 1 - begin) >> bits) + 1
            if (first < low and marks.find(0, first, low) >= 0) or (high < last and marks.find(0, high, last) >= 0):
                return False
        elif marks.find(0, first, last) >= 0:
            return False
        self._served = served = self._served + 1
        if not served % _PATIENCE:
            # Reads are at this place now, so move the run here.
            self._move_run(marks, run, first, last)
        return True

    def mark(self, offset: int, stop: int) -> None:
        """Note that the bytes from ``offset`` to ``stop``, which lie in the window, are in memory now."""
        run, bits = self.run, self._bits
        if run.begin <= offset <= run.end and bits == _PAGE_BITS:
            # A reader that goes forward.
            if stop > run.end:
                stop = ((stop - 1) | _IN_PAGE) + 1
                run.end = stop if stop < self._end else self._end
        elif run is _NOTHING and self._marks is None and bits == _PAGE_BITS:
            self.run = Run(offset & ~_IN_PAGE, min(((stop - 1) | _IN_PAGE) + 1, self._end))
        else:
            begin = self._begin
            first, last = (offset - begin) >> bits, ((stop - 1 - begin) >> bits) + 1
            if bits > _PAGE_BITS:
                # Pages share marks here. Leave out the marks of which only some pages were read.
                first, last = (offset - begin + (1 << bits) - 1) >> bits, (stop - begin) >> bits
            if first < last:
                self._mark(run, first, last)
        if self.is_discarded:
            self.run = _NOTHING

    def _mark(self, run: Run, first: int, last: int) -> None:
        marks = self._marks
        if marks is None:
            self._marks = marks = bytearray(((self._end - self._begin - 1) >> self._bits) + 1)
        marks[first:last] = b"\1" * (last - first)
        if run is _NOTHING:
            self._move_run(marks, run, first, last)

    def _move_run(self, marks: bytearray, run: Run, first: int, last: int) -> None:
        """Make a run of the marked stretch around the marks from ``first`` to ``last``, as far as they are near."""
        begin, bits = self._begin, self._bits
        if run is not _NOTHING:
            # Keep what the old run knows, as marks.
            low, high = (run.begin - begin) >> bits, ((run.end - 1 - begin) >> bits) + 1
            marks[low:high] = b"\1" * (high - low)
        low = max(first - _NEAR, 0)
        gap = marks.rfind(0, low, first)
        high = marks.find(0, last, last + _NEAR)
        if high < 0:
            high = min(last + _NEAR, len(marks))
        low = low if gap < 0 else gap + 1
        self.run = Run(begin + (low << bits), min(begin + (high << bits), self._end))

    def forget(self) -> None:
        """Forget what is known."""
        self.run = _NOTHING
        self._marks = None

    def discard(self) -> None:
        """Forget what is known, and know nothing from now on."""
        # First: a thread that marks something meanwhile looks at it afterwards.
        self.is_discarded = True
        self.forget()


@final
class Ageing:
    """Tells when pages were taken back, by the count of the faults of this process that read from storage.

    Faults of other code count, too; then something is forgotten in vain, and is soon known again.
    """

    __slots__ = ("_faults", "next_look")

    def __init__(self) -> None:
        self._faults = -1
        """The count at the last look; -1 before the first."""
        self.next_look = 0.0
        """When to look next, by ``time.monotonic``. Any thread writes it."""

    def rest(self) -> None:
        """Stop looking."""
        self.next_look = float("inf")

    def has_faults(self) -> bool:
        """Whether there were faults since the last look. To be asked ten times a second; safe in any thread."""
        self.next_look = time.monotonic() + _LOOK_SECONDS
        faults, before = major_faults(), self._faults
        self._faults = faults
        return faults > before >= 0
