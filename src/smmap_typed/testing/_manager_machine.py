"""The machine for managers: everything that a program may do, against the reference model."""

from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, RuleBasedStateMachine, initialize

from smmap_typed.testing._buffer_rules import BufferRules
from smmap_typed.testing._cursor_rules import CursorRules
from smmap_typed.testing._manager_rules import ManagerRules
from smmap_typed.testing._stage import CURSORS, FILES, Factory
from smmap_typed.testing.settings import ManagerSettings
from smmap_typed.testing.strategies import file_sizes, manager_settings

__all__ = ["make_manager_machine"]

# Hypothesis declares what its decorators return with an Any.
# mypy: disallow-any-decorated=False


def make_manager_machine(
    factory: Factory, *, settings: st.SearchStrategy[ManagerSettings] | None = None, copies: bool = False
) -> type[RuleBasedStateMachine]:
    """A state machine that finds out whether the managers that ``factory`` makes do what the contract promises.

    In one thread it moves cursors, takes views, reads through buffers, changes limits and files, and closes. After each
    step ``check_invariants`` must hold, every figure, byte, error and evicted window must be what the reference model
    predicts, and, on Linux, what is mapped and open must be what the kernel says.

    :param factory: makes a new manager with exactly the settings that it is given.
    :param settings: which those are, by default ``manager_settings()``; ``st.just(ManagerSettings(...))`` for your own.
        Files and offsets are as large as its windows ask for, up to 64 allocation granules for a quarter of one.
    :param copies: whether the manager's reader copies (``Reader.copies``), as ``"pread"`` does.
    """
    drawn = manager_settings() if settings is None else settings

    class ManagerMachine(CursorRules, BufferRules, ManagerRules):
        """Begins with a manager of the factory."""

        @initialize(target=CURSORS, chosen=drawn, sizes=st.lists(file_sizes(), min_size=FILES, max_size=FILES))
        def begin(self, chosen: ManagerSettings, sizes: list[int]) -> MultipleResults[int]:
            """Make files, a manager, and cursors."""
            return self.set_up(factory, chosen, sizes, copies=copies)

    return ManagerMachine
