"""Machines: state machines of Hypothesis that do whatever a program may do, and compare. Needs the extra ``testing``.

For a manager with settings or a reader of your own, in a module that pytest collects::

    TestMyManager = make_manager_machine(make_my_manager).TestCase

``hypothesis.stateful.run_state_machine_as_test`` runs a machine anywhere else. How many examples it tries is said by
the profile of Hypothesis.
"""

from smmap_typed.testing._extra import hypothesis_needed

__all__ = ["Factory", "make_buffer_machine", "make_manager_machine"]

with hypothesis_needed():
    from smmap_typed.testing._buffer_machine import make_buffer_machine
    from smmap_typed.testing._manager_machine import make_manager_machine
    from smmap_typed.testing._stage import Factory
