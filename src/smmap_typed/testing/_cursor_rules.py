"""Rules for cursors and views. There are few, and each does several things, because all are equally likely."""

import copy

from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, consumes, multiple, rule

from smmap_typed import ALLOCATIONGRANULARITY, WindowCursor
from smmap_typed.testing._agreement import same
from smmap_typed.testing._fixture import CURSORS, SLOTS, VIEWS, Fixture
from smmap_typed.testing.strategies import offsets, sizes

__all__ = ["CursorRules"]

# The return types of Hypothesis's decorators contain Any.
# mypy: disallow-any-decorated=False


class CursorRules(Fixture):
    """The operations of a program on cursors, and on the views that it takes of them."""

    @rule(target=CURSORS, slot=SLOTS, kind=st.sampled_from(["path", "path", "descriptor", "none"]))
    def make_cursor(self, slot: int, kind: str) -> MultipleResults[int]:
        """Make a cursor on a path, on a descriptor, or on no file."""
        if kind == "none":
            return self.keep(self.cursors, (WindowCursor(self.manager), self.model.make_cursor(None)))
        return self.cursor_on(slot, kind)

    @rule(target=CURSORS, number=CURSORS)
    def copy_cursor(self, number: int) -> MultipleResults[int]:
        """Copy a cursor; the copy has a pin of its own."""
        cursor, predicted = self.cursors[number]
        return self.keep(self.cursors, (copy.copy(cursor), self.model.copy(predicted)))

    @rule(number=CURSORS, other=CURSORS)
    def assign(self, number: int, other: int) -> None:
        """Assign one cursor to another one, or to itself."""
        self.cursors[number][0].assign(self.cursors[other][0])
        self.model.assign(self.cursors[number][1], self.cursors[other][1])

    @rule(number=CURSORS, offset=offsets(), size=sizes())
    def move(self, number: int, offset: int, size: int) -> None:
        """Move to any place, including places beyond the end of the file."""
        self.move_to(number, self.at(offset), self.at(size))

    def move_to(self, number: int, offset: int, size: int) -> None:
        """Move to ``size`` bytes at ``offset``; these numbers are not scaled."""
        cursor, predicted = self.cursors[number]
        self.both(lambda: self.model.use_region(predicted, offset, size), lambda: cursor.use_region(offset, size))

    @rule(number=CURSORS, offset=offsets())
    def move_as_far_as_promised(self, number: int, offset: int) -> None:
        """Check contiguity: only the end of the file cuts a request of up to half a window."""
        cursor, predicted = self.cursors[number]
        offset, size = self.at(offset), max(self.model.window // 2, 1)
        self.move_to(number, offset, size)
        if predicted.begin == offset and cursor.is_valid() and self.model.window != ALLOCATIONGRANULARITY:
            same(cursor.size(), min(size, cursor.file_size() - offset), "what came of half a window")

    @rule(number=CURSORS, size=sizes())
    def move_on(self, number: int, size: int) -> None:
        """Move to where the cursor's last request ended."""
        self.move_to(number, self.cursors[number][1].end, self.at(size))

    @rule(number=CURSORS, size=sizes())
    def move_through_the_file(self, number: int, size: int) -> None:
        """Move to every other granule, so that windows are evicted."""
        for granule in range(0, 12, 2):
            self.move(number, granule * ALLOCATIONGRANULARITY, size)

    @rule(number=CURSORS, how=st.sampled_from(["release", "file", "negative"]), size=sizes())
    def ask(self, number: int, how: str, size: int) -> None:
        """Release the cursor, ask for the size of its file, or move it by negative numbers, which must fail."""
        cursor, predicted = self.cursors[number]
        if how == "negative":
            self.move_to(number, -1, size)
            self.move_to(number, size, -1)
        elif how == "file":
            if predicted.source is not None:
                self.agree(lambda: self.model.file_size(predicted), cursor.file_size)
        else:
            cursor.unuse_region()
            self.model.release(predicted)

    @rule(number=consumes(CURSORS))
    def drop_cursor(self, number: int) -> None:
        """Drop the last reference without closing the cursor, as gitdb does."""
        self.model.drop(self.cursors.pop(number)[1])

    @rule(number=CURSORS, offset=offsets(), size=sizes())
    def read(self, number: int, offset: int, size: int) -> None:
        """Read any bytes, also across windows."""
        offset, size = self.at(offset), self.at(size)
        cursor, predicted = self.cursors[number]
        if self.model.can_be_read(predicted, offset, size):
            self.agree(lambda: self.model.read(predicted, offset, size), lambda: cursor.read(offset, size))

    # Views.

    @rule(target=VIEWS, number=CURSORS)
    def take_buffer(self, number: int) -> MultipleResults[int]:
        """Take a view of the bytes that the cursor stands on."""
        cursor, predicted = self.cursors[number]
        return self.keep_view(self.both(lambda: self.model.buffer_view(predicted), cursor.buffer))

    @rule(target=VIEWS, number=CURSORS, offset=offsets(), size=sizes())
    def take_view(self, number: int, offset: int, size: int) -> MultipleResults[int]:
        """Take a view of any bytes; for offset 0, of the cursor's region."""
        offset, size = self.at(offset), self.at(size)
        cursor, predicted = self.cursors[number]
        if offset == 0:
            region, view = cursor.region(), self.model.region_view(predicted)
            return multiple() if region is None or view is None else self.keep(self.views, (region.buffer(), view))
        if not self.model.can_be_read(predicted, offset, size):
            return multiple()
        taken = self.both(lambda: self.model.view(predicted, offset, size), lambda: cursor.view(offset, size))
        return self.keep_view(taken)

    @rule(number=consumes(VIEWS), politely=st.booleans())
    def release_view(self, *, number: int, politely: bool) -> None:
        """Release a view by a call, or by dropping the last reference."""
        view, predicted = self.views.pop(number)
        if politely:
            view.release()
        self.model.release_view(predicted)
