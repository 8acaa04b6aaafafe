"""Custom readers are not bypassed: bytes that they change arrive changed, through every kind of read."""

import mmap
import os
import sys
from pathlib import Path
from typing import ClassVar, Final

import pytest
from typing_extensions import override

from kinds_of_reads import KINDS, SIZE, WINDOW, Kind, ready
from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager
from smmap_typed.readers import FileState, PositionalReader, Reader, Source
from smmap_typed.testing import check_invariants
from support import WindowReader, pattern, write_pattern

# Reads at an offset are POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

MASK: Final = 0x5A
TABLE: Final = bytes(byte ^ MASK for byte in range(256))


class Decoder(WindowReader):
    """Files whose bytes are masked, as an encrypted file's would be: windows are copies."""

    copies: ClassVar[bool] = True

    @override
    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        """See readers.Reader."""
        memory = mmap.mmap(-1, size)
        memory[:] = os.pread(descriptor, size, offset).translate(TABLE)
        return memory


class PositionalDecoder(Decoder):
    """The same, and it reads at an offset."""

    def __init__(self) -> None:
        self.reads = 0

    def read(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> bytes:
        """See readers.PositionalReader."""
        del source, seen
        self.reads += 1
        return os.pread(descriptor, size, offset).translate(TABLE)

    def readinto(self, descriptor: int, source: Source, seen: FileState, offset: int, target: memoryview) -> None:
        """See readers.PositionalReader."""
        target[:] = self.read(descriptor, source, seen, offset, len(target))


@pytest.fixture
def masked(tmp_path: Path) -> Path:
    """A file that only a decoder reads rightly."""
    path = tmp_path / "masked"
    path.write_bytes(pattern(SIZE).translate(TABLE))
    return path


@pytest.mark.parametrize("room", ["for all", "for one window", "for none"])
@pytest.mark.parametrize("make", [Decoder, PositionalDecoder])
def test_changed_bytes_arrive_changed(kind: Kind, make: type[Decoder], room: str, masked: Path) -> None:
    """Whether windows are mapped, cannot be mapped, or make way for each other."""
    reader = make()
    memory = {"for all": 0, "for one window": WINDOW, "for none": 1}[room]
    with SlidingWindowMapManager(WINDOW, memory, reader=reader) as manager:
        for mapped in (False, True):
            act = ready(kind, manager, masked, mapped=mapped)
            assert (act(), act()) == (kind.wanted, kind.wanted)
            check_invariants(manager)
        if isinstance(reader, PositionalDecoder) and room == "for none":
            # It is asked, where no window fits: more often than a built-in reader would be.
            assert reader.reads > 0
            assert manager.stats().detached_reads > 0


def test_a_reader_with_both_methods_is_a_positional_one() -> None:
    assert isinstance(PositionalDecoder(), PositionalReader)
    assert not isinstance(Decoder(), PositionalReader)


@pytest.mark.parametrize(("reader", "is_taken"), [
    ("mmap", True), ("pread", True), (WindowReader(), False), (Decoder(), True), (PositionalDecoder(), True),
])  # fmt: skip
def test_reads_by_descriptor_need_a_reader_that_can(reader: "Reader", is_taken: bool, masked: Path) -> None:
    """A reader whose windows are copies raises no signal either way."""
    if is_taken:
        with SlidingWindowMapManager(WINDOW, reader=reader, reads="pread") as manager:
            assert len(manager.make_cursor(masked).read(5, 9)) == 9
    else:
        with pytest.raises(ValueError, match=r'reads="pread" needs a smmap_typed\.readers\.PositionalReader'):
            SlidingWindowMapManager(WINDOW, reader=reader, reads="pread")


class Mapping(PositionalDecoder):
    """Maps the file as it is, and changes what is read: so it can be told which of the two was asked."""

    copies: ClassVar[bool] = False
    load = WindowReader.load


@pytest.mark.parametrize("name", KINDS)
def test_with_reads_by_descriptor_nothing_comes_from_a_map(name: str, masked: Path) -> None:
    """Also if windows are mapped, and their bytes were read before."""
    kind = KINDS[name]
    with SlidingWindowMapManager(WINDOW, reader=Mapping(), reads="pread") as manager:
        act = ready(kind, manager, masked, mapped=True)
        for _ in range(3):
            assert act() == kind.wanted
        check_invariants(manager)


def test_views_show_the_maps_all_the_same(masked: Path) -> None:
    """``reads`` is about what the library copies."""
    with SlidingWindowMapManager(WINDOW, reader=Mapping(), reads="pread") as manager:
        cursor = manager.make_cursor(masked)
        assert bytes(cursor.view(5, 64)) == pattern(64, 0, 5).translate(TABLE)
        assert bytes(next(SlidingWindowMapBuffer(cursor).views()))[:64] == pattern(64).translate(TABLE)


def test_an_error_of_a_positional_read_comes_through(tmp_path: Path) -> None:
    """And leaves the manager as it was."""

    class Fails(PositionalDecoder):
        copies: ClassVar[bool] = False
        load = WindowReader.load

        @override
        def read(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> bytes:
            raise PermissionError(13, "not yours", source.target)

    path = tmp_path / "file"
    write_pattern(path, SIZE)
    with SlidingWindowMapManager(WINDOW, reader=Fails()) as manager:
        cursor = manager.make_cursor(path)
        with pytest.raises(PermissionError, match="not yours"):
            cursor.read(5, 9)
        assert (manager.stats().detached_reads, manager.stats().handles) == (0, 0)
        check_invariants(manager)


def test_a_map_that_other_code_has_closed_is_made_anew(tmp_path: Path) -> None:
    """It had it from ``map()``, and a reader without reads at an offset needs the window."""
    path = tmp_path / "file"
    write_pattern(path, SIZE)
    with SlidingWindowMapManager(WINDOW, reader=WindowReader()) as manager:
        cursor = manager.make_cursor(path).use_region(0, 1)
        region = manager.make_cursor(path).use_region(2 * WINDOW, 1).region()
        assert region is not None
        region.map().close()
        assert cursor.read(2 * WINDOW, 16) == pattern(16, offset=2 * WINDOW)
        check_invariants(manager)
