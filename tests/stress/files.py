"""Files that change while threads read them, and cursors that tell whether what they show can be right.

Every byte tells its file, its version and its place, so nothing that is read can pass for something else.
"""

import os
from pathlib import Path
from random import Random
from typing import Final, final

from typing_extensions import override

from smmap_typed import StaticWindowMapManager, WindowCursor
from support import GRANULE, pattern

__all__ = ["Files", "Reading", "StressFile"]

LARGEST: Final = 24 * GRANULE
SMALLEST: Final = 3 * GRANULE


class StressFile:
    """A file that nobody changes: a cursor on it meets no error but a limit's."""

    turns_into_another: bool = False
    """Whether FileChangedError can be right."""

    def __init__(self, path: Path, *contents: bytes) -> None:
        self.path: Final = path
        self.contents: Final = contents
        """Its versions, each as long as it ever gets. A cursor sees one of them, from its first byte on."""
        self.version = 0
        """What is at the path. Written by the thread that changes the file."""
        self.size = len(contents[0])
        """Bytes at the path. Written by the thread that changes the file."""
        path.write_bytes(contents[0])

    def change(self, random: Random) -> None:
        """Do to the file what it is for. By one thread at a time."""


@final
class GrowingFile(StressFile):
    """A file that is appended to, up to its full size: no change for the cursors that saw it shorter."""

    def __init__(self, path: Path, content: bytes) -> None:
        super().__init__(path, content)
        os.truncate(path, SMALLEST)
        self.size = SMALLEST

    @override
    def change(self, random: Random) -> None:
        content = self.contents[0]
        more = content[self.size : self.size + 8 * random.randint(1, 100)]
        with self.path.open("ab") as file:
            file.write(more)
        self.size += len(more)


@final
class ReplacedFile(StressFile):
    """A path at which one of several files is put after the other."""

    turns_into_another = True

    def __init__(self, path: Path, *contents: bytes) -> None:
        super().__init__(path, *contents)
        # All are there all the time under second names, so that no inode's number is given away: a cursor knows its
        # file by that number.
        self._names: Final = [path.with_name(f"{path.name}-{number}") for number in range(len(contents))]
        for name, content in zip(self._names, contents, strict=True):
            name.write_bytes(content)
        self._put(0)

    @override
    def change(self, random: Random) -> None:
        self._put(random.randrange(len(self.contents)))

    def _put(self, version: int) -> None:
        fresh = self.path.with_name("fresh")
        fresh.hardlink_to(self._names[version])
        fresh.replace(self.path)
        # Renaming one name of a file to another of its names does nothing.
        fresh.unlink(missing_ok=True)
        self.version, self.size = version, len(self.contents[version])


@final
class ShrinkingFile(StressFile):
    """A file that is cut and grows again. Not to be mapped: who reads what was cut off a map is killed by SIGBUS."""

    turns_into_another = True

    @override
    def change(self, random: Random) -> None:
        if self.size > SMALLEST:
            self.size = 8 * random.randint(SMALLEST // 8, self.size // 8)
            os.truncate(self.path, self.size)
        else:
            with self.path.open("ab") as file:
                file.write(self.contents[0][self.size :])
            self.size = len(self.contents[0])


@final
class Files:
    """All the files of one round."""

    def __init__(self, folder: Path, *, may_shrink: bool) -> None:
        folder.mkdir(parents=True)
        contents = [pattern(LARGEST, seed) for seed in range(1, 6)]
        self.folder: Final = folder
        self.steady: Final = [StressFile(folder / f"steady-{number}", each) for number, each in enumerate(contents)]
        self.changing: Final[list[StressFile]] = [
            GrowingFile(folder / "growing", pattern(LARGEST - 13, 11)),
            ReplacedFile(folder / "replaced", *(pattern(size * GRANULE + size, size) for size in (12, 15, 20))),
        ]
        if may_shrink:
            self.changing.append(ShrinkingFile(folder / "shrinking", pattern(LARGEST, 30)))

    def any(self, random: Random) -> StressFile:
        """One of them, half the time one that changes."""
        return random.choice(random.choice((self.steady, self.changing)))

    def has(self, data: bytes, offset: int) -> bool:
        """Whether a steady file has ``data`` at ``offset``."""
        return any(file.contents[0].startswith(data, offset) for file in self.steady)

    def locate(self, data: bytes) -> int:
        """Where a steady file has ``data``, which begins at a multiple of eight and tells so."""
        offset = 8 * int.from_bytes(data[2:8], "big")
        assert self.has(data, offset), f"no steady file has {data[:16].hex(' ', 8)}..., {len(data)} bytes"
        return offset


@final
class Reading:
    """A cursor, and the version of its file that it turned out to read: never a second one."""

    def __init__(self, manager: StaticWindowMapManager, file: StressFile, cursor: WindowCursor | None = None) -> None:
        self.file: Final = file
        self.cursor: Final = manager.make_cursor(file.path) if cursor is None else cursor
        self._versions: Final[set[int]] = set()

    def check(self, data: bytes, offset: int, size: int) -> None:
        """``data`` are the ``size`` bytes at ``offset``, cut by nothing but the end of the file."""
        wanted = max(min(size, self.cursor.file_size() - offset), 0)
        assert len(data) == wanted, f"{len(data)} bytes of {wanted} at {offset} of {self.file.path}"
        self.recognise(data, offset)

    def recognise(self, data: bytes, offset: int) -> None:
        """``data`` are bytes of the file at ``offset``, in the same version as all before."""
        versions = [number for number, content in enumerate(self.file.contents) if content.startswith(data, offset)]
        assert versions or not data, f"no version of {self.file.path} has {data[:16].hex(' ', 8)}... at {offset}"
        if data and len(versions) == 1:
            self._versions.update(versions)
        assert len(self._versions) <= 1, f"one cursor shows the versions {self._versions} of {self.file.path}"
