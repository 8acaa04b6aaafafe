"""States of files: which can still serve a cursor, what errors say of one that cannot, and what becomes of paths."""

import os
import re
from pathlib import Path
from typing import Final

import pytest

from smmap_typed import FileChangedError
from smmap_typed._source import FileState, Source, lies_below, resolve, state_behind, state_of
from smmap_typed._types import PathOrFd
from support import open_descriptor

SEEN: Final = FileState(1, 2, 300, 4000, 5000)


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (FileState(1, 9, 301, 4000, 5000), "it is inode 9 on device 1 now and was 2 on 1"),
        (FileState(1, 9, 300, 4001, 5000), "it is inode 9 on device 1 now and was 2 on 1"),
        (FileState(8, 2, 300, 4000, 5001), "it is inode 2 on device 8 now and was 2 on 1"),
        (FileState(1, 2, 299, 4000, 5000), "it has 299 bytes now, and had 300 before"),
        (FileState(1, 2, 299, 4001, 5001), "it has 299 bytes now, and had 300 before"),
    ],
)
@pytest.mark.parametrize("copies", [False, True])
def test_a_changed_file_is_told_with_both_states(now: FileState, reason: str, *, copies: bool) -> None:
    with pytest.raises(FileChangedError) as caught:
        SEEN.check(now, "/some/file", copies=copies)
    assert (caught.value.reason, caught.value.filename) == (reason, "/some/file")


def test_copies_are_of_one_modification_time() -> None:
    """A map shows by itself what is written."""
    now = FileState(1, 2, 300, 4001, 5001)
    SEEN.check(now, "/some/file")
    with pytest.raises(FileChangedError) as caught:
        SEEN.check(now, "/some/file", copies=True)
    assert caught.value.reason == "it was rewritten: modification time 4001 ns now, 4000 ns before"
    assert caught.value.filename == "/some/file"


@pytest.mark.parametrize(
    "now",
    [
        SEEN,
        FileState(1, 2, 301, 4000, 5000),
        FileState(1, 2, 301, 4001, 5001),
        # A new link, another mode.
        FileState(1, 2, 300, 4000, 5001, 2),
        # On file systems whose numbers change.
        FileState(1, 9, 300, 4000, 5000),
        FileState(8, 2, 300, 4000, 5000),
        FileState(8, 9, 300, 4000, 5000),
    ],
)
@pytest.mark.parametrize("copies", [False, True])
def test_a_file_that_grew_or_has_other_numbers_still_serves(now: FileState, *, copies: bool) -> None:
    SEEN.check(now, "/some/file", copies=copies)


def test_a_state_has_one_link_unless_it_is_told() -> None:
    assert SEEN.links == 1
    assert FileState(1, 2, 300, 4000, 5000, 1) == SEEN != FileState(1, 2, 300, 4000, 5000, 2)


def test_a_state_is_what_the_system_says(path: Path) -> None:
    path.with_name("link").hardlink_to(path)
    status = path.stat()
    state = state_of(status)
    assert isinstance(state, FileState)
    assert state.device == status.st_dev
    assert state.inode == status.st_ino
    assert (state.size, state.links) == (path.stat().st_size, 2)
    assert (state.mtime, state.ctime) == (status.st_mtime_ns, status.st_ctime_ns)


REUSED: Final = "the descriptor was closed and its number belongs to another file now"

# What may have become of a descriptor's file, and if it must have its name still to be the same one.
BECAME: Final[list[tuple[dict[str, int], bool | None]]] = [
    ({}, True),
    ({"ctime": 1}, False),
    ({"size": 1}, True),
    ({"mtime": 1}, True),
    ({"size": 1, "mtime": 1, "ctime": 1}, True),
    # On some file systems the numbers of one file change.
    ({"inode": 1}, True),
    ({"device": 1}, True),
    ({"inode": 1, "size": 1}, None),
    ({"inode": 1, "mtime": 1}, None),
    ({"device": 1, "ctime": 1}, None),
]


@pytest.mark.parametrize("by_duplicate", [False, True])
@pytest.mark.parametrize(("change", "needs_name"), BECAME)
def test_a_descriptor_that_was_reused_is_told(
    path: Path, change: dict[str, int], needs_name: bool | None, *, by_duplicate: bool
) -> None:
    """By inode, state and name: numbers of inodes are used again, and a file that was written to has its name."""
    with open_descriptor(path) as descriptor:
        opened = state_of(os.fstat(descriptor))
        now = opened._replace(**{name: getattr(opened, name) + more for name, more in change.items()})
        # The number itself may be another file's by now, so it must not be asked.
        number, duplicate = (-1, descriptor) if by_duplicate else (descriptor, None)
        named, renamed = (Source(number, number, (opened, name)) for name in (str(path), f"{path}-before"))
        for source, is_the_same in ((named, needs_name is not None), (renamed, needs_name is False)):
            if is_the_same:
                source.check(now, duplicate)
                continue
            with pytest.raises(FileChangedError) as caught:
                source.check(now, duplicate)
            # The name that the user meant, which tells more than the number.
            assert (caught.value.target, caught.value.reason) == (source.label(), REUSED)
            assert caught.value.filename in (str(path), f"{path}-before")


