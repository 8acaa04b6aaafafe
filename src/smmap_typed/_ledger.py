"""The ledger: what is mapped, what is reserved, what is allowed, and what was counted.

The invariants of the limits are here: a handle is reserved before it is used (I2), bytes are real ones (I3), and what
``num_file_handles`` and ``mapped_memory_size`` report is one immutable value, replaced whole (I1, I12). Written under
the manager's lock; ``books`` and the limits may be read at any time in any thread.
"""

from typing import Final, NamedTuple, final

from smmap_typed.exceptions import HandleLimitError, MemoryLimitError

__all__ = ["Books", "Ledger"]


class Books(NamedTuple):
    """The ledger at one instant."""

    maps: int = 0
    """Regions mapped since the start or the last reset."""
    unmaps: int = 0
    """Regions unmapped since then."""
    mapped: int = 0
    """Bytes that are mapped."""
    in_flight: int = 0
    """Handles reserved by calls that are just mapping."""
    reserved: int = 0
    """Bytes reserved by them."""

    @property
    def handles(self) -> int:
        """Regions that are mapped."""
        return self.maps - self.unmaps

    @property
    def total_handles(self) -> int:
        """Regions that are mapped or reserved, the figure that is limited."""
        return self.maps - self.unmaps + self.in_flight

    @property
    def total_bytes(self) -> int:
        """Bytes that are mapped or reserved, the figure that is limited."""
        return self.mapped + self.reserved


@final
class Ledger:
    """The books, the limits and the counters of one manager."""

    __slots__ = (
        "books",
        "evictions",
        "failures",
        "max_handles",
        "max_memory",
        "misses",
        "peak_bytes",
        "peak_handles",
        "pins_ended",
        "seconds",
        "strict",
    )

    def __init__(self, max_memory: int, max_handles: int, *, strict: bool) -> None:
        self.books = Books()
        """Never changed, only replaced, so that a reader without the lock sees one instant."""
        self.max_memory = max_memory
        """Bytes, at least 1."""
        self.max_handles = max_handles
        """Regions, at least 1."""
        self.strict: Final = strict
        """Whether the memory limit is hard."""
        self.peak_handles = 0
        """Most handles mapped or reserved at once."""
        self.peak_bytes = 0
        """Most bytes mapped or reserved at once."""
        self.evictions = 0
        """Regions unmapped to make room."""
        self.failures = 0
        """Attempts to map that the system refused."""
        self.misses = 0
        """Acquisitions that found their window not mapped."""
        self.seconds = 0.0
        """Spent in the system calls that brought windows in."""
        self.pins_ended = 0
        """Pins that were taken and have ended; with those that live, every acquisition."""

    def fits(self, nbytes: int) -> bool:
        """Whether one more region of ``nbytes`` is within both limits."""
        books = self.books
        return books.total_handles < self.max_handles and books.total_bytes + nbytes <= self.max_memory

    def over_memory(self) -> bool:
        """Whether more is mapped or reserved than the soft limit allows."""
        return self.books.total_bytes > self.max_memory

    def reserve(self, nbytes: int) -> None:
        """Take a handle and ``nbytes`` for a map that is to come: past the soft memory limit, never past a hard one."""
        maps, unmaps, mapped, in_flight, reserved = self.books
        if maps - unmaps + in_flight >= self.max_handles:
            raise HandleLimitError(self.max_handles, maps - unmaps)
        if self.strict and mapped + reserved + nbytes > self.max_memory:
            raise MemoryLimitError(self.max_memory, mapped, nbytes)
        self.books = Books(maps, unmaps, mapped, in_flight + 1, reserved + nbytes)
        self.peak_handles = max(self.peak_handles, maps - unmaps + in_flight + 1)
        self.peak_bytes = max(self.peak_bytes, mapped + reserved + nbytes)

    def cancel(self, nbytes: int) -> None:
        """Give a reservation back."""
        maps, unmaps, mapped, in_flight, reserved = self.books
        self.books = Books(maps, unmaps, mapped, in_flight - 1, reserved - nbytes)

    def commit(self, nbytes: int, seconds: float) -> None:
        """Turn a reservation into a map that took ``seconds``, a miss."""
        maps, unmaps, mapped, in_flight, reserved = self.books
        self.books = Books(maps + 1, unmaps, mapped + nbytes, in_flight - 1, reserved - nbytes)
        self.seconds += seconds
        self.misses += 1

    def unmap(self, nbytes: int) -> None:
        """A region of ``nbytes`` is unmapped."""
        maps, unmaps, mapped, in_flight, reserved = self.books
        self.books = Books(maps, unmaps + 1, mapped - nbytes, in_flight, reserved)

    def within(self, max_memory: int, max_handles: int) -> bool:
        """Whether the books keep to these limits."""
        return self.books.total_handles <= max_handles and self.books.total_bytes <= max_memory

    def reset(self, live_pins: int) -> None:
        """Clear the counters; ``live_pins`` acquisitions have not ended and are not counted again when they do."""
        books = self.books
        self.books = books._replace(maps=books.handles, unmaps=0)
        self.evictions = self.failures = self.misses = 0
        self.seconds = 0.0
        self.pins_ended = -live_pins
        self.peak_handles = books.total_handles
        self.peak_bytes = books.total_bytes
