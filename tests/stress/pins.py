"""Pins that there may be: what each thread announces, so that a limit error can be judged.

A thread announces a pin before it takes it and withdraws it after it is gone, so at every instant at least as many are
announced as there are. A limit error is right only if so many were announced, at some instant of the failed call, that
the limit can have been met.
"""

from typing import Final, final

__all__ = ["Account", "Pins"]


@final
class Account:
    """What one thread has announced, over time."""

    def __init__(self, pins: int = 0) -> None:
        self._history: Final = [pins]
        # Only its own thread appends; others look at the end without a lock.

    def take(self, pins: int = 1) -> None:
        self._history.append(self._history[-1] + pins)

    def give(self, pins: int = 1) -> None:
        self._history.append(self._history[-1] - pins)

    def forget(self) -> None:
        """All but the last announcement, while no thread works."""
        del self._history[:-1]

    def now(self) -> int:
        """The number of the last announcement."""
        return len(self._history) - 1

    def most_since(self, mark: int) -> int:
        return max(self._history[mark:])


@final
class Pins:
    """The accounts of all threads, and one for what they share."""

    def __init__(self) -> None:
        self._accounts: Final[list[Account]] = []

    def open(self, pins: int = 0) -> Account:
        """An account for one more thread. Before the threads start."""
        account = Account(pins)
        self._accounts.append(account)
        return account

    def forget(self) -> None:
        """What was announced before this instant, at which no thread works."""
        for account in self._accounts:
            account.forget()

    def mark(self) -> list[int]:
        """This instant, for ``most_since``."""
        return [account.now() for account in self._accounts]

    def most_since(self, marks: list[int]) -> int:
        """No more pins than this were there at any instant since: the sum of what each thread announced at most."""
        return sum(account.most_since(mark) for account, mark in zip(self._accounts, marks, strict=True))
