"""The buffer, compared with the equal ``bytes`` object in everything.

Small windows, so that most of what is asked for crosses an edge; smmap's defects are in test_defects_buffer.py.
"""

import mmap
import operator
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partialmethod
from pathlib import Path
from typing import Final, TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smmap_typed import FileChangedError, SlidingWindowMapBuffer, SlidingWindowMapManager, WindowCursor
from smmap_typed._handles.state import CursorState
from smmap_typed.testing import in_threads
from support import (
    GRANULE,
    Fault,
    WindowReader,
    descriptors_of,
    mapped_bytes_of,
    pattern,
    release_descriptors,
    write_pattern,
)

WINDOW: Final = 2 * GRANULE
# Longer than the pieces in which searches read, whatever those are, and no multiple of anything.
SIZE: Final = 600_011
OFFSET: Final = GRANULE + 77

Part: TypeAlias = "slice[int | None, int | None, int | None]"


@dataclass(frozen=True)
class Pair:
    """A buffer and the ``bytes`` object that it must be like."""

    buffer: SlidingWindowMapBuffer
    expected: bytes


def pair_of(path: Path, content: bytes, manager: SlidingWindowMapManager) -> Pair:
    """Both over the file at ``path``, without the first ``OFFSET`` and the last 5 bytes."""
    path.write_bytes(content)
    size = len(content) - OFFSET - 5
    return Pair(SlidingWindowMapBuffer(manager.make_cursor(path), OFFSET, size), content[OFFSET : OFFSET + size])


@pytest.fixture(scope="module")
def manager() -> Iterator[SlidingWindowMapManager]:
    """Windows of two granules, three of them at once."""
    with SlidingWindowMapManager(WINDOW, max_open_handles=6) as manager:
        yield manager


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, manager: SlidingWindowMapManager) -> Pair:
    """Content in which every eight bytes tell their offset."""
    return pair_of(tmp_path_factory.mktemp("told") / "file", pattern(SIZE), manager)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory, manager: SlidingWindowMapManager) -> Pair:
    """Content of two letters in random order, in which short needles occur often and long ones seldom."""
    letters = bytes(random.Random(1).choices(b"ab", k=SIZE))
    return pair_of(tmp_path_factory.mktemp("words") / "file", letters, manager)


LENGTH: Final = SIZE - OFFSET - 5
EDGES: Final = sorted(
    {
        edge + step
        for edge in (0, *range(WINDOW - OFFSET % WINDOW, LENGTH, 9 * WINDOW), LENGTH)
        for step in (-9, -1, 0, 1, 9)
    }
)
near = st.sampled_from([*EDGES, *(-edge for edge in EDGES)])
bounds = st.none() | near | st.integers(-LENGTH - 20, LENGTH + 20)
steps = st.none() | st.sampled_from([-1, 1, 2, -2, 7, GRANULE, -GRANULE - 1, LENGTH, 1 << 70]) | st.integers(1, 100)


@settings(max_examples=300, deadline=None)
@given(bounds, bounds, steps)
@example(None, None, None)
@example(None, None, -1)
@example(1 << 70, -(1 << 70), -3)
def test_slices_are_those_of_bytes(  # type: ignore[misc]  # Hypothesis forgets the parameters of what it decorates
    told: Pair, start: int | None, stop: int | None, step: int | None
) -> None:
    """Every start, stop and step: equal, and always ``bytes``."""
    part: Part = slice(start, stop, step)
    found = told.buffer[part]
    assert type(found) is bytes
    assert found == told.expected[part]


def test_indices_are_those_of_bytes_near_every_edge(told: Pair) -> None:
    """From both ends; out of range is IndexError for both."""
    assert len(told.buffer) == len(told.expected) == LENGTH
    for index in [*EDGES, *(-edge for edge in EDGES), LENGTH + 1000, -LENGTH - 1000]:
        if -LENGTH <= index < LENGTH:
            assert told.buffer[index] == told.expected[index]
        else:
            with pytest.raises(IndexError):
                told.buffer[index]


@pytest.mark.parametrize("index", ["1", 1.0, None], ids=repr)
def test_an_index_of_another_type_is_refused_as_by_bytes(told: Pair, index: int) -> None:
    """A TypeError from both."""
    for sequence in (told.buffer, told.expected):
        with pytest.raises(TypeError):
            operator.getitem(sequence, index)


