"""Benchmarks: ratios to smmap and to the bare operation, measured side by side in one process.

The modules, each of which uses only those below it::

    __main__                    the command line
    report, floors, judging     the table; what no figure may fall below; what became of the targets
    instructions                counts of instructions, and what none may exceed
    run                         worker processes, one for each row of each build
    worker, counted             what such a process does: measure in turns; or little, under callgrind
    rows                        every row
    hits, misses, buffers, searches, threads, packs, memory, scans, scattered, files, imports
    storage, cold, reads        bytes that are not in memory, and copies of those that are
    commands                    apart from the others: the command line beside grep and openssl
    store                       results, as pyperf keeps them
    descriptors                 how many a row needs
    contest, stage              rows and turns; the file and the managers
"""

import sys
from pathlib import Path

# The tests have a file system whose reads are slow.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
