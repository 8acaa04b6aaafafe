"""Numbers: what has ``__index__`` is an integer in every argument, and nothing else is, in the same words."""

import operator
import os
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Final, SupportsIndex, cast

import pytest
from typing_extensions import override

from smmap_typed import (
    SlidingWindowMapBuffer,
    SlidingWindowMapManager,
    StaticWindowMapManager,
    Window,
    WindowCursor,
    align_to_mmap,
)
from support import GRANULE, open_descriptor, pattern

GOOD: Final = 5
NO_LINK: Final[int] = getattr(os, "O_NOFOLLOW", 0)


class Scalar:
    """An integer by ``__index__`` and nothing more, like some scalars of numpy when it comes to sums."""

    def __init__(self, number: int) -> None:
        self._number: Final = number

    def __index__(self) -> int:
        return self._number

    def _refuse(self, other: object) -> bool:
        raise ArithmeticError(f"{self._number} wraps around, or becomes a float, with {other!r}")

    __add__ = __radd__ = __sub__ = __rsub__ = __and__ = __rand__ = __or__ = __ror__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse


class Turned:
    """A number that ``int()`` would take."""

    def __int__(self) -> int:
        return GOOD

    @override
    def __repr__(self) -> str:
        return "Turned()"


NO_INTEGERS: Final = ["5", 5.0, Fraction(5), Decimal(5), 5j, b"5", [5], Turned()]
Number = SupportsIndex


@dataclass(frozen=True)
class Uses:
    """What a call of the tables below may use: a cursor on ``path`` that stands on bytes of its first window."""

    path: Path
    manager: SlidingWindowMapManager
    cursor: WindowCursor
    buffer: SlidingWindowMapBuffer


Call = Callable[[Uses, Number], object]


def _sight(cursor: WindowCursor) -> object:
    return cursor.ofs_begin(), cursor.size(), bytes(cursor.buffer())


def _configured(uses: Uses, **limits: Number) -> object:
    uses.manager.configure(**limits)
    return uses.manager.max_file_handles(), uses.manager.max_mapped_memory_size()


def _made(manager: StaticWindowMapManager) -> object:
    with manager:
        return manager.window_size(), manager.max_mapped_memory_size(), manager.max_file_handles()


def _bound(uses: Uses, offset: Number, size: Number, flags: Number = 0) -> object:
    with SlidingWindowMapBuffer(uses.cursor, offset, size, flags) as buffer:
        return bytes(buffer)


def _bound_again(uses: Uses, offset: Number = 0, size: Number = 9, flags: Number = 0) -> object:
    return uses.buffer.begin_access(uses.cursor, offset, size, flags), bytes(uses.buffer)


def _filled(uses: Uses, start: Number) -> object:
    room = bytearray(3)
    return uses.buffer.readinto(room, start), room


def _sought(uses: Uses, offset: Number, whence: Number = os.SEEK_SET) -> object:
    with uses.manager.open(uses.path, size=50) as file:
        return file.raw.seek(cast("int", offset), cast("int", whence))


