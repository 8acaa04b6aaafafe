"""What smmap_typed has of ``smmap.util``."""

from smmap_typed import ALLOCATIONGRANULARITY, Region, Window, align_to_mmap, is_64_bit

__all__ = ["ALLOCATIONGRANULARITY", "Region", "Window", "align_to_mmap", "is_64_bit"]
