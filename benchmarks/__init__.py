"""Benchmarks: ratios to smmap and to the bare operation, measured side by side in one process.

The modules, each of which uses only those below it::

    __main__                    the command line
    report, floors, judging     the table; what no figure may fall below; what became of the targets
    run                         worker processes, one for each row of each build
    worker                      what such a process does: measure in turns
    rows                        every row
    hits, misses, buffers, threads, packs, memory, scans, files, imports
    store                       results, as pyperf keeps them
    contest, stage              rows and turns; the file and the managers
"""