CALLS: Final[dict[str, tuple[str, Call]]] = {
    "use_region, in the window": ("offset", lambda uses, n: _sight(uses.cursor.use_region(n, 9))),
    "use_region, size in the window": ("size", lambda uses, n: _sight(uses.cursor.use_region(3, n))),
    "use_region, as much as there is": ("offset", lambda uses, n: _sight(uses.cursor.use_region(n))),
    "use_region, first use": ("offset", lambda uses, n: _sight(uses.manager.make_cursor(uses.path).use_region(n, 9))),
    "use_region, first size": ("size", lambda uses, n: _sight(uses.manager.make_cursor(uses.path).use_region(0, n))),
    "use_region, elsewhere": ("size", lambda uses, n: _sight(uses.cursor.use_region(6 * GRANULE, n))),
    "use_region, flags": ("flags", lambda uses, n: _sight(uses.cursor.use_region(6 * GRANULE, 9, n))),
    "read": ("offset", lambda uses, n: uses.cursor.read(n, 9)),
    "read, size": ("size", lambda uses, n: uses.cursor.read(3, n)),
    "view": ("offset", lambda uses, n: bytes(uses.cursor.view(n, 9))),
    "view, size": ("size", lambda uses, n: bytes(uses.cursor.view(3, n))),
    "prefetch": ("offset", lambda uses, n: uses.cursor.prefetch(n, 9)),
    "prefetch, size": ("size", lambda uses, n: uses.cursor.prefetch(3, n)),
    "includes_ofs": ("ofs", lambda uses, n: uses.cursor.includes_ofs(n)),
    "Region.includes_ofs": ("ofs", lambda uses, n: _region(uses).includes_ofs(n)),
    "Window": ("offset", lambda _, n: Window(n, 3)),
    "Window, size": ("size", lambda _, n: Window(3, n)),
    "Window.includes_ofs": ("ofs", lambda _, n: Window(3, 9).includes_ofs(n)),
    "SlidingWindowMapBuffer": ("offset", lambda uses, n: _bound(uses, n, 9)),
    "SlidingWindowMapBuffer, size": ("size", lambda uses, n: _bound(uses, 3, n)),
    "SlidingWindowMapBuffer, flags": ("flags", lambda uses, n: _bound(uses, 3, 9, n)),
    "begin_access": ("offset", _bound_again),
    "begin_access, size": ("size", lambda uses, n: _bound_again(uses, size=n)),
    "begin_access, flags": ("flags", lambda uses, n: _bound_again(uses, flags=n)),
    "readinto": ("start", _filled),
    "finditer": ("longest", lambda uses, n: [found.start for found in uses.buffer.finditer(b"\7", longest=n)]),
    "open": ("offset", lambda uses, n: uses.manager.open(uses.path, offset=n, size=9).read()),
    "open, size": ("size", lambda uses, n: uses.manager.open(uses.path, size=n).read()),
    "seek of the raw file": ("offset", _sought),
    "manager, window_size": ("window_size", lambda _, n: _made(SlidingWindowMapManager(n))),
    "manager, max_memory_size": ("max_memory_size", lambda _, n: _made(SlidingWindowMapManager(GRANULE, n))),
    "manager, max_open_handles": ("max_open_handles", lambda _, n: _made(SlidingWindowMapManager(0, 0, n))),
    "static manager, window_size": ("window_size", lambda _, n: _made(StaticWindowMapManager(n))),
    "static manager, max_memory_size": ("max_memory_size", lambda _, n: _made(StaticWindowMapManager(0, n))),
    "static manager, max_open_handles": ("max_open_handles", lambda _, n: _made(StaticWindowMapManager(0, 0, n))),
    "configure, max_memory_size": ("max_memory_size", lambda uses, n: _configured(uses, max_memory_size=n)),
    "configure, max_open_handles": ("max_open_handles", lambda uses, n: _configured(uses, max_open_handles=n)),
}
"""By what is called: the name of the argument, and the call."""

AS_BYTES: Final[dict[str, Call]] = {
    "an index": lambda uses, n: uses.buffer[n],
    "a slice": lambda uses, n: uses.buffer[n:50:n],
    "a slice without a step": lambda uses, n: uses.buffer[n : 2 * GRANULE],
    "find": lambda uses, n: uses.buffer.find(b"\7", n, 4 * GRANULE),
    "find, end": lambda uses, n: uses.buffer.find(b"\7", 0, n),
    "rfind": lambda uses, n: uses.buffer.rfind(b"\7", n),
    "index": lambda uses, n: uses.buffer.index(b"\7", n),
    "count": lambda uses, n: uses.buffer.count(b"\7", n),
    "startswith": lambda uses, n: uses.buffer.startswith(b"\7", n),
    "a byte": lambda uses, n: uses.buffer.find(n),
    "read of a file": lambda uses, n: uses.manager.open(uses.path).read(cast("int", n)),
    "seek of a file": lambda uses, n: uses.manager.open(uses.path).seek(cast("int", n)),
    "align_to_mmap": lambda _, n: align_to_mmap(n, round_up=True),
}
"""What refuses in the words of ``bytes``, of the builtin ``open`` and of ``operator.index``."""