def test_whatever_has_an_index_is_an_index(told: Pair) -> None:
    """As for ``bytes``: numpy's integers, for example."""

    class Three:
        def __index__(self) -> int:
            return 3

    assert told.buffer[Three()] == told.expected[3]
    assert told.buffer[Three() : 9] == told.expected[3:9]


def test_whole_content_in_either_direction(told: Pair) -> None:
    """``bytes``, iteration, ``reversed``, ``join`` of slices."""
    assert bytes(told.buffer) == told.expected
    assert bytes(list(told.buffer)) == told.expected
    assert bytes(list(reversed(told.buffer))) == told.expected[::-1]
    assert b"".join(told.buffer[at : at + 999] for at in range(0, LENGTH, 999)) == told.expected


def test_it_is_a_sequence(told: Pair) -> None:
    """For ``isinstance``, and true as long as it has bytes."""
    assert isinstance(told.buffer, Sequence)
    assert bool(told.buffer)
    assert not SlidingWindowMapBuffer()


SEARCHES: Final = ["find", "rfind", "index", "count", "startswith"]
needles = st.one_of(
    st.binary(max_size=3),
    st.text("ab", max_size=22).map(str.encode),
    st.tuples(st.integers(0, LENGTH - 1), st.integers(1, 3 * WINDOW)),
    st.integers(0, 255),
)


def outcome(call: Callable[[], object]) -> object:
    """What a call returns, or the class of the ValueError that it raises."""
    try:
        return call()
    except ValueError as error:
        return type(error)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SEARCHES), needles, st.lists(bounds, max_size=2))
@example("find", b"", [LENGTH])
@example("find", b"", [LENGTH + 1])
@example("rfind", b"", [5, 3])
@example("rfind", b"", [])
@example("count", b"", [3, 7])
@example("count", b"", [7, 3])
@example("count", b"", [LENGTH + 1])
@example("count", b"aa", [])
@example("count", b"a", [])
@example("startswith", b"", [LENGTH + 1])
@example("startswith", b"", [LENGTH])
@example("index", b"c", [])
@example("rfind", (LENGTH - 1, 1), [])
@example("find", (0, LENGTH), [])
def test_searches_are_those_of_bytes(  # type: ignore[misc]  # Hypothesis forgets the parameters of what it decorates
    words: Pair, name: str, needle: bytes | int | tuple[int, int], limits: list[int | None]
) -> None:
    """Needles of any length, also across windows and pieces, between any bounds: the same answer or error."""
    if isinstance(needle, tuple):
        needle = words.expected[needle[0] : needle[0] + needle[1]]
    if name == "startswith" and isinstance(needle, int):
        needle = bytes([needle])
    search = operator.methodcaller(name, needle, *limits)
    assert outcome(lambda: search(words.buffer)) == outcome(lambda: search(words.expected))


@pytest.mark.parametrize("size", [WINDOW - 1, WINDOW, 3 * WINDOW + 1, 70_000, 300_000])
def test_needles_longer_than_a_window_are_found(told: Pair, size: int) -> None:
    """At the start, across many edges, and at the very end."""
    for at in (0, 1, WINDOW - OFFSET % WINDOW - 1, LENGTH - size):
        needle = told.expected[at : at + size]
        assert (told.buffer.find(needle), told.buffer.rfind(needle), told.buffer.index(needle)) == (at, at, at)
        assert told.buffer.startswith(needle, at)
        assert operator.contains(told.buffer, needle)


def test_membership_is_that_of_bytes(words: Pair) -> None:
    """A byte as a number, or several; other numbers and types are refused as by ``bytes``."""
    for value in (97, 99, b"abab", b"c", b""):
        assert operator.contains(words.buffer, value) == operator.contains(words.expected, value)
    for sequence in (words.buffer, words.expected):
        with pytest.raises(ValueError, match="range"):
            operator.contains(sequence, 256)
        for other in ("a", None, 1.5):
            with pytest.raises(TypeError):
                operator.contains(sequence, other)


