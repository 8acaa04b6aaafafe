"""The concurrency helper: starts several threads together, and reports all of their errors."""

import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import TypeVar

__all__ = ["in_threads"]

T = TypeVar("T")


def in_threads(count: int, act: Callable[[int], T], seconds: float = 30.0) -> list[T]:
    """Call ``act(0)`` to ``act(count - 1)``, each in its own thread, and return their results in order.

    The threads wait at a barrier, so that they begin together. The call waits for all of them, ``seconds`` in total.

    >>> in_threads(3, lambda number: number * 10)
    [0, 10, 20]

    :raises BaseExceptionGroup: with the errors of all threads. If threads are still alive when the time is over, the
        group includes an AssertionError that shows where they hang. The threads are daemons, so the interpreter can
        exit.
    """
    barrier = threading.Barrier(count)
    deadline = time.monotonic() + seconds
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            barrier.wait(seconds)
            results[number] = act(number)
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread of the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.0))
    if hanging := [thread for thread in threads if thread.is_alive()]:
        errors.append(AssertionError(f"{len(hanging)} threads hang after {seconds} s\n{_where(hanging)}"))
    if errors:
        raise BaseExceptionGroup("threads failed", errors)
    return [results[number] for number in range(count)]


def _where(threads: list[threading.Thread]) -> str:
    """Format the stacks of ``threads`` at this instant."""
    frames = sys._current_frames()
    stacks = (frames.get(thread.ident or 0) for thread in threads)
    return "\n".join("".join(traceback.format_stack(frame)) for frame in stacks if frame is not None)
