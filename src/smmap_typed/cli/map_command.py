"""``smmap-typed map``: draws which windows of a file are mapped, and how old they are, while it is read."""

import argparse
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from typing import Final, get_args

from smmap_typed import WindowCursor
from smmap_typed.cli.drawing import ASCII, BLOCKS, PatternName, ages, offsets, picture
from smmap_typed.cli.options import ManagerArguments, add_manager_options, at_least_one, make_manager, size_option
from smmap_typed.cli.parsing import Parser
from smmap_typed.cli.sizes import parse_size, size_text
from smmap_typed.cli.terminal import Output, can_move, console, fail, fail_on, printable
from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["main"]

_ABOUT: Final = """Draw which windows of FILE are mapped, and how old they are, while a pattern of reads runs. On a
terminal the picture is updated as the reads run; elsewhere only the final picture is printed. The exit status is 2 if
the file cannot be read."""
_READ_SIZE: Final = parse_size("4KiB")
_ROWS: Final = 8
# Lines of text around the picture on a narrow terminal, which wraps them, and the line of the cursor.
_FIGURES: Final = 11
_PIPED_WIDTH: Final = 72
_FRAME_SECONDS: Final = 0.1


class _Arguments(ManagerArguments):
    pattern: PatternName
    reads: int
    read_size: int
    seed: int | None


def main(words: Sequence[str]) -> int:
    """Run the command, and return its exit status."""
    parser = Parser("map [OPTIONS] FILE", _ABOUT, "smmap-typed map --pattern zipf big.pack")
    parser.add_argument(
        "--pattern",
        choices=get_args(PatternName),
        default="sequential",
        metavar="HOW",
        help="how to read: sequential, random or zipf (default: %(default)s)",
    )
    parser.add_argument(
        "--reads", type=at_least_one, default=100_000, metavar="N", help="number of reads (default: %(default)s)"
    )
    parser.add_argument(
        "--read-size", type=_read_size, default=_READ_SIZE, metavar="SIZE", help="bytes of one read (default: 4KiB)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the random numbers (default: 0)")
    add_manager_options(parser, window_size="1/64 of FILE, at most 1/4 of --max-memory", max_memory="1/4 of FILE")
    arguments = parser.parse_files(words, _Arguments())
    if arguments.seed is not None and arguments.pattern == "sequential":
        parser.error("--seed has no effect without --pattern random or zipf")
    (file,) = arguments.operands
    try:
        _draw(file, arguments)
    except OSError as error:
        fail_on(file, error)
    return 0


def _read_size(text: str) -> int:
    if not (size := size_option(text)):
        raise argparse.ArgumentTypeError("a read has at least 1 byte")
    return size


def _draw(file: str, arguments: _Arguments) -> None:
    with SlidingWindowMapManager() as probe:
        size = probe.make_cursor(file).file_size()
    if not size:
        fail(f"{printable(file)}: an empty file has no windows")
    arguments.max_memory = arguments.max_memory or -(-size // 4)
    arguments.window_size = arguments.window_size or max(min(-(-size // 64), arguments.max_memory // 4), 1)
    places = offsets(arguments.pattern, size, arguments.read_size, arguments.reads, arguments.seed or 0)
    with make_manager(arguments) as manager, manager.make_cursor(file) as cursor:
        scene = _Scene(manager, size)
        if can_move(sys.stdout):
            _move(printable(file) + scene.title(), scene, cursor, places, arguments.read_size)
            return
        for place in places:
            _read(cursor, place, arguments.read_size)
        output = Output()
        _print(output.name(file) + scene.title().encode(), scene.lines(arguments.reads, _PIPED_WIDTH), output)


class _Scene:
    """The picture and the figures of a manager that reads one file."""

    def __init__(self, manager: SlidingWindowMapManager, size: int) -> None:
        self._manager: Final = manager
        self._size: Final = size
        encoding = (sys.stdout.encoding or "").lower()
        self._signs: Final = BLOCKS if encoding.startswith("utf") else ASCII

    def title(self) -> str:
        """Return what is said of the file behind its name."""
        return f": {size_text(self._size)}, windows of {size_text(self._manager.window_size())}"

    def lines(self, reads: int, width: int, rows: int = _ROWS) -> list[str]:
        """Return the picture in at most ``rows`` lines, and the figures, all ``width`` columns wide."""
        stats = self._manager.stats()
        cells = min(-(-self._size // max(self._manager.window_size() // 2, 1)), width * rows)
        drawn = picture(ages(self._manager), self._size, cells, self._signs)
        # A read that spans several windows counts once for each window.
        hits = 100 * stats.hits / stats.acquisitions if stats.acquisitions else 0.0
        new, old, none = self._signs[0], self._signs[-2], self._signs[-1]
        mapped = f"{stats.handles} mapped ({size_text(stats.mapped_bytes)})"
        return [
            *(drawn[start : start + width] for start in range(0, cells, width)),
            *textwrap.wrap(f"newest {new} to oldest {old} of {mapped}, {none} not mapped", width),
            *textwrap.wrap(
                f"{reads} reads, {hits:.1f} % in mapped windows, {stats.maps} maps, {stats.evictions} evictions", width
            ),
            *textwrap.wrap(
                f"{stats.detached_reads} detached reads ({size_text(stats.detached_bytes)}), "
                f"kept descriptors: {stats.kept_descriptors}, marks forgotten: {stats.marks_forgotten}",
                width,
            ),
        ]


def _print(title: bytes, lines: list[str], output: Output) -> None:
    """Print the final picture."""
    text = "".join(f"{line}\n" for line in lines)
    output.write(title + b"\n" + text.encode(sys.stdout.encoding or "utf-8", "replace"))


def _read(cursor: WindowCursor, place: int, size: int) -> None:
    with cursor.view(place, size) as view:
        # Touch the view, so that its page is really read.
        view[:1].tobytes()


def _move(title: str, scene: _Scene, cursor: WindowCursor, places: Iterator[int], read_size: int) -> None:
    """Read, and update the picture on the terminal meanwhile."""
    from rich.console import Group  # noqa: PLC0415 - it takes longer than the rest of a short command
    from rich.live import Live  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    screen = console(sys.stdout)
    # Leave room for the ^C that the terminal shows at the cursor: after a full line it would move the picture up.
    width = max(screen.width - 3, 1)
    rows = max(min(_ROWS, screen.height - _FIGURES), 1)

    def frame(reads: int) -> Group:
        lines = [title, *scene.lines(reads, width, rows)]
        return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))

    due = 0.0
    reads = 0
    with Live(console=screen, auto_refresh=False, vertical_overflow="crop") as live:
        for place in places:
            _read(cursor, place, read_size)
            reads += 1
            if time.monotonic() >= due:
                live.update(frame(reads), refresh=True)
                due = time.monotonic() + _FRAME_SECONDS
        live.update(frame(reads), refresh=True)
