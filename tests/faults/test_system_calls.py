"""System calls: each one of a fixed workload fails once, in every way, and nothing is the worse for it.

A first run counts them. After each failure the kernel shows what the books say, every cursor stands where it stood, and
the same call works.
"""

import contextlib
import errno
import mmap
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

import pytest
from typing_extensions import override

from faults.fixture import READERS, SIZE, Fixture, ReaderName, State, Step, attempt, write_files
from faults.page import figures_of
from faults.tripwire import CALLS, Tripwire
from smmap_typed import SlidingWindowMapManager
from support import (
    GRANULE,
    SYSTEM_CALLS,
    Fault,
    assert_books_match_kernel,
    descriptors_of,
    mapped_bytes_of,
    write_pattern,
)

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

SCARCE: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}

ERRORS: Final[list[Callable[[], BaseException]]] = [
    *(lambda code=code: OSError(code, os.strerror(code)) for code in sorted(SCARCE)),
    *(lambda code=code: OSError(code, os.strerror(code)) for code in (errno.EIO, errno.EACCES, errno.EINTR)),
    MemoryError,
    KeyboardInterrupt,
]

# Not open and dup, whose descriptor nobody could close then: see docs/reliability.md.
NEVER_AFTER: Final = {"open", "dup"}


READS: Final = {"read across windows", "prefetch", "slice across windows", "search"}
"""Steps that need no window."""

HELPERS: Final[dict[ReaderName, set[str]]] = {"mmap": {"mmap", "preadv"}, "pread": {"mmap", "pread", "fstat", "preadv"}}
"""Calls by which these steps map a window for the reads to come, or ask whether pages are in memory: nobody misses the
result. A window of a reader that copies is loaded by more calls; if one fails, the bytes come without the window."""


def may_come_after(name: str, error: BaseException) -> bool:
    """Whether the call may have done its work when it fails: an exception of a handler strikes after a call of C."""
    return name not in NEVER_AFTER and (name.endswith("close") or not isinstance(error, OSError))


def error_name(make: Callable[[], BaseException]) -> str:
    """For the names of the tests."""
    error = make()
    return errno.errorcode[error.errno] if isinstance(error, OSError) and error.errno else type(error).__name__


def record(folder: Path, reader: ReaderName) -> list[str]:
    """The names of all the system calls of the workload, in order."""
    tripwire = Tripwire()
    with tripwire.laid():
        fixture = Fixture(folder, reader)
        for step in fixture.steps():
            with tripwire.armed():
                step.act()
            fixture.check()
        fixture.end()
    return tripwire.calls


def strike(folder: Path, reader: ReaderName, error: BaseException, at: int, *, after: bool) -> None:
    """Run the workload with the call number ``at`` failing, up to the step that makes it, and judge."""
    tripwire = Tripwire(error, at, after=after)
    with tripwire.laid(), unraisable_errors() as reported:
        fixture = Fixture(folder, reader)
        for step in fixture.steps():
            state = fixture.state()
            with tripwire.armed():
                raised = attempt(step.act, error)
            if tripwire.is_sprung:
                break
        else:
            raise AssertionError("there is no such call")
        for descriptor in tripwire.lost:
            # It is the one thing that is left: a close that fails is not repeated, since the number may be another's.
            os.close(descriptor)
        may_pass = (
            isinstance(error, OSError)
            and (
                error.errno in SCARCE
                or step.name == "fail to open"
                # What cannot be opened by its name in /proc is duplicated.
                or tripwire.calls[at : at + 2] == ["open", "dup"]
                or (step.name in READS and tripwire.calls[at] in HELPERS[reader])
            )
        )
        if tripwire.calls[at] == "close" and not raised:
            # A descriptor is closed when its last reference goes, which nobody waits for.
            assert reported == [type(error)], "the error got lost"
        else:
            assert reported == []
            assert raised or may_pass, "the error got lost"
        fixture.check()
        if raised:
            check_state(fixture.state(), state, step)
        step.act()
        fixture.check()
        fixture.end()


