"""The machines, played by hand: what a search comes to seldom, and what only a defective library shows."""

import mmap
import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine

from smmap_typed import HandleLimitError, SlidingWindowMapManager, Window
from smmap_typed.testing import ManagerSettings, kernel
from smmap_typed.testing._agreement import agree_with_the_kernel, same, same_bytes
from smmap_typed.testing._buffer_machine import BufferMachine
from smmap_typed.testing._buffer_rules import BufferRules
from smmap_typed.testing._cursor_rules import CursorRules
from smmap_typed.testing._fixture import Factory
from smmap_typed.testing._manager_rules import ManagerRules
from smmap_typed.testing.disk import Disk
from smmap_typed.testing.model import Buffer, Model
from smmap_typed.testing.regions import Refusal
from smmap_typed.testing.strategies import windows
from stateful.machines import sliding
from support import GRANULE, Fault, WindowReader, run_python

SETTINGS: Final = ManagerSettings(2 * GRANULE)
MAPS: Final = sliding("mmap")
SIZES: Final = [8 * GRANULE, 3 * GRANULE]


class Played(CursorRules, BufferRules, ManagerRules):
    """A machine whose rules are called by name."""


@contextmanager
def playing(asked: ManagerSettings = SETTINGS, factory: Factory = MAPS) -> Generator[Played]:
    """A machine that has begun; its cursors are 1, by path, and 2, by descriptor, on the first file, and so on."""
    machine = Played()
    try:
        machine.set_up(factory, asked, SIZES, copies=False)
        yield machine
        machine.agrees()
    finally:
        machine.teardown()


def test_a_slice_that_would_be_sigbus_is_not_tried() -> None:
    """The buffer stands on a window of a file that has been truncated."""
    with playing() as machine:
        machine.make_buffer(1, 0, 2 * GRANULE)
        machine.change_a_file(0, 10, "truncate")
        machine.slice(5, GRANULE, GRANULE + 5, None)
        machine.slice(5, 0, 5, None)


def test_a_descriptor_that_was_reused_before_its_first_use_is_another_file() -> None:
    with playing() as machine:
        machine.change_a_file(0, GRANULE, "replace")
        machine.change_a_file(0, 0, "reopen")
        cursor, predicted = machine.cursors[2]
        outcome = machine.both(lambda: machine.model.use_region(predicted, 0, 5), lambda: cursor.use_region(0, 5))
        assert outcome is None


def test_a_read_that_fails_on_its_way_leaves_the_buffer_where_it_was() -> None:
    """A window at a time, and the file ends before the second one."""
    with playing() as machine:
        machine.make_buffer(1, 5, 6 * GRANULE)
        machine.change_a_file(0, 2 * GRANULE, "truncate")
        room = bytearray(5 * GRANULE)
        outcome = machine.both(
            lambda: machine.model.read_into(machine.buffers[5][1], 0, len(room)),
            lambda: machine.buffers[5][0].readinto(room),
        )
        assert outcome is None
        assert machine.buffers[5][1].cursor.region is not None


def test_a_file_that_is_larger_than_a_strict_limit_evicts_nothing() -> None:
    """Since no eviction could help."""
    with playing(ManagerSettings(0, max_memory_size=4 * GRANULE, strict_memory=True)) as machine:
        machine.move(3, 0, 10)
        machine.ask(3, "release", 0)
        machine.move(1, 0, 10)
        assert machine.model.cursors_on(machine.model.regions[0]) == 0


def test_a_read_that_fails_from_nowhere_leaves_the_buffer_nowhere() -> None:
    disk = Disk([8 * GRANULE])
    try:
        model = Model(disk, 2 * GRANULE, 8 * GRANULE, 8, strict=False, copies=False)
        cursor = model.make_cursor(disk.path_source(0))
        disk.remove(0)
        with pytest.raises(Refusal):
            model.read_into(Buffer(cursor, 0, 8 * GRANULE), 0, 5 * GRANULE)
        assert (cursor.region, model.acquisitions) == (None, 0)
    finally:
        disk.close()


@contextmanager
def no_overlay(folder: Path, contents: Mapping[str, bytes]) -> Generator[Path]:
    """A folder in the place of an overlay: nothing is copied up here, but the disk cannot know."""
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    yield folder


def test_the_first_write_to_a_lower_file_leaves_the_old_content_to_its_maps() -> None:
    disk = Disk(SIZES, overlay=no_overlay)
    try:
        inode = disk.opened[0]
        lower, before = inode.content, bytes(inode.content)
        disk.append(inode, 5)
        upper = inode.content
        disk.rewrite(inode)
        assert (bytes(lower), inode.content is upper) == (before, True)
        assert disk.path(0).read_bytes() == upper
        assert disk.maps_tell_numbers == kernel.IS_HEARD
    finally:
        disk.close()


