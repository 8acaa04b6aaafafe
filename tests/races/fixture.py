"""A fixture: what the threads of one scenario share, made anew for each interleaving, and what must be true at its end.

The judges are the invariants, the bytes, the maps themselves, each of which knows which cursor was on it when somebody
tried to close it, and the descriptors, which know who reads by them.
"""

import mmap
from pathlib import Path
from typing import ClassVar, Final, Literal

from typing_extensions import override

from races.descriptors import Descriptors, Watched
from smmap_typed import SlidingWindowMapManager, WindowCursor
from smmap_typed.readers import Reader
from smmap_typed.testing import check_invariants
from support import GRANULE, pattern

__all__ = ["SIZE", "Fixture", "WatchedMap", "expected"]

SIZE: Final = 16
"""Bytes that a thread reads at once."""
NAMES: Final = ("first", "second", "third")
GRANULES: Final = 8
CONTENT: Final = pattern(GRANULES * GRANULE)


class Fixture:
    """One manager with windows of a granule on one file. Subclasses are scenarios: what is there, and who does what.

    A thread is a method of the subclass: ``first``, ``second``, and so on as far as ``NAMES`` goes.
    """

    handles: ClassVar[int] = 8
    memory: ClassVar[int] = 0
    window: ClassVar[int] = GRANULE
    reader: ClassVar[Literal["mmap"] | Reader] = "mmap"

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        self.path: Final = folder / "file"
        if not self.path.exists():
            self.path.write_bytes(CONTENT)
        self.manager: Final = SlidingWindowMapManager(self.window, self.memory, self.handles, reader=self.reader)
        self.cursors: Final[list[WindowCursor]] = []
        self.maps: Final[list[WatchedMap]] = []
        self.complaints: Final[list[str]] = []
        """What threads found wrong."""
        self.torn_away: Final[list[str]] = []
        """Windows that somebody tried to unmap while a cursor was on them."""
        self.most_maps = 0
        """How many maps have been there at once."""
        self.descriptors: Final = Descriptors()
        WatchedMap.fixture = self
        Watched.descriptors = self.descriptors
        self.begin()

    @classmethod
    def threads(cls) -> list[str]:
        """The methods that are threads."""
        return [name for name in NAMES if hasattr(cls, name)]

    def play(self, name: str) -> None:
        """Be this thread. What goes wrong is told at the end, when frontrun knows how it came to that."""
        try:
            getattr(self, name)()
        except TimeoutError:
            # Of frontrun itself.
            raise
        except (AssertionError, OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
            self.complaints.append(f"{name}: {type(error).__name__}: {error}")

    def begin(self) -> None:
        """Set the fixture, before any thread runs."""

    def check(self) -> None:
        """What is true of this scenario alone, when all threads are done."""

    def note_map(self, mapping: "WatchedMap", offset: int) -> None:
        """A window has been mapped; to raise here is to fail it."""
        del offset
        self.maps.append(mapping)

    def count_maps(self) -> None:
        """There is one map more than those that have been noted."""
        self.most_maps = max(self.most_maps, 1 + sum(not mapping.closed for mapping in self.maps))

    def cursor(self, granule: int | None = None) -> WindowCursor:
        """A new cursor that knows its file and perhaps stands on a window; the fixture keeps it to the end."""
        cursor = self.manager.make_cursor(self.path)
        cursor.file_size()
        self.cursors.append(cursor)
        return cursor if granule is None else cursor.use_region(granule * GRANULE, SIZE)

    def idle(self, *granules: int) -> None:
        """Map these windows and leave them, in this order."""
        cursor = self.manager.make_cursor(self.path)
        for granule in granules:
            cursor.use_region(granule * GRANULE, SIZE)

    def move(self, cursor: WindowCursor, granule: int) -> None:
        """Move a cursor that no other thread uses, and look at what it shows."""
        shown = bytes(cursor.use_region(granule * GRANULE, SIZE).buffer())
        assert shown == expected(granule), f"{shown.hex()} at granule {granule}"

    def read(self, cursor: WindowCursor, granule: int) -> None:
        """Read in one step, from a cursor that others may use."""
        shown = cursor.read(granule * GRANULE, SIZE)
        assert shown == expected(granule), f"{shown.hex()} at granule {granule}"

    def end(self) -> bool:
        """The invariants hold, no window was torn away, and when all is released nothing is left."""
        assert not self.complaints, "\n".join(self.complaints)
        assert not self.torn_away, self.torn_away
        assert not self.descriptors.complaints, self.descriptors.complaints
        self.check()
        check_invariants(self.manager)
        assert self.manager.stats().peak_handles <= self.handles
        assert self.most_maps <= self.handles, f"{self.most_maps} maps at {self.handles} handles"
        for cursor in self.cursors:
            cursor.close()
        self.manager.collect()
        check_invariants(self.manager)
        assert (self.manager.num_file_handles(), self.manager.mapped_memory_size()) == (0, 0)
        assert self.manager.stats().kept_descriptors == 0
        assert all(mapping.closed for mapping in self.maps), "a map is open that the manager does not know"
        return True


def expected(granule: int) -> bytes:
    """The bytes of the file at the beginning of a granule."""
    return CONTENT[granule * GRANULE :][:SIZE]


class WatchedMap(mmap.mmap):
    """A map that tells its fixture when somebody tries to close it under a cursor.

    ``mmap`` refuses that by itself, as long as a memoryview lives. The protocol of pins promises more: that nobody even
    tries, whatever the map may count.
    """

    fixture: ClassVar[Fixture]
    """The one that is being played."""

    # It takes what mmap takes, which differs between systems.
    def __init__(self, *_: int, **options: int) -> None:  # pyright: ignore[reportInconsistentConstructor]
        super().__init__()
        self.fixture.count_maps()
        self.fixture.note_map(self, options["offset"])

    @override
    def close(self) -> None:
        for cursor in self.fixture.cursors:
            frame = cursor._state.placement[1]
            if frame.mapping is self and frame.live_end >= 0:
                self.fixture.torn_away.append(f"the window at {frame.begin}")
        super().close()
