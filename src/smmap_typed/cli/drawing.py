"""Draws which windows of a file are mapped, and how old they are: the work of ``map``.

Pure except for ``ages``, which queries a manager. Does not depend on the terminal.
"""

import random
from collections.abc import Iterator
from typing import Final, Literal

from smmap_typed.manager import SlidingWindowMapManager

__all__ = ["ASCII", "BLOCKS", "PatternName", "ages", "offsets", "picture"]

PatternName = Literal["sequential", "random", "zipf"]

BLOCKS: Final = "█▓▒░·"
"""One sign for each quarter of the windows by age, newest first; the last sign means "not mapped"."""
ASCII: Final = "#*+-."
"""The signs for terminals without Unicode, in the order of ``BLOCKS``."""


def offsets(name: PatternName, size: int, step: int, count: int, seed: int) -> Iterator[int]:
    """Yield the offsets of ``count`` reads of ``step`` bytes in a file of ``size`` bytes, all multiples of ``step``.

    ``zipf`` visits the place of rank n with a weight of 1/n; the ranks are scattered over the file.
    """
    places = max(-(-size // step), 1)
    chance = random.Random(seed)  # noqa: S311 - a read pattern is no secret
    if name == "sequential":
        return (index % places * step for index in range(count))
    if name == "random":
        return (chance.randrange(places) * step for _ in range(count))
    # The integral of 1/n is log n, so the number of places raised to a uniform power has that distribution. The odd
    # multiplier scatters the ranks.
    return (int(places ** chance.random() - 1) * 2_654_435_761 % places * step for _ in range(count))


def ages(manager: SlidingWindowMapManager) -> list[tuple[int, int, int]]:
    """Return begin, end and age of each mapped region: 0 for the newest, 1 for the one that was mapped before it."""
    windows = [region.window for region in reversed(manager.regions())]
    return [(window.offset, window.end, age) for age, window in enumerate(windows)]


def picture(regions: list[tuple[int, int, int]], size: int, cells: int, signs: str = BLOCKS) -> str:
    """Draw ``size`` bytes as ``cells`` signs; a sign shows the newest region that touches its part of the file.

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
