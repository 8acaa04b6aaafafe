"""The commands beside plain ``hash``: what they print in pipes and on terminals, and how they end.

All go through the entry point that pip installed. The judges are coreutils, grep and Python's own ``re`` and ``bytes``.
"""

import errno
import hashlib
import importlib.util
import os
import random
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, ParamSpec, TypeVar
from xml.etree import ElementTree as ET

import pytest
from typing_extensions import override

import smmap_typed
from smmap_typed import SlidingWindowMapManager
from smmap_typed.cli import finding, racing
from smmap_typed.cli.drawing import PatternName, ages, offsets, picture
from smmap_typed.cli.finding import Literal, Pattern, Regex, TooLongError, search
from smmap_typed.cli.sizes import size_text
from support import GRANULE, Fault, mapped_bytes_of, mapped_ranges_of, write_pattern
from terminals import ENTRY_POINT, run, run_on_terminal

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

P = ParamSpec("P")
T = TypeVar("T")

SMALL: Final = ("--window-size", str(2 * GRANULE))


def found_in(path: Path, pattern: Pattern, *, threads: int, handles: int) -> list[int]:
    """What ``search`` finds through windows of two granules, so that a piece has one."""
    with SlidingWindowMapManager(2 * GRANULE, 0, handles) as manager, pytest.MonkeyPatch.context() as patch:
        # So that a short file has many of them.
        patch.setattr(finding, "_PIECE", GRANULE)
        patch.setattr(finding, "_BLOCK", GRANULE // 3)
        pieces = list(search(manager, [str(path)], pattern, threads))
        tallies = list(search(manager, [str(path)], pattern, threads, only_counts=True))
        assert manager.stats().peak_handles <= handles
    assert [piece.error for piece in pieces if piece.error is not None] == []
    assert [piece.count for piece in tallies] == [piece.count for piece in pieces]
    assert [piece.last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(piece.count == len(piece.offsets) for piece in pieces)
    return [offset for piece in pieces for offset in piece.offsets]


@pytest.mark.parametrize(("threads", "handles"), [(1, 1), (4, 2), (4, 64)])
@pytest.mark.parametrize(
    "expression",
    [
        b"aa",
        b"aa+b",
        b"aab?a",
        b"a{1,60}",
        b"ab*a",
        rb"(?<=b)a+(?=b)",
        rb"\Aa|b\Z",
        rb"b$|^a",
        b"(?:ab){2,20}",
        b"x",
        b"a*?b|",
    ],
)
def test_pieces_find_what_one_search_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expression: bytes, threads: int, handles: int
) -> None:
    """Dense matches over the edges of pieces, overlapping candidates, lookaround and anchors; ``re`` is the judge."""
    monkeypatch.setattr(finding, "_PIECE", GRANULE)
    chance = random.Random(7)
    data = b"".join(chance.choices([b"a", b"b", b"\n"], [8, 8, 1], k=9 * GRANULE + 5))
    (tmp_path / "file").write_bytes(data)
    expected = [match.start() for match in re.finditer(expression, data) if match.end() > match.start()]
    pattern = Regex(re.compile(expression), 200)
    assert found_in(tmp_path / "file", pattern, threads=threads, handles=handles) == expected


@pytest.mark.parametrize("needle", [b"a", b"ab", b"aba", b"abab", b"bbabb\n"])
def test_bytes_are_found_across_the_edges_of_pieces_and_blocks(tmp_path: Path, needle: bytes) -> None:
    """Some of which overlap themselves; ``re`` is the judge."""
    chance = random.Random(11)
    data = b"".join(chance.choices([b"a", b"b", b"\n"], [8, 8, 1], k=9 * GRANULE + 5))
    (tmp_path / "file").write_bytes(data)
    expected = [match.start() for match in re.finditer(needle, data)]
    assert found_in(tmp_path / "file", Literal(needle), threads=2, handles=4) == expected


def test_a_search_looks_ahead_by_two_pieces_of_each_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the handles: a search pins no window."""
    with (tmp_path / "file").open("wb") as file:
        file.truncate(6 * finding._PIECE)
    pieces: list[object] = []

    class Watched(ThreadPoolExecutor):
        @override
        def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
            pieces.append(args)
            return super().submit(function, *args, **kwargs)

    monkeypatch.setattr("smmap_typed.cli.finding.ThreadPoolExecutor", Watched)
    with SlidingWindowMapManager(2 * GRANULE, 0, 1) as manager:
        found = search(manager, [str(tmp_path / "file")], Literal(b"a"), 1)
        next(found)
        found.close()
    assert len(pieces) == 3


@pytest.mark.parametrize("needle", [b"a", b"aaaaaaa", b"a" * (GRANULE + 1), b"a" * (3 * GRANULE)])
def test_bytes_that_overlap_themselves_are_found_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needle: bytes
) -> None:
    """In a file of one letter each piece finds matches that the one before has used up, or that end beyond it."""
    monkeypatch.setattr(finding, "_PIECE", GRANULE)
    data = b"a" * (7 * GRANULE + 3)
    (tmp_path / "file").write_bytes(data)
    expected = list(range(0, len(data) - len(needle) + 1, len(needle)))
    assert found_in(tmp_path / "file", Literal(needle), threads=3, handles=8) == expected


def test_a_match_that_is_too_long_is_an_error_and_not_cut(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"b" + b"a" * 100 + b"b")
    with pytest.raises(TooLongError, match="the match at 1 is longer than 99 bytes; raise --max-length"):
        found_in(tmp_path / "file", Regex(re.compile(b"a+"), 99), threads=1, handles=4)
    result = run(tmp_path, "find", "--regex", "a+", "--max-length", "99", "file")
    assert result.stderr == b"smmap-typed: the match at 1 is longer than 99 bytes; raise --max-length\n"
    assert (result.stdout, result.returncode) == (b"", 2)


def test_find_prints_what_grep_prints(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"needle hay needle\n" * 3000)
    (tmp_path / "two").write_bytes(b"hay\n")
    (tmp_path / "empty").touch()
    names = ["one", "two", "empty", "one"]
    grep = subprocess.run(["grep", "-obF", "needle", *names], cwd=tmp_path, capture_output=True, check=True).stdout
    result = run(tmp_path, "find", *SMALL, "needle", *names)
    assert result.stdout == re.sub(rb":needle$", b"", grep, flags=re.MULTILINE)
    assert (result.stderr, result.returncode) == (b"", 0)


def test_find_takes_hexadecimal_and_counts(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"\x00\xff\xd8\xff\xd8")
    assert run(tmp_path, "find", "--hex", "FF d8", "one").stdout == b"1\n3\n"
    assert run(tmp_path, "find", "--count", "--hex", "ffd8", "one").stdout == b"2\n"
    assert run(tmp_path, "find", "--count", "--regex", r"[\xd8]", "one", "one").stdout == b"one:2\none:2\n"


def test_find_counts_over_all_pieces_of_a_file(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        for piece in range(3):
            file.seek(piece * finding._PIECE)
            file.write(b"aa")
    result = run(tmp_path, "find", "--count", *SMALL, "a", "file")
    assert (result.stdout, result.stderr) == (b"6\n", b"")


def test_find_reports_a_file_that_fails_once_and_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its second piece, when others are under way already."""
    with (tmp_path / "bad").open("wb") as file:
        file.truncate(6 * finding._PIECE)
    (tmp_path / "good").write_bytes(b"needle")
    with SlidingWindowMapManager(2 * GRANULE) as manager:
        monkeypatch.setattr(os, "pread", Fault(os.pread, OSError(errno.EIO, "no luck"), at=2))
        paths = [str(tmp_path / "bad"), str(tmp_path / "good")]
        found = list(search(manager, paths, Literal(b"needle"), 1))
    failures = [piece for piece in found if piece.error is not None]
    assert [(piece.path, piece.last) for piece in failures] == [(paths[0], True)]
    assert str(failures[0].error).startswith(f"[Errno {errno.EIO}] no luck while reading ")
    assert [(piece.path, list(piece.offsets)) for piece in found][-1] == (paths[1], [0])
    assert [piece.path for piece in found].index(paths[1]) == found.index(failures[0]) + 1


def test_find_ends_as_grep_does(tmp_path: Path) -> None:
    """1 if there is nothing, 2 if a file could not be read, whatever the others hold."""
    (tmp_path / "one").write_bytes(b"hay")
    (tmp_path / "folder").mkdir()
    subprocess.run(["mkfifo", tmp_path / "fifo"], check=True)
    nothing = run(tmp_path, "find", "needle", "one")
    assert (nothing.stdout, nothing.stderr, nothing.returncode) == (b"", b"", 1)
    failed = run(tmp_path, "find", "hay", "missing", "folder", "fifo", "one")
    assert failed.stdout == b"one:0\n"
    assert failed.stderr.decode().splitlines() == [
        "smmap-typed: missing: No such file or directory",
        "smmap-typed: folder: Is a directory",
        "smmap-typed: fifo: neither a regular file nor a block device, so it has no windows; read it with open()",
    ]
    assert failed.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["find", "--hex", "xyz", "one"], "'xyz' is not hexadecimal; write bytes as 'ff d8 ff' or ffd8ff"),
        (["find", "--regex", "(", "one"], "'(' is not a regular expression"),
        (["find", "", "one"], "PATTERN is empty"),
        (["find", "--hex", "--regex", "aa", "one"], "--hex and --regex exclude each other"),
        (["find", "--max-length", "1k", "hay", "one"], "--max-length has no effect without --regex"),
        (["find"], "missing argument: PATTERN"),
        (["find", "aa"], "missing argument: FILE"),
        (["find", "--regexp", "a", "one"], "no such option: --regexp"),
        (["find", "--reg", "a", "one"], "no such option: --reg"),
        (["hash", "--threads"], "argument --threads: expected one argument"),
        (["map", "--pattern", "sideways", "one"], "sideways"),
        (["map", "--seed", "1", "one"], "--seed has no effect without --pattern random or zipf"),
        (["map", "one", "two"], "too many arguments: two"),
        (["stat", "-"], "standard input (-) cannot be read here; write ./- for a file of that name"),
        (["map", "-"], "standard input (-) cannot be read here"),
        (["bench", "-"], "standard input (-) cannot be read here"),
        (["no-such\x1b[31mcommand"], r"no such command: no-such\x1b[31mcommand"),
        (["--no-such-option"], "no such option before the command: --no-such-option"),
        ([], "missing command"),
    ],
)
def test_usage_errors_show_the_usage_and_the_way_to_the_help(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "one").write_bytes(b"hay")
    result = run(tmp_path, *arguments)
    error, usage, way = result.stderr.decode().splitlines()
    assert error.startswith("smmap-typed: ")
    assert message in error
    command = arguments[0] if arguments and arguments[0] in {"find", "hash", "stat", "map", "bench"} else ""
    assert usage.startswith(f"Usage: smmap-typed {command}")
    assert way == f"Try '{f'smmap-typed {command}'.strip()} --help'."
    assert (result.stdout, result.returncode) == (b"", 2)
    assert run(tmp_path, *way[5:-2].split()[1:]).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["map", "missing"], "missing: No such file or directory"),
        (["map", "empty"], "empty: an empty file has no windows"),
        (["bench", "empty"], "empty: an empty file has nothing to read"),
        (["bench", "."], ".: Is a directory"),
        (["bench", "--rounds", "1", "--svg", "no/where", "one"], "no/where: No such file or directory"),
        (["stat", "missing"], "missing: No such file or directory"),
        (["find", "hay", "missing"], "missing: No such file or directory"),
        (["hash", "missing"], "missing: No such file or directory"),
        (["hash", "--check", "missing"], "missing: No such file or directory"),
        (["hash", "--check", "empty"], "empty: no properly formatted checksum lines found"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "one").write_bytes(b"hay")
    (tmp_path / "empty").touch()
    result = run(tmp_path, *arguments)
    assert (result.stderr.decode(), result.returncode) == (f"smmap-typed: {message}\n", 2)


