"""Readers: how windows are brought into memory, and the protocol for custom readers.

Most programs need only ``reader="mmap"``, ``"pread"`` or ``"auto"``. A manager also takes any object that is a
``Reader``. A custom reader usually does one step itself and leaves the others to a built-in one. The reader below lets
Linux read a whole window when it is mapped, instead of page by page when it is used:

>>> import mmap
>>> class Populating:
...     copies: ClassVar[bool] = False
...     identify, open = MmapReader().identify, MmapReader().open
...     def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
...         flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
...         return mmap.mmap(descriptor, size, flags, mmap.PROT_READ, offset=offset)
>>> from smmap_typed import SlidingWindowMapManager
>>> with SlidingWindowMapManager(reader=Populating()) as manager:
...     manager.make_cursor(__file__).read(0, 10)
b'\"\"\"Readers'

Each region of this reader costs the process one descriptor, because a map keeps a duplicate of its file's descriptor.
On CPython 3.13 and newer, except on Windows, a map that is made with ``trackfd=False`` keeps none, and ``MmapReader``
makes its maps so. In both cases a region counts as one handle of its manager.

The state machines in ``smmap_typed.testing.machines`` test whether a reader keeps its promises.
"""

import mmap
from typing import ClassVar, Protocol, runtime_checkable

from smmap_typed._builtin_readers import AutoReader, MmapReader, PreadReader
from smmap_typed._platform import AUTO_WINDOW_SIZE, DEFAULT_WINDOW_SIZE, PREAD_WINDOW_SIZE
from smmap_typed._source import FileState, Source
from smmap_typed._types import ReaderName

__all__ = ["AutoReader", "FileState", "MmapReader", "PositionalReader", "PreadReader", "Reader", "ReaderName", "Source"]
__all__ += ["default_window", "reader_of"]


@runtime_checkable
class Reader(Protocol):
    """How windows are brought into memory. Any object with these members is a reader.

    The methods must be safe in any thread: several threads may call them at once. The library holds none of its locks
    during a call, so a method may wait. An error that a method raises passes through to the user, and the manager is
    left as it was before. An OSError with errno EMFILE, ENFILE or ENOMEM says that something is scarce: the manager
    closes kept descriptors or unmaps idle regions, and tries the step once more.
    """

    copies: ClassVar[bool]
    """Whether all windows are copies, which do not show what is written to the file later. If so, ``load`` returns
    anonymous memory, and the windows of one file must be of one state: a new ``mtime`` or ``ctime`` in the
    ``FileState`` is a change, even if the size is the same.

    Where this is false, a single window may still be a copy: ``load`` returns memory that is writable, as anonymous
    memory is, and checks the state itself. A map of the file is for reading only, so the two are told apart."""

    def identify(self, source: Source) -> FileState:
        """Return the state of the file that ``source`` names now.

        ``source`` must not be used after the call.

        :raises OSError: if there is no such file, or if it cannot have windows because it is neither a regular file nor
            a block device.
        :raises FileChangedError: if ``source.check`` raises it.
        """
        ...

    def open(self, source: Source, seen: FileState, flags: int) -> int:
        """Open the file of ``source`` and return the descriptor, which the manager closes.

        ``flags`` are additional flags for ``os.open``.

        :raises OSError: if the file cannot be opened.
        :raises FileChangedError: if the open file cannot serve a cursor that saw the state ``seen``: ``seen.check``
            compares the two states.
        """
        ...

    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        """Return a new map of exactly ``size`` bytes at ``offset``, a multiple of the allocation granularity.

        The manager closes the map to free its memory, so the reader must keep no reference to it. A map of the file
        must be for reading only; anonymous memory with a copy of the bytes must be writable. If the result is not an
        ``mmap.mmap``, or not of ``size`` bytes, the call that needs the window raises TypeError or ValueError.

        :raises OSError: if the window cannot be mapped or read.
        :raises FileChangedError: if the file was truncated, or, for copies, written to since ``seen``.
        """
        ...


@runtime_checkable
class PositionalReader(Reader, Protocol):
    """A reader that can also read bytes at an offset without a window, as the built-in readers can.

    The library asks it for bytes that may not be in memory: such a read waits for storage without the GIL, maps
    nothing, and reports errors of the storage as an OSError. A reader without these methods is asked for whole windows,
    whose bytes the library then copies.
    """

    def read(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> bytes:
        """Return exactly ``size`` bytes at ``offset``, those that a window would show. ``size`` is at least 1.

        ``descriptor`` is one that ``open`` has returned for a file in the state ``seen``. Other threads use it, so its
        position must not be moved.

        :raises OSError: if the bytes cannot be read.
        :raises FileChangedError: if the file was truncated, or, for copies, written to since ``seen``.
        """
        ...

    def readinto(self, descriptor: int, source: Source, seen: FileState, offset: int, target: memoryview) -> None:
        """Fill ``target``, which is writable and not empty, with the bytes at ``offset``; otherwise like ``read``."""
        ...


def default_window(reader: Reader) -> int:
    """Return the size in bytes of a window that suits ``reader``, for a manager that is given none."""
    if reader.copies:
        return PREAD_WINDOW_SIZE
    return AUTO_WINDOW_SIZE if isinstance(reader, AutoReader) else DEFAULT_WINDOW_SIZE


def reader_of(reader: ReaderName | Reader) -> Reader:
    """Return the reader for a manager's ``reader`` argument; ValueError or TypeError if it is none."""
    if isinstance(reader, str):
        if reader == "mmap":
            return MmapReader()
        if reader == "pread":
            return PreadReader()
        if reader == "auto":
            return AutoReader()
        raise ValueError(f'reader must be "mmap", "pread" or "auto", got {reader!r}')
    # A class has the same members as its instances, so it would pass as a reader.
    if isinstance(reader, type) or not isinstance(reader, Reader):
        raise TypeError(
            'reader must be "mmap", "pread" or "auto", or an object with copies, identify, open and load '
            f"(smmap_typed.readers), got {reader!r}"
        )
    return reader
