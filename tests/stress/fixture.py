"""The fixture: what the threads of one round share, and the rules that all of them keep."""

import errno
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import ClassVar, Final, Literal, TypeVar, final

from smmap_typed import (
    FileChangedError,
    HandleLimitError,
    MemoryLimitError,
    SlidingWindowMapBuffer,
    SlidingWindowMapManager,
    StaticWindowMapManager,
)
from smmap_typed._handles.sharing import FREE_THREADED
from stress.faults import NO_FAULTS, Faults
from stress.files import LARGEST, Files, Reading, StressFile
from stress.pins import Pins
from support import GRANULE

__all__ = ["WINDOW", "Fixture", "Scenario", "Worker"]

T = TypeVar("T")

_CURSORS: Final = 2
_BUFFERS: Final = 2
_PASSED_ON: Final = 2
_SHARED: Final = _CURSORS + _BUFFERS + 1 + _PASSED_ON
"""Pins of what is shared: of each cursor and buffer, the rebound one too, and of the cursors that are passed on."""

WINDOW: Final = 2 * GRANULE
"""Bytes: the smallest windows that promise not to cut requests of up to half of one."""


@final
@dataclass(frozen=True)
class Scenario:
    """Who works on which manager, and how tight its limits are."""

    name: str
    crew: "tuple[type[Worker], ...]"
    sliding: bool = True
    reader: Literal["mmap", "pread"] = "mmap"
    strict: bool = False
    share_of_handles: float = 1.0
    """How many of the pins that the crew can take at once have a handle. From 1 on no limit error can be right."""
    windows_of_memory: int | None = None
    """The memory limit, in windows; None for as many as handles."""

    @property
    def window(self) -> int:
        """Bytes of the largest window."""
        return WINDOW if self.sliding else LARGEST


class Fixture:
    """One manager, its files, and the cursors and buffers that threads share."""

    def __init__(self, scenario: Scenario, folder: Path, seed: int, faults: Faults = NO_FAULTS) -> None:
        self.scenario: Final = scenario
        self.faults: Final = faults
        self.files: Final = Files(folder / "files", may_shrink=scenario.reader == "pread")
        self.passing_files: Final = Files(folder / "passing", may_shrink=False)
        """For the managers that come and go, so that what those have mapped can be told from the rest."""
        self.pins: Final = Pins()
        self.tally: Final[Counter[str]] = Counter()
        """What was done, in words for the summary. Each key is written by one thread."""
        self.peak_handles = 0
        """The most that the sampler saw reported."""
        self.crew: Final = [kind(self, number, Random(f"{seed} {number}")) for number, kind in enumerate(scenario.crew)]
        shared = _SHARED if any(worker.shares for worker in self.crew) else 0
        self.pins.open(shared)
        most = shared + sum(worker.most_pins for worker in self.crew)
        self.handles: Final = max(int(most * scenario.share_of_handles), 1)
        self.memory: Final = (scenario.windows_of_memory or self.handles) * scenario.window
        self.manager: Final = self._make_manager()
        steady = self.files.steady
        self.cursors: Final = [self.manager.make_cursor(file.path) for file in steady[:_CURSORS]]
        """Shared: moved, released and assigned by anybody. On steady files."""
        self.buffers: Final = [SlidingWindowMapBuffer() for _ in range(_BUFFERS)]
        """Shared: one for each steady file, all of it, bound once."""
        self.rebound: Final = SlidingWindowMapBuffer()
        """Shared, and bound to another place of another steady file now and then."""
        self.passed_on: Final[deque[Reading]] = deque(maxlen=_PASSED_ON)
        """Cursors that one thread has placed and another will drop."""
        self.passing: StaticWindowMapManager = self.make_passing_manager()
        """A manager that somebody closes or drops while others use it."""

    def _make_manager(self) -> StaticWindowMapManager:
        scenario = self.scenario
        kind = SlidingWindowMapManager if scenario.sliding else StaticWindowMapManager
        return kind(WINDOW, self.memory, self.handles, reader=scenario.reader, strict_memory=scenario.strict)

    def make_passing_manager(self) -> StaticWindowMapManager:
        return SlidingWindowMapManager(WINDOW, 4 * WINDOW)

    def share(self) -> None:
        """Bind the buffers. Before the threads start."""
        for buffer, file in zip(self.buffers, self.files.steady, strict=False):
            assert buffer.begin_access(self.manager.make_cursor(file.path))

    def release(self) -> None:
        """Let go of everything that is shared."""
        for cursor in self.cursors:
            cursor.close()
        for buffer in [*self.buffers, self.rebound]:
            buffer.end_access()
        self.passed_on.clear()
        for worker in self.crew:
            worker.release()
        self.passing.close()