def test_needles_may_be_any_bytes_like_object(told: Pair) -> None:
    """bytearray, memoryview, another buffer's slice."""
    for kind in (bytes, bytearray, memoryview):
        assert told.buffer.find(kind(told.expected[100:120])) == 100


def test_startswith_takes_several_prefixes(told: Pair) -> None:
    """As ``bytes.startswith``; text is refused."""
    head = told.expected[:4]
    assert told.buffer.startswith((b"no", head))
    assert not told.buffer.startswith((b"no", b"nor"))
    assert not told.buffer.startswith(())
    for sequence in (told.buffer, told.expected):
        with pytest.raises(TypeError):
            operator.methodcaller("startswith", "text")(sequence)


@pytest.mark.parametrize("start", [0, 1, WINDOW - 1, LENGTH - 10, LENGTH, LENGTH + 10])
@pytest.mark.parametrize("size", [0, 1, 3 * WINDOW + 5])
def test_readinto_fills_what_there_is(told: Pair, start: int, size: int) -> None:
    """It returns how many bytes, and touches no more of the target."""
    target = bytearray(b"\xaa" * size)
    expected = told.expected[start : start + size]
    assert told.buffer.readinto(target, start) == len(expected)
    assert target == expected + b"\xaa" * (size - len(expected))