@contextlib.contextmanager
def unraisable_errors() -> Generator[list[type[BaseException]]]:
    """The types of the errors that nobody could be told of. Not the errors, whose tracebacks keep what they passed."""
    reported: list[type[BaseException]] = []

    def note(unraisable: "sys.UnraisableHookArgs") -> None:
        reported.append(unraisable.exc_type)
        if unraisable.exc_value is not None:
            unraisable.exc_value.with_traceback(None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", note)
        yield reported


def check_state(now: State, before: State, step: Step) -> None:
    """A step that failed has changed nothing; at the handle limit a move may have given up its own cursor's window."""
    if not step.commits_first:
        assert now._replace(cursors=()) == before._replace(cursors=()), "a limit or a buffer changed"
        moved = [new for new, old in zip(now.cursors, before.cursors, strict=True) if new != old]
        assert moved in ([], [(False, 0, 0)]), "a cursor moved"


def test_the_page_tells_how_many_calls_there_are(tmp_path: Path) -> None:
    write_files(tmp_path)
    calls = {reader: record(tmp_path, reader) for reader in READERS}
    errors = [make_error() for make_error in ERRORS]
    runs = sum(1 + may_come_after(call, error) for names in calls.values() for call in names for error in errors)
    by_mmap, by_pread = len(calls["mmap"]), len(calls["pread"])
    assert figures_of("a system call fails") == [by_mmap + by_pread, by_mmap, by_pread, len(ERRORS), runs]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("make_error", ERRORS, ids=error_name)
@pytest.mark.parametrize("name", CALLS)
def test_a_system_call_that_fails_once_leaves_everything_right(
    tmp_path: Path, reader: ReaderName, name: str, make_error: Callable[[], BaseException]
) -> None:
    """Whichever of the workload's calls it is: the error or a retry, true books, no leak, and the call works again."""
    write_files(tmp_path)
    numbers = [number for number, call in enumerate(record(tmp_path, reader)) if call == name]
    # A user's descriptor is opened anew by its name in /proc; without that it would be duplicated.
    assert bool(numbers) == (name != "dup")
    for number in numbers:
        for after in {False, may_come_after(name, make_error())}:
            strike(tmp_path, reader, make_error(), number, after=after)


class StruckMap(mmap.mmap):
    """A map whose ``close`` is struck by an exception once, before or after it has done its work."""

    error: BaseException | None = None
    after = True

    @override
    def close(self) -> None:
        """Close, and raise what was left to be raised."""
        error, StruckMap.error = StruckMap.error, None
        if error is None or StruckMap.after:
            super().close()
        if error is not None:
            raise error


@pytest.mark.parametrize("act", ["evict", "collect", "configure", "close"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError()], ids=["KeyboardInterrupt", "MemoryError"])
def test_an_exception_at_an_unmapping_leaves_the_books_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, *, after: bool, error: BaseException
) -> None:
    """The map itself tells what came of it: gone and struck out, or there and counted; the next call goes on."""
    path = tmp_path / "file"
    content = write_pattern(path, SIZE)
    monkeypatch.setattr(mmap, "mmap", StruckMap)
    manager = SlidingWindowMapManager(GRANULE, max_open_handles=3)
    cursor = manager.make_cursor(path)
    for offset in range(0, 3 * GRANULE, GRANULE):
        cursor.use_region(offset)
    cursor.close()

    def do() -> None:
        if act == "evict":
            cursor.use_region(5 * GRANULE)
        elif act == "collect":
            manager.collect()
        elif act == "configure":
            manager.configure(max_open_handles=1)
        else:
            manager.close()

    monkeypatch.setattr(StruckMap, "error", error)
    monkeypatch.setattr(StruckMap, "after", after)
    assert attempt(do, error)
    assert_books_match_kernel(manager, path)
    do()
    assert_books_match_kernel(manager, path)
    if act != "close":
        assert manager.make_cursor(path).read(0, SIZE) == content
    cursor.close()
    manager.close()
    assert (manager.num_file_handles(), mapped_bytes_of(path), descriptors_of(path)) == (0, 0, 0)


