"""Timelines: a history as a table, with a column for each thread and a line for each invocation and response.

An operation stands where it was invoked, its outcome where it returned, and a bar in between; so two calls overlap if
they share a line.
"""

from collections.abc import Iterable
from itertools import groupby

from stateful.threads.history import Call

__all__ = ["timeline"]

# Content is told by its first bytes: they say from where it is.
_WIDEST = 60


def timeline(calls: Iterable[Call[object]]) -> str:
    """The table of ``calls``, with time going down."""
    ordered = sorted(calls, key=lambda call: call.thread)
    columns = [list(some) for _, some in groupby(ordered, key=lambda call: call.thread)]
    moments = sorted({moment for call in ordered for moment in (call.invoked, call.returned)})
    rows = [[f"thread {column[0].thread}" for column in columns]]
    rows += [[_cell(column, moment) for column in columns] for moment in moments]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _cell(column: list[Call[object]], moment: int) -> str:
    """What a thread was doing at that moment."""
    for call in column:
        if call.invoked == moment:
            return _short(str(call.operation))
        if call.returned == moment:
            return f"`-> {_short(_told(call.outcome))}"
        if call.invoked < moment < call.returned:
            return "|"
    return ""


def _told(outcome: object) -> str:
    if isinstance(outcome, type):
        return outcome.__name__
    return f"{len(outcome)} bytes {outcome[:16].hex(' ', 8)}" if isinstance(outcome, bytes) else repr(outcome)


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."