def test_readinto_refuses_what_it_cannot_fill(told: Pair) -> None:
    """A read-only target is a TypeError, a negative start a ValueError."""
    with pytest.raises(TypeError, match="writable"):
        told.buffer.readinto(b"read-only")
    with pytest.raises(ValueError, match="negative"):
        told.buffer.readinto(bytearray(5), -1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of eight granules."""
    path = tmp_path / "file"
    write_pattern(path, 8 * GRANULE)
    return path


def test_its_representation_tells_file_and_bytes(path: Path, manager: SlidingWindowMapManager) -> None:
    buffer = SlidingWindowMapBuffer()
    assert repr(buffer) == "<SlidingWindowMapBuffer without a file>"
    buffer.begin_access(manager.make_cursor(path), 5, 10)
    assert repr(buffer) == f"<SlidingWindowMapBuffer of 10 bytes at 5 of {str(path)!r}>"


class TestAccess:
    """``begin_access`` and ``end_access``."""

    def test_an_unbound_buffer_has_no_bytes(self) -> None:
        """Every question has the answer that ``b""`` gives."""
        buffer = SlidingWindowMapBuffer()
        assert (len(buffer), buffer[:], bytes(buffer), list(buffer), buffer.cursor()) == (0, b"", b"", [], None)
        assert (buffer.find(b"a"), buffer.find(b""), buffer.count(b"a"), buffer.startswith(b"")) == (-1, 0, 0, True)
        assert buffer.readinto(bytearray(3)) == 0
        assert not buffer.begin_access()
        assert not buffer.begin_access(WindowCursor())
        buffer.end_access()
        with pytest.raises(IndexError):
            buffer[0]

    def test_begin_access_binds_and_binds_again(self, path: Path) -> None:
        """Each call is a new view of the file; without a cursor it is the file that it had."""
        content = path.read_bytes()
        with SlidingWindowMapManager(WINDOW) as manager:
            buffer = SlidingWindowMapBuffer()
            assert buffer.begin_access(manager.make_cursor(path), 10, 100)
            assert bytes(buffer) == content[10:110]
            assert buffer.begin_access(offset=5 * GRANULE)
            assert bytes(buffer) == content[5 * GRANULE :]
            buffer.end_access()
            assert (len(buffer), buffer[:5]) == (0, b"")
            buffer.end_access()
            assert buffer.begin_access()
            assert bytes(buffer) == content

    def test_begin_access_past_the_end_changes_nothing(self, path: Path) -> None:
        """It says False, and the buffer shows what it showed."""
        with SlidingWindowMapManager(WINDOW) as manager:
            buffer = SlidingWindowMapBuffer(manager.make_cursor(path), 7, 9)
            for offset in (8 * GRANULE, 8 * GRANULE + 1, sys.maxsize):
                assert not buffer.begin_access(offset=offset)
                assert not buffer.begin_access(manager.make_cursor(path), offset)
                assert bytes(buffer) == path.read_bytes()[7:16]

    def test_a_failing_begin_access_changes_nothing(self, path: Path, tmp_path: Path) -> None:
        """A missing file is the system's error."""
        with SlidingWindowMapManager(WINDOW) as manager:
            buffer = SlidingWindowMapBuffer(manager.make_cursor(path), 7, 9)
            with pytest.raises(FileNotFoundError):
                buffer.begin_access(manager.make_cursor(tmp_path / "missing"))
            for arguments in ((-1, 5), (5, -1)):
                with pytest.raises(ValueError, match="must not be negative"):
                    buffer.begin_access(None, *arguments)
            assert bytes(buffer) == path.read_bytes()[7:16]

    @pytest.mark.parametrize("offset", [8 * GRANULE, 8 * GRANULE + 5])
    def test_the_constructor_refuses_an_offset_past_the_end(self, path: Path, offset: int) -> None:
        """A ValueError with both figures."""
        with (
            SlidingWindowMapManager(WINDOW) as manager,
            pytest.raises(ValueError, match=f"offset {offset} is not inside the file of {8 * GRANULE} bytes"),
        ):
            SlidingWindowMapBuffer(manager.make_cursor(path), offset)

    def test_the_constructor_refuses_a_cursor_without_a_file(self) -> None:
        """A ValueError that says where to get one."""
        with pytest.raises(ValueError, match=r"make_cursor\(\)"):
            SlidingWindowMapBuffer(WindowCursor())

    def test_it_is_a_context_that_releases(self, path: Path) -> None:
        """At the end its window is idle."""
        with SlidingWindowMapManager(WINDOW) as manager:
            with SlidingWindowMapBuffer(manager.make_cursor(path)) as buffer:
                assert buffer[5:9] == path.read_bytes()[5:9]
                assert manager.collect() == 0
            assert len(buffer) == 0
            assert manager.collect() == 1

    def test_the_cursor_that_it_was_given_stays_where_it_was(self, path: Path) -> None:
        """The buffer moves a cursor of its own."""
        with SlidingWindowMapManager(WINDOW) as manager:
            cursor = manager.make_cursor(path).use_region(5, 9)
            buffer = SlidingWindowMapBuffer(cursor)
            assert buffer[7 * GRANULE] == path.read_bytes()[7 * GRANULE]
            assert (cursor.ofs_begin(), cursor.size()) == (5, 9)
            assert buffer.cursor() is not cursor


SYNC: Final = getattr(os, "O_SYNC", 0)
"""A flag that reading does not mind, where there is one."""


def test_its_flags_reach_open_from_the_first_window_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = os.open, list[int]()

    def note(target: str, flags: int) -> int:
        asked.append(flags)
        return real(target, flags)

    monkeypatch.setattr(os, "open", note)
    with SlidingWindowMapManager(WINDOW) as manager:
        SlidingWindowMapBuffer(manager.make_cursor(path), 5, 10, SYNC)
        assert [flags & SYNC for flags in asked] == [SYNC]


def test_an_empty_buffer_has_no_views(path: Path) -> None:
    """Nor needs it a window for none."""
    with SlidingWindowMapManager(WINDOW) as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(path), 5, 0)
        assert list(buffer.views()) == []
        assert bytes(buffer._span.view()) == b""
        assert manager.stats().handles <= 1


