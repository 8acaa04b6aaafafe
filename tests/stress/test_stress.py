"""Threads that do everything at once, for as long as one likes: ``nox -s stress -- --minutes 10``.

Each scenario plays rounds, each in a new fixture and with the next seed, until its share of the time is over.
"""

import time
from pathlib import Path
from typing import Final

import pytest

from stress.churn import Churner, Passer
from stress.fixture import Scenario
from stress.keepers import Collector, Configurer, Sampler, Writer
from stress.readers import BufferReader, Owner, Sharer, Taker
from stress.rounds import Record, play

# As many as pin one region each, so a limit as large can stop nobody.
TAKERS: Final = (Taker, Taker, Taker, Taker, Taker, Writer, Collector, Sampler)
# All on few objects, with room for every window, so that they move without waiting for each other.
SHARERS: Final = (Sharer, Sharer, Sharer, Sharer, Sharer, BufferReader, BufferReader, Sampler)
EVERYBODY: Final = (Owner, Owner, Sharer, Sharer, BufferReader, BufferReader, Churner, Passer, Passer, Writer, Sampler)

SCENARIOS: Final = (
    Scenario("last_handle", TAKERS),
    Scenario("last_byte", TAKERS, strict=True, reader="pread"),
    Scenario("shared", SHARERS, share_of_handles=9.0),
    Scenario("enough", (*EVERYBODY, Collector), windows_of_memory=12),
    Scenario("enough_of_whole_files", EVERYBODY, sliding=False, windows_of_memory=3),
    Scenario("scarce", (*EVERYBODY, Configurer), share_of_handles=0.3),
    Scenario("scarce_copies", (*EVERYBODY, Configurer), reader="pread", share_of_handles=0.3, strict=True),
)
SHORT_SECONDS: Final = 2.4
"""How long each scenario takes without ``--minutes``."""
PROGRESS_SECONDS: Final = 30.0


@pytest.mark.timeout(0)  # as long as was asked for; each round is bounded
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_nothing_breaks_under_stress(
    scenario: Scenario, tmp_path: Path, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    minutes: float = pytestconfig.option.minutes
    first_seed: int = pytestconfig.option.seed
    end = time.monotonic() + (minutes * 60 / len(SCENARIOS) or SHORT_SECONDS)
    next_line = time.monotonic() + PROGRESS_SECONDS
    record = Record()
    while not record.rounds or time.monotonic() < end:
        seed = first_seed + record.rounds
        record.add(play(scenario, tmp_path / str(seed), seed))
        if time.monotonic() > next_line:
            next_line += PROGRESS_SECONDS
            with capsys.disabled():
                print(f"\n  {scenario.name} goes on: {record}", end="")
    with capsys.disabled():
        print(f"\n  {scenario.name}, from seed {first_seed}: {record}", end=" ")
