"""The concurrency helper loses neither an error nor a thread."""

import threading

import pytest

from smmap_typed.testing import in_threads


def test_results_come_in_order_from_threads_that_run_at_once() -> None:
    """Each waits for all others, so none can end before another has begun."""
    met = threading.Barrier(8)
    assert in_threads(8, lambda number: met.wait(30) * 0 + number) == list(range(8))


def test_every_error_is_heard_of() -> None:
    def act(number: int) -> int:
        raise (ValueError, KeyboardInterrupt, SystemExit)[number](number)

    with pytest.raises(BaseExceptionGroup) as caught:
        in_threads(3, act)
    assert {type(error) for error in caught.value.exceptions} == {ValueError, KeyboardInterrupt, SystemExit}


def test_a_thread_that_hangs_is_an_error_that_shows_where() -> None:
    go_on = threading.Event()

    def hang_here(number: int) -> bool:
        return number == 0 or go_on.wait(30)

    try:
        with pytest.raises(ExceptionGroup) as caught:
            in_threads(2, hang_here, seconds=0.1)
    finally:
        go_on.set()
    (error,) = caught.value.exceptions
    assert "1 threads hang" in str(error)
    assert "hang_here" in str(error)
