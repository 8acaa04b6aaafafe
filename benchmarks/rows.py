"""Every row, in the order of the table."""

from typing import Final

from benchmarks import (
    buffers,
    cold,
    files,
    hits,
    imports,
    memory,
    misses,
    packs,
    reads,
    scans,
    scattered,
    searches,
    storage,
    threads,
)
from benchmarks.contest import Row

__all__ = ["ROWS", "rows_named", "short_rows"]

_HIT, _MOVE, _CURSOR = hits.ROWS
_MISS, _MISS_OF_MANY, _COLLECT, _CURVE = misses.ROWS
_SCAN, _WINDOWS = scans.ROWS
_RANDOM, _RANDOM_WINDOWS = scattered.ROWS
_THREADS, _SLOW_OPEN, _MORE_THREADS = threads.ROWS

_ALL: Final = (
    *(_HIT, _MOVE, _MISS, _MISS_OF_MANY),
    *buffers.ROWS,
    *reads.ROWS,
    *(_CURSOR, _COLLECT, _THREADS, _SLOW_OPEN),
    *packs.ROWS,
    *memory.ROWS,
    *(_SCAN, *cold.ROWS, _RANDOM, _WINDOWS, _RANDOM_WINDOWS),
    *searches.ROWS,
    *storage.ROWS,
    *files.ROWS,
    *imports.ROWS,
    *(_MORE_THREADS, _CURVE),
)
ROWS: Final = {row.key: row for row in _ALL}


def short_rows() -> list[Row]:
    """Those with a target, and what users do most."""
    return [row for row in _ALL if row.short]


def rows_named(keys: list[str]) -> list[Row]:
    """Some rows; KeyError for a name that none has."""
    return [ROWS[key] for key in keys]
