"""Read from files of any size, and any number of them, through memory maps that stay within limits.

A manager maps windows of files where you read, keeps them for later reads, and unmaps the least recently used ones when
it needs room. You may use every class from any thread.

>>> from pathlib import Path
>>> _ = Path("numbers").write_bytes(bytes(range(256)) * 4096)
>>> manager = SlidingWindowMapManager(max_memory_size=64 * 1024 * 1024)
>>> cursor = manager.make_cursor("numbers")
>>> cursor.use_region(offset=1000, size=4).buffer().hex()
'e8e9eaeb'
>>> cursor.read(offset=1_000_000, size=4)
b'@ABC'

Start with these classes:

``SlidingWindowMapManager``  maps windows of files; ``StaticWindowMapManager`` maps whole files
``WindowCursor``             a movable handle on one file, made by ``make_cursor``
``SlidingWindowMapBuffer``   a file as a sequence of bytes
``MappedFile``               a file as a binary file object, made by ``open``
``Region``, ``Window``       a window that is mapped; a range of a file
``ManagerStats``             counters of a manager, and what it holds now
``SmmapError``               the root of every error, in ``smmap_typed.exceptions``

``smmap_typed.readers`` defines how windows come into memory, ``smmap_typed.compat`` puts the library in the place of
smmap, ``smmap_typed.prometheus`` exports statistics, and ``smmap_typed.testing`` checks the invariants.

Names that begin with an underscore are private.
"""

from types import FunctionType as _FunctionType

from smmap_typed import _starting as _starting  # first of all: the other imports take long
from smmap_typed._handles.buffer import SlidingWindowMapBuffer as SlidingWindowMapBuffer
from smmap_typed._handles.cursor import WindowCursor as WindowCursor
from smmap_typed._handles.mapped_file import MappedFile as MappedFile
from smmap_typed._handles.region import Region as Region
from smmap_typed._handles.search import BufferMatch as BufferMatch
from smmap_typed._handles.state import CursorState as _CursorState
from smmap_typed._platform import ALLOCATIONGRANULARITY as ALLOCATIONGRANULARITY
from smmap_typed._platform import align_to_mmap as align_to_mmap
from smmap_typed._platform import is_64_bit as is_64_bit
from smmap_typed._types import PathOrFd as PathOrFd
from smmap_typed.events import Event as Event
from smmap_typed.events import LimitReached as LimitReached
from smmap_typed.events import MapFailed as MapFailed
from smmap_typed.events import Observer as Observer
from smmap_typed.events import RegionMapped as RegionMapped
from smmap_typed.events import RegionUnmapped as RegionUnmapped
from smmap_typed.exceptions import CompatError as CompatError
from smmap_typed.exceptions import CursorInvalidError as CursorInvalidError
from smmap_typed.exceptions import FileChangedError as FileChangedError
from smmap_typed.exceptions import HandleLimitError as HandleLimitError
from smmap_typed.exceptions import ManagerClosedError as ManagerClosedError
from smmap_typed.exceptions import MemoryLimitError as MemoryLimitError
from smmap_typed.exceptions import ReentrantCallError as ReentrantCallError
from smmap_typed.exceptions import RegionUnmappedError as RegionUnmappedError
from smmap_typed.exceptions import SmmapError as SmmapError
from smmap_typed.exceptions import UnsizedFileError as UnsizedFileError
from smmap_typed.manager import SlidingWindowMapManager as SlidingWindowMapManager
from smmap_typed.manager import StaticWindowMapManager as StaticWindowMapManager
from smmap_typed.readers import Reader as Reader
from smmap_typed.values import FileStats as FileStats
from smmap_typed.values import ManagerStats as ManagerStats
from smmap_typed.values import RegionStats as RegionStats
from smmap_typed.values import Window as Window

__all__ = [
    "ALLOCATIONGRANULARITY",
    "COMPILED",
    "BufferMatch",
    "CompatError",
    "CursorInvalidError",
    "Event",
    "FileChangedError",
    "FileStats",
    "HandleLimitError",
    "LimitReached",
    "ManagerClosedError",
    "ManagerStats",
    "MapFailed",
    "MappedFile",
    "MemoryLimitError",
    "Observer",
    "PathOrFd",
    "Reader",
    "ReentrantCallError",
    "Region",
    "RegionMapped",
    "RegionStats",
    "RegionUnmapped",
    "RegionUnmappedError",
    "SlidingWindowMapBuffer",
    "SlidingWindowMapManager",
    "SmmapError",
    "StaticWindowMapManager",
    "UnsizedFileError",
    "Window",
    "WindowCursor",
    "align_to_mmap",
    "is_64_bit",
    "version_info",
]

__version__ = "0.1.0"
version_info: tuple[int, int, int] = (0, 1, 0)
"""The version in numbers, a name that smmap has."""

COMPILED: bool = not isinstance(_CursorState.move, _FunctionType)
"""Whether the hot modules are machine code, made by mypyc, or Python. Both do the same."""


def __dir__() -> list[str]:
    """Return the public names, for completion and ``help``."""
    return [name for name in globals() if not name.startswith("_") or name.endswith("__")]