def test_a_view_that_outlives_a_failed_call_shows_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults in between change nothing of what it shows."""
    path = tmp_path / "file"
    content = write_pattern(path, SIZE)
    with SlidingWindowMapManager(GRANULE, max_open_handles=2) as manager, unraisable_errors() as reported:
        view = manager.make_cursor(path).use_region(GRANULE).buffer()
        for owner, name in SYSTEM_CALLS:
            fault: Fault[..., object] = Fault(
                getattr(owner, name), OSError(errno.EIO, "fault"), 1, after=name == "close"
            )
            with monkeypatch.context() as patch, contextlib.suppress(OSError):
                patch.setattr(owner, name, fault)
                for offset in range(0, SIZE, GRANULE):
                    manager.make_cursor(path).use_region(offset)
        assert manager.make_cursor(path).read(0, SIZE) == content
        assert bytes(view) == content[GRANULE : 2 * GRANULE]
    assert reported == [OSError]


@pytest.mark.parametrize("reader", ["mmap", "pread"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "fault"), KeyboardInterrupt()], ids=["EIO", "KeyboardInterrupt"])
@pytest.mark.parametrize("name", ["open", "fstat"])
def test_an_error_that_is_kept_keeps_nothing_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: ReaderName, name: str, error: BaseException
) -> None:
    """Its traceback holds the library's frames; what they mapped is closed all the same, not only forgotten."""
    path = tmp_path / "file"
    write_pattern(path, SIZE)
    maps: list[mmap.mmap] = []
    real_map = mmap.mmap

    def kept(descriptor: int, size: int, **rest: bool) -> mmap.mmap:  # as narrow as the narrowest of its options
        maps.append(real_map(descriptor, size, **rest))
        return maps[-1]

    monkeypatch.setattr(mmap, "mmap", kept)
    with SlidingWindowMapManager(GRANULE, reader=reader) as manager:
        cursor = manager.make_cursor(path)
        assert cursor.file_size() == SIZE
        # So that no descriptor is kept.
        manager.collect()
        fault: Fault[..., object] = Fault(getattr(os, name), error, 1)
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fault)
            with pytest.raises(type(error)) as caught:
                cursor.use_region(0)
        assert caught.value.__traceback__ is not None
        assert all(mapping.closed for mapping in maps)
        assert (manager.num_file_handles(), manager.mapped_memory_size()) == (0, 0)
        assert (mapped_bytes_of(path), descriptors_of(path)) == (0, 0)
        assert cursor.use_region(0).is_valid()


@pytest.mark.parametrize("reader", ["mmap", "pread"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "fault"), KeyboardInterrupt()], ids=["EIO", "KeyboardInterrupt"])
@pytest.mark.parametrize("handles", [1, 2], ids=["closed at once", "kept"])
def test_an_error_of_a_close_is_reported_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: ReaderName, handles: int, error: BaseException
) -> None:
    """Nobody waits for it, so it is no caller's."""
    path = tmp_path / "file"
    content = write_pattern(path, SIZE)
    with (
        SlidingWindowMapManager(GRANULE, max_open_handles=handles, reader=reader) as manager,
        unraisable_errors() as reported,
    ):
        fault: Fault[..., object] = Fault(os.close, error, 1, after=True)
        with monkeypatch.context() as patch:
            patch.setattr(os, "close", fault)
            assert manager.make_cursor(path).view(0, 9) == content[:9]
        assert (len(reported), manager.stats().kept_descriptors) == ((1, 0) if handles == 1 else (0, 1))
        assert manager.collect() == 1
        assert reported == [type(error)]
        assert (manager.num_file_handles(), manager.stats().kept_descriptors) == (0, 0)
        assert (mapped_bytes_of(path), descriptors_of(path)) == (0, 0)
        assert manager.make_cursor(path).read(0, 9) == content[:9]
