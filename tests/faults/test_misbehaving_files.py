"""Files that misbehave during every kind of use: what the page says is what happens, row by row.

``python tests/faults/test_misbehaving_files.py`` prints the table, for the page.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from faults.fixture import READERS
from faults.misbehaviour import MISBEHAVIOURS, USES, Misbehaviour, clear, outcome_of
from faults.page import PAGE, code, row, table_below
from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager
from support import GRANULE

HEADING: Final = "Files that misbehave"
TITLES: Final = ("the file is", "reader", "use", "what happens")


class Row(NamedTuple):
    """One line of the table: uses that end alike."""

    file: str
    reader: str
    uses: str
    outcome: str


def rows(folder: Path, misbehaviour: Misbehaviour) -> list[Row]:
    """Try every use with both readers, and put together what ends alike."""
    outcomes: dict[str, dict[str, str]] = {use.name: {} for use in USES}
    for use in USES:
        for reader in READERS:
            outcomes[use.name][reader] = outcome_of(folder, reader, misbehaviour, use)
            clear(folder)
    alike: dict[tuple[str, str], list[str]] = {}
    for use_name, by_reader in outcomes.items():
        mapped, read = (by_reader[reader] for reader in READERS)
        for readers, outcome in [("both", mapped)] if mapped == read else [("mmap", mapped), ("pread", read)]:
            alike.setdefault((readers, outcome), []).append(use_name)
    return [
        Row(
            misbehaviour.name,
            readers,
            _named(uses),
            code(outcome) if ":" in outcome or outcome == "SIGBUS" else outcome,
        )
        for (readers, outcome), uses in alike.items()
    ]


def _named(uses: list[str]) -> str:
    return "everything" if len(uses) == len(USES) else ", ".join(uses)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that anybody may search, as that of ``tmp_path`` may not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS, ids=lambda misbehaviour: misbehaviour.name)
def test_a_file_that_misbehaves_does_what_the_page_says(folder: Path, misbehaviour: Misbehaviour) -> None:
    """The use, the error's type and its words; only a map of a truncated file is a signal."""
    found = rows(folder, misbehaviour)
    listed = [tuple(cells) for cells in table_below(HEADING) if cells[0] == misbehaviour.name]
    assert [tuple(cells) for cells in found] == listed, f"{PAGE.name} is to say\n" + "\n".join(map(row, found))
    assert not [cells for cells in found if cells.outcome == "`SIGBUS`" and cells.reader != "mmap"]


def test_the_page_lists_no_other_files() -> None:
    assert [*dict.fromkeys(cells[0] for cells in table_below(HEADING))] == [one.name for one in MISBEHAVIOURS]


@pytest.mark.parametrize("reader", READERS)
def test_a_sparse_file_of_three_tebibytes(tmp_path: Path, reader: str) -> None:
    """Every offset is reached, and a few windows are all that it costs."""
    path, size = tmp_path / "file", 3 << 40
    with path.open("wb") as file:
        file.truncate(size)
        for offset in (0, size // 2, size - 8):
            file.seek(offset)
            file.write(offset.to_bytes(8, "big"))
    with SlidingWindowMapManager(
        16 * GRANULE, 64 * GRANULE, reader="pread" if reader == "pread" else "mmap"
    ) as manager:
        cursor = manager.make_cursor(path)
        buffer = SlidingWindowMapBuffer(cursor)
        assert len(buffer) == cursor.file_size() == size
        for offset in (0, size // 2, size - 8):
            assert buffer[offset : offset + 8] == cursor.read(offset, 100)[:8] == offset.to_bytes(8, "big")
            assert (
                bytes(cursor.use_region(offset, 8).buffer())
                == bytes(cursor.view(offset, 8))
                == offset.to_bytes(8, "big")
            )
        assert buffer.find(b"\x02\xff", size - 100) == size - 6
        cursor.prefetch(size - 8, 8)
        assert manager.stats().peak_mapped_bytes <= 64 * GRANULE


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        sys.stdout.write(
            "\n".join(
                [
                    row(TITLES),
                    row(["---"] * 4),
                    *(row(cells) for one in MISBEHAVIOURS for cells in rows(Path(name), one)),
                ]
            )
            + "\n"
        )
