"""Which windows of a file are mapped, and how old they are, while something reads it: the work of ``map``.

Pure but for ``ages``, the one place that asks a manager. Knows nothing of the terminal.
"""

import random
from collections.abc import Iterator
from typing import Final, Literal

from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["ASCII", "BLOCKS", "PatternName", "ages", "offsets", "picture"]

PatternName = Literal["sequential", "random", "zipf"]

BLOCKS: Final = "█▓▒░·"
"""One sign for each age, the newest quarter first; the last is for what is not mapped."""
ASCII: Final = "#*+-."
"""The same for terminals without Unicode."""


def offsets(name: PatternName, size: int, step: int, count: int, seed: int) -> Iterator[int]:
    """Where ``count`` reads of ``step`` bytes begin in ``size`` bytes, at multiples of ``step``.

    ``zipf`` visits the place of rank n with a weight of 1/n, places being ranked at random.
    """
    places = max(-(-size // step), 1)
    chance = random.Random(seed)  # noqa: S311 - a read pattern is no secret
    if name == "sequential":
        return (index % places * step for index in range(count))
    if name == "random":
        return (chance.randrange(places) * step for _ in range(count))
    # The integral of 1/n is log n, so a uniform power of the number of places has that distribution. A multiplier
    # that has no factor in common with any power of two scatters the ranks.
    return (int(places ** chance.random() - 1) * 2_654_435_761 % places * step for _ in range(count))


def ages(manager: SlidingWindowMapManager) -> list[tuple[int, int, int]]:
    """Begin, end and age of each region that is mapped; the newest has age 0, the one mapped before it 1."""
    windows = [region.window for region in reversed(manager.regions())]
    return [(window.offset, window.end, age) for age, window in enumerate(windows)]


def picture(regions: list[tuple[int, int, int]], size: int, cells: int, signs: str = BLOCKS) -> str:
    """``size`` bytes as ``cells`` signs, each for the newest region that touches its part of the file.

    >>> picture([(0, 25, 0), (50, 100, 1)], 100, 8)
    '██··▒▒▒▒'
    """
    drawn = [signs[-1]] * cells
    shades = len(signs) - 1
    for begin, end, age in sorted(regions, key=lambda region: -region[2]):
        sign = signs[age * shades // len(regions)]
        for cell in range(begin * cells // size, min(-(-end * cells // size), cells)):
            drawn[cell] = sign
    return "".join(drawn)
