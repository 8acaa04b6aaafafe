"""Strikes: an exception that comes at a chosen moment inside the library, once.

A *line* strike is raised by a trace function in place of a line that is about to run. A *signal* is a real one: the
trace function lets it be pending and takes itself away, so that it is CPython that runs the handler, at the next place
where it looks for signals, which is what happens to users.
"""

import _thread
import dis
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from interrupts import LIBRARY, alarms

if TYPE_CHECKING:
    from _typeshed import TraceFunction

__all__ = ["HungError", "Kind", "Place", "Strike", "Struck", "moments", "nobody_waits"]

Kind = Literal["line", "signal"]

# The managers check arguments; the rest is for tests, for smmap's place, or only values.
_ABOVE: Final = {"manager", "compat", "__main__", "__init__"}

_FILES: Final = {
    str(path)
    for pattern in ("*.py", "_pool/*.py", "_handles/*.py")
    for path in Path(LIBRARY).glob(pattern)
    if path.stem not in _ABOVE
}
"""The modules whose lines are struck."""

# After a call, at a jump backwards and at the beginning of a function CPython looks for signals.
_LOOKS: Final = ("CALL", "JUMP_BACKWARD", "RESUME")


class Place(NamedTuple):
    """A line of the library, named so that changes elsewhere do not matter."""

    function: str
    """Module and qualified name."""
    text: str
    """The line itself."""


class Struck(KeyboardInterrupt):
    """What strikes: as Ctrl-C, but told from a real one."""


class HungError(Exception):
    """The only thread waits for what only itself could end."""


Context = tuple[tuple[CodeType, int] | type[BaseException] | None, ...]
"""What error is being handled, and the library's frames on the stack, with how far each is."""


def place_of(frame: FrameType) -> Place:
    """The line that ``frame`` is at."""
    path = Path(frame.f_code.co_filename)
    return Place(f"{path.stem}.{frame.f_code.co_qualname}", _line(path, frame.f_lineno or frame.f_code.co_firstlineno))


_lines: Final[dict[Path, list[str]]] = {}


def _line(path: Path, number: int) -> str:
    if path not in _lines:
        _lines[path] = path.read_text().splitlines()
    return _lines[path][number - 1].partition("  # ")[0].strip()


def _is_below(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_filename in _FILES


_looking: Final[dict[CodeType, frozenset[int]]] = {}


def _looks_for_signals(frame: FrameType) -> bool:
    """Whether the instruction that ``frame`` is at ends with a look for signals."""
    code = frame.f_code
    if code not in _looking:
        _looking[code] = frozenset(
            instruction.offset for instruction in dis.get_instructions(code) if instruction.opname.startswith(_LOOKS)
        )
    return frame.f_lasti in _looking[code]


def _context_of(frame: FrameType | None, kind: Kind) -> Context:
    places: list[tuple[CodeType, int] | type[BaseException] | None] = [sys.exc_info()[0]]
    while frame is not None:
        if _is_below(frame):
            places.append((frame.f_code, frame.f_lineno if kind == "line" else frame.f_lasti))
        frame = frame.f_back
    return tuple(places)


def _tracer(kind: Kind, note: Callable[[FrameType], None]) -> "TraceFunction":
    """A trace function that calls ``note`` at every moment at which a strike of that kind may come."""
    event_of_interest = "line" if kind == "line" else "opcode"

    def trace(frame: FrameType, event: str, _: object) -> "TraceFunction | None":
        if not _is_below(frame):
            return None
        frame.f_trace_opcodes = kind == "signal"
        if event == event_of_interest and (kind == "line" or _looks_for_signals(frame)):
            note(frame)
        return trace

    return trace


@contextmanager
def _traced(trace: "TraceFunction") -> Generator[None]:
    before = sys.gettrace()
    # CPython 3.12 counts no opcodes unless a frame wants them when tracing begins.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def moments(kind: Kind, act: Callable[[], None]) -> list[tuple[Context, Place]]:
    """Every moment of ``act`` at which a strike may come, in order."""
    found: list[tuple[Context, Place]] = []
    with _traced(_tracer(kind, lambda frame: found.append((_context_of(frame, kind), place_of(frame))))):
        act()
    return found


class Strike:
    """One strike at the moment number ``at`` of what is done."""

    def __init__(self, kind: Kind, at: int) -> None:
        self._kind: Final[Kind] = kind
        self._left = at
        self.place: Place | None = None
        """Where it came, once it has."""

    def during(self, act: Callable[[], None]) -> bool:
        """Do ``act``; whether the strike came through to the caller."""
        tracer = self._line_tracer() if self._kind == "line" else self._signal_tracer()
        with _handled(signal.SIGINT, self._handle):
            try:
                with _traced(tracer):
                    act()
            except Struck as error:
                # The frames that it passed hold views.
                error.with_traceback(None)
                return True
        return False

    def _line_tracer(self) -> "TraceFunction":
        def note(frame: FrameType) -> None:
            if self._is_now():
                self.place = place_of(frame)
                raise Struck

        return _tracer("line", note)

    def _signal_tracer(self) -> "TraceFunction":
        def trace(frame: FrameType, event: str, _: object) -> "TraceFunction | None":
            if not _is_below(frame):
                return None
            frame.f_trace_opcodes = True
            if event == "opcode" and _looks_for_signals(frame) and self._is_now():
                sys.settrace(None)
                # Nothing from here to the end of this function looks for signals: the step of a loop over a map is C.
                for _made_pending in map(_thread.interrupt_main, (signal.SIGINT,)):
                    return None
            return trace

        return trace

    def _is_now(self) -> bool:
        self._left -= 1
        return self._left == -1

    def _handle(self, _number: int, frame: FrameType | None) -> None:
        while frame is not None and not _is_below(frame):
            frame = frame.f_back
        if frame is not None:
            self.place = place_of(frame)
            raise Struck


@contextmanager
def _handled(number: int, handler: Callable[[int, FrameType | None], None]) -> Generator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


# Where the library waits: for its lock, and for the end of another thread's load or unload.
_WAITS_FOR_LOCK: Final = "for acquired in monitor.waiting"
_WAITS_FOR_END: Final = "self.locked(flying.join).acquire("
_LOOK_SECONDS: Final = 0.05


def _refuse_to_wait(frame: FrameType | None) -> None:
    if frame is None or not _is_below(frame):
        return
    text = place_of(frame).text
    # The line that waits for the lock also comes by when the lock is free.
    if text.startswith(_WAITS_FOR_END) or (
        text.startswith(_WAITS_FOR_LOCK) and frame.f_locals["monitor"].lock.locked()
    ):
        raise HungError(f"waits for itself at {text}")


def nobody_waits() -> AbstractContextManager[None]:
    """HungError as soon as this thread, which must be the only one, waits for the lock, or for a load or unload."""
    return alarms(_refuse_to_wait, _LOOK_SECONDS)
