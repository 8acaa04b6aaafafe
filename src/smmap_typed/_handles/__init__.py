"""The handles: cursors, regions, buffers, file objects. Of the pool they use only the names that its package exports.

``cursor``       the movable handle of smmap, and the hit
``state``        a cursor's file and its placement on a window: the move
``pickling``     how they find their manager when they are unpickled
``region``       a mapped window as users see it
``reading``      bytes at any offset, across windows
``span``         a range of a file, read through one state that slides along
``search``       finds bytes in a span, and matches of a pattern
``indexing``     one byte, one slice or the next occurrence of something; ``buffer`` is the whole sequence
``mapped_file``  a binary file object over a span
``sharing``      what threads must not share where there is no GIL
"""
