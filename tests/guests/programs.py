"""Programs that greenlets run in: each is started in an interpreter of its own, since gevent patches it."""

from typing import Final

__all__ = ["PATCHED", "UNPATCHED"]

READER: Final = """
import mmap, os, sys
from typing import ClassVar
from smmap_typed import ReentrantCallError, SlidingWindowMapManager
from smmap_typed.readers import FileState, MmapReader, Source
from smmap_typed.testing import check_invariants

path = sys.argv[1]
content = open(path, "rb").read()
GRANULE = mmap.ALLOCATIONGRANULARITY


class Switching:
    # A reader that lets other greenlets run while it loads, as one that asks a network would.
    copies: ClassVar[bool] = False
    identify, open = MmapReader().identify, MmapReader().open
    loads = 0

    def load(self, descriptor, source, seen, offset, size):
        Switching.loads += 1
        gevent.sleep(0.01)
        return MmapReader().load(descriptor, source, seen, offset, size)


manager = SlidingWindowMapManager(2 * GRANULE, reader=Switching())


def read(offset):
    return manager.make_cursor(path).read(offset, 10)
"""

PATCHED: Final = f"""
import gevent.monkey
gevent.monkey.patch_all()
import gevent
{READER}
# Greenlets that need one window: one of them maps it, the others wait, and nobody raises.
jobs = [gevent.spawn(read, offset) for offset in range(20)]
gevent.joinall(jobs, raise_error=True)
assert [job.value for job in jobs] == [content[offset : offset + 10] for offset in range(20)]
assert Switching.loads == 1, Switching.loads

# Different windows: all of them are under way at once, and the limit holds.
manager.configure(max_open_handles=3)
jobs = [gevent.spawn(read, number % 4 * 2 * GRANULE) for number in range(40)]
gevent.joinall(jobs, raise_error=True)
assert [job.value for job in jobs] == [content[number % 4 * 2 * GRANULE :][:10] for number in range(40)]
assert manager.stats().peak_handles <= 3

# gevent's threads are real ones: they read while other greenlets run.
pool = gevent.get_hub().threadpool
cursor = manager.make_cursor(path)
jobs = [pool.spawn(cursor.read, offset, 10) for offset in range(0, 8 * GRANULE, GRANULE)]
jobs += [gevent.spawn(read, offset) for offset in range(0, 8 * GRANULE, GRANULE)]
assert [job.get() for job in jobs] == [content[o : o + 10] for o in range(0, 8 * GRANULE, GRANULE)] * 2
check_invariants(manager)
manager.close()
print("done")
"""

UNPATCHED: Final = f"""
import gevent
{READER}
def ask(offset):
    try:
        return read(offset)
    except ReentrantCallError as error:
        return str(error)

# The first greenlet is inside the library when it lets the second run, which needs the same window.
first, second = gevent.spawn(read, 0), gevent.spawn(ask, 1)
gevent.joinall([first, second], raise_error=True)
assert first.value == content[:10]
assert "another greenlet of this thread interrupted the library" in second.value, second.value
assert "patch gevent before smmap_typed is imported" in second.value

# Once that is over, and for windows that are mapped, nothing is in the way.
assert ask(1) == content[1:11]
loading, meanwhile = gevent.spawn(read, 4 * GRANULE), gevent.spawn(ask, 1)
gevent.joinall([loading, meanwhile], raise_error=True)
assert (loading.value, meanwhile.value) == (content[4 * GRANULE :][:10], content[1:11])
check_invariants(manager)
print("done")
"""
