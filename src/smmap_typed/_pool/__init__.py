"""The pool: hands out pins on windows of files, maps missing windows, and evicts idle ones. It knows no cursors.

A brief tour, in the order in which the modules are best read:

``frame``        one mapped window: its map, its pins, whether it is live
``pin``          keeps a window mapped: a weak reference to the memoryview that a cursor owns
``resident``     which of its bytes are known to be in memory, so that copying them waits for nothing
``file``         one file in one state: its names, its windows, and its kept ``descriptor``
``inflight``     a load or an unload under way, and the threads that wait for its end
``ledger``       the limits, the totals of what is mapped and reserved, and the counters
``replacement``  which idle window is evicted next
``tables``       the state that the lock guards, the steps that change it, and ``repair`` after an exception
``monitor``      the lock, the one way to enter it, and ``reentrancy``: which threads may wait for it
``pool``         misses, evictions, ``collect``, ``resize``, ``discard``, ``close``: sections with system calls between
``snapshot``     statistics
``fork``         children of a fork
``grid``         which window serves a request: pure arithmetic

**A hit** touches none of this: the cursor's placement has the pin and the bounds. **A move** to a mapped window looks
it up in ``File.windows`` and pins the frame without the lock. **A miss** enters the lock to begin a load
(``Tables.begin_load``), perhaps with an unload that makes room for it; makes its system calls; and enters the lock
again to publish the window. **An eviction** sets the tombstone under the lock (``Tables.begin_unload``), closes the map
outside, and posts the unload; the next section completes it. **A close with live views** discards each frame. Its map
becomes a *leftover*, which is counted until its last view is gone. **An exception in the middle** of a section leaves
``torn`` set, and the next section repairs the tables. In the middle of a load, the ``finally`` of ``Pool._acquire``
closes the map and posts what was begun.

The handles use only the names that are exported here.
"""

from smmap_typed._pool.descriptor import Descriptor as Descriptor
from smmap_typed._pool.file import File as File
from smmap_typed._pool.frame import CLOSED as CLOSED
from smmap_typed._pool.frame import Frame as Frame
from smmap_typed._pool.grid import Grid as Grid
from smmap_typed._pool.ledger import Ledger as Ledger
from smmap_typed._pool.pool import Pool as Pool
from smmap_typed._pool.replacement import LRU as LRU
from smmap_typed._pool.resident import MOST_COPIED as MOST_COPIED
from smmap_typed._pool.tables import MOST_UNCOUNTED as MOST_UNCOUNTED
