"""Rules for buffers."""

from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, consumes, multiple, rule

from smmap_typed import SlidingWindowMapBuffer
from smmap_typed.testing._agreement import same
from smmap_typed.testing._fixture import BUFFERS, CURSORS, Fixture
from smmap_typed.testing.strategies import indices, offsets, sizes, steps

__all__ = ["BufferRules"]

# The return types of Hypothesis's decorators contain Any.
# mypy: disallow-any-decorated=False


class BufferRules(Fixture):
    """The operations of a program on buffers over the existing cursors."""

    @rule(target=BUFFERS, number=CURSORS, offset=offsets(), size=sizes())
    def make_buffer(self, number: int, offset: int, size: int) -> MultipleResults[int]:
        """Make a buffer, which has a copy of the cursor."""
        offset, size = self.at(offset), self.at(size)
        cursor, predicted = self.cursors[number]
        made = self.both(
            lambda: self.model.make_buffer(predicted, offset, size),
            lambda: SlidingWindowMapBuffer(cursor, offset, size),
        )
        return multiple() if made is None else self.keep(self.buffers, (made[1], made[0]))

    @rule(number=BUFFERS, start=indices(), stop=indices(), step=steps())
    def slice(self, number: int, start: int | None, stop: int | None, step: int | None) -> None:
        """Take a slice, which must be that of the equal ``bytes``."""
        start, stop = (None if index is None else self.at(index) for index in (start, stop))
        buffer, predicted = self.buffers[number]
        some = range(predicted.length)[start:stop:step]
        low, high = (min(some[0], some[-1]), max(some[0], some[-1]) + 1) if some else (0, 0)
        if self.model.can_be_read(predicted.cursor, predicted.begin + low, high - low):
            stride = some.step
            self.agree(
                lambda: self.model.slice(predicted, low, high)[:: abs(stride)][:: 1 if stride > 0 else -1],
                lambda: buffer[start:stop:step],
            )

    @rule(number=BUFFERS, start=offsets(), size=offsets())
    def read_into(self, number: int, start: int, size: int) -> None:
        """Read some bytes into the caller's memory, and one byte by its index."""
        start, size = self.at(start), self.at(size)
        buffer, predicted = self.buffers[number]
        stop = min(start + size, predicted.length)
        if not self.model.can_be_read(predicted.cursor, predicted.begin + start, max(stop - start, 1)):
            return
        room = bytearray(size)
        self.agree(
            lambda: self.model.read_into(predicted, start, stop), lambda: bytes(room[: buffer.readinto(room, start)])
        )
        if start < stop:
            self.agree(lambda: self.model.slice(predicted, start, start + 1)[0], lambda: buffer[start])

    @rule(number=consumes(BUFFERS), politely=st.booleans())
    def drop_buffer(self, *, number: int, politely: bool) -> None:
        """Drop the buffer, perhaps after ending the access."""
        buffer, predicted = self.buffers.pop(number)
        if politely:
            buffer.end_access()
            self.model.end_access(predicted)
            same(bytes(buffer), b"", "the content of a buffer whose access was ended")
        self.model.drop(predicted.cursor)