def test_version(tmp_path: Path) -> None:
    result = run(tmp_path, "--version")
    assert (result.stdout.decode(), result.stderr) == (f"smmap-typed {smmap_typed.__version__}\n", b"")


@pytest.mark.parametrize("command", [[], ["hash"], ["find"], ["stat"], ["map"], ["bench"]])
def test_help_speaks_to_people(tmp_path: Path, command: list[str]) -> None:
    """No types of Python and no nested brackets; each option, with its default, is on it."""
    shown = run(tmp_path, *command, "--help").stdout.decode()
    assert "list[" not in shown
    assert "((" not in shown
    assert "None" not in shown
    assert "%(" not in shown


@pytest.mark.parametrize("command", ["hash", "find", "stat", "map", "bench"])
def test_every_command_has_help_with_an_example(tmp_path: Path, command: str) -> None:
    result = run(tmp_path, command, "--help")
    assert f"Example: smmap-typed {command} " in result.stdout.decode()
    assert (result.stderr, result.returncode) == (b"", 0)


ODD_NAMES: Final = [b"plain", b"line\nfeed", b"back\\slash", b"\xff\xfe", b"carriage\rreturn"]


@pytest.mark.parametrize("binary", [[], ["--binary"]])
def test_check_accepts_and_refuses_what_sha256sum_does(tmp_path: Path, binary: list[str]) -> None:
    """Text and binary markers, escaped names, a changed and a missing file, a line that is none."""
    for seed, name in enumerate(ODD_NAMES):
        write_pattern(tmp_path / os.fsdecode(name), 100, seed)
    sums = subprocess.run(["sha256sum", *binary, *ODD_NAMES], cwd=tmp_path, capture_output=True, check=True).stdout
    (tmp_path / "sums").write_bytes(sums)
    good = run(tmp_path, "hash", "--check", "sums")
    judge = subprocess.run(["sha256sum", "--check", "sums"], cwd=tmp_path, capture_output=True, check=False)
    assert (good.stdout, good.stderr, good.returncode) == (judge.stdout, b"", 0)

    (tmp_path / "plain").write_bytes(b"changed")
    (tmp_path / "back\\slash").unlink()
    (tmp_path / "sums").write_bytes(sums + b"nonsense\n")
    bad = run(tmp_path, "hash", "--check", "sums")
    judge = subprocess.run(["sha256sum", "--check", "sums"], cwd=tmp_path, capture_output=True, check=False)
    assert (bad.stdout, bad.returncode) == (judge.stdout, 2)
    assert bad.stderr.decode().splitlines() == [
        r"smmap-typed: back\\slash: No such file or directory",
        "smmap-typed: WARNING: 1 line is improperly formatted",
        "smmap-typed: WARNING: 1 listed file could not be read",
        "smmap-typed: WARNING: 1 computed checksum did NOT match",
    ]


