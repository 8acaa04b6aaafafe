"""The machine on an overlay: the first write to a file copies it up, and the reference model says what is right then.

Path, device and inode number stay the same. Maps and descriptors from before show the lower file for ever, and a new
cursor must see the upper one. ``tests/unit/files/test_overlays.py`` has single programs.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from isolated import in_mount_namespace
from mounts import overlay
from smmap_typed._source import FileState
from smmap_typed.testing import ManagerSettings
from smmap_typed.testing._buffer_rules import BufferRules
from smmap_typed.testing._cursor_rules import CursorRules
from smmap_typed.testing._fixture import CURSORS, FILES
from smmap_typed.testing._manager_rules import ManagerRules
from smmap_typed.testing.strategies import file_sizes, manager_settings, offsets
from stateful.machines import ReaderName, finding, sliding

# Mounts are Linux; the type checkers pass over the rest elsewhere.
assert sys.platform == "linux"

# The return types of Hypothesis's decorators contain Any.
# mypy: disallow-any-decorated=False

# Of the profile's examples: the usual machines try what has nothing to do with copies.
_SHARE: Final = 0.3
_SECONDS_PER_EXAMPLE: Final = 60


class CopyUpMachine(CursorRules, BufferRules, ManagerRules):
    """A machine whose first files lie in the lower layer."""

    reader: ReaderName = "mmap"

    @initialize(target=CURSORS, chosen=manager_settings(), sizes=st.lists(file_sizes(), min_size=FILES, max_size=FILES))
    def begin(self, chosen: ManagerSettings, sizes: list[int]) -> MultipleResults[int]:
        """Mount, and make files, a manager, and cursors."""
        return self.set_up(sliding(self.reader), chosen, sizes, copies=self.reader == "pread", overlay=overlay)

    @rule(
        number=CURSORS,
        offset=offsets(),
        size=offsets(),
        how=st.sampled_from(["append", "touch", "rewrite", "truncate"]),
    )
    def write_under_a_cursor(self, number: int, offset: int, size: int, how: str) -> None:
        """Let a cursor look, write to its file, and move on: seldom do the usual rules come to this in a row."""
        source = self.cursors[number][1].source
        if source is not None:
            self.ask(number, "file", 0)
            self.change_a_file(source.slot, size, how)
            self.move(number, offset, 1)


class CopyUpCopiesMachine(CopyUpMachine):
    """The same, for windows that are copies."""

    reader: ReaderName = "pread"


def run(machine: type[RuleBasedStateMachine], chosen: settings, folder: Path) -> None:
    """Run the machine in a child, where a mount is tried first: an example should not be what is skipped."""
    with overlay(folder, {}):
        signal.alarm(_SECONDS_PER_EXAMPLE * chosen.max_examples)
        run_state_machine_as_test(machine, settings=chosen)


@pytest.mark.timeout(0)  # as for the usual machines
@pytest.mark.parametrize("machine", [CopyUpMachine, CopyUpCopiesMachine])
@in_mount_namespace
def test_the_library_does_what_is_predicted_of_copies(machine: type[RuleBasedStateMachine], tmp_path: Path) -> None:
    usual = settings()
    run(machine, settings(usual, max_examples=int(usual.max_examples * _SHARE)), tmp_path)


def shares_by_inode_and_size(patch: pytest.MonkeyPatch) -> None:
    """A new cursor gets the maps of the lower file."""

    def equal(self: FileState, other: object) -> bool:
        return isinstance(other, FileState) and self[:3] == other[:3]

    patch.setattr(FileState, "__eq__", equal)


def duplicates_descriptors(patch: pytest.MonkeyPatch) -> None:
    """A descriptor from before the copy-up maps the lower file, and so does a duplicate. Only this machine can tell."""

    def duplicate(descriptor: int, flags: int) -> int:
        del flags
        return os.dup(descriptor)

    patch.setattr("smmap_typed._builtin_readers._reopen", duplicate)


@pytest.mark.pure
@pytest.mark.parametrize("defect", [shares_by_inode_and_size, duplicates_descriptors])
@in_mount_namespace
def test_the_machine_finds_this_defect_of_copies(
    defect: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    defect(monkeypatch)
    with pytest.raises(AssertionError):
        run(CopyUpMachine, finding(500, 40), tmp_path)
