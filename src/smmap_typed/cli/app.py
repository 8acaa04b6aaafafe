"""The application: combines the commands, and turns errors into one line and an exit status."""

import shutil
import sys
from typing import Final, cast

import typer

from smmap_typed.cli.bench_command import bench
from smmap_typed.cli.find_command import find
from smmap_typed.cli.hash_command import hash_files
from smmap_typed.cli.map_command import map_file
from smmap_typed.cli.stat_command import stat_files
from smmap_typed.cli.terminal import NOBODY_READS, complain, complete_streams, console, reason, silence

__all__ = ["app", "run"]

_FAILED: Final = 1
_USAGE_ERROR: Final = 2
_INTERRUPTED: Final = 130

# Without this setting, the help is at least 50 columns wide, which is too wide for narrow terminals.
_HELP_WIDTH: Final = max(min(shutil.get_terminal_size().columns, 80) - 2, 20)

# typer does not export this class: old versions import it from click, new ones contain a copy of click.
_UsageError: Final = cast("type[typer.BadParameter]", typer.BadParameter.__base__)

app: Final = typer.Typer(
    help="Read big files through windows in memory, under limits, with any number of threads.",
    epilog="Example: smmap-typed hash *.iso > SHA256SUMS",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"terminal_width": _HELP_WIDTH},
)
app.command("hash", epilog="Example: smmap-typed hash --threads 4 *.iso > SHA256SUMS")(hash_files)
app.command("find", epilog="Example: smmap-typed find --hex 'ff d8 ff' disk.img")(find)
app.command("stat", epilog="Example: smmap-typed stat --window-size 16MiB *.pack")(stat_files)
app.command("map", epilog="Example: smmap-typed map --pattern zipf big.pack")(map_file)
app.command("bench", epilog="Example: smmap-typed bench --svg bench.svg big.pack")(bench)


def run() -> None:
    """Run the command line on ``sys.argv``, and exit with its status (SystemExit)."""
    complete_streams()
    try:
        status: object = app(standalone_mode=False)
    except _UsageError as error:
        complain(" ".join(error.format_message().split()))
        status = _USAGE_ERROR
    except (KeyboardInterrupt, typer.Abort):
        status = _INTERRUPTED
    except SystemExit:
        # typer exits this way when the reader of its help has gone.
        status = NOBODY_READS
    except OSError as error:
        # typer could not write its help; the commands handle errors of their own output.
        complain(f"cannot write: {reason(error)}")
        silence(sys.stdout)
        status = _FAILED
    if status == _INTERRUPTED:
        # Ctrl-C may have struck after rich hid the cursor, and before rich was ready to show it again.
        console(sys.stdout).show_cursor()
        console(sys.stderr).show_cursor()
    sys.exit(status if isinstance(status, int) else 0)
