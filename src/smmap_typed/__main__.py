"""``python -m smmap_typed``: starts the command line, or says how to install what it needs.

The library itself does without typer and rich, which are in the extra ``cli``.
"""

import sys

__all__ = ["main"]

_USAGE_ERROR = 2
_INTERRUPTED = 130


def main() -> None:
    """Run the command line on ``sys.argv``; ends with SystemExit."""
    try:
        from smmap_typed.cli.app import run  # noqa: PLC0415 - a missing typer is to be one line, not a traceback
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        sys.stderr.write(f'smmap-typed: the command line needs {error.name}; pip install "smmap-typed[cli]"\n')
        sys.exit(_USAGE_ERROR)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    run()


if __name__ == "__main__":
    main()
