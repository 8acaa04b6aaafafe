"""The command line on terminals of all widths, as they show it in the end, and where its streams fail.

A terminal emulator, pyte, renders what was written; Ctrl-C is the key, with the echo that moves the line.
"""

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from smmap_typed.cli.sizes import size_text
from support import GRANULE, write_pattern
from terminals import ENTRY_POINT, environment, rendered, run, run_on_terminal

HUGE: Final = 1 << 40
"""Bytes that no command reads within the time limit of a test."""
WIDTHS: Final = [40, 80, 250]

QUICK: Final = {
    "hash": ["hash", "file"],
    "check": ["hash", "--check", "sums"],
    "find": ["find", "\x01", "file"],
    "count": ["find", "--count", "\x01", "file"],
    "stat": ["stat", "file"],
    "map": ["map", "--reads", "10", "file"],
    "bench": ["bench", "--rounds", "1", "--reads", "1", "file"],
    "help": ["--help"],
    "help of a command": ["find", "--help"],
}
ENDLESS: Final = [
    (["hash", "huge"], b"0/1 files"),
    (["hash", "--check", "endless"], b"0/1 files"),
    (["find", "here", "small", "huge"], b"small:0"),
    (["map", "--reads", "1000000000", "huge"], b" reads"),
    (["bench", "huge"], b"5 rounds"),
]
"""Commands that do not end, and what they show once they are at work."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a file, its checksum, and a sparse file without end."""
    write_pattern(tmp_path / "file", 64 * GRANULE)
    (tmp_path / "sums").write_bytes(run(tmp_path, "hash", "file").stdout)
    return tmp_path


@pytest.mark.parametrize(("columns", "pattern"), [(40, "sequential"), (80, "random"), (250, "zipf")])
def test_map_shows_picture_and_figures_at_any_width(folder: Path, columns: int, pattern: str) -> None:
    """Nothing is cut off: wherever lines end, the words are those that a pipe gets."""
    arguments = ("map", "--reads", "500", "--pattern", pattern, "file")
    status, written = run_on_terminal(folder, *arguments, columns=columns)
    shown = rendered(written, columns)
    piped = run(folder, *arguments).stdout.decode().splitlines()
    assert status == 0
    assert shown[0] == piped[0]
    assert "".join(line for line in shown[1:] if " " not in line) == "".join(line for line in piped if " " not in line)
    words = " ".join(line for line in shown if " " in line)
    assert words == " ".join(line for line in piped if " " in line)
    assert " % in mapped windows, " in words
    assert " evictions" in words


def test_a_read_of_many_windows_is_no_reason_for_a_negative_hit_rate(tmp_path: Path) -> None:
    """It maps none: no single window has all of it."""
    write_pattern(tmp_path / "file", 4 * GRANULE)
    arguments = ("--reads", "1", "--read-size", "1GiB", "--window-size", str(GRANULE), "--max-memory", "1GiB")
    result = run(tmp_path, "map", *arguments, "file")
    _title, _drawn, _shades, figures, *others = result.stdout.decode().splitlines()
    assert figures == "1 reads, 0.0 % in mapped windows, 0 maps, 0 evictions"
    detached = f"1 detached reads ({size_text(4 * GRANULE)})"
    assert " ".join(others) == f"{detached}, kept descriptors: 1, marks forgotten: 0"


def test_a_read_of_nothing_is_refused(tmp_path: Path) -> None:
    write_pattern(tmp_path / "file", GRANULE)
    result = run(tmp_path, "map", "--read-size", "0", "file")
    assert (result.stdout, result.returncode) == (b"", 2)
    assert b"a read has at least 1 byte" in result.stderr


@pytest.mark.parametrize("columns", WIDTHS)
def test_bench_fits_the_terminal(folder: Path, columns: int) -> None:
    """All four ways and both measures, in one table or in two; no line is broken by the terminal."""
    status, written = run_on_terminal(folder, *QUICK["bench"], columns=columns)
    assert status == 0
    assert max(len(line) for line in written.splitlines()) <= columns
    shown = rendered(written, columns)
    assert sum("front to back" in line for line in shown) == sum("at random" in line for line in shown) == 1
    assert sum(line.startswith("pread ") for line in shown) == (2 if columns < 60 else 1)


