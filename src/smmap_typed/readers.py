"""Readers: how windows come into memory, for who brings a way of their own.

``reader="mmap"`` and ``reader="pread"`` are enough for most. A manager also takes any object that is a ``Reader``:
usually it does one step itself and leaves the others to one of the two. This one has Linux read a whole window when it
is mapped, instead of page by page when it is used:

>>> import mmap
>>> class Populating:
...     copies: ClassVar[bool] = False
...     identify, open = MmapReader().identify, MmapReader().open
...     def load(self, descriptor: int, source: Source, seen: Identity, offset: int, size: int) -> mmap.mmap:
...         flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
...         return mmap.mmap(descriptor, size, flags, mmap.PROT_READ, offset=offset)
>>> from smmap_typed import SlidingWindowMapManager
>>> with SlidingWindowMapManager(reader=Populating()) as manager:
...     manager.make_cursor(__file__).read(0, 10)
b'\"\"\"Readers'

``smmap_typed.testing.machines`` shows whether a reader keeps its promises.
"""

import mmap
from typing import ClassVar, Protocol, runtime_checkable

from smmap_typed._file import Identity, Source
from smmap_typed._reader import MmapReader, PreadReader
from smmap_typed._types import ReaderName

__all__ = ["Identity", "MmapReader", "PreadReader", "Reader", "ReaderName", "Source", "reader_of"]


@runtime_checkable
class Reader(Protocol):
    """How windows come into memory. Any object with these members is one.

    Every method is called from any thread, several at once, never under a lock of the library, and may wait. What it
    raises passes through to the caller of the manager, which then is as it was. An OSError with errno EMFILE, ENFILE or
    ENOMEM says that something is scarce: windows that are idle are unmapped, and the step is tried once more.
    """

    copies: ClassVar[bool]
    """Whether windows are copies of the file, which a later write does not reach. If so, ``load`` returns anonymous
    memory, and ``Identity.stamp`` tells one state of the file from another."""

    def identify(self, source: Source) -> Identity:
        """Which file ``source`` names now; OSError if none, or none that has windows.

        ``source`` is for the length of the call only.

        :raises FileChangedError: if ``source.check`` does.
        """
        ...

    def open(self, source: Source, seen: Identity, flags: int) -> int:
        """A descriptor of ``source`` for the caller to close; ``flags`` are more flags for ``os.open``.

        :raises FileChangedError: if it is not ``seen`` any more: ``seen.check`` tells.
        """
        ...

    def load(self, descriptor: int, source: Source, seen: Identity, offset: int, size: int) -> mmap.mmap:
        """A new map of exactly ``size`` bytes at ``offset``, a multiple of the allocation granularity.

        Closing it gives the memory back, so it must not be kept. Unless ``copies``, it maps the file for reading only.
        What is no open map, or one of another size, is a TypeError or ValueError of the call that needs the window.
        """
        ...


def reader_of(reader: ReaderName | Reader) -> Reader:
    """The reader that a manager's ``reader`` argument means; ValueError for a name of none, TypeError for no reader."""
    if isinstance(reader, str):
        if reader == "mmap":
            return MmapReader()
        if reader == "pread":
            return PreadReader()
        raise ValueError(f'reader must be "mmap" or "pread", got {reader!r}')
    # A class has all the members that its instances have.
    if isinstance(reader, type) or not isinstance(reader, Reader):
        raise TypeError(
            'reader must be "mmap" or "pread", or an object with copies, identify, open and load '
            f"(smmap_typed.readers), got {reader!r}"
        )
    return reader
