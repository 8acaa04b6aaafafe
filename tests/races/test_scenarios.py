"""Each scenario ends well in every interleaving that is tried; `nox -s races -- --deep` tries the most."""

import os
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from races.exploring import explore_at_random, explore_systematically
from races.fixture import Fixture
from races.scenarios import SCENARIOS
from races.scenarios_of_reads import SCENARIOS_OF_READS


class Effort(NamedTuple):
    """How many interleavings are tried of each scenario."""

    systematic: int
    """At most; many scenarios have fewer that differ, with as many preemptions as ``exploring`` allows."""
    random: int


EFFORTS: Final = {"ci": Effort(14, 28), "deep": Effort(20_000, 20_000)}
EFFORT: Final = EFFORTS[os.environ.get("SMMAP_TYPED_PROFILE", "ci")]

pytestmark = [
    pytest.mark.timeout(0),  # the deep profile searches for hours; each interleaving is short, and bounded by frontrun
    pytest.mark.parametrize("scenario", [*SCENARIOS, *SCENARIOS_OF_READS]),
]


def test_systematically(scenario: type[Fixture], tmp_path: Path) -> None:
    """Interleavings that differ in the order of what threads read and write."""
    outcome = explore_systematically(scenario, tmp_path, EFFORT.systematic)
    outcome.assert_holds(f"{scenario.__name__}: ")
    to_the_end = outcome.num_explored < EFFORT.systematic
    print(f"{scenario.__name__}: {outcome.num_explored} interleavings{', all that differ' if to_the_end else ''}")


def test_at_random(scenario: type[Fixture], tmp_path: Path) -> None:
    """Schedules that switch threads between any two byte codes."""
    assert explore_at_random(scenario, tmp_path, EFFORT.random) == EFFORT.random