def test_an_escape_that_there_is_not_is_no_checksum_line(tmp_path: Path) -> None:
    """As coreutils have it."""
    name = tmp_path / "x"
    name.write_bytes(b"")
    (sums,) = (run(tmp_path, "hash", "x").stdout,)
    (tmp_path / "sums").write_bytes(sums + b"\\" + sums.replace(b"  x", rb"  \x"))
    checked = run(tmp_path, "hash", "--check", "sums")
    judge = subprocess.run(["sha256sum", "--check", "sums"], cwd=tmp_path, capture_output=True, check=False)
    assert (checked.stdout, checked.returncode) == (judge.stdout, judge.returncode)
    assert checked.stderr == b"smmap-typed: WARNING: 1 line is improperly formatted\n"


def test_a_checked_name_cannot_steer_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m").write_bytes(b"")
    (tmp_path / "sums").write_bytes(run(tmp_path, "hash", "a\x1b[31m").stdout)
    status, screen = run_on_terminal(tmp_path, "hash", "--check", "sums")
    assert status == 0
    assert rb"a\x1b[31m: OK" in screen.encode()


def test_a_file_without_checksums_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "sums").write_bytes(b"nonsense\n")
    result = run(tmp_path, "hash", "--check", "sums")
    assert (result.stdout, result.returncode) == (b"", 2)
    assert result.stderr == b"smmap-typed: sums: no properly formatted checksum lines found\n"


