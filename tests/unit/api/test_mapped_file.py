"""Mapped files: everything that a file object does, they do alike, over windows and under limits."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import pickle
import random
import subprocess
import sys
import tarfile
import weakref
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final, Literal, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smmap_typed import FileChangedError, ManagerClosedError, MappedFile, SlidingWindowMapManager
from smmap_typed._handles.mapped_file import BUFFERED
from smmap_typed.testing import check_invariants, in_threads
from support import (
    GRANULE,
    SECONDS,
    descriptors_of,
    mapped_bytes_of,
    open_descriptor,
    pattern,
    release_descriptors,
    write_pattern,
)

SIZE: Final = 9 * GRANULE + 123
WORDS: Final = random.Random(7)
# Lines of all lengths, empty ones and some longer than a window.
TEXT: Final = b"\n".join(
    bytes(WORDS.randrange(32, 127) for _ in range(WORDS.choice((0, 1, 30, 200, 3 * GRANULE)))) for _ in range(60)
)

Call = Callable[[io.BufferedIOBase], object]


def _read(size: int) -> Call:
    return lambda file: file.read(size)


def _seek(offset: int, whence: int) -> Call:
    def seek(file: io.BufferedIOBase) -> object:
        # Only by an offset that makes sense: what is refused is another test's.
        base = (0, file.tell(), len(TEXT))[whence]
        return file.seek(max(offset, -base), whence)

    return seek


def _readinto(size: int) -> Call:
    def readinto(file: io.BufferedIOBase) -> object:
        room = bytearray(size)
        count = file.readinto(room)
        return count, bytes(room)

    return readinto


def _readline(limit: int) -> Call:
    return lambda file: file.readline(limit)


def _readlines(hint: int) -> Call:
    return lambda file: file.readlines(hint)


def _next(file: io.BufferedIOBase) -> object:
    return next(file, b"")


def _tell(file: io.BufferedIOBase) -> object:
    return file.tell()


READERS: Final[st.SearchStrategy[Literal["mmap", "pread"]]] = st.sampled_from(["mmap", "pread"])
SIZES: Final = st.sampled_from([0, 1, 7, 100, GRANULE, BUFFERED - 1, BUFFERED, BUFFERED + 1, 5 * GRANULE, -1])
CALLS: Final = st.one_of(
    st.builds(_read, SIZES),
    st.builds(_readinto, SIZES.filter(lambda size: size >= 0)),
    st.builds(_readline, SIZES),
    st.builds(_readlines, SIZES),
    st.builds(_seek, st.integers(-len(TEXT), len(TEXT) + 100), st.integers(0, 2)),
    st.just(_next),
    st.just(_tell),
)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "lines"
    path.write_bytes(TEXT)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    write_pattern(path, SIZE)
    return path


@given(calls=st.lists(CALLS, max_size=25), reader=READERS)
@settings(max_examples=150)
def test_any_calls_return_what_they_return_on_the_same_bytes_in_memory(  # type: ignore[misc]  # Hypothesis forgets the parameters of what it decorates
    text: Path, calls: list[Call], reader: Literal["mmap", "pread"]
) -> None:
    """Windows of two granules, two at once: most reads cross an edge, and most windows are mapped anew."""
    with SlidingWindowMapManager(2 * GRANULE, max_open_handles=2, reader=reader) as manager:
        with manager.open(text) as file, io.BufferedReader(io.BytesIO(TEXT)) as memory:
            for call in calls:
                assert call(file) == call(memory)
                assert file.tell() == memory.tell()
        assert manager.stats().peak_handles <= 2
        check_invariants(manager)


def test_read1_and_peek_return_a_part_of_what_is_next(text: Path) -> None:
    with SlidingWindowMapManager(GRANULE) as manager, manager.open(text) as file:
        file.seek(100)
        assert TEXT.startswith(file.peek(1), 100)
        assert file.tell() == 100
        some = file.read1(BUFFERED)
        assert some
        assert TEXT.startswith(some, 100)
        assert file.read1(0) == b""


@pytest.mark.parametrize(
    ("offset", "size"),
    [
        (0, None),
        (5, None),
        (0, 10),
        (GRANULE - 3, 7),
        (GRANULE, SIZE),
        (SIZE - 1, 1),
        (SIZE, None),
        (SIZE + 5, 3),
        (0, 0),
    ],
)
def test_a_part_of_a_file_begins_at_0_and_ends_with_its_size(path: Path, offset: int, size: int | None) -> None:
    expected = path.read_bytes()[offset : None if size is None else offset + size]
    with SlidingWindowMapManager(GRANULE) as manager, manager.open(path, offset=offset, size=size) as file:
        assert file.seek(0, os.SEEK_END) == len(expected)
        assert file.read() == b""
        file.seek(0)
        assert file.read() == expected


def test_nothing_is_mapped_before_the_first_read_and_one_window_at_most_afterwards(path: Path) -> None:
    with SlidingWindowMapManager(2 * SIZE) as manager:
        file = manager.open(path)
        assert mapped_bytes_of(path) == 0
        assert manager.num_file_handles() == 0
        assert len(file.read()) == SIZE
        assert manager.stats().pinned_regions == 1
        file.close()
        assert manager.stats().pinned_regions == 0
        manager.collect()
        assert mapped_bytes_of(path) == 0
        assert descriptors_of(path) == 0


def test_a_dropped_file_lets_go_of_its_window(path: Path) -> None:
    with SlidingWindowMapManager(GRANULE) as manager:
        file = manager.open(path)
        file.read(1)
        gone = weakref.ref(file)
        del file
        assert gone() is None
        assert manager.stats().pinned_regions == 0


def test_a_closed_file_says_so_like_any_other(path: Path) -> None:
    with SlidingWindowMapManager() as manager:
        file = manager.open(path)
        raw = cast(io.RawIOBase, file.raw)
        file.close()
        file.close()
        assert file.closed
        assert raw.closed
        calls: list[Callable[[], object]] = [
            *(file.read, file.readline, file.tell, file.seekable, file.readable, lambda: next(file), file.peek),
            *(raw.tell, raw.readable, raw.seekable, lambda: raw.seek(0), file.__enter__),
            lambda: raw.readinto(bytearray(1)),
        ]
        for call in calls:
            with pytest.raises(ValueError, match=r"closed file"):
                call()


def test_it_says_what_it_is(path: Path) -> None:
    with SlidingWindowMapManager() as manager, manager.open(path) as file:
        assert isinstance(file, MappedFile)
        assert isinstance(file, io.BufferedIOBase)
        assert (file.name, file.mode, file.closed, file.isatty()) == (str(path), "rb", False, False)
        assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"no")
        with pytest.raises(io.UnsupportedOperation, match="fileno"):
            file.fileno()


def test_a_descriptor_is_as_good_as_a_path(path: Path) -> None:
    with (
        SlidingWindowMapManager(GRANULE) as manager,
        open_descriptor(path) as descriptor,
        manager.open(descriptor, offset=3) as file,
    ):
        assert file.name == descriptor
        assert file.read() == path.read_bytes()[3:]


def test_what_cannot_be_opened_is_an_error_at_once(tmp_path: Path, path: Path) -> None:
    with SlidingWindowMapManager() as manager:
        with pytest.raises(FileNotFoundError):
            manager.open(tmp_path / "nothing")
        with pytest.raises(IsADirectoryError):
            manager.open(tmp_path)
        with pytest.raises(ValueError, match="offset must not be negative, got -1"):
            manager.open(path, offset=-1)
        with pytest.raises(ValueError, match="size must not be negative, got -5"):
            manager.open(path, size=-5)
        with pytest.raises(TypeError, match="offset must be an integer, got str"):
            manager.open(path, offset="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - that is what is tested
    with pytest.raises(ManagerClosedError):
        manager.open(path)


def test_one_that_was_refused_leaves_nothing_to_its_finaliser(path: Path) -> None:
    """What a finaliser raises is reported in development mode, and always since CPython 3.13."""
    program = """
