"""The command line, ``smmap-typed``. Needs the extra ``cli`` (typer and rich).

``app`` combines the commands. Each command has a module ``..._command`` that turns arguments into calls and results
into lines; the commands share ``options``, ``terminal``, ``progress`` and ``sizes``. The modules ``hashing``,
``checking``, ``finding``, ``drawing`` and ``racing`` do the work. They do not depend on the terminal, on typer or on
rich.
"""