def test_stat_tells_identity_size_and_windows(tmp_path: Path) -> None:
    write_pattern(tmp_path / "file", 5 * GRANULE)
    (tmp_path / "empty").touch()
    status = (tmp_path / "file").stat()
    lines = run(tmp_path, "stat", *SMALL, "--max-handles", "3", "file", "empty").stdout.decode().splitlines()
    assert lines[:5] == [
        "file      file",
        f"identity  device {status.st_dev}, inode {status.st_ino}",
        f"size      {size_text(5 * GRANULE)} ({5 * GRANULE} bytes)",
        f"windows   5 of {size_text(2 * GRANULE)}, one every {size_text(GRANULE)}",
        "limits    1 GiB, 3 windows",
    ]
    assert lines[7:9] == ["size      0 B (0 bytes)", "windows   none"]


def test_the_picture_shows_what_the_kernel_has_mapped(tmp_path: Path) -> None:
    """One sign for each granule; the newest region is drawn over older ones."""
    path = tmp_path / "file"
    write_pattern(path, 8 * GRANULE)
    with SlidingWindowMapManager(2 * GRANULE, 4 * GRANULE) as manager, manager.make_cursor(str(path)) as cursor:
        for offset in (0, 6 * GRANULE, 3 * GRANULE):
            with cursor.view(offset, 8):
                pass
        drawn = picture(ages(manager), 8 * GRANULE, 8, "no.")
        assert mapped_bytes_of(path) == 4 * GRANULE
        mapped = {
            (offset + page) // GRANULE for offset, size in mapped_ranges_of(path) for page in range(0, size, GRANULE)
        }
    assert {cell for cell, sign in enumerate(drawn) if sign != "."} == mapped
    assert drawn == "..nn..oo"


