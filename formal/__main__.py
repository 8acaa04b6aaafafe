"""Search the configurations of the model, and print the table that docs/reliability.md has: ``python -m formal``."""

import argparse
import sys
import tempfile
from pathlib import Path

from formal.configurations import CONFIGURATIONS
from formal.spin import IS_AVAILABLE, Configuration, Result, search


def row(configuration: Configuration, result: Result) -> str:
    """One line of the table."""
    if result.error:
        end = f"**{result.error}**"
    else:
        end = "no error" if result.is_exhausted else "no error so far, **not exhausted**"
    bounds = f"`{configuration.bounds}`{', fair' if configuration.is_fair else ''}"
    return f"| {configuration.name} | {bounds} | {result.states:,} | {result.seconds:.0f} s | {end} |"


def main() -> int:
    """Search all that is not deep, or what is named; 1 if there is an error or a search did not end."""
    parser = argparse.ArgumentParser(prog="python -m formal", description=__doc__)
    parser.add_argument("--deep", action="store_true", help="also what takes hours and up to 14 GiB of memory")
    parser.add_argument("--only", default="", help="the configurations whose names have this in them")
    arguments = parser.parse_args()
    if not IS_AVAILABLE:
        parser.error("needs spin and gcc; on Debian and Ubuntu: apt-get install spin gcc")
    chosen = [one for one in CONFIGURATIONS if arguments.only in one.name and (arguments.deep or not one.is_deep)]
    sys.stdout.write("| what | bounds | states | time | result |\n|---|---|---|---|---|\n")
    are_right = True
    for configuration in chosen:
        with tempfile.TemporaryDirectory() as folder:
            result = search(configuration, Path(folder))
        sys.stdout.write(f"{row(configuration, result)}\n")
        sys.stdout.flush()
        are_right = are_right and result.is_exhausted
    return 0 if are_right else 1


if __name__ == "__main__":
    sys.exit(main())
