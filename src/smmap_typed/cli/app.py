"""The commands put together, and how each of them ends: one line and a status, whatever happens."""

import sys
from typing import Final, cast

import typer

from smmap_typed.cli.bench_command import bench
from smmap_typed.cli.find_command import find
from smmap_typed.cli.hash_command import hash_files
from smmap_typed.cli.map_command import map_file
from smmap_typed.cli.stat_command import stat_files
from smmap_typed.cli.terminal import complain, console

__all__ = ["app", "run"]

_USAGE_ERROR: Final = 2
_INTERRUPTED: Final = 130

# typer exports it by no name of its own: old versions take it from click, new ones from a copy of click inside.
_UsageError: Final = cast("type[typer.BadParameter]", typer.BadParameter.__base__)

app: Final = typer.Typer(
    help="Read big files through windows in memory, under limits, with any number of threads.",
    epilog="Example: smmap-typed hash *.iso > SHA256SUMS",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("hash", epilog="Example: smmap-typed hash --threads 4 *.iso > SHA256SUMS")(hash_files)
app.command("find", epilog="Example: smmap-typed find --hex 'ff d8 ff' disk.img")(find)
app.command("stat", epilog="Example: smmap-typed stat --window-size 16MiB *.pack")(stat_files)
app.command("map", epilog="Example: smmap-typed map --pattern zipf big.pack")(map_file)
app.command("bench", epilog="Example: smmap-typed bench --svg bench.svg big.pack")(bench)


def run() -> None:
    """Run the command line on ``sys.argv``; ends with SystemExit."""
    try:
        status: object = app(standalone_mode=False)
    except _UsageError as error:
        complain(" ".join(error.format_message().split()))
        status = _USAGE_ERROR
    except (KeyboardInterrupt, typer.Abort):
        status = _INTERRUPTED
    if status == _INTERRUPTED:
        # Ctrl-C may have struck when rich had just hidden it, and was not yet ready to bring it back.
        console(sys.stdout).show_cursor()
        console(sys.stderr).show_cursor()
    sys.exit(status if isinstance(status, int) else 0)