@pytest.mark.parametrize("name", ["sequential", "random", "zipf"])
def test_reads_stay_in_the_file(name: PatternName) -> None:
    places = list(offsets(name, 1001, 10, 5000, 1))
    assert len(places) == 5000
    assert {place % 10 for place in places} == {0}
    assert {0} < set(places) <= set(range(0, 1001, 10))


def test_zipf_has_favourites() -> None:
    places = list(offsets("zipf", 10_000, 10, 10_000, 1))
    counts = sorted((places.count(place) for place in set(places)), reverse=True)
    assert counts[0] > 5 * counts[20] > 0


def test_map_in_a_pipe_is_one_plain_picture(tmp_path: Path) -> None:
    write_pattern(tmp_path / "file", 64 * GRANULE)
    result = run(tmp_path, "map", *SMALL, "--max-memory", str(8 * GRANULE), "--reads", "64", "file")
    title, drawn, _, figures, *_ = result.stdout.decode().splitlines()
    assert title == f"file: {size_text(64 * GRANULE)}, windows of {size_text(2 * GRANULE)}"
    assert drawn == "·" * 56 + "░░▒▒▓▓██"
    assert figures == "64 reads, 50.0 % in mapped windows, 32 maps, 28 evictions"


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_map_on_a_terminal_fits_and_leaves_the_cursor(tmp_path: Path, columns: int) -> None:
    write_pattern(tmp_path / "file", 64 * GRANULE)
    status, screen = run_on_terminal(
        tmp_path, "map", *SMALL, "--reads", "2000", "--pattern", "random", "file", columns=columns
    )
    assert status == 0
    assert "2000 reads" in screen
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen).splitlines()) <= columns
    assert screen.rfind("\x1b[?25h") > screen.rfind("\x1b[?25l")


