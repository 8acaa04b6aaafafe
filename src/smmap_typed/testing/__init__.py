"""The executable specification, for the tests of projects that build on this library.

``check_invariants`` and ``in_threads`` have no dependencies. The state machines in ``smmap_typed.testing.machines``,
which compare a manager with the reference model in ``model``, need the extra ``testing``.

>>> from smmap_typed import SlidingWindowMapManager
>>> with SlidingWindowMapManager() as manager:
...     check_invariants(manager)
"""

from smmap_typed.testing._concurrency import in_threads as in_threads
from smmap_typed.testing._invariants import InvariantError as InvariantError
from smmap_typed.testing._invariants import check_invariants as check_invariants
from smmap_typed.testing.settings import ManagerSettings as ManagerSettings
