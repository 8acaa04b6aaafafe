"""Threads that run freely, thousands of short histories, and what runs.py judges of them.

What fails once may not fail again: so nothing is run twice to shrink it, and the failure shows the recorded history,
without what does not matter.
"""

from typing import Final

import pytest
from hypothesis import Phase, given, settings

from stateful.threads.operations import Program, ReaderName
from stateful.threads.programs import WIDE, Scarce, Subject, programs_by_seed
from stateful.threads.runs import run_freely

# Hypothesis declares what its decorators return with an Any.
# mypy: disallow-any-decorated=False

# Times that each program is run.
ROUNDS: Final = 2


@pytest.mark.timeout(0)  # the deep profile searches for hours; each run is short
@pytest.mark.parametrize("subject", ["changing", "rebinding"])
@pytest.mark.parametrize(
    ("reader", "scarce"), [("mmap", ""), ("mmap", "handles"), ("mmap", "memory"), ("pread", ""), ("pread", "handles")]
)
def test_free_threads_are_linearizable(reader: ReaderName, scarce: Scarce, subject: Subject) -> None:
    failures: list[Exception] = []

    @settings(phases=[Phase.generate])
    @given(programs_by_seed(WIDE, reader, scarce, subject))
    def run(program: Program) -> None:
        for _ in range(ROUNDS):
            if not failures:
                try:
                    run_freely(program)
                except Exception as failure:  # noqa: BLE001 - raised below: Hypothesis would run it again, and call it flaky
                    failures.append(failure)

    run()
    for failure in failures:
        raise failure
