"""Types of readers that are not the library's own: checked by mypy and pyright, never run.

Each ignore marks a reader that must be refused.
"""

import mmap
from typing import ClassVar, assert_type

from smmap_typed import Reader, SlidingWindowMapManager, StaticWindowMapManager
from smmap_typed.readers import FileState, MmapReader, PreadReader, Source
from smmap_typed.testing import ManagerSettings
from smmap_typed.testing.machines import make_buffer_machine, make_manager_machine


class Own:
    copies: ClassVar[bool] = False

    def identify(self, source: Source) -> FileState:
        assert_type(source.target, str | bytes | int)
        return FileState(1, 2, 3, 4, 5)

    def open(self, source: Source, seen: FileState, flags: int) -> int:
        seen.check(self.identify(source), source.target)
        return flags

    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        del descriptor, source, seen, offset
        return mmap.mmap(-1, size)


class Lazy:
    """Says nothing of copies, and cannot load."""

    def identify(self, source: Source) -> FileState:
        return FileState(*source.target.__sizeof__().as_integer_ratio(), 0, 0, 0)

    def open(self, source: Source, seen: FileState, flags: int) -> int:
        return hash((source, seen, flags))


def bringing() -> None:
    own: Reader = Own()
    assert_type(SlidingWindowMapManager(reader=own), SlidingWindowMapManager)
    assert_type(StaticWindowMapManager(reader=Own()), StaticWindowMapManager)
    StaticWindowMapManager(reader=MmapReader())
    StaticWindowMapManager(reader=PreadReader())
    StaticWindowMapManager(reader=Lazy())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    StaticWindowMapManager(reader="own")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def factory(settings: ManagerSettings) -> SlidingWindowMapManager:
    return SlidingWindowMapManager(settings.window_size, reader=Own())


def testing() -> None:
    make_manager_machine(factory, copies=True)
    make_buffer_machine(factory)
    make_buffer_machine(SlidingWindowMapManager)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
