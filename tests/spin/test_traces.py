"""The library does what the model does: each recorded run of it is one of the model's. A broken library's are not."""

import os
from pathlib import Path

import pytest
from formal.recording import Program, Step, Stuck, record, table
from formal.spin import IS_AVAILABLE, Follower

from races.mutations import MUTATIONS

pytestmark = [pytest.mark.skipif(not IS_AVAILABLE, reason="needs spin and gcc"), pytest.mark.pure]

PROGRAMS = (
    Program(operations=5),
    Program(movers=3, operations=3, closes=False),
    Program(windows=3, limit=2, operations=6, collects=2, reads=True),
    Program(operations=4, collects=3, reads=True, discards=True, failures=2),
)
TRACES = 1000 if os.environ.get("SMMAP_TYPED_PROFILE") == "deep" else 150
"""For each program."""
FEW = 40
ENOUGH = 150
"""So many traces of a broken library, at most: one of them is refused."""

REFUSED = (
    "pins without looking for the tombstone",
    "looks for the tombstone before it pins",
    "unloads without looking for pins",
    "looks for pins before it sets the tombstone",
    "gives up after one victim that was pinned at the last moment",
    "takes one look after the other for a snapshot",
    "maps though another thread is just mapping that window",
    "enters the tables without the lock",
    "publishes to a manager that was closed meanwhile",
    "does not wait for the end of a load",
    "releases its window before it pins the next",
    "forgets what is released while it drains",
    "counts a map outside of the lock",
    "posts a failed load before its map is closed and its handle free",
)
"""Mutations of tests/races/mutations.py of which a trace is refused."""


def refusal(follower: Follower, program: Program, steps: list[Step]) -> str:
    """The trace as a table up to the step that the model refuses; empty if it has all of it."""
    followed = follower.accepted(steps)
    return "" if followed == len(steps) else f"{table(steps[: followed + 1], program.movers + 1)}  <- refused"


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_the_model_has_each_trace_of_the_library(program: Program, tmp_path: Path) -> None:
    follower = Follower(program, tmp_path)
    for seed in range(TRACES):
        complaint = refusal(follower, program, record(program, seed, tmp_path))
        assert not complaint, f"seed {seed}\n{complaint}"


def test_the_model_has_a_few_traces_of_the_library(tmp_path: Path) -> None:
    """What `nox -s races` runs, and so CI, in some ten seconds."""
    follower, program = Follower(PROGRAMS[0], tmp_path), PROGRAMS[0]
    for seed in range(TRACES, TRACES + FEW):
        complaint = refusal(follower, program, record(program, seed, tmp_path))
        assert not complaint, f"seed {seed}\n{complaint}"


def is_told_from_the_model(followers: list[Follower], seed: int, folder: Path) -> bool:
    program = PROGRAMS[seed % len(PROGRAMS)]
    try:
        steps = record(program, seed, folder)
    except Stuck:
        return True
    return bool(refusal(followers[seed % len(PROGRAMS)], program, steps))


@pytest.fixture(scope="module")
def followers(tmp_path_factory: pytest.TempPathFactory) -> list[Follower]:
    return [Follower(program, tmp_path_factory.mktemp("follower")) for program in PROGRAMS]


@pytest.mark.parametrize("name", REFUSED)
def test_a_trace_of_a_broken_library_is_refused(
    name: str, followers: list[Follower], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mutation,) = (one for one in MUTATIONS if one.name == name)
    mutation.apply(monkeypatch)
    assert any(is_told_from_the_model(followers, seed, tmp_path) for seed in range(ENOUGH))


def test_a_trace_is_drawn_as_a_table_of_threads() -> None:
    drawn = table([Step(0, 15, 0, 0), Step(1, 12, 1, 0)], 2)
    assert drawn.splitlines()[1:] == ["enter 0 0".ljust(44) + "0", " " * 22 + "add 1 0".ljust(22) + "1"]
