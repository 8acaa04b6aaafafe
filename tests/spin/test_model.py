"""The model can fail: each mutation of it is found. ``python -m formal`` shows that it does not fail by itself."""

from pathlib import Path

import pytest
from formal.configurations import MUTATIONS, Mutation
from formal.spin import IS_AVAILABLE, Configuration, search

from races import mutations as of_the_code

pytestmark = pytest.mark.skipif(not IS_AVAILABLE, reason="needs spin and gcc")

# Mutations of the model that the code has not: they need another order of several functions, or a step that is no line.
OF_THE_MODEL_ALONE = {
    "loses a pin that is released under the lock",
    "unlinks a region before its map is closed",
    "maps in the room of a victim that a view keeps",
    "wakes nobody who waits for a load",
    "keeps a descriptor though no handle is free",
    "closes a descriptor that a thread uses",
    "does not repair what an exception has torn",
    "counts a load twice that was published",
    "leaves a load in flight that was published",
    "makes a call after it has published a map, and before it owns it",
    "counts a closed map as a leftover",
    "forgets no region that was discarded",
}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_search_finds_the_mutation(mutation: Mutation, tmp_path: Path) -> None:
    result = search(Configuration(mutation.name, mutation.bounds), tmp_path, mutation.macro)
    assert result.error, result.output


def test_other_mutations_have_the_names_of_those_of_the_code() -> None:
    names = {mutation.name for mutation in MUTATIONS}
    assert names - OF_THE_MODEL_ALONE <= {mutation.name for mutation in of_the_code.MUTATIONS}
    assert names >= OF_THE_MODEL_ALONE
