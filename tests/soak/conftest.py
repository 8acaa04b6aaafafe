"""Options of the soak: how long, from which seed, and where its samples and its picture go."""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--minutes", type=float, default=1.0, help="how long to soak")
    parser.addoption("--seed", type=int, default=0, help="of the first round; each round has the next one")
    parser.addoption("--artefacts", type=Path, default=Path("soak"), help="folder for the samples and the picture")
