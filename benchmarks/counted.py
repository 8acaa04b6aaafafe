"""What runs under callgrind: some turns of one row, in a process that imports little, since all of it is counted.

``python -m benchmarks.counted ROW TURNS FOLDER``.
"""

import gc
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from benchmarks import buffers, hits, misses
from benchmarks.descriptors import allow_descriptors
from benchmarks.stage import Stage

__all__ = ["OPERATIONS"]

_SIZES: Final[dict[str, tuple[ModuleType, str, int]]] = {
    "hit": (hits, "HITS", 10_000),
    "move": (hits, "MOVES", 4_000),
    "miss 64": (misses, "MISSES", 400),
    "byte": (buffers, "BYTES", 10_000),
    "short slice": (buffers, "SLICES", 8_000),
}
"""The constants that hold how many operations a turn does, and fewer: under callgrind all is fifty times slower."""
OPERATIONS: Final = {key: operations for key, (_, _, operations) in _SIZES.items()}
"""The rows whose instructions are counted, and how many operations a turn of each does here."""


def main(key: str, turns: str, folder: str) -> None:
    """Do so many turns."""
    module, name, operations = _SIZES[key]
    assert name in vars(module)
    setattr(module, name, operations)
    row = next(row for row in (*hits.ROWS, *misses.ROWS, *buffers.ROWS) if row.key == key)
    allow_descriptors(row)
    turn = row.contestants["ours"](Stage(Path(folder)))
    # Or whether the second turn has a full collection of all that was imported would be a matter of luck.
    gc.collect()
    gc.freeze()
    for _ in range(int(turns)):
        turn()


if __name__ == "__main__":
    main(*sys.argv[1:])
