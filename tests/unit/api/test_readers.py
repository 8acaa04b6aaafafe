"""Readers of others: what one gets wrong is told to the caller, and neither bytes nor books are wrong for it."""

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final, cast

import pytest

from smmap_typed import SlidingWindowMapManager
from smmap_typed.readers import FileState, MmapReader, Source
from smmap_typed.testing import check_invariants
from support import GRANULE, mapped_bytes_of

W: Final = 2 * GRANULE


class Wrong:
    """Loads windows that are not what was asked for."""

    copies: ClassVar[bool] = False
    identify, open = MmapReader().identify, MmapReader().open

    def __init__(self, load: Callable[[int, int, int], object]) -> None:
        self.wrong: Final = load

    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        del source, seen
        return cast("mmap.mmap", self.wrong(descriptor, offset, size))


def short(descriptor: int, offset: int, size: int) -> object:
    return mmap.mmap(descriptor, size - GRANULE, access=mmap.ACCESS_READ, offset=offset)


def long(descriptor: int, offset: int, size: int) -> object:
    return mmap.mmap(descriptor, size + GRANULE, access=mmap.ACCESS_READ, offset=offset)


def closed(descriptor: int, offset: int, size: int) -> object:
    with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ, offset=offset) as mapping:
        return mapping


def no_map(descriptor: int, offset: int, size: int) -> object:
    del descriptor, offset
    return bytes(size)


def nothing(descriptor: int, offset: int, size: int) -> object:
    del descriptor, offset, size
    return None


@pytest.mark.parametrize(("load", "error", "words"), [
    (short, ValueError, rf"Wrong\.load must return a map of exactly {W} bytes, got {GRANULE}"),
    (long, ValueError, f"exactly {W} bytes, got {3 * GRANULE}"),
    (closed, ValueError, "closed"), (nothing, TypeError, "got NoneType"),
    (no_map, TypeError, r"Wrong\.load must return an mmap.mmap, got bytes"),
])  # fmt: skip
def test_what_is_no_map_of_the_window_is_refused(
    load: Callable[[int, int, int], object], error: type[Exception], words: str, path: Path
) -> None:
    with SlidingWindowMapManager(W, reader=Wrong(load)) as manager:
        cursor = manager.make_cursor(path)
        for act in (lambda: cursor.use_region(8, 8), lambda: cursor.read(8, W), lambda: cursor.view(8, 8)):
            with pytest.raises(error, match=words):
                act()
            check_invariants(manager)
            assert (manager.num_file_handles(), manager.mapped_memory_size(), mapped_bytes_of(path)) == (0, 0, 0)
