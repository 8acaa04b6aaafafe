"""The managers and the cursor of smmap_typed under the name of ``smmap.mman``."""

from smmap_typed import SlidingWindowMapManager, StaticWindowMapManager, WindowCursor, align_to_mmap, is_64_bit

__all__ = ["SlidingWindowMapManager", "StaticWindowMapManager", "WindowCursor", "align_to_mmap", "is_64_bit"]
