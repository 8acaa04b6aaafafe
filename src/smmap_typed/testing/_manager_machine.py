"""The machine for managers: compares the operations of a program with the reference model."""

from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, RuleBasedStateMachine, initialize

from smmap_typed.testing._buffer_rules import BufferRules
from smmap_typed.testing._cursor_rules import CursorRules
from smmap_typed.testing._fixture import CURSORS, FILES, Factory
from smmap_typed.testing._manager_rules import ManagerRules
from smmap_typed.testing.settings import ManagerSettings
from smmap_typed.testing.strategies import file_sizes, manager_settings

__all__ = ["make_manager_machine"]

# The return types of Hypothesis's decorators contain Any.
# mypy: disallow-any-decorated=False


def make_manager_machine(
    factory: Factory, *, settings: st.SearchStrategy[ManagerSettings] | None = None, copies: bool = False
) -> type[RuleBasedStateMachine]:
    """Make a state machine that tests whether the managers that ``factory`` makes do what the contract promises.

    In one thread, the machine moves cursors, takes views, reads through buffers, changes limits and files, and closes.
    After each step it calls ``check_invariants`` and compares figures, bytes, errors and evicted windows with the
    predictions of the reference model. On Linux it also compares maps and open descriptors with those of the kernel.

    :param factory: makes a new manager with exactly the settings that it receives.
    :param settings: the settings to draw, by default ``manager_settings()``; for your own settings,
        ``st.just(ManagerSettings(...))``. Files and offsets are scaled to a quarter of a window, at most 64 granules.
    :param copies: whether the manager's reader copies (``Reader.copies``), as ``"pread"`` does.
    """
    drawn = manager_settings() if settings is None else settings

    class ManagerMachine(CursorRules, BufferRules, ManagerRules):
        """A machine that begins with a manager from the factory."""

        @initialize(target=CURSORS, chosen=drawn, sizes=st.lists(file_sizes(), min_size=FILES, max_size=FILES))
        def begin(self, chosen: ManagerSettings, sizes: list[int]) -> MultipleResults[int]:
            """Make files, a manager, and cursors."""
            return self.set_up(factory, chosen, sizes, copies=copies)

    return ManagerMachine