import sys
from smmap_typed import SlidingWindowMapManager
try:
    SlidingWindowMapManager().open(sys.argv[1], offset=-1)
except ValueError as error:
    print(error)
"""
    command = [sys.executable, "-X", "dev", "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert (done.stdout, done.stderr) == ("offset must not be negative, got -1\n", "")


@pytest.mark.parametrize(("offset", "whence", "words"), [(-1, 0, "negative"), (-10, 1, "negative"), (0, 5, "whence")])
def test_a_seek_to_nowhere_is_refused_and_moves_nothing(path: Path, offset: int, whence: int, words: str) -> None:
    """A position before the start is an OSError, as of any file."""
    refusal = OSError if words == "negative" else ValueError
    with SlidingWindowMapManager() as manager, manager.open(path) as file:
        file.seek(4)
        with pytest.raises(refusal, match=words):
            file.seek(offset, whence)
        assert file.tell() == 4
        raw = cast(io.RawIOBase, file.raw)
        assert raw.seek(0) == 0
        with pytest.raises(OSError, match=words):
            raw.seek(offset, whence)
        assert raw.tell() == 0


def test_it_has_the_bytes_that_the_file_had_when_it_was_opened(path: Path) -> None:
    """Appending changes nothing; another file at the path is never read instead."""
    with SlidingWindowMapManager(GRANULE) as manager, manager.open(path) as file:
        content = path.read_bytes()
        with path.open("ab") as end:
            end.write(b"more")
        assert file.read() == content
        file.seek(0)
        assert file.read(5) == content[:5]
        fresh = path.with_name("fresh")
        fresh.write_bytes(pattern(SIZE, 2))
        fresh.replace(path)
        assert file.read() == content[5:]
        assert manager.open(path).read() == pattern(SIZE, 2)
        file.seek(0)
        assert file.read() == content
        manager.collect()
        release_descriptors(manager)
        file.seek(0)
        with pytest.raises(FileChangedError):
            file.read()
        assert manager.open(path).read() == pattern(SIZE, 2)


def test_a_manager_that_is_closed_is_an_error_of_the_next_read(path: Path) -> None:
    manager = SlidingWindowMapManager(GRANULE)
    file = manager.open(path)
    file.read(1)
    manager.close()
    with pytest.raises(ManagerClosedError):
        file.read()
    file.close()


def test_threads_read_objects_of_their_own_under_a_tight_limit(text: Path) -> None:
    with SlidingWindowMapManager(2 * GRANULE, max_open_handles=9) as manager:

        def read(number: int) -> None:
            with manager.open(text) as file:
                file.seek(number * 1000)
                assert b"".join(file) == TEXT[number * 1000 :]

        in_threads(8, read)
        assert manager.stats().pinned_regions == 0
        assert manager.stats().peak_handles <= 9


def test_threads_that_share_one_object_get_each_piece_once(path: Path) -> None:
    """Its calls take turns, so what all of them read together is the file, without a gap or a repetition."""
    with SlidingWindowMapManager(2 * GRANULE) as manager, manager.open(path) as file:
        pieces: list[bytes] = []

        def read(_: int) -> None:
            while piece := file.read(24):
                pieces.append(piece)

        in_threads(4, read)
        assert sorted(pieces) == sorted(path.read_bytes()[start : start + 24] for start in range(0, SIZE, 24))


# Who takes a binary file.


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zipfile(tmp_path: Path, compression: int) -> None:
    members = {f"member-{number}": pattern(number * GRANULE + number, number) for number in range(6)}
    with zipfile.ZipFile(tmp_path / "archive.zip", "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with (
        SlidingWindowMapManager(2 * GRANULE, max_open_handles=2) as manager,
        manager.open(tmp_path / "archive.zip") as file,
        zipfile.ZipFile(file) as archive,
    ):
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == members


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tarfile(tmp_path: Path, mode: Literal["w", "w:gz", "w:bz2", "w:xz"]) -> None:
    members = {f"member-{number}": pattern(number * GRANULE + number, number) for number in range(6)}
    with tarfile.open(tmp_path / "archive", mode) as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    with SlidingWindowMapManager(2 * GRANULE, max_open_handles=2) as manager:
        file = manager.open(tmp_path / "archive")
        with file, tarfile.open(fileobj=file) as archive:
            found = {header.name: archive.extractfile(header) for header in archive}
            assert {name: member.read() for name, member in found.items() if member is not None} == members


@pytest.mark.parametrize("opener", [gzip.open, bz2.open, lzma.open])
def test_compressed_files(tmp_path: Path, opener: Callable[[object, str], IO[bytes]]) -> None:
    content = random.Random(3).randbytes(200_000) + TEXT
    with opener(tmp_path / "packed", "wb") as packed:
        packed.write(content)
    with SlidingWindowMapManager(2 * GRANULE, max_open_handles=2) as manager:
        file = manager.open(tmp_path / "packed")
        with file, opener(file, "rb") as unpacked:
            assert unpacked.read() == content


def test_text_and_csv(tmp_path: Path) -> None:
    rows = [[str(number), "é" * (number % 50), 'with "quotes"\nand lines'] for number in range(2000)]
    path = tmp_path / "table.csv"
    with path.open("w", encoding="utf-8", newline="") as table:
        csv.writer(table).writerows(rows)
    with (
        SlidingWindowMapManager(GRANULE, max_open_handles=1) as manager,
        io.TextIOWrapper(manager.open(path), encoding="utf-8", newline="") as table,
    ):
        assert list(csv.reader(table)) == rows


def test_pickle_and_json(tmp_path: Path) -> None:
    value = {"numbers": list(range(20_000)), "words": ["word" * 10] * 3, "large": "x" * 100_000}
    (tmp_path / "pickle").write_bytes(pickle.dumps([value, pattern(5 * GRANULE)], protocol=5))
    (tmp_path / "json").write_text(json.dumps(value))
    with SlidingWindowMapManager(GRANULE, max_open_handles=1) as manager:
        with manager.open(tmp_path / "pickle") as file:
            assert pickle.load(file) == [value, pattern(5 * GRANULE)]
        with manager.open(tmp_path / "json") as file:
            assert json.load(file) == value


def test_pieces_grow_for_who_reads_in_order_and_are_small_after_a_jump(tmp_path: Path) -> None:
    kib = 1024
    content = pattern(600 * kib)
    (tmp_path / "file").write_bytes(content)
    with SlidingWindowMapManager() as manager, manager.open(tmp_path / "file") as file:

        def piece_for(offset: int, size: int) -> int:
            before = manager.stats().detached_bytes
            file.seek(offset)
            assert file.read(size) == content[offset : offset + size]
            return (manager.stats().detached_bytes - before) // kib

        assert [piece_for(place * kib, 4) for place in (0, 4, 16, 20, 80, 208)] == [16, 0, 64, 0, 128, 128]
        assert piece_for(400 * kib, 4) == 16
        # A large read goes past the buffer.
        assert piece_for(416 * kib, 130 * kib) >= 130
