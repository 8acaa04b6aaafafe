"""An exception at every line below the managers: what it leaves is right, but for the lines that the page lists.

Each moment of the workload is struck in a world of its own, up to that step; then the judge looks, the same step is
done once more, and everything is let go. A line is struck once for each line of the library that leads to it, and for
each error that is being handled then; ``nox -s faults -- --deep`` strikes it in every step and by every way.
"""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from faults.fixture import READERS, Fixture, ReaderName, State, Step, write_files
from faults.page import PAGE, code, figures_of, row, table_below
from faults.strikes import HungError, Kind, Place, Strike, moments, nobody_waits

# What it takes to judge is POSIX; the type checkers pass over the rest on Windows.
assert sys.platform != "win32"

# The default way to end a test that hangs is SIGALRM, which these tests need for themselves, to the same end.
pytestmark = [
    pytest.mark.pure,
    pytest.mark.timeout(0, method="thread"),
]

FRAMES: Final = {"ci": 2, "deep": 0}[os.environ.get("SMMAP_TYPED_PROFILE", "ci")]
"""How many of the library's tell one way from another; 0 for all of them, and in each step anew."""

HEADINGS: Final[dict[Kind, str]] = {
    "line": "Lines that a trace function breaks",
    "signal": "Lines that a signal breaks",
}


class Moment(NamedTuple):
    """When to strike."""

    step: int
    number: int
    """Of the moments of that step."""
    place: Place
    """The line that is about to run; a signal may find another one."""


class Outcome(NamedTuple):
    """What a whole run has found."""

    moments: list[Moment]
    broken: dict[Place, str]
    """What the first strike at each line left that is wrong."""


def chart(kind: Kind, folder: Path, reader: ReaderName, frames: int = FRAMES) -> tuple[list[Moment], list[State]]:
    """The moments to strike at, and what there is after each step that is not struck."""
    fixture = Fixture(folder, reader)
    states: list[State] = []
    found: dict[object, Moment] = {}
    for index, step in enumerate(fixture.steps()):
        for number, (context, place) in enumerate(moments(kind, step.act)):
            key = context[: 1 + frames] if frames else (index, context)
            found.setdefault(key, Moment(index, number, place))
        states.append(fixture.state())
    fixture.end()
    return list(found.values()), states


def check_state(now: State, before: State, afterwards: State) -> None:
    """All or nothing: as it was, or as it would be had nothing struck; a cursor may have given its window up."""
    for new, old, final in zip(now.cursors, before.cursors, afterwards.cursors, strict=True):
        assert new in (old, final, (False, 0, 0)), f"a cursor stands on {new}, not on {old} or {final}"
    assert now.limits in (before.limits, afterwards.limits), f"the limits are {now.limits}"
    assert now.length in (before.length, afterwards.length), f"the buffer has {now.length} bytes"


def judge(fixture: Fixture, step: Step, before: State, afterwards: State) -> str:
    """What is wrong after a strike, or nothing."""
    try:
        with nobody_waits():
            fixture.check()
            check_state(fixture.state(), before, afterwards)
            step.act()
            fixture.end()
    except (AssertionError, HungError) as error:
        return str(error).partition("\n")[0]
    return ""


def strike(kind: Kind, folder: Path, reader: ReaderName, moment: Moment, afterwards: State) -> tuple[Place | None, str]:
    """Where the strike came, and what is wrong after it.

    In a generator: a strike at the end of an ``except`` can leave CPython 3.11 with an error that is being handled for
    ever, which keeps frames and so maps until the next one takes its place. A generator takes its own with it.
    """
    return next(_strike(kind, folder, reader, moment, afterwards))


def _strike(
    kind: Kind, folder: Path, reader: ReaderName, moment: Moment, afterwards: State
) -> Iterator[tuple[Place | None, str]]:
    fixture = Fixture(folder, reader)
    steps = fixture.steps()
    for step in steps[: moment.step]:
        step.act()
    step, before = steps[moment.step], fixture.state()
    strike = Strike(kind, moment.number)
    try:
        with nobody_waits():
            came_through = strike.during(step.act)
    except HungError as error:
        yield strike.place, str(error)
        return
    if came_through:
        yield strike.place, judge(fixture, step, before, afterwards)
    else:
        yield strike.place, "the exception got lost" if strike.place else ""


def strike_everywhere(kind: Kind, folder: Path, reader: ReaderName) -> Outcome:
    """Strike at every moment, and tell which lines do not stand it."""
    write_files(folder)
    found, states = chart(kind, folder, reader)
    broken: dict[Place, str] = {}
    for moment in found:
        if kind == "line" and moment.place in broken:
            continue
        place, problem = strike(kind, folder, reader, moment, states[moment.step])
        if problem:
            assert place is not None, problem
            broken.setdefault(place, problem)
            # What it left must not be taken for something that the next world found.
            gc.collect()
    return Outcome(found, broken)


@pytest.mark.parametrize(("kind", "name"), [("line", "an exception at a line"), ("signal", "a signal where")])
def test_the_page_tells_how_many_strikes_there_are(tmp_path: Path, kind: Kind, name: str) -> None:
    write_files(tmp_path)
    usual, deep = ([chart(kind, tmp_path, reader, frames)[0] for reader in READERS] for frames in (2, 0))
    lines = {moment.place for moments in usual for moment in moments}
    strikes, deep_strikes = (sum(map(len, charts)) for charts in (usual, deep))
    assert figures_of(name) == [len(lines), strikes, deep_strikes]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", HEADINGS)
def test_an_exception_at_any_line_leaves_everything_right(tmp_path: Path, kind: Kind, reader: ReaderName) -> None:
    """But for the listed lines: each of those is still needed, and no other is."""
    outcome = strike_everywhere(kind, tmp_path, reader)
    assert len({moment.place for moment in outcome.moments}) > 300
    listed = {(function, text) for function, text, _ in table_below(HEADINGS[kind])}
    broken = {(code(place.function), code(place.text)): problem for place, problem in outcome.broken.items()}
    new = [row((*place, problem)) for place, problem in broken.items() if place not in listed]
    assert not new, f"{PAGE.name} does not list\n" + "\n".join(new)
    assert not listed - broken.keys(), f"{PAGE.name} lists what is not needed"
