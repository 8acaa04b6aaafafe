"""A process that works for long needs no more at its end than after its warm-up: ``nox -s soak -- --minutes 20``.

Round after round, threads read, write, replace files, change limits, close managers, and meet system calls that fail at
random. Each round ends with everything released; what the process holds then must not grow.
"""

import itertools
import shutil
import statistics
import time
from pathlib import Path
from typing import Final

import pytest

from soak.picture import draw
from soak.samples import Sample, Samples
from stress.churn import Churner, Passer
from stress.faults import Faults
from stress.fixture import Scenario
from stress.keepers import Collector, Configurer, Sampler, Writer
from stress.readers import BufferReader, Owner, Sharer, Taker
from stress.rounds import Record, play

EVERYBODY: Final = (
    *(Owner, Sharer, Taker, BufferReader, Churner, Passer, Writer),
    *(Sampler, Collector, Configurer),
)
SCENARIOS: Final = (
    Scenario("scarce", EVERYBODY, share_of_handles=0.3),
    Scenario("scarce_copies", EVERYBODY, reader="pread", share_of_handles=0.3, strict=True),
    Scenario("enough", EVERYBODY, windows_of_memory=12),
    Scenario("whole_files", EVERYBODY, sliding=False, windows_of_memory=3),
)
ROUND_SECONDS: Final = 4.0
ONE_FAULT_IN: Final = 50
"""System calls."""
MEMORY_TOLERANCE: Final = 0.05
"""Of what is there after the warm-up. Python's own allocator moves by more than the library has."""
MAPS_TOLERANCE: Final = 8
"""Arenas of the allocators come and go."""


@pytest.mark.timeout(0)  # as long as was asked for; each round is bounded
def test_a_long_life_leaves_nothing_behind(
    tmp_path: Path, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    minutes: float = pytestconfig.option.minutes
    first_seed: int = pytestconfig.option.seed
    folder: Path = pytestconfig.option.artefacts
    folder.mkdir(parents=True, exist_ok=True)
    samples, record, faults = Samples(), Record(), Faults(ONE_FAULT_IN, first_seed)
    with samples.taken(), faults.installed():
        for scenario, seed in zip(itertools.cycle(SCENARIOS), itertools.count(first_seed), strict=False):
            # At least two rounds of each scenario in every third, or they cannot be compared.
            if record.rounds >= 6 * len(SCENARIOS) and time.monotonic() - samples.start > minutes * 60:
                break
            record.add(play(scenario, tmp_path / str(seed), seed, seconds=ROUND_SECONDS, faults=faults))
            shutil.rmtree(tmp_path / str(seed))
            samples.end_of_round()
    samples.store(folder / "soak.json", [str(record)])
    draw(folder / "soak.json", folder / "soak.svg")
    with capsys.disabled():
        print(f"\n  {record}; first, middle, last third: {'; '.join(map(describe, thirds(samples.released)))}", end=" ")
    assert_flat(samples.released)
    assert len(set(samples.objects)) == 1, f"objects of the library that are left after each round: {samples.objects}"


def thirds(released: list[Sample]) -> list[list[Sample]]:
    """The warm-up, and the two parts that are compared."""
    third = len(released) // 3
    return [released[:third], released[third:-third], released[-third:]]


def describe(some: list[Sample]) -> str:
    memory = statistics.median(one.memory for one in some) / 1024 / 1024
    maps = statistics.median(one.maps for one in some)
    return f"{memory:.1f} MiB, {max(one.descriptors for one in some)} descriptors, {maps:.0f} maps"


def assert_flat(released: list[Sample]) -> None:
    """What is held in the last third is what was held in the middle one."""
    _, middle, last = thirds(released)
    assert max(one.descriptors for one in last) <= max(one.descriptors for one in middle)
    for name, tolerance in (
        ("memory", MEMORY_TOLERANCE * statistics.median(one.memory for one in middle)),
        ("maps", MAPS_TOLERANCE),
    ):
        before, after = (statistics.median(getattr(one, name) for one in some) for some in (middle, last))
        assert after <= before + tolerance, f"{name} has grown from {before:,} to {after:,}"
