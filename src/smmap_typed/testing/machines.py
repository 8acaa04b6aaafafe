"""State machines of Hypothesis that compare managers with the reference model. Needs the extra ``testing``.

To test a manager with your own settings or reader, write this in a module that pytest collects::

    TestMyManager = make_manager_machine(make_my_manager).TestCase

``hypothesis.stateful.run_state_machine_as_test`` runs a machine without a test runner. The profile of Hypothesis sets
the number of examples.
"""

from smmap_typed.testing._extra import hypothesis_needed

__all__ = ["Factory", "make_buffer_machine", "make_manager_machine"]

with hypothesis_needed():
    from smmap_typed.testing._buffer_machine import make_buffer_machine
    from smmap_typed.testing._fixture import Factory
    from smmap_typed.testing._manager_machine import make_manager_machine
