"""Interpreter exit: threads are inside the library, cursors and views are alive, and finalisers and atexit use it.

Whatever stands where when the main thread is done: exit status 0, and not a word on stderr.
"""

import sys
from pathlib import Path
from typing import Final

import pytest

from support import GRANULE, run_python, write_pattern

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

WINDOWS: Final = 16
RUNS: Final = 4

PROGRAM: Final = """
import atexit, gc, sys, threading
from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager

path, granule, ending = sys.argv[1], int(sys.argv[2]), sys.argv[3]
manager = SlidingWindowMapManager(granule, max_open_handles=8)
with open(path, "rb") as file:
    content = file.read()
cursor = manager.make_cursor(path).use_region(0)
view = cursor.buffer()
buffer = SlidingWindowMapBuffer(cursor, 5)
shared = manager.make_cursor(path)

def use(manager, cursor, number):
    offset = number % (len(content) // granule - 1) * granule
    data = cursor.use_region(offset, 9).buffer()
    assert manager.make_cursor(path).read(offset + 5, 2 * granule)[:9] == content[offset + 5 : offset + 14]
    assert manager.collect() >= 0

class Ending:
    def __init__(self):
        self.manager, self.cursor, self.use = manager, manager.make_cursor(path).use_region(granule), use

    def end(self):
        assert bytes(self.cursor.use_region(granule + 1, 9).buffer()) == content[granule + 1 : granule + 10]
        self.use(self.manager, self.cursor, 3)
        if ending != "atexit":
            self.manager.close()

    if ending in ("finaliser", "cycle"):
        __del__ = end

kept = Ending()
if ending == "cycle":
    # For the collection of the exit, not for one before.
    gc.disable()
    kept.me = kept
    del kept
elif ending == "atexit":
    atexit.register(kept.end)
elif ending == "collector":
    gc.callbacks.append(lambda phase, info: manager.collect())
    gc.set_threshold(50)

begun = [threading.Event() for _ in range(3)]

def work(number):
    own = manager.make_cursor(path)
    for round in range(sys.maxsize):
        use(manager, own if number else shared, round * (number + 1))
        begun[number].set()

for number in range(3):
    threading.Thread(target=work, args=(number,), daemon=True).start()
for event in begun:
    assert event.wait(30)
"""


@pytest.mark.parametrize("ending", ["nothing", "atexit", "finaliser", "cycle", "collector"])
def test_the_interpreter_exits_while_threads_are_inside(tmp_path: Path, ending: str) -> None:
    """Daemon threads map, move, evict and collect, with cursors of their own and a shared one."""
    path = tmp_path / "file"
    write_pattern(path, WINDOWS * GRANULE)
    for _ in range(RUNS):
        done = run_python(PROGRAM, path, str(GRANULE), ending)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


STOPPED: Final = """
import gc, mmap, os, sys, threading
from smmap_typed import SlidingWindowMapManager
from smmap_typed._pool.tables import Tables
from smmap_typed.testing import check_invariants

# The garbage is for the collection of the exit, not for one before.
gc.disable()
owner, name = {"a system call": (mmap, "mmap"), "the lock": (Tables, "begin_load")}[sys.argv[2]]
manager = SlidingWindowMapManager()
inside = threading.Event()
real = getattr(owner, name)

def stop(*arguments, **rest):
    setattr(owner, name, real)
    inside.set()
    threading.Event().wait()

class AtExit:
    def __init__(self):
        self.me, self.manager, self.path = self, manager, sys.argv[1]

    def __del__(self):
        data = self.manager.make_cursor(self.path).read(0, 9)
        check_invariants(self.manager)
        # Not print: stdout may have been flushed for the last time.
        os.write(1, b"%d %d" % (len(data), self.manager.num_file_handles()))

AtExit()
setattr(owner, name, stop)
threading.Thread(target=lambda: manager.make_cursor(sys.argv[1]).use_region(), daemon=True).start()
assert inside.wait(30)
"""


@pytest.mark.parametrize("where", ["a system call", pytest.param("the lock", marks=pytest.mark.pure)])
def test_a_finaliser_does_not_wait_for_a_thread_that_the_exit_has_stopped(tmp_path: Path, where: str) -> None:
    """It would for ever: the thread never comes out, with the load of the window or with the lock."""
    path = tmp_path / "file"
    write_pattern(path, GRANULE)
    done = run_python(STOPPED, path, where)
    assert (done.returncode, done.stdout, done.stderr) == (0, "9 1", "")


LATE: Final = """
import gc, os, sys
from smmap_typed import SlidingWindowMapManager

# The garbage is for the collection of the exit, not for one before.
gc.disable()

class AtExit:
    def __init__(self):
        self.me, self.path = self, sys.argv[1]

    def __del__(self):
        with SlidingWindowMapManager() as manager:
            os.write(1, b"%d" % len(manager.make_cursor(self.path).read(0, 9)))

AtExit()
"""


def test_a_finaliser_makes_a_manager(tmp_path: Path) -> None:
    """Though the exit has taken ``open`` out of the builtins by then."""
    path = tmp_path / "file"
    write_pattern(path, GRANULE)
    done = run_python(LATE, path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "9", "")
