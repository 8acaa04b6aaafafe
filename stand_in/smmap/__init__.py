"""smmap_typed under the name of smmap."""

from smmap.buf import SlidingWindowMapBuffer as SlidingWindowMapBuffer
from smmap.mman import SlidingWindowMapManager as SlidingWindowMapManager
from smmap.mman import StaticWindowMapManager as StaticWindowMapManager
from smmap.mman import WindowCursor as WindowCursor
from smmap.util import ALLOCATIONGRANULARITY as ALLOCATIONGRANULARITY
from smmap.util import Region as Region
from smmap.util import Window as Window
from smmap.util import align_to_mmap as align_to_mmap
from smmap.util import is_64_bit as is_64_bit

__all__ = [
    "ALLOCATIONGRANULARITY",
    "Region",
    "SlidingWindowMapBuffer",
    "SlidingWindowMapManager",
    "StaticWindowMapManager",
    "Window",
    "WindowCursor",
    "align_to_mmap",
    "is_64_bit",
]

# The version of smmap whose names are provided, which clients may compare.
__version__ = "5.0.3"
version_info = (5, 0, 3)
# ``smmap_typed.compat.install`` finds by this that it has nothing to do.
__smmap_typed__ = True
