"""The ledger: the limits, the totals of what is mapped, reserved and kept, and the counters.

It keeps the invariants of the limits: a handle is reserved before it is used, and a descriptor is kept only if a handle
is free (I2); bytes are actual sizes, reserved before they are mapped (I3); regions mapped now are regions mapped ever
minus regions unmapped (I12). Written under the pool's lock. ``total_handles`` and ``total_bytes`` may be read without
it: each is a single number that is right at any instant.
"""

from typing import Final, final

from smmap_typed.exceptions import HandleLimitError, MemoryLimitError

__all__ = ["Ledger"]


@final
class Ledger:
    """The limits, totals and counters of one manager."""

    __slots__ = (
        "detached_bytes",
        "detached_reads",
        "evictions",
        "failures",
        "forgotten",
        "kept",
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
        """The memory limit in bytes, at least 1."""
        self.max_handles = max_handles
        """The handle limit in regions, at least 1."""
        self.strict: Final = strict
        """Whether the memory limit is hard."""
        self.total_handles = 0
        """Regions mapped or reserved, which the handle limit limits."""
        self.total_bytes = 0
        """Bytes mapped or reserved, which the memory limit limits."""
        self.kept = 0
        """Kept descriptors. Together with ``total_handles`` at most ``max_handles``."""
        self.maps = 0
        """Regions mapped since the start or the last reset."""
        self.unmaps = 0
        """Regions unmapped since the start or the last reset. Raised before ``total_handles`` falls."""
        self.peak_handles = 0
        """The most that ``total_handles`` has been since the start or the last reset."""
        self.peak_bytes = 0
        """The most that ``total_bytes`` has been since the start or the last reset."""
        self.evictions = 0
        """Regions unmapped to make room."""
        self.failures = 0
        """Attempts to map that the system refused."""
        self.misses = 0
        """Acquisitions that found their window not mapped."""
        self.seconds = 0.0
        """Seconds spent in the system calls that mapped or read windows."""
        self.detached_reads = 0
        """Reads by a descriptor, without a window."""
        self.detached_bytes = 0
        """Bytes that came by such reads."""
        self.forgotten = 0
        """How often the pool forgot which pages are in memory."""
        self.pins_ended = 0
        """Pins that have ended. With those that are still open, this is the number of acquisitions."""

    def handles(self) -> int:
        """Return how many regions are mapped; the rest of ``total_handles`` is reserved for loads."""
        return self.maps - self.unmaps

    def over_memory(self) -> bool:
        """Whether more bytes are mapped or reserved than the memory limit allows."""
        return self.total_bytes > self.max_memory

    def allows(self, nbytes: int, *, last: bool) -> bool:
        """Whether the limits allow one more map, of ``nbytes``.

        ``last`` says that nothing more can be evicted: then a soft limit is passed over, and a hard one raises a limit
        error. A map that is larger than a hard memory limit raises it at once.
        """
        if self.total_handles < self.max_handles and self.total_bytes + nbytes <= self.max_memory:
            return True
        if last and self.total_handles >= self.max_handles:
            raise HandleLimitError(self.max_handles, self.handles())
        if self.strict and (last or nbytes > self.max_memory) and self.total_bytes + nbytes > self.max_memory:
            raise MemoryLimitError(self.max_memory, self.total_bytes, nbytes)
        return last

    def has_room_for(self, nbytes: int) -> bool:
        """Whether ``nbytes`` can be mapped without unmapping a region or releasing a descriptor.

        May be asked without the lock, for a hint.
        """
        return self.total_handles + self.kept < self.max_handles and self.total_bytes + nbytes <= self.max_memory

    def keeps_limits(self) -> bool:
        """Whether both limits are kept by what is mapped or reserved."""
        return self.total_handles <= self.max_handles and self.total_bytes <= self.max_memory

    def reserve(self, nbytes: int) -> None:
        """Reserve a handle and ``nbytes`` for a map to come. The caller has checked that the limits allow it."""
        self.total_handles += 1
        self.total_bytes += nbytes
        if self.total_handles > self.peak_handles:
            self.peak_handles = self.total_handles
        if self.total_bytes > self.peak_bytes:
            self.peak_bytes = self.total_bytes

    def cancel(self, nbytes: int) -> None:
        """Give back a reservation of a handle and ``nbytes``."""
        self.total_handles -= 1
        self.total_bytes -= nbytes

    def commit(self, seconds: float, failures: int) -> None:
        """Turn a reservation into a map that took ``seconds`` after so many ``failures``, and count a miss."""
        self.maps += 1
        self.misses += 1
        self.seconds += seconds
        self.failures += failures

    def unmap(self, nbytes: int) -> None:
        """Count a region of ``nbytes`` as unmapped."""
        self.unmaps += 1
        self.total_handles -= 1
        self.total_bytes -= nbytes

    def keep_leftover(self) -> None:
        """Turn a reservation into a map that was not published but is open: a leftover."""
        self.maps += 1

    def pass_on(self, nbytes: int, wanted: int) -> None:
        """Count a region of ``nbytes`` as unmapped, and keep its handle and ``wanted`` bytes for a map to come."""
        self.unmaps += 1
        self.total_bytes -= nbytes - wanted

    def balance(self, mapped: list[int], reserved: list[int], kept: int) -> None:
        """Set the totals from the sizes that are ``mapped`` and ``reserved`` and the number of ``kept`` descriptors."""
        self.kept = kept
        self.total_handles = len(mapped) + len(reserved)
        self.total_bytes = sum(mapped) + sum(reserved)
        missing = len(mapped) - self.handles()
        self.maps += max(missing, 0)
        self.unmaps += max(-missing, 0)

    def reset(self, live_pins: int) -> None:
        """Clear the counters. The ``live_pins`` acquisitions that are open will not be counted when they end."""
        self.maps, self.unmaps = self.handles(), 0
        self.evictions = self.failures = self.misses = 0
        self.detached_reads = self.detached_bytes = self.forgotten = 0
        self.seconds = 0.0
        self.pins_ended = -live_pins
        self.peak_handles = self.total_handles
        self.peak_bytes = self.total_bytes