def _region(uses: Uses) -> Window:
    region = uses.cursor.region()
    assert region is not None
    return region.window


@pytest.fixture
def uses(path: Path, manager: SlidingWindowMapManager) -> Uses:
    cursor = manager.make_cursor(path)
    return Uses(path, manager, cursor.use_region(1, 20), SlidingWindowMapBuffer(cursor))


@pytest.mark.parametrize("name", [*CALLS, *AS_BYTES])
def test_what_has_an_index_is_an_integer(uses: Uses, name: str) -> None:
    """No sum or comparison is asked of it, and the result is that of an int, without a trace of the object."""
    argument, call = CALLS[name] if name in CALLS else ("", AS_BYTES[name])
    number = NO_LINK if argument == "flags" else GOOD
    expected = call(uses, number)
    uses.cursor.use_region(1, 20)
    uses.buffer.begin_access(uses.cursor)
    assert call(uses, Scalar(number)) == expected


@pytest.mark.parametrize("value", NO_INTEGERS, ids=repr)
@pytest.mark.parametrize(("name", "call"), CALLS.values(), ids=CALLS)
def test_nothing_else_is_one(uses: Uses, name: str, call: Call, value: Number) -> None:
    """The same words in every call and in both builds; the cursor and the limits stay as they are."""
    before = _sight(uses.cursor), _configured(uses)
    with pytest.raises(TypeError) as caught:
        call(uses, value)
    assert str(caught.value) == f"{name} must be an integer, got {type(value).__name__}"
    assert (_sight(uses.cursor), _configured(uses)) == before


@pytest.mark.parametrize("value", [5.0, Fraction(5), Turned()], ids=repr)
@pytest.mark.parametrize("call", AS_BYTES.values(), ids=AS_BYTES)
def test_nothing_else_is_one_in_the_words_of_others(uses: Uses, call: Call, value: Number) -> None:
    with pytest.raises(TypeError):
        call(uses, value)


@pytest.mark.parametrize(("name", "call"), [CALLS[name] for name in CALLS if "manager" not in name])
def test_a_negative_number_is_refused_as_such(uses: Uses, name: str, call: Call) -> None:
    """But an offset in ``includes_ofs`` is just not there; neither is a bound below 0 of the file."""
    if name == "ofs":
        assert call(uses, Scalar(-5)) is False
        return
    for value in (-5, Scalar(-5)):
        with pytest.raises((ValueError, OSError), match=r"negative, got |must be .*, got -5"):
            call(uses, value)


def test_a_bool_is_an_offset_and_no_limit(uses: Uses) -> None:
    """As ever: ``read(False, True)`` is odd and harmless; a limit of True is a mistake."""
    assert _sight(uses.cursor.use_region(True, True)) == (1, 1, pattern(2)[1:])
    assert type(uses.cursor.use_region(True, True).ofs_begin()) is int
    assert uses.cursor.read(False, True) == pattern(1)
    with pytest.raises(TypeError, match="max_memory_size must be an integer, got bool"):
        uses.manager.configure(max_memory_size=True)


def test_flags_are_only_looked_at_when_they_are_used(uses: Uses) -> None:
    """A hit does not pay for it; the first call that may have to open the file refuses them."""
    assert _sight(uses.cursor.use_region(3, 4, cast("int", "x"))) == (3, 4, pattern(7)[3:])


def test_a_descriptor_may_be_any_integer(path: Path, manager: SlidingWindowMapManager) -> None:
    """As for the builtin ``open``; the queries give an int."""
    with open_descriptor(path) as number:
        cursor = manager.make_cursor(Scalar(number))
        assert cursor.read(3, 9) == pattern(12)[3:]
        assert (cursor.fd(), cursor.path_or_fd()) == (number, number)
        with manager.open(Scalar(number)) as file:
            assert file.read(9) == pattern(9)


def test_a_window_has_ints_whatever_it_was_made_from() -> None:
    window = Window(Scalar(3), True)
    assert (window, hash(window)) == (Window(3, 1), hash(Window(3, 1)))
    assert repr(window) == "Window(offset=3, size=1)"
    assert operator.index(window.end) == 4
