"""The fixture: a manager, its reference model, a disk, and the cursors, views and buffers that exist.

After each step the fixture checks that the invariants hold, that the manager reports what the model predicts, that each
cursor and view shows the right bytes, and that the kernel has mapped and open what the model predicts. Other modules
contain the rules, which are the operations on the fixture.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final, TypeAlias, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, invariant, multiple
from typing_extensions import override

from smmap_typed import SlidingWindowMapBuffer, StaticWindowMapManager, WindowCursor
from smmap_typed.testing import kernel
from smmap_typed.testing._agreement import (
    agree_in_figures,
    agree_on_cursor,
    agree_on_windows,
    agree_with_the_kernel,
    same,
    same_bytes,
)
from smmap_typed.testing._invariants import check_invariants
from smmap_typed.testing.disk import Disk, Overlay
from smmap_typed.testing.model import Buffer, Model
from smmap_typed.testing.regions import Cursor, Refusal, View
from smmap_typed.testing.settings import ManagerSettings

__all__ = ["BUFFERS", "CURSORS", "FILES", "SLOTS", "VIEWS", "Factory", "Fixture"]

# The return types of Hypothesis's decorators contain Any.
# mypy: disallow-any-decorated=False

Predicted = TypeVar("Predicted")
Actual = TypeVar("Actual")

Factory: TypeAlias = Callable[[ManagerSettings], StaticWindowMapManager]
"""Makes the manager to be tested, with the settings that it receives."""

FILES: Final = 2
SLOTS: Final = st.integers(0, FILES - 1)

# Rules draw numbers. Only the fixture refers to the objects behind them, so an object that the fixture drops is gone.
CURSORS: Final = Bundle[int]("cursors")
VIEWS: Final = Bundle[int]("views")
BUFFERS: Final = Bundle[int]("buffers")


class Fixture(RuleBasedStateMachine):
    """One manager with its own disk, used in one thread."""

    def __init__(self) -> None:
        super().__init__()
        self.cursors: Final[dict[int, tuple[WindowCursor, Cursor]]] = {}
        self.views: Final[dict[int, tuple[memoryview, View]]] = {}
        self.buffers: Final[dict[int, tuple[SlidingWindowMapBuffer, Buffer]]] = {}
        self.next_number = 0
        self.steps = 0
        self.at_the_end: Final = ExitStack()

    def set_up(
        self,
        factory: Factory,
        settings: ManagerSettings,
        sizes: list[int],
        *,
        copies: bool,
        overlay: Overlay | None = None,
    ) -> MultipleResults[int]:
        """Make files, the manager, its model, and a cursor on each path and each descriptor.

        With ``overlay``, the files are in the lower layer of an overlay: see ``Disk``.
        """
        # Reference counting frees objects at once. The garbage collector, which may run at any time, has nothing to do.
        gc.disable()
        self.at_the_end.callback(gc.enable)
        self.settings = settings
        self.disk = Disk([self.at(size) for size in sizes], settings.unit(), overlay=overlay)
        self.at_the_end.callback(self.disk.close)
        # Other maps of anonymous memory in this process.
        self.strangers = {one.inode for one in kernel.mapped_ranges("/dev/zero")} if kernel.IS_HEARD else set[int]()
        self.manager = factory(settings)
        self.model = Model(
            self.disk,
            settings.window(),
            settings.memory(),
            settings.handles(),
            strict=settings.strict_memory,
            copies=copies,
            positional=self.manager._pool.positional is not None,
            copies_from_maps=self.manager._pool.copies_from_maps,
        )
        # When the kernel takes pages back cannot be predicted; a rule forgets what is known instead.
        self.manager._pool.ageing.rest()
        made = [self.cursor_on(slot, kind) for slot in range(len(sizes)) for kind in ("path", "descriptor")]
        return multiple(*(number for some in made for number in some))

    @override
    def teardown(self) -> None:
        """Check that ``collect`` leaves nothing when all cursors and views are gone (I6), also in the kernel (I9)."""
        with self.at_the_end:
            if not hasattr(self, "model"):
                return
            for number in list(self.buffers):
                self.model.drop(self.buffers.pop(number)[1].cursor)
            for number in list(self.cursors):
                self.model.drop(self.cursors.pop(number)[1])
            for number in list(self.views):
                self.model.release_view(self.views.pop(number)[1])
            self.agree(self.model.collect, self.manager.collect)
            same((self.manager.num_file_handles(), self.manager.mapped_memory_size()), (0, 0), "what is left at last")
            agree_with_the_kernel(self.model, self.strangers)
            self.manager.close()
            check_invariants(self.manager)

    @invariant()
    def agrees(self) -> None:
        """The manager keeps its invariants, and the manager, its cursors and views are as the model predicts."""
        self.steps += 1
        check_invariants(self.manager)
        agree_in_figures(self.manager, self.model)
        agree_on_windows(self.manager, self.model)
        for buffer, expected in self.buffers.values():
            same(len(buffer), expected.length, "the buffer's length")
        for cursor, predicted in self.all_cursors():
            agree_on_cursor(cursor, predicted, self.model)
            if predicted.region is None:
                # After the manager was closed, the first query of a cursor releases what the cursor still kept.
                self.model.release(predicted)
        for view, shown in self.views.values():
            content = shown.expected()
            length = len(shown.copy) if shown.region is None else shown.end - shown.begin
            same((view.readonly, len(view)), (True, length), "what the view is")
            same_bytes(view[: len(content)], content, "what the view shows")
        agree_with_the_kernel(self.model, self.strangers)

    # Helpers.

    def at(self, place: int) -> int:
        """Scale a number of bytes that was drawn for granules to the size of the windows."""
        return self.settings.scaled(place)

    def cursor_on(self, slot: int, kind: str) -> MultipleResults[int]:
        """Make a cursor on a path or on a descriptor, unless manager and model both refuse."""
        source = self.disk.path_source(slot) if kind == "path" else self.disk.descriptor_source(slot)
        target = self.disk.path(slot) if kind == "path" else self.disk.descriptors[slot]
        made = self.both(lambda: self.model.make_cursor(source), lambda: self.manager.make_cursor(target))
        return multiple() if made is None else self.keep(self.cursors, (made[1], made[0]))

    def all_cursors(self) -> Iterator[tuple[WindowCursor, Cursor]]:
        """Yield the cursors of users and those of buffers."""
        yield from self.cursors.values()
        for buffer, predicted in self.buffers.values():
            own = buffer.cursor()
            assert own is not None, "made on a cursor"  # noqa: S101 - for the type checkers
            yield own, predicted.cursor

    def both(self, predict: Callable[[], Predicted], act: Callable[[], Actual]) -> tuple[Predicted, Actual] | None:
        """Return both results, or None if the call raised the error that the model predicted."""
        predicted: tuple[Predicted] | None = None
        expected: type[Exception] | None = None
        try:
            predicted = (predict(),)
        except Refusal as refusal:
            expected = refusal.error
        try:
            actual = act()
        except Exception as error:
            if expected is None or not isinstance(error, expected):
                predicted_name = "a result" if expected is None else expected.__name__
                raise AssertionError(f"the call raised {error!r}, predicted was {predicted_name}") from error
            return None
        if predicted is None:
            raise AssertionError(f"the call returned {actual!r}, and not the error that was predicted: {expected}")
        return predicted[0], actual

    def agree(self, predict: Callable[[], object], act: Callable[[], object]) -> None:
        """Check that both return equal values, or fail with the same error."""
        outcomes = self.both(predict, act)
        if outcomes is not None:
            same(outcomes[1], outcomes[0])

    def keep(self, shelf: dict[int, Predicted], pair: Predicted) -> MultipleResults[int]:
        """Put both objects on their shelf; later rules draw their number."""
        self.next_number += 1
        shelf[self.next_number] = pair
        return multiple(self.next_number)

    def keep_view(self, taken: tuple[View, memoryview] | None) -> MultipleResults[int]:
        """Put a view and its prediction on the shelf, if there is a view."""
        return multiple() if taken is None else self.keep(self.views, (taken[1], taken[0]))
