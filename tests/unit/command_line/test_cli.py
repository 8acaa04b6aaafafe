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
from terminals import ENTRY_POINT, run_python_on_terminal

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
    """A missing file, a directory and a device between good files: one line each on stderr, status 2."""
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
    assert result.returncode == 2


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


def test_a_full_disk_is_one_line_and_status_2(tmp_path: Path) -> None:
    write_pattern(tmp_path / "small", 100)
    with Path("/dev/full").open("wb") as full:
        command = (*COMMAND, "small", "small")
        result = subprocess.run(
            command, cwd=tmp_path, env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (result.stderr, result.returncode) == (b"smmap-typed: cannot write: No space left on device\n", 2)


def test_stats_are_printed_to_stderr_and_keep_the_limits(tmp_path: Path) -> None:
    """Eight threads, three handles: the peak is at most three, and all bytes are read."""
    names = [f"file {seed}" for seed in range(8)]
    for seed, name in enumerate(names):
        write_pattern(tmp_path / name, 4 * GRANULE, seed)
    limits = ("--threads", "8", "--max-handles", "3", "--window-size", str(2 * GRANULE))
    result = run(tmp_path, "--stats", *limits, *names)
    stats = figures(result.stderr)
    assert result.stdout == expected(tmp_path, *names)
    assert stats["detached_bytes"] == 4 * GRANULE * len(names)
    assert stats["peak_handles"] <= 3
    assert stats["pinned_regions"] == stats["view_pinned_regions"] == 0


def test_what_is_read_to_be_hashed_unmaps_nothing(tmp_path: Path) -> None:
    """With memory for one window, no window makes way for another."""
    write_pattern(tmp_path / "file", 8 * GRANULE)
    result = run(tmp_path, "--stats", "--window-size", str(2 * GRANULE), "--max-memory", str(2 * GRANULE), "file")
    stats = figures(result.stderr)
    assert (stats["evictions"], stats["detached_bytes"]) == (0, 8 * GRANULE)
    assert stats["peak_mapped_bytes"] <= 2 * GRANULE


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


def test_without_rich_everything_works_but_nothing_moves(tmp_path: Path) -> None:
    """None in sys.modules is how an import is made to fail."""
    write_pattern(tmp_path / "file", GRANULE)
    for command in ("hash", "map"):
        code = f"import sys; sys.modules['rich'] = None; sys.argv = ['smmap-typed', {command!r}, 'file']"
        status, screen = run_python_on_terminal(tmp_path, f"{code}; from smmap_typed.__main__ import main; main()")
        assert status == 0
        assert "file" in screen
        assert "\x1b" not in screen


def test_a_short_command_imports_no_more_than_it_needs(tmp_path: Path) -> None:
    """What takes long to import: rich, what only ``bench`` and ``map`` use, and what a pipe on stdin needs."""
    write_pattern(tmp_path / "file", GRANULE)
    code = (
        "import atexit, sys; before = set(sys.modules)\n"
        f"sys.argv = ['smmap-typed', 'hash', {str(tmp_path / 'file')!r}]\n"
        "atexit.register(lambda: print(*(set(sys.modules) - before)))\n"
        "from smmap_typed.__main__ import main; main()"
    )
    imported = run_python(code).stdout.split()
    assert "smmap_typed.cli.hash_command" in imported
    assert {"rich", "statistics", "random", "tempfile", "asyncio", "smmap_typed.cli.find_command"}.isdisjoint(imported)


@pytest.mark.parametrize("command", [(sys.executable, "-m", "smmap_typed"), (ENTRY_POINT,)], ids=["module", "script"])
def test_an_interrupt_at_any_import_is_quiet(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Once the package has begun to import itself, to the last import of the command; ``sitecustomize`` strikes.

    The status is that of the shell for SIGINT. What the interpreter does before that is not ours.
    """
    write_pattern(tmp_path / "file", GRANULE)
    (tmp_path / "sitecustomize.py").write_text(STRIKING)

    def interrupted_at(place: int) -> "subprocess.CompletedProcess[bytes]":
        environment = ENVIRONMENT | {"PYTHONPATH": str(tmp_path), "STRIKE_AT": str(place)}
        return subprocess.run(
            (*command, "hash", "file"), cwd=tmp_path, env=environment, capture_output=True, check=False
        )

    place = 1
    while (result := interrupted_at(place)).returncode:
        assert (result.stdout, result.stderr, result.returncode) == (b"", b"", 130)
        # Not each of them: there are more than a hundred. The last are those of the command itself.
        place += 3 if place > 80 else 9
    assert place > 50


STRIKING: Final = """\
import os, signal, sys
class Striker:
    places = int(os.environ["STRIKE_AT"])
    began = False
    def find_spec(self, name, *_):
        self.began |= signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        if self.began:
            self.places -= 1
            if not self.places:
                signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Striker())
"""
"""Sends SIGINT to the process at the import of the given number."""


def test_an_interrupt_before_there_is_a_handler_is_quiet() -> None:
    """The import of ``signal`` comes first, and takes a while itself."""
    code = (
        "import sys; sys.argv = ['smmap-typed']; sys.modules.pop('signal', None)\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'signal':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "import smmap_typed"
    )
    result = run_python(code)
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 130)


@pytest.mark.parametrize("program", ["import smmap_typed", "import sys; sys.argv = []; import smmap_typed"])
def test_other_programs_keep_their_handler_of_ctrl_c(program: str) -> None:
    code = f"{program}; import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    assert run_python(code).stdout == "True\n"


def test_an_ignored_ctrl_c_stays_ignored(tmp_path: Path) -> None:
    """Of a shell's job in the background, say."""
    write_pattern(tmp_path / "file", GRANULE)
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.argv = ['smmap-typed', '--version']\n"
        "import atexit; atexit.register(lambda: print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN))\n"
        "from smmap_typed.__main__ import main; main()"
    )
    assert run_python(code).stdout.splitlines()[-1] == "True"


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
