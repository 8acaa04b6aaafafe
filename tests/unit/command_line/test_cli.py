"""The command line: ``hash`` prints what sha256sum prints, and fails as a good command does.

The judges are the coreutils of this machine, run on the same files with the same arguments.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from smmap_typed.cli.sizes import parse_size
from support import GRANULE, run_python, write_pattern

COMMAND: Final = (sys.executable, "-m", "smmap_typed", "hash")
# Tests are run with warnings as errors, and so is what they run. Output is buffered, as for most users.
ENVIRONMENT: Final = os.environ | {
    "PYTHONWARNINGS": "error",
    "PYTHONUNBUFFERED": "",
    "COLUMNS": "120",
    "LC_ALL": "C.UTF-8",
}
HUGE: Final = 1 << 40
"""Bytes that nobody hashes within the time limit of a test."""


def run(folder: Path, *arguments: str | bytes) -> "subprocess.CompletedProcess[bytes]":
    """Run ``hash`` with ``arguments`` in ``folder``."""
    return subprocess.run((*COMMAND, *arguments), cwd=folder, env=ENVIRONMENT, capture_output=True, check=False)


@contextmanager
def started(folder: Path, *arguments: str) -> "Generator[subprocess.Popen[bytes], None, None]":
    """Start ``hash`` with ``arguments`` in ``folder``, with pipes to read from; it ends with the block."""
    pipe = subprocess.PIPE
    with subprocess.Popen((*COMMAND, *arguments), cwd=folder, env=ENVIRONMENT, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def expected(folder: Path, *names: str | bytes, tool: str = "sha256sum") -> bytes:
    """What the coreutils print for ``names`` in ``folder``."""
    return subprocess.run((tool, *names), cwd=folder, env=ENVIRONMENT, capture_output=True, check=True).stdout


def make_files(folder: Path, count: int = 24) -> list[str]:
    """Files of zero to four granules, off by one to either side, some empty; their names."""
    names: list[str] = []
    for seed in range(count):
        name = f"file {seed}"
        write_pattern(folder / name, max((seed % 5) * GRANULE + seed % 3 - 1, 0), seed)
        names.append(name)
    return names


def figures(stderr: bytes) -> dict[str, float]:
    """What ``--stats`` printed."""
    return {name: float(value) for name, value in (line.split() for line in stderr.decode().splitlines())}


def test_output_is_that_of_sha256sum(tmp_path: Path) -> None:
    names = make_files(tmp_path)
    result = run(tmp_path, *names)
    assert (result.stdout, result.stderr, result.returncode) == (expected(tmp_path, *names), b"", 0)


@pytest.mark.parametrize("handles", ["1", "2", "5"])
@pytest.mark.parametrize("threads", ["1", "16"])
def test_limits_and_threads_change_nothing_in_the_output(tmp_path: Path, threads: str, handles: str) -> None:
    """Windows of two granules and less memory than that: every file but the smallest is read in several windows."""
    names = make_files(tmp_path) * 4
    tight = ("--window-size", str(2 * GRANULE), "--max-memory", "4k")
    result = run(tmp_path, "--threads", threads, "--max-handles", handles, *tight, *names)
    assert (result.stdout, result.stderr, result.returncode) == (expected(tmp_path, *names), b"", 0)


@pytest.mark.parametrize("window_size", ["0", "1", "64MiB"])
def test_window_size_changes_nothing_in_the_output(tmp_path: Path, window_size: str) -> None:
    names = make_files(tmp_path)
    assert run(tmp_path, "--window-size", window_size, *names).stdout == expected(tmp_path, *names)


def test_odd_names_are_written_as_sha256sum_writes_them(tmp_path: Path) -> None:
    """Backslash, line feed and carriage return are escaped; everything else is raw, also what is not UTF-8."""
    names = [
        b"back\\slash",
        b"line\nfeed",
        b"carriage\rreturn",
        b"all\\\n\r",
        b"\xff\xfe",
        b" a\tb ",
        "\N{SNOWMAN}".encode(),
    ]
    for seed, name in enumerate(names):
        write_pattern(tmp_path / os.fsdecode(name), 100, seed)
    result = run(tmp_path, *names)
    assert (result.stdout, result.returncode) == (expected(tmp_path, *names), 0)


def test_sha256sum_accepts_the_output(tmp_path: Path) -> None:
    names = make_files(tmp_path)
    sums = run(tmp_path, *names).stdout
    checked = subprocess.run(
        ("sha256sum", "--check", "--quiet"), cwd=tmp_path, input=sums, capture_output=True, check=False
    )
    assert (checked.stdout, checked.stderr, checked.returncode) == (b"", b"", 0)


def test_a_name_after_two_dashes_may_begin_with_one(tmp_path: Path) -> None:
    write_pattern(tmp_path / "--stats", 100)
    assert run(tmp_path, "--", "--stats").stdout == expected(tmp_path, "--", "--stats")


def test_files_that_say_they_are_empty_are_read_all_the_same(tmp_path: Path) -> None:
    """Files in /proc have a size of 0 and content."""
    assert run(tmp_path, "/proc/version").stdout == expected(tmp_path, "/proc/version")


@pytest.mark.parametrize("algorithm", ["md5", "sha512", "blake2b"])
def test_other_algorithms(tmp_path: Path, algorithm: str) -> None:
    tool = {"blake2b": "b2sum"}.get(algorithm, f"{algorithm}sum")
    names = make_files(tmp_path)
    assert run(tmp_path, "--algorithm", algorithm, *names).stdout == expected(tmp_path, *names, tool=tool)


def test_a_failed_file_is_named_and_the_others_are_done(tmp_path: Path) -> None:
    """A missing file, a directory and a device between good files: one line each on stderr, status 1."""
    write_pattern(tmp_path / "first", 100)
    write_pattern(tmp_path / "last", GRANULE)
    (tmp_path / "folder").mkdir()
    result = run(tmp_path, "first", "missing\n", "folder", "/dev/null", "last")
    assert result.stdout == expected(tmp_path, "first", "last")
    assert result.stderr.decode().splitlines() == [
        r"smmap-typed: missing\n: No such file or directory",
        "smmap-typed: folder: Is a directory",
        "smmap-typed: /dev/null: neither a regular file nor a block device, so it has no windows; read it with open()",
    ]
    assert result.returncode == 1


@pytest.mark.untraced
def test_lines_come_as_soon_as_they_are_due_and_an_interrupt_ends_the_rest(tmp_path: Path) -> None:
    """While a file that takes hours is read, the line before it is there; then Ctrl-C: status 130, no traceback."""
    write_pattern(tmp_path / "small", 100)
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(HUGE)
    with started(tmp_path, "--threads", "4", "small", "huge", "huge", "small") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == expected(tmp_path, "small")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate()
    assert (stdout, stderr, process.returncode) == (b"", b"", 130)


def test_a_reader_that_leaves_ends_it_quietly(tmp_path: Path) -> None:
    """More lines than a pipe holds, of which the reader takes one; the status is that of a program ended by SIGPIPE."""
    write_pattern(tmp_path / "small", 100)
    with started(tmp_path, *["small"] * 2000) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == expected(tmp_path, "small")
        process.stdout.close()
        assert process.stderr.read() == b""
        # 128 + SIGPIPE, a name that the signal module does not have everywhere.
        assert process.wait() == 141


def test_a_full_disk_is_one_line_and_status_1(tmp_path: Path) -> None:
    write_pattern(tmp_path / "small", 100)
    with Path("/dev/full").open("wb") as full:
        command = (*COMMAND, "small", "small")
        result = subprocess.run(
            command, cwd=tmp_path, env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (result.stderr, result.returncode) == (b"smmap-typed: cannot write: No space left on device\n", 1)


def test_stats_are_printed_to_stderr_and_keep_the_limits(tmp_path: Path) -> None:
    """Eight threads, three handles: the peak is at most three, and each thread takes one window after the other."""
    names = [f"file {seed}" for seed in range(8)]
    for seed, name in enumerate(names):
        write_pattern(tmp_path / name, 4 * GRANULE, seed)
    limits = ("--threads", "8", "--max-handles", "3", "--window-size", str(2 * GRANULE))
    result = run(tmp_path, "--stats", *limits, *names)
    stats = figures(result.stderr)
    assert result.stdout == expected(tmp_path, *names)
    assert stats["maps"] == stats["acquisitions"] == 2 * len(names)
    assert 1 <= stats["peak_handles"] <= 3
    assert stats["pinned_regions"] == stats["view_pinned_regions"] == 0


def test_a_thread_pins_one_window_at_a_time(tmp_path: Path) -> None:
    """With memory for one window, each is unmapped before the next is mapped, though there are handles left."""
    write_pattern(tmp_path / "file", 8 * GRANULE)
    result = run(tmp_path, "--stats", "--window-size", str(2 * GRANULE), "--max-memory", str(2 * GRANULE), "file")
    stats = figures(result.stderr)
    assert (stats["maps"], stats["evictions"], stats["peak_handles"]) == (4, 3, 1)


def test_one_file_given_often_is_mapped_once(tmp_path: Path) -> None:
    """All threads share one manager."""
    write_pattern(tmp_path / "same", 4 * GRANULE)
    result = run(tmp_path, "--stats", "--threads", "8", *["same"] * 32)
    assert result.stdout == 32 * expected(tmp_path, "same")
    assert figures(result.stderr)["maps"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--window-size", "12x"], "'12x' is not a size; write bytes as 4096, or powers of 1024 as 64k"),
        (["--max-memory", "1GB"], "'1GB' is not a size"),
        (["--max-memory", "-1"], "'-1' is not a size"),
        (["--window-size", "9999999TiB"], "'9999999TiB' is too large"),
        (["--threads", "0"], "--threads"),
        (["--max-handles", "0"], "--max-handles"),
        (["--max-handles", "many"], "--max-handles"),
        (["--algorithm", "sha257"], "'sha257' is not an algorithm with a digest of fixed size; there are blake2b"),
        (["--algorithm", "shake_128"], "'shake_128' is not an algorithm"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_usage_errors_say_what_is_wrong_before_anything_is_read(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    write_pattern(tmp_path / "small", 100)
    result = run(tmp_path, *arguments, "small")
    assert (result.stdout, result.returncode) == (b"", 2)
    assert message in result.stderr.decode()


def test_no_files_is_a_usage_error(tmp_path: Path) -> None:
    assert run(tmp_path).returncode == 2


def test_help_shows_an_example(tmp_path: Path) -> None:
    result = run(tmp_path, "--help")
    assert b"Example: smmap-typed hash --threads 4 *.iso > SHA256SUMS" in result.stdout
    assert (result.stderr, result.returncode) == (b"", 0)


def test_without_typer_one_line_says_what_to_install() -> None:
    """None in sys.modules is how an import is made to fail; status 2."""
    result = run_without("typer")
    assert result.stderr == 'smmap-typed: the command line needs typer; pip install "smmap-typed[cli]"\n'
    assert (result.stdout, result.returncode) == ("", 2)


def test_another_missing_module_is_not_blamed_on_typer() -> None:
    result = run_without("smmap_typed.cli.hashing")
    assert "ModuleNotFoundError: import of smmap_typed.cli.hashing halted" in result.stderr
    assert "pip install" not in result.stderr


def test_an_interrupt_while_it_starts_is_quiet() -> None:
    """The first imports take a while; the status is that of the shell for SIGINT."""
    code = (
        "import runpy, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'smmap_typed.cli.app':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "runpy.run_module('smmap_typed', run_name='__main__')"
    )
    result = run_python(code)
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 130)


def run_without(module: str) -> "subprocess.CompletedProcess[str]":
    """Run the package as a command where ``module`` cannot be imported."""
    code = f"import runpy, sys; sys.modules[{module!r}] = None; runpy.run_module('smmap_typed', run_name='__main__')"
    return run_python(code)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("64k", 65536),
        ("64K", 65536),
        ("64KiB", 65536),
        ("64kib", 65536),
        ("3m", 3 * 1024**2),
        ("1GiB", 1024**3),
        ("2TiB", 2 * 1024**4),
        (str(sys.maxsize), sys.maxsize),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "k", "-1", "+1", "1.5G", "1 k", " 1", "1\n", "0x10", "1_000", "1KB", "1B", "1Pi", "\u0661"]
)
def test_what_is_no_size_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size; write bytes as 4096, or powers of 1024 as 64k") as caught:
        parse_size(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", [str(sys.maxsize + 1), "8388608TiB"])
def test_sizes_beyond_the_address_space_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is too large; sizes go up to {sys.maxsize} bytes"):
        parse_size(text)
