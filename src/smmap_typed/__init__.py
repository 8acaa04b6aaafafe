"""smmap_typed: windows of big files in memory, under limits, from any thread.

The layers, each of which uses only those below it::

    compat, prometheus          in smmap's place; metrics
    manager                     the two public managers
    _mapped_file                a binary file object
    _buffer, _indexing          a file as bytes; one byte or slice of it
    _cursor                     a movable handle on a file
    _search, _span              searching; a range of a file
    _reading, _position         bytes at an offset; where a cursor stands
    _survey, _limits            statistics; which limits are allowed, and how they change
    _core                       pins and maps: the system calls between the lock's sections
    _fork, _evictor             children of a fork; evicts and closes
    _tables, _inventory, _gate  what the lock guards, how it changes, and who may wait for it
    _ledger, _lru, _region      limits and figures; who goes next; regions as users see them
    _hold, _pin                 what is known of each region; what keeps it mapped
    readers                     how windows come into memory, for who brings a way of their own
    _reader, _file, _grid       system calls; which file; which window
    _events                     what observers and the log are told
    _stats, _window             values that users get
    _inside, _sharing           who is inside; what threads may not share without a GIL
    _arguments                  what callers may not pass
    _platform, _types, exceptions
"""

from types import FunctionType as _FunctionType

from smmap_typed._buffer import SlidingWindowMapBuffer as SlidingWindowMapBuffer
from smmap_typed._core import Core as _Core
from smmap_typed._cursor import WindowCursor as WindowCursor
from smmap_typed._events import Event as Event
from smmap_typed._events import LimitReached as LimitReached
from smmap_typed._events import MapFailed as MapFailed
from smmap_typed._events import Observer as Observer
from smmap_typed._events import RegionMapped as RegionMapped
from smmap_typed._events import RegionUnmapped as RegionUnmapped
from smmap_typed._mapped_file import MappedFile as MappedFile
from smmap_typed._platform import ALLOCATIONGRANULARITY as ALLOCATIONGRANULARITY
from smmap_typed._platform import align_to_mmap as align_to_mmap
from smmap_typed._platform import is_64_bit as is_64_bit
from smmap_typed._region import Region as Region
from smmap_typed._search import BufferMatch as BufferMatch
from smmap_typed._stats import FileStats as FileStats
from smmap_typed._stats import ManagerStats as ManagerStats
from smmap_typed._stats import RegionStats as RegionStats
from smmap_typed._types import PathOrFd as PathOrFd
from smmap_typed._window import Window as Window
from smmap_typed.exceptions import CompatError as CompatError
from smmap_typed.exceptions import CursorInvalidError as CursorInvalidError
from smmap_typed.exceptions import FileChangedError as FileChangedError
from smmap_typed.exceptions import HandleLimitError as HandleLimitError
from smmap_typed.exceptions import ManagerClosedError as ManagerClosedError
from smmap_typed.exceptions import MemoryLimitError as MemoryLimitError
from smmap_typed.exceptions import ReentrantCallError as ReentrantCallError
from smmap_typed.exceptions import RegionUnmappedError as RegionUnmappedError
from smmap_typed.exceptions import SmmapError as SmmapError
from smmap_typed.manager import SlidingWindowMapManager as SlidingWindowMapManager
from smmap_typed.manager import StaticWindowMapManager as StaticWindowMapManager
from smmap_typed.readers import Reader as Reader

__version__ = "0.1.0"
version_info: tuple[int, int, int] = (0, 1, 0)
"""The version in numbers, a name that smmap has."""

COMPILED: bool = not isinstance(_Core.pin, _FunctionType)
"""Whether the hot modules are machine code, made by mypyc, or Python. Both do the same."""
