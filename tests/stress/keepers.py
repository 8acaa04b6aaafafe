"""Keepers: threads that look after the manager and the files while others read."""

from random import Random
from typing import ClassVar, final

from typing_extensions import override

from smmap_typed import ManagerStats
from smmap_typed.testing import check_invariants
from stress.files import Reading
from stress.fixture import Fixture, Worker

__all__ = ["Collector", "Configurer", "Sampler", "Writer"]


@final
class Collector(Worker):
    """Unmaps everything idle, and asks what people ask."""

    passes: ClassVar[int] = 0

    @override
    def step(self) -> None:
        manager = self.fixture.manager
        act = self.random.randrange(4)
        if act == 0:
            self.count("regions collected", manager.collect())
        elif act == 1:
            stats = manager.stats()
            assert sum(file.handles for file in stats.files) == stats.handles
        elif act == 2:
            assert 0 <= manager.num_open_files() <= manager.max_file_handles()
        else:
            assert manager.mapped_memory_size() >= 0


@final
class Configurer(Worker):
    """Moves the limits down and up, and never above the first ones."""

    passes: ClassVar[int] = 0

    @override
    def step(self) -> None:
        fixture = self.fixture
        handles = self.random.randint(max(fixture.handles // 2, 1), fixture.handles)
        memory = self.random.randint(fixture.memory // 2, fixture.memory)
        # So that the others are at the highest limits, too.
        if self.random.random() < 0.5:
            handles, memory = fixture.handles, fixture.memory
        self.call(None, lambda: fixture.manager.configure(max_open_handles=handles, max_memory_size=memory))


@final
class Writer(Worker):
    """Changes files, and reads each at once as it is now."""

    @override
    def step(self) -> None:
        file = self.random.choice(self.fixture.files.changing)
        if self.random.random() < 0.2:
            file.change(self.random)
        offset, size = self.place(file.size)
        reading = Reading(self.fixture.manager, file)
        data = self.call(None, lambda: reading.cursor.read(offset, size))
        if data is not None:
            assert len(data) == min(size, file.size - offset)
            assert file.contents[file.version].startswith(data, offset)


@final
class Sampler(Worker):
    """Looks at the limits and the books, at every instant that it gets."""

    passes: ClassVar[int] = 0

    def __init__(self, fixture: Fixture, number: int, random: Random) -> None:
        super().__init__(fixture, number, random)
        self._last: ManagerStats | None = None
        self._inherited = 0
        """Maps that a reset left in the counter."""

    @override
    def step(self) -> None:
        fixture, manager = self.fixture, self.fixture.manager
        for _ in range(20):
            assert 0 <= manager.num_file_handles() <= fixture.handles
            assert not fixture.scenario.strict or manager.mapped_memory_size() <= fixture.memory
        stats = manager.stats()
        assert stats.maps - stats.unmaps == stats.handles
        assert stats.hits + stats.misses == stats.acquisitions
        assert 0 <= stats.handles + stats.in_flight <= stats.peak_handles <= fixture.handles
        assert not fixture.scenario.strict or stats.peak_mapped_bytes <= fixture.memory
        assert self._has_grown(stats), f"{stats} after {self._last}"
        self._last = stats
        check_invariants(manager)
        if self.random.random() < 0.2:
            self._begin_anew()

    def _has_grown(self, stats: ManagerStats) -> bool:
        """No counter ever falls, but by ``reset_stats``, which nobody else calls."""
        counters = ("maps", "unmaps", "misses", "evictions", "map_failures", "map_seconds")
        return self._last is None or all(getattr(stats, name) >= getattr(self._last, name) for name in counters)

    @override
    def release(self) -> None:
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Clear the counters. What others do between the two calls is not counted for the summary."""
        stats = self.fixture.manager.stats()
        self.fixture.manager.reset_stats()
        self._last = None
        self.count("maps", stats.maps - self._inherited)
        # Now maps is handles.
        self._inherited = self.fixture.manager.stats().maps
        self.count("evictions", stats.evictions)
        self.fixture.peak_handles = max(self.fixture.peak_handles, stats.peak_handles)
