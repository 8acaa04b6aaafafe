"""The machines as a project downstream uses them: a reader of its own that is right passes, and what is broken fails.

What is broken is caught with what a project has that sets nothing: 100 examples of 50 steps.
"""

import mmap
import os
from collections.abc import Callable
from typing import ClassVar, Final, SupportsIndex

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from typing_extensions import override

from smmap_typed import PathOrFd, Reader, SlidingWindowMapManager, StaticWindowMapManager, WindowCursor
from smmap_typed._platform import read_at
from smmap_typed.readers import FileState, MmapReader, PreadReader, Source
from smmap_typed.testing import ManagerSettings
from smmap_typed.testing.machines import Factory, make_buffer_machine, make_manager_machine
from smmap_typed.testing.strategies import manager_settings
from stateful.machines import finding
from support import GRANULE, WindowReader, run_python

# Hypothesis's own figures.
DEFAULTS: Final = finding(100, 50)


def factory_of(make_reader: Callable[[], Reader]) -> Factory:
    def factory(asked: ManagerSettings) -> SlidingWindowMapManager:
        window, memory, handles, strict = asked
        return SlidingWindowMapManager(window, memory, handles, reader=make_reader(), strict_memory=strict)

    return factory


# Readers.


class Mapping(WindowReader):
    """Maps by itself. Right."""

    @override
    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        del source, seen
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ, offset=offset)


class Copying:
    """Changes what it read, and changes it back. Right."""

    copies: ClassVar[bool] = True

    def identify(self, source: Source) -> FileState:
        return PreadReader().identify(source)

    def open(self, source: Source, seen: FileState, flags: int) -> int:
        return PreadReader().open(source, seen, flags)

    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        window = PreadReader().load(descriptor, source, seen, offset, size)
        window[:] = window[:]
        return window


class Misplacing(Mapping):
    """Maps the third window and those after it one granule too early."""

    @override
    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        early = offset - GRANULE if offset > 2 * GRANULE else offset
        return super().load(descriptor, source, seen, early, size)


class Trusting(Mapping):
    """Opens whatever the path names by now."""

    @override
    def open(self, source: Source, seen: FileState, flags: int) -> int:
        del seen
        return os.dup(source.target) if isinstance(source.target, int) else os.open(source.target, os.O_RDONLY | flags)


class Hoarding(Mapping):
    """Keeps a map of each window, which nobody can close."""

    def __init__(self) -> None:
        self.kept: Final[list[mmap.mmap]] = []

    @override
    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        self.kept.append(super().load(descriptor, source, seen, offset, size))
        return super().load(descriptor, source, seen, offset, size)


class Stale(Copying):
    """Says that a file is what it was, also after it was written to."""

    @override
    def identify(self, source: Source) -> FileState:
        return PreadReader().identify(source)._replace(mtime=0, ctime=0)

    @override
    def open(self, source: Source, seen: FileState, flags: int) -> int:
        return MmapReader().open(source, seen, flags)

    @override
    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        window = mmap.mmap(-1, size)
        window.write(read_at(descriptor, size, offset).ljust(size))
        return window


@pytest.mark.parametrize("reader", [Mapping, Copying])
def test_a_reader_of_ones_own_that_is_right_passes(reader: type[Mapping | Copying]) -> None:
    factory = factory_of(reader)
    enough = settings(DEFAULTS, max_examples=30)
    run_state_machine_as_test(make_manager_machine(factory, copies=reader.copies), settings=enough)
    run_state_machine_as_test(make_buffer_machine(factory), settings=enough)


@pytest.mark.parametrize("reader", [Misplacing, Trusting, Hoarding, Stale])
def test_a_broken_reader_is_caught(reader: type[Mapping | Copying]) -> None:
    machine = make_manager_machine(factory_of(reader), copies=reader.copies)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=DEFAULTS)


def test_a_reader_that_misplaces_windows_is_caught_by_a_buffer() -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(make_buffer_machine(factory_of(Misplacing)), settings=DEFAULTS)