class Worker(ABC):
    """One thread's program: an endless row of steps, drawn from random numbers of its own."""

    keeps: ClassVar[int] = 0
    """Regions that it has pinned, at most, while it is in no call."""
    passes: ClassVar[int] = 1
    """Regions that one call pins at most beside those: in a move the new window, of something shared an old one too."""
    shares: ClassVar[bool] = False
    """Whether it uses what the threads share."""

    def __init__(self, fixture: Fixture, number: int, random: Random) -> None:
        self.fixture: Final = fixture
        self.number: Final = number
        self.random: Final = random
        self.account: Final = fixture.pins.open()

    @property
    def most_pins(self) -> int:
        return self.keeps + self.passes

    @abstractmethod
    def step(self) -> None:
        """Do one thing, and check what comes of it."""

    def release(self) -> None:  # noqa: B027 - most keep nothing
        """Let go of everything."""

    @final
    def count(self, what: str, number: int = 1) -> None:
        self.fixture.tally[f"{what} of {self.number}"] += number

    @final
    def call(self, file: StressFile | None, act: Callable[[], T], *, pins: int | None = None, own: int = 0) -> T | None:
        """What ``act`` returns, or None if it failed with an error that was right.

        It pins no more than ``pins`` at once, and no pin outlives it except those that were announced before. Of those
        it gives up ``own`` before it fails at a limit.
        """
        passes = self.passes if pins is None else pins
        marks = self.fixture.pins.mark()
        self.account.take(passes)
        try:
            return self.fixture.faults.expose(act)
        except (HandleLimitError, MemoryLimitError) as error:
            # All but the one that it is about can be in the way.
            self._judge(error, self.fixture.pins.most_since(marks) - min(passes, 1) - own)
        except FileChangedError:
            assert file is not None
            assert file.turns_into_another, file.path
            self.count("changed files")
        except OSError as error:
            if not self.fixture.faults.caused(error):
                raise
            self.count("faults")
        finally:
            self.account.give(passes)
        return None

    def _judge(self, error: HandleLimitError | MemoryLimitError, most: int) -> None:
        self.count("limit errors")
        if FREE_THREADED:
            # A pin that one thread made and another ended lasts until the first one runs again (docs/thread-safety.md).
            most += len(self.fixture.crew)
        if isinstance(error, HandleLimitError):
            assert error.errno == errno.EMFILE
            assert most >= error.limit, f"at most {most} regions were pinned, and yet: {error}"
        else:
            assert self.fixture.scenario.strict, error
            in_use = most * self.fixture.scenario.window
            assert in_use + error.wanted > error.limit, f"at most {in_use} bytes were pinned, and yet: {error}"

    @final
    def place(self, size: int = LARGEST) -> tuple[int, int]:
        """An offset in a file of ``size`` bytes, near others that are drawn, and a size of up to half a window."""
        offset = min(self.random.randrange(size), self.random.randrange(size)) & ~7
        return offset, 8 * self.random.choice((1, 3, 20, self.random.randint(1, WINDOW // 16)))