@pytest.mark.parametrize(("size", "handles"), [(20, 1), (5 * WINDOW // 2, 3)])
def test_all_of_it_as_one_memoryview(path: Path, size: int, handles: int) -> None:
    """What ``memoryview(buffer)`` is since CPython 3.12: of one window without a copy, or over one copy."""
    with SlidingWindowMapManager(WINDOW) as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(path), 5, size)
        view = buffer._span.view()
        assert view.readonly
        assert bytes(view) == path.read_bytes()[5 : 5 + size]
        assert (view.obj == path.read_bytes()[5 : 5 + size]) == (handles > 1)
        view.release()


@pytest.mark.pure
def test_what_comes_of_the_last_step_of_a_travel_harms_no_bytes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It only prepares the next read; but an exception of a handler, such as for a time that is over, is heard of."""
    expected = path.read_bytes()
    with SlidingWindowMapManager(WINDOW, reader=WindowReader()) as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
        room = bytearray(3 * WINDOW)
        fail = Fault(CursorState.move, OSError("no luck"), at=2)
        monkeypatch.setattr(CursorState, "move", partialmethod(fail))
        assert buffer.readinto(room) == len(room)
        assert room == expected[: len(room)]
        monkeypatch.undo()
        fail = Fault(CursorState.move, TimeoutError("over"), at=2)
        monkeypatch.setattr(CursorState, "move", partialmethod(fail))
        with pytest.raises(TimeoutError, match="over"):
            buffer.readinto(room, 5)


def test_a_slice_across_windows_pins_one_at_a_time(path: Path) -> None:
    """A single handle is enough for a slice, a search and an iteration over the whole file."""
    content = path.read_bytes()
    with SlidingWindowMapManager(GRANULE, max_open_handles=1) as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
        assert buffer[:] == content
        assert buffer[3 * GRANULE - 5 : 6 * GRANULE] == content[3 * GRANULE - 5 : 6 * GRANULE]
        assert bytes(list(buffer)) == content
        assert buffer.find(content[7 * GRANULE - 20 : 7 * GRANULE + 20]) == 7 * GRANULE - 20
        target = bytearray(len(content))
        assert buffer.readinto(target) == len(content)
        assert target == content
        assert manager.stats().peak_handles == 1


@pytest.mark.parametrize("becomes", ["closed", "discarded"])
def test_a_slice_looks_again_if_the_map_that_it_found_is_gone(path: Path, becomes: str) -> None:
    """Compiled, it lets go of its pin at once, so another thread may move the buffer on and close the map meanwhile."""
    gone = mmap.mmap(-1, GRANULE) if becomes == "closed" else None
    if gone is not None:
        gone.close()
    with SlidingWindowMapManager(GRANULE) as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
        expected = buffer[7:17]
        frame = buffer._span.state.placement[1]
        found, frame.mapping = frame.mapping, gone
        assert buffer[7:17] == expected == path.read_bytes()[7:17]
        frame.mapping = found


def test_a_file_that_was_replaced_is_read_on_by_its_descriptor_and_is_an_error_without(path: Path) -> None:
    """Never bytes of another file, and what is mapped stays readable."""
    content = path.read_bytes()
    with SlidingWindowMapManager(GRANULE) as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
        head = buffer[:10]
        path.with_name("other").write_bytes(bytes(8 * GRANULE))
        path.with_name("other").rename(path)
        assert buffer[5 * GRANULE :][:10] == content[5 * GRANULE :][:10]
        release_descriptors(manager)
        manager.collect()
        with pytest.raises(FileChangedError):
            buffer[3 * GRANULE]
        # Of its window, what was read and what was not.
        assert (head, buffer[:10], buffer[3000:3010]) == (content[:10], content[:10], content[3000:3010])


def test_many_threads_read_one_buffer(path: Path) -> None:
    """Each gets its own bytes, whatever the others read."""
    content = path.read_bytes()
    with SlidingWindowMapManager(GRANULE, max_open_handles=24) as manager:
        buffer = SlidingWindowMapBuffer(manager.make_cursor(path))

        def read(number: int) -> None:
            chance = random.Random(number)
            for _ in range(300):
                start = chance.randrange(len(content))
                stop = start + chance.choice([1, 50, 3 * GRANULE])
                assert buffer[start:stop] == content[start:stop]
                assert buffer[start] == content[start]

        in_threads(8, read)
        buffer.end_access()
        manager.collect()
        assert (manager.num_file_handles(), mapped_bytes_of(path), descriptors_of(path)) == (0, 0, 0)


if sys.version_info >= (3, 12):

    @pytest.mark.parametrize(("offset", "size"), [(0, 10), (GRANULE - 3, 7), (OFFSET, GRANULE // 2)])
    def test_memory_of_one_window_is_the_map_itself(path: Path, offset: int, size: int) -> None:
        """PEP 688: no copy, and the region stays mapped as long as the view."""
        content = path.read_bytes()[offset : offset + size]
        with SlidingWindowMapManager(4 * GRANULE) as manager:
            buffer = SlidingWindowMapBuffer(manager.make_cursor(path), offset, size)
            view = memoryview(buffer)
            assert (view.readonly, view.nbytes) == (True, size)
            assert view == content
            buffer.end_access()
            manager.collect()
            assert mapped_bytes_of(path) > 0
            view.release()
            manager.collect()
            assert mapped_bytes_of(path) == 0

    def test_memory_of_several_windows_is_one_copy(path: Path) -> None:
        with SlidingWindowMapManager(GRANULE, max_open_handles=1) as manager:
            buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
            assert memoryview(buffer) == path.read_bytes()
            assert bytearray(buffer) == path.read_bytes()
            assert bytes(buffer) == path.read_bytes()

    def test_memory_that_is_to_be_written_is_refused(path: Path) -> None:
        with SlidingWindowMapManager() as manager, path.open("rb") as source:
            buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
            with pytest.raises((BufferError, TypeError)):
                source.readinto(buffer)


def test_messages_name_the_argument_and_its_value(path: Path, manager: SlidingWindowMapManager) -> None:
    cursor = manager.make_cursor(path)
    buffer = SlidingWindowMapBuffer(cursor)
    with pytest.raises(ValueError, match=r"^offset must not be negative, got -1$"):
        SlidingWindowMapBuffer(cursor, -1)
    with pytest.raises(ValueError, match=r"^size must not be negative, got -2$"):
        SlidingWindowMapBuffer(cursor, 0, -2)
    with pytest.raises(ValueError, match=r"^the cursor has no file; get one from make_cursor"):
        SlidingWindowMapBuffer(WindowCursor())
    with pytest.raises(TypeError, match=r"^cursor must be a WindowCursor from make_cursor\(\), got str$"):
        SlidingWindowMapBuffer("file")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"^longest must not be negative, got -1$"):
        buffer.finditer(b"a", longest=-1)
    with pytest.raises(ValueError, match=r"^start must not be negative, got -1$"):
        buffer.readinto(bytearray(1), -1)
    with pytest.raises(TypeError, match=r"^readinto needs a writable buffer, got a read-only one$"):
        buffer.readinto(b"1")


def test_startswith_a_tuple_looks_between_the_bounds(path: Path, manager: SlidingWindowMapManager) -> None:
    content = path.read_bytes()
    buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
    prefix = content[5:9]
    for start, end in ((5, 9), (5, 8), (4, 9), (5, None)):
        assert buffer.startswith((b"no", prefix), start, end) == content.startswith((b"no", prefix), start, end)


def test_views_are_the_bytes_in_order(path: Path, manager: SlidingWindowMapManager) -> None:
    buffer = SlidingWindowMapBuffer(manager.make_cursor(path), 10)
    assert b"".join(bytes(view) for view in buffer.views()) == path.read_bytes()[10:]


def test_an_iteration_goes_on_after_the_end_and_leaves_the_cursor_alone(
    tmp_path: Path, manager: SlidingWindowMapManager
) -> None:
    path = tmp_path / "long"
    write_pattern(path, 80 * GRANULE)
    buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
    iteration = iter(buffer)
    first = next(iteration)
    buffer.end_access()
    assert bytes([first, *iteration]) == path.read_bytes()
    cursor = buffer.cursor()
    assert cursor is not None
    assert not cursor.is_valid()


def test_a_buffer_without_a_file_fills_nothing(path: Path) -> None:
    """Not even an empty target makes it look for a file."""
    with SlidingWindowMapManager(GRANULE) as manager:
        ended = SlidingWindowMapBuffer(manager.make_cursor(path))
        ended.end_access()
        for buffer in (SlidingWindowMapBuffer(), ended):
            assert (buffer.readinto(bytearray()), buffer.readinto(bytearray(3))) == (0, 0)


def test_other_bytes_are_in_a_buffer_as_they_are_in_bytes(path: Path, manager: SlidingWindowMapManager) -> None:
    content = path.read_bytes()
    buffer = SlidingWindowMapBuffer(manager.make_cursor(path))
    for kind in (bytearray, memoryview):
        there: object = kind(content[5:9])
        elsewhere: object = kind(b"no such bytes")
        assert there in buffer
        assert elsewhere not in buffer
