"""The scenarios can fail: each mutation of the library is found by the scenario that is named for it."""

from pathlib import Path

import pytest

from races.exploring import explore_at_random, explore_systematically
from races.mutations import MUTATIONS, Mutation

ENOUGH = 1000


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_scenario_finds_the_mutation(mutation: Mutation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation.apply(monkeypatch)
    if mutation.systematically:
        assert explore_systematically(mutation.scenario, tmp_path, ENOUGH).property_holds is False
    else:
        with pytest.raises(AssertionError, match=mutation.scenario.__name__):
            explore_at_random(mutation.scenario, tmp_path, ENOUGH)
