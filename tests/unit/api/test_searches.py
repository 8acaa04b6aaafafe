"""Searches in the window itself find what they find in the equal bytes, whatever edges of pieces lie in between."""

import operator
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager
from smmap_typed._handles import indexing, search, span
from support import GRANULE

BEFORE: Final = b"ab" * 50
BEHIND: Final = b"ba" * 50
TEXTS: Final = st.one_of(st.text("ab", min_size=1, max_size=120), st.text("abcdefgh", min_size=1, max_size=120)).map(
    str.encode
)
PLACES: Final = st.tuples(st.integers(0, 120), st.integers(1, 6))
BOUNDS: Final = st.lists(st.one_of(st.none(), st.integers(0, 130), st.integers(-130, 130)), max_size=2)


def outcome(sequence: SlidingWindowMapBuffer | bytes, name: str, needle: bytes, limits: list[int | None]) -> object:
    try:
        return operator.methodcaller(name, needle, *limits)(sequence)
    except ValueError as error:
        return type(error)


@given(
    text=TEXTS,
    name=st.sampled_from(["find", "rfind", "index", "count"]),
    place=PLACES,
    limits=BOUNDS,
    piece=st.integers(1, 30),
    near=st.integers(0, 30),
    known=st.booleans(),
)
@example(text=b"abcccccc", name="rfind", place=(0, 1), limits=[3, 7], piece=9, near=30, known=True)
@example(text=b"a" * 6 + b"bc" + b"a" * 6, name="rfind", place=(6, 2), limits=[0, 14], piece=7, near=0, known=True)
@example(text=b"a" * 6 + b"bc" + b"a" * 6, name="rfind", place=(6, 2), limits=[0, 14], piece=6, near=0, known=False)
@settings(max_examples=500)
def test_a_search_of_a_part_of_a_file(  # type: ignore[misc]  # Hypothesis forgets the parameters of what it decorates
    tmp_path_factory: pytest.TempPathFactory,
    text: bytes,
    name: str,
    place: tuple[int, int],
    limits: list[int | None],
    piece: int,
    near: int,
    known: bool,
) -> None:
    """It ends where the buffer does, though the file goes on and what follows is known to be in memory, too."""
    needle = text[place[0] :][: place[1]] or b"ab"
    path = tmp_path_factory.getbasetemp() / "text"
    path.write_bytes(BEFORE + text + BEHIND)
    with pytest.MonkeyPatch.context() as patch, SlidingWindowMapManager(GRANULE) as manager:
        cursor = manager.make_cursor(path).use_region()
        if known:
            cursor.read(0, cursor.file_size())
        buffer = SlidingWindowMapBuffer(cursor, len(BEFORE), len(text))
        # So that a short text has many pieces, and matches that are not near.
        patch.setattr(search, "PIECE", piece)
        patch.setattr(search, "_FIRST_PIECE", piece)
        patch.setattr(span, "PIECE", piece)
        patch.setattr(indexing, "_NEAR", near)
        assert outcome(buffer, name, needle, limits) == outcome(text, name, needle, limits)