def test_a_lower_file_without_a_name_cannot_be_written() -> None:
    disk = Disk(SIZES, overlay=no_overlay)
    try:
        inode = disk.opened[0]
        before = bytes(inode.content)
        disk.remove(0)
        disk.append(inode, 5)
        disk.truncate(inode, 5)
        disk.touch(inode)
        disk.rewrite(inode)
        assert (bytes(inode.content), inode.is_lower) == (before, True)
        os.lseek(inode.descriptor, 0, os.SEEK_SET)
        assert os.read(inode.descriptor, len(before) + 1) == before
    finally:
        disk.close()


def test_a_refusal_that_was_predicted_brings_no_view() -> None:
    with playing() as machine:
        machine.take_buffer(1)
        assert not machine.views
        machine.read(1, -1, 5)


@pytest.mark.parametrize("machine", [Played, BufferMachine])
def test_a_machine_that_has_not_begun_ends_all_the_same(machine: type[RuleBasedStateMachine]) -> None:
    """As Hypothesis has it, if the factory fails."""
    machine().teardown()


def test_a_limit_that_is_met_where_there_is_room_is_found() -> None:
    def crowded(asked: ManagerSettings) -> SlidingWindowMapManager:
        manager = sliding("mmap")(asked)
        assert isinstance(manager, SlidingWindowMapManager)
        keeper = manager.make_cursor(__file__).use_region()
        machine.at_the_end.callback(keeper.close)
        return manager

    machine = BufferMachine()
    try:
        machine.set_up(crowded, SETTINGS._replace(max_open_handles=1), SIZES)
        with pytest.raises(HandleLimitError):
            machine.begin_access(0, 0, GRANULE)
    finally:
        machine.at_the_end.close()


def test_an_outcome_that_was_not_predicted_is_told() -> None:
    with playing() as machine:
        cursor, predicted = machine.cursors[1]
        with pytest.raises(AssertionError, match=r"the call raised ValueError\(.*\), predicted was a result"):
            machine.both(lambda: None, lambda: cursor.use_region(-1))
        with pytest.raises(AssertionError, match="the call returned 0, and not the error that was predicted: "):
            machine.both(lambda: machine.model.use_region(predicted, -1, 0), cursor.size)


def test_what_differs_is_told_with_both() -> None:
    same(1, 1)
    with pytest.raises(AssertionError, match=r"^the size is 1, predicted was 2$"):
        same(1, 2, "the size")
    same_bytes(b"abc", b"abc", "the file")
    with pytest.raises(AssertionError) as caught:
        same_bytes(b"abXd", b"abcde", "the file")
    assert str(caught.value) == (
        "the file has 4 bytes of 5, and is wrong from byte 2 on: 58 64, predicted was 63 64 65"
    )
    with pytest.raises(AssertionError, match="is wrong from byte 3 on"):
        same_bytes(b"abc", b"abcd", "the file")