@pytest.mark.parametrize("command", [[], ["hash"], ["find"], ["stat"], ["map"], ["bench"]])
def test_help_fits_a_narrow_terminal(tmp_path: Path, command: list[str]) -> None:
    status, written = run_on_terminal(tmp_path, *command, "--help", columns=40)
    assert status == 0
    assert max(len(line) for line in written.splitlines()) <= 40


@pytest.mark.parametrize("columns", [40, 250])
@pytest.mark.parametrize(("arguments", "sign"), ENDLESS)
def test_ctrl_c_leaves_no_trace_but_its_own(folder: Path, columns: int, arguments: list[str], sign: bytes) -> None:
    """Status 130; no traceback; the cursor is back; of the bar nothing is left, but the picture is."""
    with (folder / "huge").open("wb") as file:
        file.truncate(HUGE)
    (folder / "small").write_bytes(b"here")
    (folder / "endless").write_bytes(b"0" * 64 + b"  huge\n")
    status, written = run_on_terminal(folder, *arguments, columns=columns, interrupt_at=sign)
    shown = rendered(written, columns)
    assert status == 130
    assert "Traceback" not in written
    assert written.rfind("\x1b[?25h") >= written.rfind("\x1b[?25l")
    assert not [line for line in shown if "files" in line]
    # Struck while it draws, rich may leave the frame before this one above it.
    assert any(line.startswith("huge:") for line in shown) == (arguments[0] == "map")


@pytest.mark.parametrize("command", QUICK)
def test_dumb_terminals_get_lines(folder: Path, command: str) -> None:
    status, written = run_on_terminal(folder, *QUICK[command], extra={"TERM": "dumb"})
    assert status == 0
    assert written
    assert "\x1b" not in written


@pytest.mark.parametrize("command", QUICK)
def test_nobody_reads(folder: Path, command: str) -> None:
    """The pipe has no other end from the beginning: no message, and the status of a program that SIGPIPE ends."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = _run_with_stdout(folder, command, writer)
    finally:
        os.close(writer)
    assert (result.stderr, result.returncode) == (b"", 141)


@pytest.mark.parametrize("command", ["check", "stat", "bench", "help"])
def test_a_full_disk_is_one_line(folder: Path, command: str) -> None:
    with Path("/dev/full").open("wb") as full:
        result = _run_with_stdout(folder, command, full.fileno())
    assert (result.stderr, result.returncode) == (b"smmap-typed: cannot write: No space left on device\n", 2)


def _run_with_stdout(folder: Path, command: str, stdout: int) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        (ENTRY_POINT, *QUICK[command]),
        cwd=folder,
        env=environment(80),
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
    )


@pytest.mark.parametrize("command", ["hash", "find", "map", "help"])
def test_without_stdout_is_one_line(folder: Path, command: str) -> None:
    """Started with ``>&-``, as some daemons start programs: Python has None in the place of stdout then."""
    result = _run_in_shell(folder, 'exec "$@" >&-', *QUICK[command])
    assert (result.stderr, result.returncode) == (b"smmap-typed: cannot write: Bad file descriptor\n", 2)


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize("arguments", [["stat", "missing"], ["--nonsense"]])
def test_where_no_complaint_can_be_written_the_status_says_it(
    tmp_path: Path, arguments: list[str], redirection: str
) -> None:
    result = _run_in_shell(tmp_path, f'exec "$@" {redirection}', *arguments)
    assert (result.stdout, result.stderr, result.returncode) == (b"", b"", 2)


def test_without_stdin_there_are_no_checksums(tmp_path: Path) -> None:
    result = _run_in_shell(tmp_path, 'exec "$@" <&-', "hash", "--check", "-")
    assert result.stderr == b"smmap-typed: -: no properly formatted checksum lines found\n"
    assert (result.stdout, result.returncode) == (b"", 2)


def _run_in_shell(folder: Path, script: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    command = ("sh", "-c", script, "sh", ENTRY_POINT, *arguments)
    return subprocess.run(command, cwd=folder, env=environment(80), capture_output=True, check=False)


def test_the_bar_counts_bytes_rate_and_files_in_one_unit(folder: Path) -> None:
    """Powers of 1024 throughout, as everywhere else."""
    with (folder / "huge").open("wb") as file:
        file.truncate(HUGE)
    _, written = run_on_terminal(folder, "hash", "huge", interrupt_at=b"iB/s")
    assert f"of {size_text(HUGE)}, " in written
    assert "0/1 files" in written
    assert "MB/s" not in written
    assert "GB/s" not in written