def test_hash_on_a_terminal_shows_a_bar_and_takes_it_away(tmp_path: Path) -> None:
    write_pattern(tmp_path / "file", 4 * GRANULE)
    status, screen = run_on_terminal(tmp_path, "hash", "file", "missing", "file")
    assert status == 2
    assert "0/3 files" in screen
    assert screen.count("  file\r\n") == 2
    assert screen.rfind("\x1b[?25h") > screen.rfind("\x1b[?25l")


def test_no_color_is_obeyed(tmp_path: Path) -> None:
    """Moves of the cursor remain, colours do not."""
    write_pattern(tmp_path / "file", 4 * GRANULE)
    colours = re.compile(r"\x1b\[[0-9;]*[34][0-9](;[0-9;]*)?m")
    assert colours.search(run_on_terminal(tmp_path, "hash", "file")[1])
    assert not colours.search(run_on_terminal(tmp_path, "hash", "file", extra={"NO_COLOR": "1"})[1])


@pytest.mark.parametrize("there", [True, False])
def test_bench_compares_with_smmap_if_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    write_pattern(tmp_path / "file", GRANULE)

    def find(name: str) -> object:
        return name if there else None

    monkeypatch.setattr(importlib.util, "find_spec", find)
    ways = [name for name, _ in racing._ways(str(tmp_path / "file"), GRANULE, (GRANULE, 0, 8), "auto")]
    assert ways == ["smmap_typed", *(["smmap"] if there else []), "one mmap", "pread"]


@pytest.mark.untraced
@pytest.mark.parametrize("command", [["hash", "huge"], ["map", "--reads", "1000000000", "huge"]])
def test_an_interrupt_on_a_terminal_is_clean(tmp_path: Path, command: list[str]) -> None:
    """Pressed once something moves: status 130, no traceback, the cursor is back."""
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    status, screen = run_on_terminal(tmp_path, *command, interrupt_at=b"\x1b[?25l")
    assert status == 130
    assert "Traceback" not in screen
    assert screen.rfind("\x1b[?25h") > screen.rfind("\x1b[?25l")


def test_pipes_get_no_control_characters_of_ours(tmp_path: Path) -> None:
    write_pattern(tmp_path / "file", 4 * GRANULE)
    commands = [
        ["hash"],
        ["find", "\x01"],
        ["stat"],
        ["map", "--reads", "100"],
        ["bench", "--rounds", "1", "--reads", "10"],
    ]
    for command in commands:
        result = run(tmp_path, *command, "file")
        assert result.stdout
        assert b"\x1b" not in result.stdout + result.stderr


STEERING: Final = b"red\x1b[31m\n\xff"
OF_NAMES: Final = {
    "hash": ["hash"],
    "find": ["find", "hay", "other"],
    "stat": ["stat"],
    "map": ["map", "--reads", "1"],
    "bench": ["bench", "--rounds", "1", "--reads", "1"],
}
"""Each command that prints a name."""


@pytest.mark.parametrize("command", OF_NAMES)
def test_names_cannot_steer_a_terminal(tmp_path: Path, command: str) -> None:
    """As ``ls`` escapes them there."""
    for name in (STEERING, b"other"):
        (tmp_path / os.fsdecode(name)).write_bytes(b"hay")
    status, screen = run_on_terminal(tmp_path, *OF_NAMES[command], STEERING)
    assert status == 0
    assert r"red\x1b[31m\n\xff" in screen
    assert "\x1b[31m" not in screen


@pytest.mark.parametrize("command", OF_NAMES)
def test_pipes_get_names_as_they_are(tmp_path: Path, command: str) -> None:
    """As ``ls`` prints them there; but ``hash`` escapes what ``sha256sum`` does."""
    for name in (STEERING, b"other"):
        (tmp_path / os.fsdecode(name)).write_bytes(b"hay")
    expected = STEERING.replace(b"\n", rb"\n") if command == "hash" else STEERING
    assert expected in run(tmp_path, *OF_NAMES[command], STEERING).stdout


