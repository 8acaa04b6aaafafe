"""Rules for the manager, and for the files that change while it uses them."""

from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from smmap_typed.testing._fixture import SLOTS, Fixture
from smmap_typed.testing.strategies import offsets

__all__ = ["ManagerRules"]

# The return types of Hypothesis's decorators contain Any.
# mypy: disallow-any-decorated=False


# Steps before the manager may be closed: a closed manager has little left to test.
_EARLY: Final = 20


class ManagerRules(Fixture):
    """The operations of a program on its manager, and of other processes on the files."""

    # The manager.

    @rule()
    def collect(self) -> None:
        """Unmap everything idle."""
        self.agree(self.model.collect, self.manager.collect)

    @rule(memory=st.none() | offsets(), handles=st.none() | st.integers(1, 6))
    def configure(self, memory: int | None, handles: int | None) -> None:
        """Change one limit, both or none."""
        memory = None if memory is None else self.at(memory)
        self.both(
            lambda: self.model.configure(memory, handles),
            lambda: self.manager.configure(
                max_memory_size=... if memory is None else memory, max_open_handles=... if handles is None else handles
            ),
        )

    # See _EARLY.
    @precondition(lambda self: self.steps > _EARLY)
    @rule(how=st.sampled_from(["reset", "reset", "close"]))
    def reset_stats_or_close(self, how: str) -> None:
        """Reset the counters, or close the manager, perhaps for the second time."""
        if how == "close" or self.model.closed:
            self.manager.close()
            self.model.close()
        else:
            self.manager.reset_stats()
            self.model.reset_stats()

    @rule()
    def forget(self) -> None:
        """Forget which pages are in memory, as the manager does when the kernel has taken some back."""
        self.manager._pool.forget_resident()
        self.model.forget()

    # Files.

    @rule(
        slot=SLOTS,
        size=offsets(),
        how=st.sampled_from(
            ["append", "append", "touch", "rewrite", "truncate", "drop", "replace", "reopen", "remove"]
        ),
    )
    def change_a_file(self, slot: int, size: int, how: str) -> None:
        """Change a file, its path or its descriptor, as other processes do."""
        size = self.at(size)
        # The path and the descriptor may lead to different files by now.
        for inode in dict.fromkeys((self.disk.opened[slot], self.disk.paths[slot] or self.disk.opened[slot])):
            if how == "append":
                self.disk.append(inode, size)
            elif how == "truncate":
                self.disk.truncate(inode, size)
            elif how == "touch":
                self.disk.touch(inode)
            elif how == "rewrite":
                self.disk.rewrite(inode)
            elif how == "drop":
                self.disk.drop_pages(inode)
        if how == "replace":
            self.disk.replace(slot, size)
        elif how == "reopen":
            self.disk.redirect(slot)
        elif how == "remove":
            self.disk.remove(slot)