def test_a_map_that_nobody_knows_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel is heard."""
    with playing() as machine:
        with mmap.mmap(machine.disk.descriptors[0], GRANULE, access=mmap.ACCESS_READ, offset=GRANULE):
            number = machine.disk.opened[0].number
            message = f"the kernel has Counter({{({number}, {GRANULE}): 1}}) too much and Counter() too little"
            with pytest.raises(AssertionError, match=re.escape(message)):
                agree_with_the_kernel(machine.model, machine.strangers)
            monkeypatch.setattr(kernel, "IS_HEARD", False)
            agree_with_the_kernel(machine.model, machine.strangers)
            monkeypatch.undo()
        agree_with_the_kernel(machine.model, machine.strangers)


def test_settings_must_say_a_window() -> None:
    """The default depends on the machine, and no file of a test is as large."""
    with pytest.raises(ValueError, match=r"^window_size must be 0 for whole files, or positive, got -1$"):
        ManagerSettings(-1).window()


@given(windows())
@settings(max_examples=50)
def test_ranges_are_what_a_manager_could_map(window: Window) -> None:  # type: ignore[misc]  # Hypothesis forgets the parameters
    assert window.offset % GRANULE == 0
    assert window.size > 0


@pytest.mark.parametrize("missing", ["hypothesis", "tempfile"])
def test_without_hypothesis_the_error_names_the_extra(missing: str) -> None:
    """And another module that is missing is not blamed on it."""
    code = f"import sys; sys.modules[{missing!r}] = None; import smmap_typed.testing.machines"
    result = run_python(code)
    assert result.returncode == 1
    assert "ModuleNotFoundError: " in result.stderr
    needs = 'this part of smmap_typed.testing needs hypothesis: python -m pip install "hypothesis>=6.120"'
    assert (needs in result.stderr) == (missing == "hypothesis")


def test_a_view_of_the_whole_region_outlives_the_place_of_its_cursor() -> None:
    """Which a search draws seldom, since it takes a cursor that stands somewhere and the offset 0."""
    with playing() as machine:
        machine.move(1, GRANULE + 5, 10)
        machine.take_view(1, 0, 0)
        machine.move(1, 6 * GRANULE, 10)
        machine.agrees()
        assert len(machine.views) == 1


def test_bytes_that_would_be_sigbus_are_not_touched() -> None:
    """They are known to be in memory, and the file has been truncated since."""
    with playing() as machine:
        machine.make_buffer(1, 0, 8 * GRANULE)
        machine.read(1, 2 * GRANULE + 5, 10)
        machine.slice(5, 2 * GRANULE + 5, 2 * GRANULE + 15, None)
        machine.read_into(5, 2 * GRANULE + 5, 10)
        machine.change_a_file(0, 10, "truncate")
        machine.read(1, 2 * GRANULE + 5, 10)
        machine.take_view(1, 2 * GRANULE + 5, 10)
        machine.slice(5, 2 * GRANULE + 5, 2 * GRANULE + 15, None)
        machine.read_into(5, 2 * GRANULE + 5, 10)


def test_a_descriptor_is_named_by_its_number_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """As without /proc."""
    disk = Disk(SIZES)
    try:
        source = disk.descriptor_source(0)
        assert disk.name_of(source) == str(disk.path(0))
        monkeypatch.setattr(os, "readlink", Fault(os.readlink, OSError("nobody knows"), at=1))
        assert disk.name_of(source) == str(disk.descriptors[0])
    finally:
        disk.close()


def test_a_read_by_a_file_that_is_gone_goes_on_in_the_window() -> None:
    """The window has the only handle, so no descriptor is kept, and the name is gone."""
    with playing(SETTINGS._replace(max_open_handles=1)) as machine:
        machine.move(1, 0, 10)
        machine.change_a_file(0, 0, "remove")
        machine.read(1, 5, 10)
        machine.read(1, 6 * GRANULE, 10)


def test_a_cursor_without_a_file_makes_no_buffer() -> None:
    with playing() as machine:
        machine.make_cursor(0, "none")
        machine.make_buffer(5, 0, 10)
        assert not machine.buffers


def release_the_cursor_of(machine: Played, number: int) -> None:
    """Leave a buffer nowhere; it is read on all the same."""
    buffer, predicted = machine.buffers[number]
    own = buffer.cursor()
    assert own is not None
    own.unuse_region()
    machine.model.release(predicted.cursor)


def test_a_buffer_goes_to_a_window_that_others_have_mapped() -> None:
    """From nowhere and from another window; then it fills memory from what it has read."""
    with playing() as machine:
        machine.make_buffer(1, 0, 8 * GRANULE)
        machine.move(1, 4 * GRANULE, 10)
        machine.move(2, 0, 10)
        release_the_cursor_of(machine, 5)
        machine.slice(5, 4 * GRANULE, 4 * GRANULE + 10, None)
        machine.slice(5, 5, 15, None)
        machine.read_into(5, 5, 10)
        # And to one that it maps itself, since there is room.
        machine.slice(5, 6 * GRANULE, 6 * GRANULE + 10, None)


def test_a_window_that_a_truncated_file_lacks_is_not_mapped_by_a_read() -> None:
    """The bytes that are read are there."""
    with playing() as machine:
        machine.ask(1, "file", 0)
        machine.change_a_file(0, 2 * GRANULE + 100, "truncate")
        machine.read(1, 2 * GRANULE + 5, 10)
        assert not machine.model.regions


def through_windows(asked: ManagerSettings) -> SlidingWindowMapManager:
    """A manager with a reader that reads no other way."""
    window, memory, handles, strict = asked
    return SlidingWindowMapManager(window, memory, handles, reader=WindowReader(), strict_memory=strict)


def test_a_read_through_windows_that_fails_on_its_way_leaves_the_buffer_where_it_was() -> None:
    """The file is gone."""
    with playing(SETTINGS._replace(max_open_handles=1), through_windows) as machine:
        machine.make_buffer(1, 0, 8 * GRANULE)
        machine.slice(5, 0, 10, None)
        machine.change_a_file(0, 0, "remove")
        machine.slice(5, 0, 5 * GRANULE, None)
        assert machine.buffers[5][1].cursor.region is not None


def test_a_read_that_has_evicted_its_own_window_before_it_fails_leaves_the_buffer_nowhere() -> None:
    """There is memory for one window, and only the second one shows that the file was cut."""
    with playing(SETTINGS._replace(max_memory_size=2 * GRANULE), through_windows) as machine:
        machine.make_buffer(1, 0, 8 * GRANULE)
        machine.change_a_file(0, 3 * GRANULE, "truncate")
        room = bytearray(5 * GRANULE)
        outcome = machine.both(
            lambda: machine.model.read_into(machine.buffers[5][1], 0, len(room)),
            lambda: machine.buffers[5][0].readinto(room),
        )
        assert outcome is None
        assert machine.buffers[5][1].cursor.region is None
