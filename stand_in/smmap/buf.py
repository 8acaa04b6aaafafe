"""The buffer of smmap_typed under the name of ``smmap.buf``."""

from smmap_typed import SlidingWindowMapBuffer

__all__ = ["SlidingWindowMapBuffer"]