# Settings, and managers.


def one_handle_more(asked: ManagerSettings) -> SlidingWindowMapManager:
    window, memory, handles, strict = asked
    return SlidingWindowMapManager(window, memory, handles + 1, strict_memory=strict)


def always_soft(asked: ManagerSettings) -> SlidingWindowMapManager:
    window, memory, handles, _ = asked
    return SlidingWindowMapManager(window, memory, handles)


def windows_of_another_size(asked: ManagerSettings) -> SlidingWindowMapManager:
    window, memory, handles, strict = asked
    return SlidingWindowMapManager(window + GRANULE, memory, handles, strict_memory=strict)


class Immovable(StaticWindowMapManager):
    """Keeps the limits that it was made with."""

    @override
    def configure(self, **limits: object) -> None:
        del limits


class Reusing(StaticWindowMapManager):
    """Makes one cursor for each file, and hands it out again."""

    def __init__(self, asked: ManagerSettings) -> None:
        _, memory, handles, strict = asked
        super().__init__(0, memory, handles, strict_memory=strict)
        self.cursors: Final[dict[PathOrFd | SupportsIndex, WindowCursor]] = {}

    @override
    def make_cursor(self, path_or_fd: PathOrFd | SupportsIndex, **others: object) -> WindowCursor:
        return self.cursors.setdefault(path_or_fd, super().make_cursor(path_or_fd))


class Frugal(StaticWindowMapManager):
    """Unmaps what is idle whenever a cursor is made."""

    @override
    def make_cursor(self, path_or_fd: PathOrFd | SupportsIndex, **others: object) -> WindowCursor:
        self.collect()
        return super().make_cursor(path_or_fd)


class Lingering(StaticWindowMapManager):
    """Leaves everything mapped when it is closed."""

    @override
    def close(self) -> None:
        self._pool.tables.closed = True


def immovable(asked: ManagerSettings) -> StaticWindowMapManager:
    _, memory, handles, strict = asked
    return Immovable(0, memory, handles, strict_memory=strict)


def frugal(asked: ManagerSettings) -> StaticWindowMapManager:
    _, memory, handles, strict = asked
    return Frugal(0, memory, handles, strict_memory=strict)


def lingering(asked: ManagerSettings) -> StaticWindowMapManager:
    _, memory, handles, strict = asked
    return Lingering(0, memory, handles, strict_memory=strict)


WHOLE_FILES: Final = manager_settings(whole_files=True)


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param(make_manager_machine(one_handle_more), id="one handle more"),
        pytest.param(make_manager_machine(always_soft), id="always soft"),
        pytest.param(make_manager_machine(windows_of_another_size), id="windows of another size"),
        pytest.param(make_manager_machine(immovable, settings=WHOLE_FILES), id="limits that do not move"),
        pytest.param(make_manager_machine(Reusing, settings=WHOLE_FILES), id="cursors that are handed out again"),
        pytest.param(make_manager_machine(frugal, settings=WHOLE_FILES), id="unmaps when nobody asks"),
        pytest.param(make_manager_machine(lingering, settings=WHOLE_FILES), id="a close that leaves maps"),
    ],
)
def test_broken_settings_and_subclasses_are_caught(machine: type[RuleBasedStateMachine]) -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=DEFAULTS)


# Who has not installed it.


def test_the_extra_is_named_where_it_is_needed_and_not_before() -> None:
    result = run_python(
        "import sys; sys.modules['hypothesis'] = None\n"
        "from smmap_typed import SlidingWindowMapManager\n"
        "from smmap_typed.testing import check_invariants, in_threads\n"
        "check_invariants(SlidingWindowMapManager())\n"
        "import smmap_typed.testing.machines\n"
    )
    assert result.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: this part of smmap_typed.testing needs hypothesis: "
        'python -m pip install "hypothesis>=6.120"'
    )
