"""The state machine against the reference model, for each kind of manager and each reader."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from stateful.machine import (
    ManagerMachine,
    SlidingCopiesMachine,
    SlidingMachine,
    StaticCopiesMachine,
    StaticMachine,
)


@pytest.mark.timeout(0)  # the deep profile searches for hours; each step is short
@pytest.mark.parametrize("machine", [SlidingMachine, SlidingCopiesMachine, StaticMachine, StaticCopiesMachine])
def test_the_manager_does_what_the_model_predicts(machine: type[ManagerMachine]) -> None:
    """After every step. To replay a failure, put the ``@reproduce_failure`` that it prints on the machine's class."""
    # Those of the profile, for sure: a machine keeps the settings of its first run.
    run_state_machine_as_test(machine, settings=settings())
