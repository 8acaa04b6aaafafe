"""Files: one state of one inode, with its mapped windows and its kept descriptor.

Cursors refer to their file, so they go on reading it when its name is gone or leads to another file. A file is *listed*
in the tables, where new cursors find it, while it has a window, a kept descriptor, or a load or unload in flight. A
cursor may outlive that; when it maps again, its file is listed again.

Frames must not refer to their file: the cycle would keep the maps of a manager that is dropped without ``close`` until
the garbage collector runs. They have its serial instead.
"""

import os
from typing import Final, final

from smmap_typed._pool.descriptor import Descriptor
from smmap_typed._pool.frame import Frame
from smmap_typed._source import FileState

__all__ = ["File", "is_led_to_by"]


@final
class File:
    """One state of one inode. Cursors share it if they saw the same file in the same state."""

    __slots__ = (
        "copies_up",
        "descriptor",
        "equal",
        "keeps_pages",
        "names",
        "refuses_maps",
        "serial",
        "size",
        "state",
        "windows",
    )

    def __init__(self, state: FileState, name: str | int) -> None:
        self.state: Final = state
        """The state when a cursor first looked."""
        self.size: Final = state.size
        """The size in bytes. It never changes: a file that has grown since is another ``File``."""
        self.windows: Final[dict[int, Frame]] = {}
        """The mapped windows by their start. Written under the lock, read without it: a look-up that comes too early
        misses, and one that comes too late finds a tombstone."""
        self.serial = 0
        """A number that its pool uses only once; 0 until the file is first listed. Written under the lock."""
        self.names: Final[dict[str | int, None]] = {name: None}
        """The names by which cursors came to it, in order. Names are added under the lock."""
        self.descriptor: Descriptor | None = None
        """The kept descriptor, if there is one. Written under the lock, read without it: a thread that has taken the
        object may use it."""
        self.equal: File | None = None
        """The listed file in the same state to which the cursors of this one change over; None while this one is
        listed. Written under the lock, read without it: a cursor that comes too early takes the slow path."""

        self.copies_up: bool | None = None
        """Whether the file is on an overlay, so that a first write may copy it: from then on a descriptor from before
        reads the copy and maps the original. None until it is known. Any thread sets it."""
        self.keeps_pages = True
        """Whether the bytes of a detached read are then in memory for a map, too. Set before ``copies_up``, by any
        thread."""
        self.refuses_maps = False
        """Whether the system has refused to map it for a read, which then need not be tried again. Any thread sets
        it."""

    def take_descriptor(self) -> Descriptor:
        """Stop keeping the descriptor, and return it. Under the lock."""
        descriptor = self.descriptor
        assert descriptor is not None, "asked only while one is kept"  # noqa: S101 - for the type checkers
        self.descriptor = None
        return descriptor

    def is_in_use(self) -> bool:
        """Whether a cursor is on one of its windows. O(windows)."""
        return any(frame.is_pinned() for frame in self.windows.values())


def is_led_to_by(file: File, name: str | int) -> bool:
    """Whether ``name``, which leads to a file in the state of ``file``, leads to the same file.

    It does if it is the same name, or if a hard link or a symbolic link explains it. To follow symbolic links takes
    system calls, so this must not be called under the lock.
    """
    if name in file.names or file.state.links > 1:
        return True
    if isinstance(name, int):
        return False
    place = os.path.realpath(name)
    return any(isinstance(other, str) and os.path.realpath(other) == place for other in file.names.copy())
