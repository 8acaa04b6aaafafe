"""What the tests of real files share: both readers."""

from typing import cast

import pytest

from rewriting import READERS, ReaderName


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> ReaderName:
    """The name of a built-in reader; windows of the one are maps, of the other copies."""
    return cast("ReaderName", request.param)
