"""Rounds: a crew works in a fixture for a while, all stop, the judge looks, and in the end nothing may be left."""

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Final

from typing_extensions import override

from smmap_typed.testing import in_threads
from stress.faults import NO_FAULTS, Faults
from stress.fixture import Fixture, Scenario
from stress.judge import Judge

__all__ = ["ROUND_SECONDS", "Record", "play"]

PHASES: Final = 4
"""How often the threads stop, with whatever they have pinned, to be looked at."""
ROUND_SECONDS: Final = 1.2
"""How long they work in one round."""
_PATIENCE_SECONDS: Final = 60.0
"""A step that takes longer hangs."""


def play(
    scenario: Scenario, folder: Path, seed: int, *, seconds: float = ROUND_SECONDS, faults: Faults = NO_FAULTS
) -> Fixture:
    """One round in a new fixture, whose files are in ``folder``. The programs of the threads follow from ``seed``."""
    fixture = Fixture(scenario, folder, seed, faults)
    judge = Judge(fixture)
    try:
        fixture.share()
        for _ in range(PHASES):
            _work(fixture, seconds / PHASES)
            judge.look()
            fixture.pins.forget()
        fixture.release()
        judge.look_at_the_end()
    except BaseException as error:
        error.add_note(f"{scenario.name}, seed {seed}: pytest tests/stress -k {scenario.name} --seed {seed}")
        raise
    finally:
        fixture.manager.close()
    return fixture


def _work(fixture: Fixture, seconds: float) -> None:
    """Let every thread work for so long, or until one fails."""
    over = threading.Event()
    end = time.monotonic() + seconds

    def run(number: int) -> None:
        worker = fixture.crew[number]
        steps = 0
        try:
            while not over.is_set() and time.monotonic() < end:
                worker.step()
                steps += 1
            worker.count("operations", steps)
        finally:
            over.set()

    in_threads(len(fixture.crew), run, _PATIENCE_SECONDS)


class Record:
    """What all rounds of a scenario did."""

    def __init__(self) -> None:
        self._done: Final[Counter[str]] = Counter()
        self._peaks: Final[list[tuple[int, int]]] = []
        self.rounds = 0

    def add(self, fixture: Fixture) -> None:
        """Add a round that is over."""
        self.rounds += 1
        self._peaks.append((fixture.peak_handles, fixture.handles))
        for what, number in fixture.tally.items():
            self._done[what.rpartition(" of ")[0]] += number

    @override
    def __str__(self) -> str:
        done = ", ".join(f"{number:,} {what}" for what, number in self._done.most_common())
        peak, limit = max(self._peaks)
        return f"{self.rounds} rounds, {done}, at most {peak} of {limit} handles"