@pytest.mark.parametrize("act", ["rename", "link", "unlink", "unlink and write"])
def test_a_descriptors_file_that_got_or_lost_names_is_the_same_one(path: Path, act: str) -> None:
    with open_descriptor(path) as descriptor, path.open("ab") as file:
        opened = state_behind(descriptor)
        if act == "rename":
            path.rename(path.with_name("another"))
        elif act == "link":
            path.with_name("link").hardlink_to(path)
        else:
            path.unlink()
        if act == "unlink and write":
            file.write(b"more")
            file.flush()
        now = state_of(os.fstat(descriptor))
        assert opened is not None
        assert opened[0] != now
        Source(descriptor, descriptor, opened).check(now)


@pytest.mark.parametrize("given", ["/a/../b", b"/a/../b", "", b"", 7])
def test_absolute_and_empty_paths_and_descriptors_stay_as_they_are(given: PathOrFd) -> None:
    assert resolve(given) == given


def test_relative_paths_are_joined_and_not_normalised() -> None:
    here = os.getcwd()
    assert resolve("a/../b") == f"{here}/a/../b"
    assert resolve(b"a/../b") == os.fsencode(here) + b"/a/../b"
    assert resolve(Path("a")) == f"{here}/a"
    assert resolve(Path("/a")) == "/a"


def test_a_bool_is_no_descriptor() -> None:
    with pytest.raises(TypeError, match=f"^{re.escape('path_or_fd must be a path or a file descriptor, got a bool')}$"):
        resolve(True)


def test_what_is_no_path_is_told_with_its_type() -> None:
    rule = "path_or_fd must be str, bytes, os.PathLike or an open file descriptor, got float"
    with pytest.raises(TypeError, match=f"^{re.escape(rule)}$"):
        resolve(1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # must not work


class _BytesPath:
    """What ``os.fspath`` makes bytes of."""

    def __init__(self, path: bytes) -> None:
        self.path: Final = path

    def __fspath__(self) -> bytes:
        return self.path


def test_a_path_of_bytes_is_joined_as_bytes() -> None:
    assert resolve(_BytesPath(b"a")) == os.path.join(os.getcwdb(), b"a")
    assert resolve(_BytesPath(b"/a")) == b"/a"
    assert resolve(_BytesPath(b"")) == b""


def test_the_usual_path_is_taken_at_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most cursors are made from one, and used once: it costs no call."""

    def too_dear(_: object) -> str:
        raise AssertionError("looked at closely")

    # Only for this call: pytest needs the function to report the test.
    with monkeypatch.context() as patch:
        patch.setattr(os, "fspath", too_dear)
        resolved = resolve("/a/../b")
    assert resolved == "/a/../b"


def test_a_descriptor_is_known_by_its_state_and_name(tmp_path: Path) -> None:
    """A closed one, and what can be no descriptor, by none: the first use reports it."""
    with (tmp_path / "file").open("wb") as file:
        assert state_behind(file.fileno()) == (state_of(os.stat(tmp_path / "file")), str(tmp_path / "file"))
        closed = os.dup(file.fileno())
    os.close(closed)
    assert state_behind(closed) is None
    assert state_behind(-1) is None
    assert state_behind(1 << 40) is None


def test_a_source_keeps_what_it_is_told() -> None:
    plain = Source("a", "/a", None)
    assert (plain.given, plain.target, plain.opened, plain.advice) == ("a", "/a", None, None)
    plain.check(SEEN)
    opened = (SEEN, "/b")
    told = Source(7, 7, opened, "random")
    assert (told.given, told.target, told.opened, told.advice) == (7, 7, opened, "random")


def test_a_source_leads_to_its_file_until_that_is_renamed_or_removed(path: Path) -> None:
    with open_descriptor(path) as descriptor:
        state = state_of(os.fstat(descriptor))
        by_path, by_number = Source(path, str(path)), Source(descriptor, descriptor, state_behind(descriptor))
        assert by_path.still_leads_to(state, descriptor)
        assert by_number.still_leads_to(state, descriptor)
        path.rename(path.with_name("renamed"))
        assert not by_path.still_leads_to(state, descriptor)
        assert not by_number.still_leads_to(state, descriptor)


def test_a_source_has_the_name_by_which_others_find_the_file(path: Path) -> None:
    """A path, as a str; of a descriptor the path that the system knows, or its number if there is none."""
    assert Source("a", "/a").name() == Source(b"a", b"/a").name() == "/a"
    assert Source(b"a", b"/\xff").name() == "/\udcff"
    with open_descriptor(path) as descriptor:
        assert Source(descriptor, descriptor, state_behind(descriptor)).name() == str(path)
    assert Source(1 << 20, 1 << 20).name() == 1 << 20


def test_what_lies_below(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lies_below("/a/b", "/a")
    assert lies_below("/a", "/a")
    assert lies_below("/a", "/")
    assert not lies_below("/ab", "/a")
    assert not lies_below(3, "/")
    assert lies_below("/a/b", "/a/")
    assert not lies_below("/a/bc", "/a/b/")
    # As the system writes it: absolute, without detours.
    assert lies_below("/x/../a/b", "/a")
    monkeypatch.chdir("/")
    assert lies_below("a/b", "/a")
