"""The ledger: what is mapped or reserved, what is allowed, and what was counted.

The invariants of the limits are here: a handle is reserved before it is used (I2), bytes are real ones and reserved
before they are mapped (I3), and what is mapped is what was mapped minus what was unmapped (I12). Written under the
manager's lock. ``total_handles`` and ``total_bytes`` may be read without it: each is one number, right at any instant.
"""

from typing import Final, final

from smmap_typed.exceptions import HandleLimitError, MemoryLimitError

__all__ = ["Ledger"]


@final
class Ledger:
    """The books, the limits and the counters of one manager."""

    __slots__ = (
        "evictions",
        "failures",
        "maps",
        "max_handles",
        "max_memory",
        "misses",
        "peak_bytes",
        "peak_handles",
        "pins_ended",
        "seconds",
        "strict",
        "total_bytes",
        "total_handles",
        "unmaps",
    )

    def __init__(self, max_memory: int, max_handles: int, *, strict: bool) -> None:
        self.max_memory = max_memory
        """Bytes, at least 1."""
        self.max_handles = max_handles
        """Regions, at least 1."""
        self.strict: Final = strict
        """Whether the memory limit is hard."""
        self.total_handles = 0
        """Regions mapped or reserved: the figure that is limited."""
        self.total_bytes = 0
        """Bytes mapped or reserved: the figure that is limited."""
        self.maps = 0
        """Regions mapped since the start or the last reset."""
        self.unmaps = 0
        """Regions unmapped since then. Raised before ``total_handles`` falls."""
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

    def handles(self) -> int:
        """Regions mapped; the rest of ``total_handles`` is reserved for flights."""
        return self.maps - self.unmaps

    def over_memory(self) -> bool:
        """Whether more is mapped or reserved than the soft limit allows."""
        return self.total_bytes > self.max_memory

    def allows(self, nbytes: int, *, last: bool) -> bool:
        """Whether the limits allow one map more, of ``nbytes``.

        At ``last`` they do past a soft limit, and a hard one in the way is a limit error; at once if it always will be.
        """
        if self.total_handles < self.max_handles and self.total_bytes + nbytes <= self.max_memory:
            return True
        if last and self.total_handles >= self.max_handles:
            raise HandleLimitError(self.max_handles, self.handles())
        if self.strict and (last or nbytes > self.max_memory) and self.total_bytes + nbytes > self.max_memory:
            raise MemoryLimitError(self.max_memory, self.total_bytes, nbytes)
        return last

    def keeps_limits(self) -> bool:
        """Whether no more is mapped or reserved than allowed."""
        return self.total_handles <= self.max_handles and self.total_bytes <= self.max_memory

    def reserve(self, nbytes: int) -> None:
        """Take a handle and ``nbytes`` for a map that is to come, which are there."""
        self.total_handles += 1
        self.total_bytes += nbytes
        if self.total_handles > self.peak_handles:
            self.peak_handles = self.total_handles
        if self.total_bytes > self.peak_bytes:
            self.peak_bytes = self.total_bytes

    def cancel(self, nbytes: int) -> None:
        """Give a reservation back."""
        self.total_handles -= 1
        self.total_bytes -= nbytes

    def commit(self, seconds: float, failures: int) -> None:
        """Turn a reservation into a map that took ``seconds``, after ``failures``: a miss."""
        self.maps += 1
        self.misses += 1
        self.seconds += seconds
        self.failures += failures

    def unmap(self, nbytes: int) -> None:
        """A region of ``nbytes`` is unmapped."""
        self.unmaps += 1
        self.total_handles -= 1
        self.total_bytes -= nbytes

    def pass_on(self, nbytes: int, wanted: int) -> None:
        """A region of ``nbytes`` is unmapped, and its handle and ``wanted`` of its bytes are for a map to come."""
        self.unmaps += 1
        self.total_bytes -= nbytes - wanted

    def balance(self, mapped: list[int], reserved: list[int]) -> None:
        """Make the books say what is: the sizes of the regions that are mapped, and those reserved for flights."""
        self.total_handles = len(mapped) + len(reserved)
        self.total_bytes = sum(mapped) + sum(reserved)
        missing = len(mapped) - self.handles()
        self.maps += max(missing, 0)
        self.unmaps += max(-missing, 0)

    def reset(self, live_pins: int) -> None:
        """Clear the counters; ``live_pins`` acquisitions have not ended and are not counted again when they do."""
        self.maps, self.unmaps = self.handles(), 0
        self.evictions = self.failures = self.misses = 0
        self.seconds = 0.0
        self.pins_ended = -live_pins
        self.peak_handles = self.total_handles
        self.peak_bytes = self.total_bytes
