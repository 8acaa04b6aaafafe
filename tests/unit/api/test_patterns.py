"""Regular expressions on a buffer find what they find on the equal bytes, whatever edges lie in between."""

import re
from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smmap_typed import BufferMatch, SlidingWindowMapBuffer, SlidingWindowMapManager
from smmap_typed._handles import search
from smmap_typed._handles.span import PIECE
from support import GRANULE

# Each with the most bytes that it looks at: its longest match, and what is looked at before and behind.
PATTERNS: Final = [
    (rb"a", 1),
    (rb"ab|a", 2),
    (rb"a{1,3}", 4),
    (rb"(a)(b)?", 2),
    (rb"b?", 1),
    (rb"|a", 1),
    (rb"(?=ab)", 2),
    (rb"(?<=ab)a", 3),
    (rb"(?<!a)b", 2),
    (rb"\bab\b", 4),
    (rb"^a", 2),
    (rb"(?m)^b", 2),
    (rb"(?m)a$", 2),
    (rb"a$", 3),
    (rb"a\Z", 2),
    (rb"\Aa", 1),
    (rb"(?s).{3}", 3),
    (rb"[^a]{2,4}?", 4),
    (rb"zz", 2),
]
TEXTS: Final = st.text("ab \n", max_size=200).map(str.encode)
BOUNDS: Final = st.one_of(st.none(), st.integers(-210, 210))


def spans(matches: list[BufferMatch]) -> list[tuple[int, int, tuple[bytes, ...]]]:
    return [(found.start, found.end, found.match.groups()) for found in matches]


@given(
    text=TEXTS,
    pattern=st.sampled_from(PATTERNS),
    more=st.integers(0, 3),
    piece=st.integers(1, 30),
    batch=st.integers(1, 5),
    start=BOUNDS,
    end=BOUNDS,
)
@example(text=b"ab" * 40, pattern=(rb"a{1,3}", 4), more=0, piece=1, batch=2, start=None, end=None)
@settings(max_examples=400)
def test_finditer_finds_what_re_finds(  # type: ignore[misc]  # Hypothesis forgets the parameters of what it decorates
    tmp_path_factory: pytest.TempPathFactory,
    text: bytes,
    pattern: tuple[bytes, int],
    more: int,
    piece: int,
    batch: int,
    start: int | None,
    end: int | None,
) -> None:
    path = tmp_path_factory.getbasetemp() / "text"
    path.write_bytes(text or b"\n")
    text = text or b"\n"
    low, high, _ = slice(start, end).indices(len(text))
    matches = re.compile(pattern[0]).finditer(text, low, high)
    expected = [(one.start(), one.end(), one.groups()) for one in matches]
    if low > high or (start or 0) > len(text):
        # As for bytes.find: no place at all, not even for nothing.
        expected = []
    with pytest.MonkeyPatch.context() as patch, SlidingWindowMapManager(GRANULE) as manager:
        # So that a short text has many pieces, and a piece several batches.
        patch.setattr(search, "PIECE", piece)
        patch.setattr(search, "_BATCH", batch)
        buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
        assert spans(list(buffer.finditer(pattern[0], start, end, longest=pattern[1] + more))) == expected


def test_matches_across_real_windows_and_pieces_are_found_once_and_in_order(tmp_path: Path) -> None:
    """A needle over each edge of a piece and of a window, and one handle for all of it."""
    size = 2 * PIECE + 3 * GRANULE
    content = bytearray(b"." * size)
    edges = [GRANULE, 2 * GRANULE, PIECE, PIECE + GRANULE, 2 * PIECE, size - 6]
    for number, edge in enumerate(edges):
        content[edge - 3 : edge + 4] = b"<%05d>" % number
    (tmp_path / "file").write_bytes(content)
    with SlidingWindowMapManager(GRANULE, max_open_handles=1) as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(tmp_path / "file"))
        found = list(buffer.finditer(rb"<(\d+)>", longest=7))
        assert [one.start for one in found] == [edge - 3 for edge in edges]
        assert [int(one.match[1]) for one in found] == list(range(len(edges)))
        assert all(buffer[one.start : one.end] == one.match[0] for one in found)
        assert manager.stats().peak_handles == 1


def test_a_match_tells_where_its_groups_are_in_the_buffer(tmp_path: Path) -> None:
    """In a later piece, of which the match itself knows only its own copy."""
    begin = PIECE + 10
    (tmp_path / "file").write_bytes(b"." * begin + b"<key>" + b"." * 10)
    with SlidingWindowMapManager() as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(tmp_path / "file"))
        (found,) = buffer.finditer(rb"<(\w+)>", longest=5)
        assert found.match.start() < begin
        assert found.first + found.match.start(1) == begin + 1
        assert repr(found) == f"<BufferMatch from {begin} to {begin + 5}: b'<key>'>"


def test_a_bad_pattern_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    with SlidingWindowMapManager() as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(tmp_path / "file"))
        with pytest.raises(ValueError, match="longest must be at least 1, got 0"):
            buffer.finditer(b"a", longest=0)
        with pytest.raises(TypeError, match="must be bytes, got str"):
            buffer.finditer("a", longest=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - that is tested
        with pytest.raises(re.error):
            buffer.finditer(b"(", longest=1)
