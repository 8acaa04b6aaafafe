"""What the work tells about its progress."""

from contextlib import AbstractContextManager, nullcontext

__all__ = ["Bar"]


class Bar:
    """A progress that nobody sees. Threads may call ``advance`` at any time."""

    def advance(self, nbytes: int) -> None:
        """Count ``nbytes`` more bytes."""

    def file_done(self) -> None:
        """Count one more file."""

    def aside(self) -> AbstractContextManager[None]:
        """Remove the bar from the screen while the caller writes lines to stdout or stderr."""
        return nullcontext()
