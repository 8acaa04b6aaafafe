"""Mapped files beside the object of ``open(path, "rb")``: attribute by attribute, and what differs on purpose."""

import ctypes
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import pytest
from typing_extensions import override

from smmap_typed import SlidingWindowMapManager
from smmap_typed._types import Reads
from support import GRANULE, open_descriptor

TEXT: Final = b"first line\nsecond line\n\nlast" * 100
"""Few enough bytes for the buffers of both, which differ in size: ``peek`` returns what is in one."""

Result = tuple[object, ...]

ROOMS: Final = [
    bytearray(9),
    bytearray(),
    # Several dimensions, one of them perhaps without length, other items than bytes, and gaps.
    memoryview(bytearray(12)).cast("B", (3, 4)),
    ((ctypes.c_ubyte * 0) * 3)(),
    memoryview(bytearray(16)).cast("i"),
    memoryview(bytearray(9))[::2],
    # No room at all.
    b"read-only",
    memoryview(b"read-only"),
    b"",
    "x",
]
"""What to read into."""

CALLS: Final[dict[str, list[tuple[object, ...]]]] = {
    "close": [()],
    "detach": [()],
    "fileno": [()],
    "flush": [()],
    "isatty": [()],
    "peek": [(), (5,)],
    "read": [(), (7,), (-1,), (None,), (0,), (-2,), ("x",), (10**6,)],
    "read1": [(), (7,), (0,), (1.5,)],
    "readable": [()],
    "readall": [()],
    "readinto": [(room,) for room in ROOMS],
    "readinto1": [(room,) for room in ROOMS],
    "readline": [(), (3,), (-1,), (None,)],
    "readlines": [(), (50,)],
    "seek": [(5,), (-3, os.SEEK_END), (10**6,), (-1,), (-(10**9), os.SEEK_END), (0, 9), (1.5,), (0, "x")],
    "seekable": [()],
    "tell": [()],
    "truncate": [(), (3,)],
    "writable": [()],
    "write": [(b"x",), ("x",)],
    "writelines": [([b"x"],)],
}
"""The arguments to try, of each method that either object has."""

MEANT: Final = {
    "fileno": "the object owns no descriptor, and the manager may close the one that it keeps",
    "raw": "it reads from windows; test_the_raw_object compares it",
}
"""What differs, and why."""


class Path1(os.PathLike[bytes]):
    """A path of the user's own kind."""

    def __init__(self, path: Path) -> None:
        self._path: Final = os.fsencode(path)

    @override
    def __fspath__(self) -> bytes:
        return self._path


Given = Callable[[Path], str | bytes | os.PathLike[str] | os.PathLike[bytes]]
GIVEN: Final[list[Given]] = [str, os.fsencode, Path, Path1, os.path.relpath]


def public(subject: object) -> set[str]:
    return {name for name in dir(subject) if not name.startswith("_")}


def outcome(file: object, name: str, arguments: tuple[object, ...] = ()) -> Result:
    """What a call returns, or the class and number of its error: in words, io's two modules differ themselves."""
    try:
        result: object = getattr(file, name)(*arguments)
    except Exception as error:  # noqa: BLE001 - any kind is compared
        kind = next(kind for kind in type(error).__mro__ if kind.__module__ in ("builtins", "io"))
        return kind.__name__, getattr(error, "errno", None)
    return ("raw",) if isinstance(result, io.RawIOBase) else ("returns", result)


def assert_alike(real: io.BufferedReader | io.RawIOBase, ours: io.BufferedReader | io.RawIOBase) -> None:
    """The same attributes, with the same values; and each call has the same outcome, and leaves the same position."""
    assert public(real) - public(ours) == set()
    for name in sorted(public(real) - MEANT.keys()):
        if not callable(getattr(real, name)):
            assert getattr(ours, name) == getattr(real, name), name
            assert type(getattr(ours, name)) is type(getattr(real, name)), name
            continue
        # These come last, and are compared on objects of their own.
        for arguments in CALLS[name] if name not in ("close", "detach") else []:
            for at in (0, 5, len(TEXT) - 3):
                assert real.seek(at) == ours.seek(at)
                assert outcome(ours, name, arguments) == outcome(real, name, arguments), (name, arguments)
                if not isinstance(real, io.RawIOBase) or "readinto" not in name:
                    assert real.tell() == ours.tell(), (name, arguments)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(TEXT)
    return tmp_path / "file"


@pytest.fixture
def manager() -> SlidingWindowMapManager:
    return SlidingWindowMapManager(2 * GRANULE)


@pytest.mark.parametrize("given", GIVEN)
def test_every_attribute_is_that_of_open(path: Path, manager: SlidingWindowMapManager, given: Given) -> None:
    with open(given(path), "rb") as real, manager.open(given(path)) as ours:
        assert_alike(real, ours)
        assert (ours.name, type(ours.name)) == (real.name, type(real.name))


@pytest.mark.parametrize("reads", ["auto", "pread"])
def test_the_raw_object(path: Path, reads: Reads) -> None:
    """However the bytes come."""
    manager = SlidingWindowMapManager(2 * GRANULE, reads=reads)
    with open(path, "rb", buffering=0) as real, manager.open(path) as ours:
        raw = cast("io.RawIOBase", ours.raw)
        assert_alike(real, raw)
        assert repr(raw) == f"<raw MappedFile name={str(path)!r} mode='rb'>"
    assert repr(raw) == "<raw MappedFile, closed>"


def test_a_descriptor_is_its_name(path: Path, manager: SlidingWindowMapManager) -> None:
    with open_descriptor(path) as number, open(number, "rb", closefd=False) as real, manager.open(number) as ours:
        assert ours.name == real.name == number


@pytest.mark.parametrize("end", ["close", "detach"])
def test_one_that_has_ended(path: Path, manager: SlidingWindowMapManager, end: str) -> None:
    """Each method has the same outcome as well after ``close`` and ``detach``, and they have the same."""
    real, ours = path.open("rb"), manager.open(path)
    with cast("io.RawIOBase", real.raw), cast("io.RawIOBase", ours.raw):
        assert outcome(ours, end) == outcome(real, end)
        for name, tries in CALLS.items():
            if name in public(real) and (end == "detach" or name not in MEANT):
                assert outcome(ours, name, tries[0]) == outcome(real, name, tries[0]), name
        if end == "close":
            assert real.closed
            assert ours.closed


def test_the_list_of_calls_is_complete(path: Path) -> None:
    with open(path, "rb") as real:
        methods = {name for file in (real, real.raw) for name in public(file) if callable(getattr(file, name))}
    assert methods - {"raw"} == CALLS.keys()


def test_each_difference_is_one(path: Path, manager: SlidingWindowMapManager) -> None:
    with open(path, "rb") as real, manager.open(path) as ours:
        assert type(ours.raw) is not type(real.raw)
        assert real.fileno() >= 0
        with pytest.raises(io.UnsupportedOperation, match="fileno"):
            ours.fileno()


def test_a_file_that_is_too_short_is_no_zip_file(tmp_path: Path, manager: SlidingWindowMapManager) -> None:
    """What asks by a seek to before the start wants the OSError that any file gives."""
    (tmp_path / "short").write_bytes(b"PK")
    with manager.open(tmp_path / "short") as file:
        assert not zipfile.is_zipfile(file)
