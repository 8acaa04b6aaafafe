"""Benchmarks: ratios to smmap and to the bare operation, measured side by side in one process.

The modules, each of which uses only those below it::

    __main__                    the command line
    page, plot                  the tables of docs/performance.md; the pictures
    report, floors, judging     the table; what no figure may fall below; what became of the targets
    run                         worker processes, one for each row of each build
    worker, instructions        what such a process does: measure in turns; count instructions
    rows                        every row
    hits, misses, buffers, threads, packs, memory, scans, files, imports
    store                       results, as pyperf keeps them
    contest, stage              rows and turns; the file and the managers
"""