@pytest.mark.parametrize("command", OF_NAMES)
def test_messages_escape_names_everywhere(tmp_path: Path, command: str) -> None:
    """So that each is one line, also in a log."""
    (tmp_path / "other").touch()
    result = run(tmp_path, *OF_NAMES[command], STEERING)
    assert result.stderr.decode() == "smmap-typed: red\\x1b[31m\\n\\xff: No such file or directory\n"


def test_bench_compares_all_ways_and_plots_them(tmp_path: Path) -> None:
    """A bar for each way and each measure, in a file that is well-formed."""
    write_pattern(tmp_path / "file <&>", 16 * GRANULE)
    result = run(tmp_path, "bench", "--rounds", "1", "--reads", "10", "--svg", "out.svg", "file <&>")
    rows = result.stdout.decode().splitlines()
    ways = ["smmap_typed", "smmap", "one mmap", "pread"]
    assert [re.split(r" {2,}", row)[0] for row in rows[2:]] == ways
    assert rows[2].split()[-1] == "1.00"
    drawn = ET.parse(tmp_path / "out.svg").getroot()
    space = "{http://www.w3.org/2000/svg}"
    words = [text.text or "" for text in drawn.iter(f"{space}text")]
    bars = [float(bar.attrib["width"]) for bar in drawn.iter(f"{space}rect") if bar.attrib["class"] != "back"]
    assert [word for word in words if word in ways] == 2 * ways
    assert words[0].startswith("file <&>: ")
    assert len(bars) == 8
    # The slowest way has the longest bar, and the others in proportion to it.
    ratios = [float(row.split()[-1]) for row in rows[2:]]
    assert bars[4:] == pytest.approx([ratio / max(ratios) * max(bars) for ratio in ratios], rel=0.05, abs=3)


def test_standard_input_is_a_dash(tmp_path: Path) -> None:
    """From a pipe and from a file, beside other files; ``sha256sum`` and ``grep`` are the judges."""
    content = b"needle hay " * (3 * GRANULE)
    (tmp_path / "file").write_bytes(content)

    def fed(*arguments: str) -> bytes:
        command = (ENTRY_POINT, *arguments)
        piped = subprocess.run(command, cwd=tmp_path, input=content, capture_output=True, check=True).stdout
        with (tmp_path / "file").open("rb") as file:
            redirected = subprocess.run(command, cwd=tmp_path, stdin=file, capture_output=True, check=True).stdout
        assert piped == redirected
        return piped

    digest = hashlib.sha256(content).hexdigest().encode()
    assert fed("hash", "-", "file") == digest + b"  -\n" + digest + b"  file\n"
    offsets = b"".join(b"%d\n" % match.start() for match in re.finditer(b"needle", content))
    assert fed("find", *SMALL, "needle", "-") == offsets
    assert fed("find", "--count", "needle", "-", "file") == b"-:%d\nfile:%d\n" % (3 * GRANULE, 3 * GRANULE)


def test_standard_input_that_says_it_is_empty_is_read(tmp_path: Path) -> None:
    """Files in /proc have a size of 0 and content."""
    for command, output in (("find --count Linux", b"1\n"), ("hash", None)):
        with open("/proc/version", "rb") as file:
            result = subprocess.run([ENTRY_POINT, *command.split(), "-"], stdin=file, capture_output=True, check=True)
        assert result.stdout == (
            output or run(tmp_path, "hash", "/proc/version").stdout.replace(b"/proc/version", b"-")
        )


