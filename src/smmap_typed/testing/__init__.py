"""Testing: the invariants of a manager as one function, for the tests of whoever builds on this library.

>>> from smmap_typed import SlidingWindowMapManager
>>> with SlidingWindowMapManager() as manager:
...     check_invariants(manager)
"""

from smmap_typed.testing._invariants import InvariantError as InvariantError
from smmap_typed.testing._invariants import check_invariants as check_invariants
