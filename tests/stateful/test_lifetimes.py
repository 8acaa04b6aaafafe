"""What the machine found once, each as the few lines that show it."""

import gc
import os
from pathlib import Path

import pytest

from smmap_typed import FileChangedError, SlidingWindowMapManager
from support import GRANULE, write_pattern


def test_a_cursor_dropped_after_a_failed_call_lets_go_at_once(tmp_path: Path) -> None:
    """An error must not leave a cycle behind that keeps the cursor, and so its pin, until the collector comes."""
    path = tmp_path / "file"
    write_pattern(path, 3 * GRANULE)
    manager = SlidingWindowMapManager(GRANULE)
    cursor = manager.make_cursor(path).use_region(0, 1)
    os.truncate(path, GRANULE)
    gc.disable()
    try:
        with pytest.raises(FileChangedError):
            cursor.use_region(2 * GRANULE, 1)
        del cursor
        assert manager.collect() == 1
    finally:
        gc.enable()
