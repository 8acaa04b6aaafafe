"""The specification: what each call on one file, its cursors and its buffer may return, if calls were made one by one.

It is written from the contract, and knows nothing of pins, locks or flights. Most calls are one step. These are more,
by the contract, and histories that need it that way are accepted:

- The *first use* of a cursor looks at the file, which fixes what the cursor sees for good; what was asked comes later.
- ``assign`` copies the other cursor, and then puts the copy in the place of this one: two cursors, two instants.
- At a hard limit a move may give up the cursor's own window, and then gets the new one, or not.
- An append changes the modification time before and after the size. A window of ``reader="pread"`` is a copy, so its
  cursors compare the time, too.

The specification leaves open what the contract leaves open: where a request ends that is longer than half a window, or
of size 0, which depends on the window that serves it; and whether a cursor whose file was replaced needs a new window,
which depends on what is mapped: it may have the bytes of the file that it saw first, or FileChangedError, and never
another file's bytes. Where a limit is scarce any call that maps may be refused, since who else has pinned what is not
known here; otherwise none may.

Not here, because not linearizable by design, or not a matter of one file: ``collect()`` beside other collects, which
share the regions between them (each region is counted once: the fixture sums up); ``stats()`` and gauges, whose figures
are of one instant only as far as the ledger goes (``check_invariants``); ``client_count``, a number in passing; a call
on a cursor to which another thread assigns, or a buffer that another thread binds anew, once files change: it finishes
on what it began with (programs do not mix these).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Self, final

from smmap_typed import CursorInvalidError, FileChangedError
from smmap_typed.testing.disk import Disk
from stateful.threads.history import Call, History, Step
from stateful.threads.operations import BUFFERS, CHANGES, QUERIES, Operation, Program
from support import GRANULE

__all__ = ["FileState", "Specification"]


class Version(NamedTuple):
    """A file as it was at one instant."""

    inode: int
    """By its number on the disk."""
    size: int
    stamp: int = 0
    """How often its modification time was set; 0 where that does not matter."""

    def changed_for(self, seen: "Version | None") -> bool:
        """Whether a cursor that saw the file as ``seen`` may find now that it is another one."""
        if seen is None:
            return False
        rewritten = self.size == seen.size and self.stamp != seen.stamp
        return self.inode != seen.inode or self.size < seen.size or rewritten


class Stand(NamedTuple):
    """Where a cursor stands: nowhere, if it has no bytes."""

    seen: Version | None = None
    begin: int = 0
    end: int = 0

    def nowhere(self) -> "Stand":
        return Stand(self.seen)

    def is_valid(self) -> bool:
        return self.begin < self.end

    def answer(self, one: Operation) -> object:
        """What a query says about it, or what is raised; for what shows a region, only where there is none."""
        match one.name:
            case "is_valid":
                return self.is_valid()
            case "size":
                return self.end - self.begin
            case "includes_ofs":
                return self.begin <= one.offset < self.end
            case "region":
                return None
            case _ if not self.is_valid():
                return CursorInvalidError
            case _:
                return self.begin if one.name == "ofs_begin" else self.end


class Bound(NamedTuple):
    """What a buffer is bound to."""

    seen: Version
    begin: int
    length: int


@final
class FileState(NamedTuple):
    """One file, its cursors by number, and its buffer."""

    current: Version
    cursors: tuple[Stand, ...]
    buffer: Bound

    def with_cursor(self, number: int, stand: Stand) -> Self:
        return self._replace(cursors=(*self.cursors[:number], stand, *self.cursors[number + 1 :]))


FILE: Final = "file"
BUFFER: Final = "buffer"


def _cell(cursor: int) -> str:
    return f"cursor {cursor}"


@final
class Specification:
    """Of one file of a program."""

    def __init__(self, program: Program, disk: Disk, slot: int) -> None:
        setting = program.setting
        self._slot: Final = slot
        self._window: Final = setting.window
        self._copies: Final = setting.reader == "pread"
        self._refusals: Final = setting.refusals()
        self._disk: Final = disk
        self._registers: Final = program.shared + len(program.threads)
        """The first of the cells, one for each thread, for the copy that it is about to assign."""
        version = Version(slot, setting.sizes[slot])
        cells = self._registers + len(program.threads)
        self.initial: Final = FileState(version, (Stand(),) * cells, Bound(version, 0, version.size))

    def history(self, threads: Sequence[Sequence[Call[Operation]]]) -> History[FileState]:
        """The steps of those calls that are about this file."""
        return tuple(
            tuple(step for call in calls if call.operation.slot == self._slot for step in self._steps(call))
            for calls in threads
        )

    def _steps(self, call: Call[Operation]) -> list[Step[FileState]]:
        name = call.operation.name
        if name in {"collect", "check"}:
            return []
        if name in CHANGES:
            return self._change(call)
        if name in BUFFERS:
            return [self._use_buffer(call)]
        if name in QUERIES or name == "buffer":
            return [_on_cursor(call, lambda stand, _: self._answers(call, stand), writes=False)]
        if isinstance(call.outcome, type):
            return [*self._may_give_up(call), self._refused(call)]
        return self._succeeded(call)

    def _succeeded(self, call: Call[Operation]) -> list[Step[FileState]]:
        """The steps of a call that used a cursor, or made one what it is."""
        one = call.operation
        look = _on_cursor(call, _look, reads_file=True)
        match one.name:
            case "use_region":
                return [look, *self._may_give_up(call), _on_cursor(call, lambda stand, _: self._stands(one, stand))]
            case "unuse_region":
                return [_on_cursor(call, lambda stand, _: [stand.nowhere()])]
            case "read" | "view" | "file_size":
                return [look, _on_cursor(call, lambda stand, _: self._answers(call, stand), writes=False)]
            case "make_cursor":
                return [_on_cursor(call, lambda _, __: [Stand()])]
            case "copy":
                return [_take(call, one.source, one.cursor)]
            case _:
                register = self._registers + call.thread
                return [_take(call, one.source, register), _take(call, register, one.cursor)]

    def _may_give_up(self, call: Call[Operation]) -> list[Step[FileState]]:
        """At a hard limit a move may let go of its own window first."""
        if call.operation.name != "use_region" or not self._refusals:
            return []
        return [_on_cursor(call, lambda stand, _: {stand, stand.nowhere()})]

    def _refused(self, call: Call[Operation]) -> Step[FileState]:
        """A call that needed a window and did not get it."""
        one = call.operation
        needed = one.source if one.name in {"copy", "assign"} else one.cursor

        def refuse(state: FileState) -> list[FileState]:
            return [state] if self._may_refuse(call, state.current, state.cursors[needed].seen) else []

        return Step(call, refuse, frozenset({_cell(needed), FILE}))

    def _may_refuse(self, call: Call[Operation], current: Version, seen: Version | None) -> bool:
        if call.outcome is FileChangedError:
            return current.changed_for(seen)
        return any(call.outcome is refusal for refusal in self._refusals)

    def _stands(self, one: Operation, stand: Stand) -> list[Stand]:
        """Where a cursor may stand that asked for a region."""
        seen = stand.seen
        if seen is None:
            return []
        if one.offset >= seen.size:
            return [stand.nowhere()]
        return [Stand(seen, one.offset, end) for end in self._ends(seen.size, one.offset, one.size)]

    def _ends(self, file_size: int, offset: int, size: int) -> set[int]:
        """Where its bytes may end: with the request, the file, or a window that holds what must not be cut."""
        wanted = min(offset + size, file_size) if size else file_size
        if not self._window:
            return {wanted}
        half = max(self._window // 2 // GRANULE, 1) * GRANULE
        promised = min(offset + self._window // 2, wanted)
        ends = {begin + self._window for begin in range(0, offset + 1, half) if offset < begin + self._window}
        # A window of one granule promises nothing.
        holding = {end for end in ends if promised <= end} or ends
        return {min(end, wanted) for end in holding}

    def _answers(self, call: Call[Operation], stand: Stand) -> list[Stand]:
        """The stand itself, if a cursor that stands there gives that answer."""
        return [stand] if self._answer(call.operation, call.outcome, stand) else []

    def _answer(self, one: Operation, outcome: object, stand: Stand) -> bool:
        seen, begin, end = stand
        match one.name:
            case "read" | "view":
                return outcome == self._content(seen, one.offset, one.offset + one.size)
            case "file_size":
                return seen is not None and outcome == seen.size
            case "region" if stand.is_valid():
                return self._may_hold(outcome, begin, end)
            case "buffer" if stand.is_valid():
                return outcome == self._content(seen, begin, end)
            case _:
                return outcome == stand.answer(one)

    def _may_hold(self, region_begin: object, begin: int, end: int) -> bool:
        return (
            isinstance(region_begin, int)
            and region_begin % GRANULE == 0
            and region_begin <= begin
            and (not self._window or end <= region_begin + self._window)
        )

    def _content(self, seen: Version | None, begin: int, end: int) -> bytes | None:
        return None if seen is None else bytes(self._disk.inodes[seen.inode].content[begin : min(end, seen.size)])

    def _use_buffer(self, call: Call[Operation]) -> Step[FileState]:
        def use(state: FileState) -> list[FileState]:
            if call.outcome is not IndexError and isinstance(call.outcome, type):
                return [state] if self._may_refuse(call, state.current, state.buffer.seen) else []
            after = self._bound(call.operation, call.outcome, state.buffer)
            return [] if after is None else [state._replace(buffer=after)]

        writes = {BUFFER} if call.operation.name in {"begin_access", "end_access"} else set[str]()
        return Step(call, use, frozenset({BUFFER, FILE}), frozenset(writes))

    def _bound(self, one: Operation, outcome: object, bound: Bound) -> Bound | None:
        """What the buffer is bound to after a call with that outcome; None if it cannot have it."""
        seen, begin, length = bound
        content = self._content(seen, begin, begin + length)
        assert content is not None
        match one.name:
            case "slice":
                right = outcome == content[one.offset : one.offset + one.size]
            case "index":
                right = outcome == (content[one.offset] if one.offset < length else IndexError)
            case "length":
                right = outcome == length
            case "end_access":
                return bound._replace(length=0)
            case _:
                right = outcome == (one.offset < seen.size)
                if outcome is True:
                    bound = Bound(seen, one.offset, min(one.size, seen.size - one.offset))
        return bound if right else None

    def _change(self, call: Call[Operation]) -> list[Step[FileState]]:
        if call.operation.name == "replace":
            assert isinstance(call.outcome, int)
            fresh = Version(call.outcome, call.operation.size)
            return [_on_file(call, lambda _: fresh)]
        grow = _on_file(call, lambda now: now._replace(size=now.size + call.operation.size))
        if not self._copies:
            return [grow]
        touch = _on_file(call, lambda now: now._replace(stamp=now.stamp + 1))
        return [touch, grow, touch]


def _look(stand: Stand, current: Version) -> list[Stand]:
    """What a cursor sees first it sees for good."""
    return [stand if stand.seen else Stand(current)]


def _on_cursor(
    call: Call[Operation],
    change: Callable[[Stand, Version], Iterable[Stand]],
    *,
    reads_file: bool = False,
    writes: bool = True,
) -> Step[FileState]:
    """A step about the operation's cursor."""
    number = call.operation.cursor

    def apply(state: FileState) -> list[FileState]:
        return [state.with_cursor(number, stand) for stand in change(state.cursors[number], state.current)]

    cell = frozenset({_cell(number)})
    return Step(call, apply, cell | {FILE} if reads_file else cell, cell if writes else frozenset())


def _take(call: Call[Operation], source: int, target: int) -> Step[FileState]:
    """One cursor becomes what another one is."""

    def apply(state: FileState) -> list[FileState]:
        return [state.with_cursor(target, state.cursors[source])]

    return Step(call, apply, frozenset({_cell(source)}), frozenset({_cell(target)}))


def _on_file(call: Call[Operation], change: Callable[[Version], Version]) -> Step[FileState]:
    """A step of another program, to which it is always possible."""

    def apply(state: FileState) -> list[FileState]:
        return [state._replace(current=change(state.current))]

    return Step(call, apply, frozenset({FILE}), frozenset({FILE}))
