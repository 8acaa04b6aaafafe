"""Libraries that take a binary file, or memory, read real files through this one."""

import hashlib
import io
import random
import struct
import zlib
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from PIL import Image

from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager
from support import GRANULE, mapped_bytes_of, pattern

ROWS: Final = 50_000
FRAME: Final = pd.DataFrame(
    {
        "number": np.arange(ROWS),
        "value": np.random.default_rng(5).normal(size=ROWS),
        "word": [f"word {number % 977}" for number in range(ROWS)],
    }
)


@pytest.fixture
def manager() -> SlidingWindowMapManager:
    """Windows of two granules, three at once: nothing of these files fits."""
    return SlidingWindowMapManager(2 * GRANULE, max_open_handles=3)


@pytest.mark.parametrize("kind", ["png", "tiff", "jpeg", "gif", "bmp"])
def test_pillow(tmp_path: Path, manager: SlidingWindowMapManager, kind: str) -> None:
    path = tmp_path / f"picture.{kind}"
    Image.frombytes("RGB", (300, 200), random.Random(1).randbytes(300 * 200 * 3)).save(path)
    with manager.open(path) as file, Image.open(file) as picture, Image.open(path) as expected:
        assert picture.format == kind.upper()
        assert picture.tobytes() == expected.tobytes()


def test_pandas(tmp_path: Path, manager: SlidingWindowMapManager) -> None:
    FRAME.to_csv(tmp_path / "table.csv", index=False)
    FRAME.to_parquet(tmp_path / "table.parquet")
    FRAME.to_pickle(tmp_path / "table.pickle")
    with manager.open(tmp_path / "table.csv") as file:
        pd.testing.assert_frame_equal(pd.read_csv(file), FRAME)
    with manager.open(tmp_path / "table.parquet") as file:
        pd.testing.assert_frame_equal(pd.read_parquet(file), FRAME)
    with manager.open(tmp_path / "table.pickle") as file:
        assert FRAME.equals(pd.read_pickle(file))


def test_pyarrow(tmp_path: Path, manager: SlidingWindowMapManager) -> None:
    table = pa.Table.from_pandas(FRAME)
    pyarrow.parquet.write_table(table, tmp_path / "table.parquet", row_group_size=7_000)
    pyarrow.feather.write_feather(table, tmp_path / "table.feather")
    FRAME.to_csv(tmp_path / "table.csv", index=False)
    with manager.open(tmp_path / "table.parquet") as file:
        groups = pyarrow.parquet.ParquetFile(file)
        assert groups.num_row_groups == 8
        assert groups.read_row_group(5).equals(table.slice(35_000, 7_000))
    with manager.open(tmp_path / "table.parquet") as file:
        assert pyarrow.parquet.read_table(file).equals(table)
    with manager.open(tmp_path / "table.feather") as file:
        assert pyarrow.feather.read_table(file).equals(table)
    with manager.open(tmp_path / "table.csv") as file:
        assert pyarrow.csv.read_csv(file).num_rows == ROWS


def test_numpy_reads_a_window_without_a_copy(tmp_path: Path, manager: SlidingWindowMapManager) -> None:
    """The array is the map: it pins the region, and letting go of it lets go of the map."""
    path = tmp_path / "numbers"
    np.arange(10 * GRANULE // 8, dtype="<u8").tofile(path)
    cursor = manager.make_cursor(path)
    numbers = np.frombuffer(cursor.use_region(3 * GRANULE, GRANULE).buffer(), dtype="<u8")
    assert not numbers.flags.owndata
    assert (numbers == np.arange(3 * GRANULE // 8, 4 * GRANULE // 8)).all()
    cursor.close()
    manager.collect()
    assert mapped_bytes_of(path) > 0
    assert int(numbers[-1]) == 4 * GRANULE // 8 - 1
    del numbers
    manager.collect()
    assert mapped_bytes_of(path) == 0


def test_numpy_loads_and_fills_arrays(tmp_path: Path, manager: SlidingWindowMapManager) -> None:
    array = np.random.default_rng(2).integers(0, 255, size=(300, 200), dtype="<i4")
    np.save(tmp_path / "array.npy", array)
    np.savez_compressed(tmp_path / "arrays.npz", first=array, second=array.T)
    with manager.open(tmp_path / "array.npy") as file:
        assert (np.load(file) == array).all()
    with manager.open(tmp_path / "arrays.npz") as file, np.load(file) as arrays:
        assert (arrays["second"] == array.T).all()
    room = np.empty_like(array)
    buffer = SlidingWindowMapBuffer(
        manager.make_cursor(tmp_path / "array.npy"), (tmp_path / "array.npy").stat().st_size - room.nbytes
    )
    assert buffer.readinto(room.data) == room.nbytes
    assert (room == array).all()


def test_struct_hashlib_zlib_and_re_take_windows_as_they_are(tmp_path: Path, manager: SlidingWindowMapManager) -> None:
    content = pattern(7 * GRANULE + 5)
    (tmp_path / "file").write_bytes(content)
    buffer = SlidingWindowMapBuffer(manager.make_cursor(tmp_path / "file"))
    digest, checksum = hashlib.sha256(), 0
    for view in buffer.views():
        digest.update(view)
        checksum = zlib.crc32(view, checksum)
    assert digest.digest() == hashlib.sha256(content).digest()
    assert checksum == zlib.crc32(content)
    region = manager.make_cursor(tmp_path / "file").use_region(GRANULE, 64).region()
    assert region is not None
    place = GRANULE - region.ofs_begin()
    assert struct.unpack_from(">Q", region.buffer(), place) == struct.unpack_from(">Q", content, GRANULE)
    assert io.BytesIO(region.buffer()).read(10) == content[region.ofs_begin() : region.ofs_begin() + 10]
