"""The command line, ``smmap-typed``. With rich, the extra ``cli``, it shows progress on terminals.

``app`` selects the command. Each command has a module ``..._command`` that turns arguments into calls and results into
lines; the commands share ``options``, ``parsing``, ``terminal``, ``progress`` and ``sizes``. The modules ``hashing``,
``checking``, ``finding``, ``drawing``, ``plotting`` and ``racing`` do the work. They do not depend on the terminal.

A command starts quickly: the application imports only the command that was asked for, and ``terminal`` imports rich
only if something is to move on a terminal.
"""
