"""Samples: what the process holds, as the kernel tells it, over time."""

import gc
import json
import os
import re
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["Sample", "Samples", "library_objects", "sample"]

_EVERY_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Sample:
    """One look."""

    seconds: float
    """Since the start."""
    memory: int
    """Bytes of anonymous memory: the heap, and copies of windows. Maps of files are not in it."""
    descriptors: int
    maps: int
    """Ranges of addresses, those of the interpreter included."""


# A look opens files of its own, which another thread's look would count.
_looking: Final = threading.Lock()


def sample(start: float) -> Sample:
    """What there is now."""
    with _looking:
        anonymous = re.search(r"^RssAnon:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        assert anonymous is not None
        with open("/proc/self/maps", "rb") as maps:
            ranges = sum(1 for _ in maps)
        return Sample(time.monotonic() - start, int(anonymous[1]) * 1024, len(os.listdir("/proc/self/fd")), ranges)


def library_objects() -> int:
    """How many objects of the library's classes the collector of garbage knows."""
    return sum(type(one).__module__.startswith("smmap_typed.") for one in gc.get_objects())


@dataclass
class Samples:
    """Two series: at any instant, and when a round is over and everything released."""

    running: list[Sample] = field(default_factory=list[Sample])
    released: list[Sample] = field(default_factory=list[Sample])
    objects: list[int] = field(default_factory=list[int])
    """Of the library, when everything is released."""
    start: float = field(default_factory=time.monotonic)

    @contextmanager
    def taken(self) -> Generator[None]:
        """Look every half second, from a thread of its own."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(_EVERY_SECONDS):
                self.running.append(sample(self.start))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def end_of_round(self) -> None:
        """Look now, when everything is released."""
        gc.collect()
        self.released.append(sample(self.start))
        self.objects.append(library_objects())

    def store(self, path: Path, notes: Iterable[str]) -> None:
        """Write everything as JSON, with a few words on what was done."""
        series = {name: [asdict(one) for one in getattr(self, name)] for name in ("running", "released")}
        path.write_text(json.dumps({"notes": list(notes), "objects": self.objects, **series}) + "\n")
