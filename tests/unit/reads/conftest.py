"""What the tests of reads share: the readers, and the kinds of reads."""

from collections.abc import Callable
from typing import Final

import pytest

from kinds_of_reads import KINDS, Kind
from smmap_typed._types import ReaderName
from smmap_typed.readers import Reader
from support import WindowReader

MAKERS: Final[dict[str, Callable[[], ReaderName | Reader]]] = {
    "mmap": lambda: "mmap",
    "pread": lambda: "pread",
    "windows only": WindowReader,
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """A way to read."""
    return KINDS[str(request.param)]


@pytest.fixture(params=MAKERS)
def reader(request: pytest.FixtureRequest) -> ReaderName | Reader:
    """A reader: both built-in ones, and one that cannot read without a window."""
    return MAKERS[str(request.param)]()
