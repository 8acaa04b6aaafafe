"""Strategies of Hypothesis for settings of managers and for places in files. Needs the extra ``testing``.

The strategies draw numbers of bytes for windows of a few allocation granules, mostly near the edges of granules, where
mistakes are most likely.
"""

import sys
from typing import Final

from smmap_typed import ALLOCATIONGRANULARITY, Window
from smmap_typed.testing._extra import hypothesis_needed
from smmap_typed.testing.settings import ManagerSettings

with hypothesis_needed():
    from hypothesis import strategies as st

__all__ = ["buffer_settings", "file_sizes", "indices", "manager_settings", "offsets", "sizes", "steps", "windows"]

_G: Final = ALLOCATIONGRANULARITY


def _place(granules: int, beside: int) -> int:
    return max(granules * _G + beside, 0)


def offsets() -> st.SearchStrategy[int]:
    """Places in a file of up to 12 granules: at the edge of a granule, near it, or in the middle."""
    return st.builds(_place, st.integers(0, 12), st.sampled_from([0, 0, 1, 100, _G // 2, -1, -100]))


def sizes() -> st.SearchStrategy[int]:
    """Sizes of requests: nothing, a few bytes, about a window, several windows, or as much as possible."""
    common = [0, 1, 8, 100, _G // 2, _G, _G + 1, 2 * _G, 3 * _G, sys.maxsize]
    return st.one_of(st.sampled_from(common), offsets())


def indices() -> st.SearchStrategy[int | None]:
    """One end of a slice."""
    return st.none() | offsets() | offsets().map(lambda place: -place)


def steps() -> st.SearchStrategy[int | None]:
    """The step of a slice."""
    return st.none() | st.sampled_from([1, 2, 7, _G, -1, -3])


def file_sizes() -> st.SearchStrategy[int]:
    """Sizes of files: whole granules or not, several windows or a part of one."""
    return st.sampled_from([12 * _G - 1, 10 * _G, 7 * _G + 100, 3 * _G, _G // 2])


def windows() -> st.SearchStrategy[Window]:
    """Windows that a manager could map: aligned, with at least one byte."""
    return st.builds(Window, st.integers(0, 12).map(lambda granules: granules * _G), file_sizes())


@st.composite
def _buffer_settings(draw: st.DrawFn) -> ManagerSettings:
    window = draw(st.integers(0, 4)) * _G
    memory = draw(st.integers(1, 2)) * (window or 12 * _G)
    return ManagerSettings(max(window - 1, 0), memory, draw(st.integers(1, 2)), draw(st.booleans()))


def buffer_settings() -> st.SearchStrategy[ManagerSettings]:
    """Windows of up to four granules, or whole files, and limits with room for one or two windows."""
    return _buffer_settings()


@st.composite
def _settings(draw: st.DrawFn, *, whole_files: bool) -> ManagerSettings:
    window = 0 if whole_files else draw(st.integers(0, 5)) * _G
    memory = draw(st.integers(1, 6)) * (window or 4 * _G)
    # One byte less than whole granules, which the manager rounds up.
    return ManagerSettings(max(window - 1, 0), memory, draw(st.integers(1, 6)), draw(st.booleans()))


def manager_settings(*, whole_files: bool = False) -> st.SearchStrategy[ManagerSettings]:
    """Windows of up to five granules, or whole files, and limits so tight that managers meet them often.

    With ``whole_files``, the window size is always 0, as the static manager requires.
    """
    return _settings(whole_files=whole_files)
