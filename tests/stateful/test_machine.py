"""Every machine, with the profile's number of examples."""

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from stateful.machines import BufferMachine, SlidingCopiesMachine, SlidingMachine, StaticCopiesMachine, StaticMachine


@pytest.mark.timeout(0)  # the deep profile searches for hours; each step is short
@pytest.mark.parametrize(
    "machine", [SlidingMachine, SlidingCopiesMachine, StaticMachine, StaticCopiesMachine, BufferMachine]
)
def test_the_library_does_what_is_predicted(machine: type[RuleBasedStateMachine]) -> None:
    """After every step. To replay a failure, put the ``@reproduce_failure`` that it prints on the machine's class."""
    # Those of the profile, for sure: a machine keeps the settings of its first run.
    run_state_machine_as_test(machine, settings=settings())
