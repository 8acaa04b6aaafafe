"""The judge: at a quiet point the kernel, the books and the threads must tell the same story."""

from collections import Counter
from typing import Final, final

from smmap_typed.testing import check_invariants, kernel
from stress.fixture import Fixture
from support import DESCRIPTORS_PER_REGION, GRANULE

__all__ = ["Judge"]


@final
class Judge:
    """Looks at one fixture whenever nobody works there."""

    def __init__(self, fixture: Fixture) -> None:
        """Before anything is mapped."""
        self._arena: Final = fixture
        self._copies: Final = fixture.scenario.reader == "pread"
        self._device: Final = fixture.files.folder.stat().st_dev
        self._strangers: Final = {one.inode for one in kernel.mapped_ranges("/dev/zero")}
        self._inodes: Final = {path.stat().st_ino for path in fixture.files.folder.iterdir()}

    def look(self) -> None:
        """What is mapped and open is what the manager says, to the page and the descriptor."""
        manager = self._arena.manager
        check_invariants(manager)
        tables = manager._pool.tables
        placed = [(tables.files[frame.file].state.inode, frame) for frame in tables.frames.values()]
        pages = Counter(
            (inode, page) for inode, frame in placed for page in range(frame.begin, frame.begin + frame.size, GRANULE)
        )
        inodes = Counter(inode for inode, _ in placed)
        kept = Counter(file.state.inode for file in tables.files.values() if file.descriptor is not None)
        mapped_files = {frame.file for _, frame in placed}
        stats = manager.stats()
        assert (stats.handles, stats.in_flight, stats.open_files) == (len(placed), 0, len(mapped_files))
        assert stats.kept_descriptors == kept.total()
        if self._copies:
            anonymous = (one for one in kernel.mapped_ranges("/dev/zero") if one.inode not in self._strangers)
            assert sum(one.size for one in anonymous) == pages.total() * GRANULE
            pages.clear()
            inodes.clear()
        mapped = kernel.mapped_pages(self._arena.files.folder)
        assert mapped == pages, f"the kernel has {mapped - pages} too much and {pages - mapped} too little"
        opened = kernel.open_inodes(self._device)
        for inode in self._inodes:
            assert opened[inode] == DESCRIPTORS_PER_REGION * inodes[inode] + kept[inode]

    def look_at_the_end(self) -> None:
        """When everything is released nothing is left, without a collection of garbage."""
        manager = self._arena.manager
        # Of a file that nobody has used with this manager, so this maps: and right after a call that maps, more than
        # the limit is mapped only if nothing is idle (I3).
        manager.make_cursor(self._arena.passing_files.steady[0].path).use_region(0, 1).close()
        stats = manager.stats()
        assert stats.mapped_bytes <= manager.max_mapped_memory_size()
        assert (stats.pinned_regions, stats.view_pinned_regions, stats.idle_regions) == (0, 0, stats.handles)
        assert manager.collect() == stats.handles
        assert (manager.num_file_handles(), manager.mapped_memory_size(), manager.num_open_files()) == (0, 0, 0)
        assert manager.stats().kept_descriptors == 0
        self.look()
        assert not kernel.mapped_pages(self._arena.passing_files.folder)
