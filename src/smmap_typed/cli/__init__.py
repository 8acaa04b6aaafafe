"""The command line, ``smmap-typed``, with the extra ``cli`` (typer and rich).

``app`` puts the commands together, each of which has a module ``..._command`` that turns arguments into calls and
results into lines; ``terminal`` and ``options`` are what they share. The work is in ``hashing``, ``checking``,
``finding``, ``drawing`` and ``racing``, which know nothing of the terminal and need neither typer nor rich.
All of it uses the library as any other program could.
"""
