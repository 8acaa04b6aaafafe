"""asyncio: the loop goes on while a thread of its own reads."""

import asyncio
import mmap
import threading
from pathlib import Path
from typing import ClassVar, Final

from smmap_typed import SlidingWindowMapManager
from smmap_typed.readers import FileState, MmapReader, Source
from support import GRANULE, pattern, write_pattern


class Waiting:
    """A reader whose storage answers only once ``answers`` is set."""

    copies: ClassVar[bool] = False
    identify, open = MmapReader().identify, MmapReader().open

    def __init__(self) -> None:
        self.asked: Final = threading.Event()
        self.answers: Final = threading.Event()

    def load(self, descriptor: int, source: Source, seen: FileState, offset: int, size: int) -> mmap.mmap:
        """See readers.Reader."""
        self.asked.set()
        assert self.answers.wait(30)
        return MmapReader().load(descriptor, source, seen, offset, size)


def test_the_loop_goes_on_while_a_read_waits(tmp_path: Path) -> None:
    """The loop itself lets the storage answer, so if it stood still, no read would end."""
    write_pattern(tmp_path / "file", 8 * GRANULE)
    reader = Waiting()

    async def main() -> list[bytes]:
        with SlidingWindowMapManager(2 * GRANULE, reader=reader) as manager:
            cursor = manager.make_cursor(tmp_path / "file")
            # The loop has five threads at least; one of them tells when a read has begun.
            offsets = range(0, 8 * GRANULE, 2 * GRANULE)
            reads = [asyncio.create_task(asyncio.to_thread(cursor.read, offset, 10)) for offset in offsets]
            await asyncio.to_thread(reader.asked.wait, 30)
            assert not any(task.done() for task in reads)
            reader.answers.set()
            return await asyncio.gather(*reads)

    content = pattern(8 * GRANULE)
    assert asyncio.run(main()) == [content[offset : offset + 10] for offset in range(0, 8 * GRANULE, 2 * GRANULE)]


def test_a_read_that_is_cancelled_goes_on_in_its_thread_and_leaves_nothing(tmp_path: Path) -> None:
    """Python cannot stop a thread."""
    write_pattern(tmp_path / "file", 8 * GRANULE)
    reader = Waiting()
    manager = SlidingWindowMapManager(2 * GRANULE, reader=reader)

    async def main() -> bool:
        task = asyncio.create_task(asyncio.to_thread(manager.make_cursor(tmp_path / "file").read, 0, 10))
        await asyncio.to_thread(reader.asked.wait, 30)
        task.cancel()
        await asyncio.wait([task])
        reader.answers.set()
        return task.cancelled()

    # The end of run() waits for the threads.
    assert asyncio.run(main())
    assert manager.stats().in_flight == 0
    manager.close()
    assert manager.num_file_handles() == 0
