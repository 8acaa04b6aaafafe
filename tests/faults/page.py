"""The page: what docs/reliability.md says, as the tests read it."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["PAGE", "code", "figures_of", "row", "table_below"]

PAGE: Final = Path(__file__).parents[2] / "docs" / "reliability.md"

_BETWEEN_CELLS: Final = re.compile(r"(?<!\\)\|")


def row(cells: Iterable[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def code(text: str) -> str:
    """As code."""
    return f"`{text}`"


def table_below(heading: str) -> list[tuple[str, ...]]:
    """The rows of the first table below that heading, as their cells, without the row of titles."""
    (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [tuple(cell.strip().replace("\\|", "|") for cell in _BETWEEN_CELLS.split(line)[1:-1]) for line in lines[2:]]


def figures_of(what: str) -> list[int]:
    """The numbers in the row of the first table, which says how much is caused, that begins with these words."""
    (amount,) = (amount for cause, amount, _ in table_below("Reliability") if cause.startswith(what))
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", amount)]
