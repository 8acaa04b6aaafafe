"""The progress of commands that read whole files, on stderr if that is a terminal and rich is installed."""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from smmap_typed.cli.bar import Bar
from smmap_typed.cli.terminal import can_move

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(paths: Sequence[str]) -> Generator[Bar]:
    """Show a bar inside the block, where it can move."""
    if not can_move(sys.stderr):
        yield Bar()
        return
    from smmap_typed.cli.moving_bar import moving_bar  # noqa: PLC0415 - rich takes longer than most commands

    with moving_bar(paths) as bar:
        yield bar