def test_standard_input_that_fails_is_one_line(tmp_path: Path) -> None:
    """Nothing is mapped at the first byte of a process's memory."""
    for command in ("find x -", "hash -"):
        with open("/proc/self/mem", "rb") as file:
            result = subprocess.run(
                [ENTRY_POINT, *command.split()], cwd=tmp_path, stdin=file, capture_output=True, check=False
            )
        assert (result.stdout, result.stderr, result.returncode) == (b"", b"smmap-typed: -: Input/output error\n", 2)


def test_empty_standard_input(tmp_path: Path) -> None:
    assert run(tmp_path, "hash", "-").stdout == hashlib.sha256().hexdigest().encode() + b"  -\n"
    result = run(tmp_path, "find", "hay", "-")
    assert (result.stdout, result.stderr, result.returncode) == (b"", b"", 1)


TOOLS: Final = ["md5sum", "sha1sum", "sha224sum", "sha256sum", "sha384sum", "sha512sum", "b2sum"]


def test_check_reads_tagged_lines(tmp_path: Path) -> None:
    """Of each tool, in one file; the names of the algorithms are in the lines."""
    for seed, name in enumerate(ODD_NAMES):
        write_pattern(tmp_path / os.fsdecode(name), 100, seed)
    for tool in TOOLS:
        line = subprocess.run([tool, "--tag", *ODD_NAMES], cwd=tmp_path, capture_output=True, check=True).stdout
        with (tmp_path / "sums").open("ab") as sums:
            sums.write(line)
    good = run(tmp_path, "hash", "--check", "sums")
    assert (good.stdout.count(b": OK\n"), good.stderr, good.returncode) == (len(TOOLS) * len(ODD_NAMES), b"", 0)
    # With an algorithm, only its lines are good ones, as for the tool of that name.
    one = run(tmp_path, "hash", "--check", "--algorithm", "sha384", "sums")
    judge = subprocess.run(["sha384sum", "--check", "sums"], cwd=tmp_path, capture_output=True, check=False)
    assert (one.stdout, one.returncode) == (judge.stdout, 0)
    assert f"{(len(TOOLS) - 1) * len(ODD_NAMES)} lines are improperly formatted" in one.stderr.decode()


def test_check_reads_what_openssl_writes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "sums").write_text(
        f"SHA2-256(a)= {hashlib.sha256().hexdigest()}\nSHA3-256(a)= {EMPTY_SHA3}\nABC(a)= 00\n"
    )
    result = run(tmp_path, "hash", "--check", "sums")
    assert (result.stdout, result.returncode) == (b"a: OK\na: OK\n", 0)
    assert result.stderr == b"smmap-typed: WARNING: 1 line is improperly formatted\n"


EMPTY_SHA3: Final = hashlib.sha3_256().hexdigest()


def test_the_answer_no_is_status_1_and_what_cannot_be_read_status_2(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hay")
    wrong = f"{hashlib.sha256().hexdigest()}  a\n"
    (tmp_path / "sums").write_text(wrong)
    (tmp_path / "more").write_text(wrong.replace("  a", "  missing") + wrong)
    assert run(tmp_path, "find", "needle", "a").returncode == 1
    assert run(tmp_path, "hash", "--check", "sums").returncode == 1
    assert run(tmp_path, "find", "needle", "a", "missing").returncode == 2
    assert run(tmp_path, "hash", "--check", "more").returncode == 2
    assert run(tmp_path, "hash", "--check", "sums", "more").returncode == 2


def test_the_page_shows_what_the_commands_print(tmp_path: Path) -> None:
    """Each command above what it prints is run as it stands, on the file that the page describes."""
    page = (Path(__file__).parents[3] / "docs/command-line.md").read_text()
    (tmp_path / "demo").write_bytes(b"needle, hay hay\n" * 65536)
    (tmp_path / "sums").write_bytes(run(tmp_path, "hash", "demo").stdout)
    shown = re.findall(r"^```console\nsmmap-typed (.*)\n```\n\n?```text\n((?:[^`].*\n)+)```$", page, re.MULTILINE)
    assert len(shown) == 5
    for line, output in shown:
        assert run(tmp_path, *shlex.split(line)).stdout.decode() == output
