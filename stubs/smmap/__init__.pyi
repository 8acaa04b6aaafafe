# Types for smmap 5.0.3, which has none, as it behaves and not as it was meant. A strict code base can first check its
# calls against smmap itself and then move to smmap_typed. What has no counterpart there (docs/migration.md lists it) is
# in these stubs all the same, since smmap has it.

from .buf import SlidingWindowMapBuffer as SlidingWindowMapBuffer
from .mman import SlidingWindowMapManager as SlidingWindowMapManager
from .mman import StaticWindowMapManager as StaticWindowMapManager
from .mman import WindowCursor as WindowCursor

__author__: str
__contact__: str
__homepage__: str
__version__: str
version_info: tuple[int, int, int]
