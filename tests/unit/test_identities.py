"""Which file is meant: what errors say of a file that is another one now, and what becomes of each kind of path."""

import os
import re
from pathlib import Path

import pytest

from smmap_typed import FileChangedError
from smmap_typed._file import Identity, Source, lies_below, resolve
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


def test_what_lies_below() -> None:
    assert lies_below("/a/b", "/a")
    assert lies_below(b"/a", "/a")
    assert lies_below("/a", "/")
    assert not lies_below("/ab", "/a")
    assert not lies_below(3, "/")
