"""Testing: invariants and a helper for threads, for the tests of whoever builds on this library.

>>> from smmap_typed import SlidingWindowMapManager
>>> with SlidingWindowMapManager() as manager:
...     check_invariants(manager)
"""

from smmap_typed.testing._concurrency import in_threads as in_threads
from smmap_typed.testing._invariants import InvariantError as InvariantError
from smmap_typed.testing._invariants import check_invariants as check_invariants
