"""Which file is meant: what errors say of a file that is another one now, and what becomes of each kind of path."""

import os
import re
from pathlib import Path
from typing import Final

import pytest

from smmap_typed import FileChangedError
from smmap_typed._file import Identity, Source, inode_behind, lies_below, resolve
from smmap_typed._types import PathOrFd

SEEN = Identity(1, 2, 300, 4000)


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (Identity(1, 9, 300, 4000), "it is inode 9 on device 1 now and was 2 on 1"),
        (Identity(8, 2, 300, 4000), "it is inode 2 on device 8 now and was 2 on 1"),
        (Identity(1, 2, 299, 4000), "it has 299 bytes now, it had 300"),
        (Identity(1, 2, 300, 4001), "it was rewritten: modification time 4001 ns now, 4000 ns before"),
    ],
)
def test_a_changed_file_is_told_with_both_states(now: Identity, reason: str) -> None:
    with pytest.raises(FileChangedError) as caught:
        SEEN.check(now, "/some/file")
    assert (caught.value.reason, caught.value.filename) == (reason, "/some/file")


@pytest.mark.parametrize("now", [SEEN, Identity(1, 2, 301, 4000), Identity(1, 2, 301, 4001)])
def test_a_file_that_grew_still_serves(now: Identity) -> None:
    SEEN.check(now, "/some/file")


@pytest.mark.parametrize("inode", [(1, 3), (2, 2)])
def test_a_descriptor_that_was_reused_is_told(inode: tuple[int, int]) -> None:
    with pytest.raises(FileChangedError) as caught:
        Source(7, 7, inode).check(SEEN)
    assert caught.value.target == 7
    assert caught.value.reason == "the descriptor was closed and its number belongs to another file now"
    Source(7, 7, (1, 2)).check(SEEN)


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

    monkeypatch.setattr(os, "fspath", too_dear)
    assert resolve("/a/../b") == "/a/../b"


def test_a_descriptor_is_known_by_its_inode(tmp_path: Path) -> None:
    """A closed one, and what can be no descriptor, by none: the first use reports it."""
    with (tmp_path / "file").open("wb") as file:
        status = os.stat(tmp_path / "file")
        assert inode_behind(file.fileno()) == (status.st_dev, status.st_ino)
        closed = os.dup(file.fileno())
    os.close(closed)
    assert inode_behind(closed) is None
    assert inode_behind(-1) is None
    assert inode_behind(1 << 40) is None


def test_a_source_keeps_what_it_is_told() -> None:
    plain = Source("a", "/a", None)
    assert (plain.given, plain.target, plain.inode, plain.advice) == ("a", "/a", None, None)
    plain.check(SEEN)
    told = Source(7, 7, (1, 2), "random")
    assert (told.given, told.target, told.inode, told.advice) == (7, 7, (1, 2), "random")


def test_what_lies_below(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lies_below("/a/b", "/a")
    assert lies_below(b"/a", "/a")
    assert lies_below("/a", "/")
    assert not lies_below("/ab", "/a")
    assert not lies_below(3, "/")
    assert lies_below("/a/b", "/a/")
    assert not lies_below("/a/bc", "/a/b/")
    # As the system writes it: absolute, without detours.
    assert lies_below("/x/../a/b", "/a")
    monkeypatch.chdir("/")
    assert lies_below(b"a/b", "/a")
