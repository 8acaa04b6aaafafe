"""What all tests share: no test that needs the library as Python is run on the compiled build.

And profiles of Hypothesis: ``SMMAP_TYPED_PROFILE=ci`` (the default), ``deep``, as ``nox -s stateful -- --deep`` sets,
or ``quick``, as ``nox -s mutation`` sets.

``ci`` tries the same examples each time, so that a red build is the fault of the change that it builds, and ``quick``
tries few of them, since it runs once for each mutant; ``deep`` searches at random, and prints what replays a failure:
put that ``@reproduce_failure`` on the failing test.
"""

import os
import signal
import sys
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, Phase, settings

# Steps are system calls on real files: slow ones and large examples are no fault of a test here.
_UNFIT = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile(
    "ci",
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=_UNFIT,
)
settings.register_profile(
    "deep", settings.get_profile("ci"), max_examples=5000, stateful_step_count=120, derandomize=False
)
# Without shrinking: that a mutant fails is all that is asked.
settings.register_profile(
    "quick", settings.get_profile("ci"), max_examples=15, phases=[Phase.explicit, Phase.generate], database=None
)
settings.load_profile(os.environ.get("SMMAP_TYPED_PROFILE", "ci"))


def pytest_configure() -> None:
    """Let Ctrl-C strike in tests and their children, as on a terminal.

    A shell starts ``pytest &`` and ``nohup pytest`` with SIGINT ignored, and a child inherits that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Let what measures coverage go on after a test that traces, and whose exceptions have ended all tracing."""
    before = sys.gettrace()
    try:
        return (yield)
    finally:
        sys.settrace(before)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what replaces or traces functions, where they are machine code."""
    # Not before: frontrun must have replaced the locks when the library is imported.
    from smmap_typed import COMPILED  # noqa: PLC0415 - see above

    if COMPILED:
        left_out = [item for item in items if item.get_closest_marker("pure")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
