"""Defects of smmap in which file is read, and what must stay as it is.

See docs/migration.md for the list. Files grow, shrink, are replaced and go by several names.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from smmap_typed import (
    FileChangedError,
    SlidingWindowMapBuffer,
    SlidingWindowMapManager,
    StaticWindowMapManager,
    WindowCursor,
)
from support import (
    DESCRIPTORS_PER_REGION,
    GRANULE,
    assert_books_match_kernel,
    descriptors_of,
    mapped_bytes_of,
    open_descriptor,
    pattern,
    release_descriptors,
    run_python,
    write_pattern,
)

SIZE = 4 * GRANULE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of four granules."""
    path = tmp_path / "file"
    write_pattern(path, SIZE, 1)
    return path


@pytest.fixture
def manager() -> Iterator[SlidingWindowMapManager]:
    """Windows of one granule: every move needs a new one."""
    with SlidingWindowMapManager(GRANULE) as manager:
        yield manager


def test_every_kind_of_path_works(path: Path, manager: SlidingWindowMapManager) -> None:
    """Defect 13: ``str``, ``bytes``, ``Path`` and a directory entry name one file, and share its region."""
    with os.scandir(path.parent) as entries:
        entry = next(entries)
    kinds: list[str | bytes | os.PathLike[str]] = [str(path), os.fsencode(path), path, entry]
    cursors = [manager.make_cursor(kind).use_region(8, 8) for kind in kinds]
    assert {bytes(cursor.buffer()) for cursor in cursors} == {path.read_bytes()[8:16]}
    assert all(cursor.path_or_fd() is kind for cursor, kind in zip(cursors, kinds, strict=True))
    assert manager.num_file_handles() == 1
    assert (
        descriptors_of(path) == DESCRIPTORS_PER_REGION + manager.stats().kept_descriptors == DESCRIPTORS_PER_REGION + 1
    )


def test_a_descriptor_that_is_closed_and_reused_never_mixes_two_files(path: Path, tmp_path: Path) -> None:
    """Defect 14: a new cursor on the number reads the new file; an old one stays with the old one or FileChangedError.

    It reads on by the duplicate that the manager keeps. Without that, or if it was never used, it raises.
    """
    other = tmp_path / "other"
    new = write_pattern(other, SIZE, 2)
    with SlidingWindowMapManager(GRANULE) as manager, open_descriptor(path) as number:
        old = manager.make_cursor(number).use_region(0, 8)
        never_used = manager.make_cursor(number)
        with open_descriptor(other) as replacement:
            os.dup2(replacement, number)
        with pytest.raises(FileChangedError):
            never_used.use_region(GRANULE, 8)
        assert bytes(old.use_region(GRANULE, 8).buffer()) == pattern(SIZE, 1)[GRANULE : GRANULE + 8]
        release_descriptors(manager)
        for cursor in (old, never_used):
            with pytest.raises(FileChangedError):
                cursor.use_region(2 * GRANULE, 8)
        assert bytes(old.buffer()) == pattern(SIZE, 1)[GRANULE : GRANULE + 8]
        assert bytes(manager.make_cursor(number).use_region(0, 8).buffer()) == new[:8]


def test_a_new_cursor_sees_a_file_that_grew(path: Path, manager: SlidingWindowMapManager) -> None:
    """Defect 16: appended bytes are there for new cursors, without ``collect``; old ones keep their size."""
    old = manager.make_cursor(path).use_region(SIZE - 8)
    grown = write_pattern(path.with_name("grown"), SIZE + GRANULE, 1)
    with path.open("ab") as file:
        file.write(grown[SIZE:])
    new = manager.make_cursor(path).use_region(SIZE)
    assert (old.file_size(), new.file_size()) == (SIZE, SIZE + GRANULE)
    assert bytes(new.buffer()) == grown[SIZE:]
    assert bytes(old.use_region(2 * GRANULE).buffer()) == grown[2 * GRANULE : 3 * GRANULE]
    assert not old.use_region(SIZE).is_valid()


def test_a_new_cursor_sees_a_file_that_was_replaced_and_an_old_one_never_mixes(
    path: Path, manager: SlidingWindowMapManager
) -> None:
    """Defect 16: after a rename over it, the old cursor reads the old file by the descriptor that is kept.

    Without that it reads what it has mapped and refuses to map more.
    """
    old = manager.make_cursor(path).use_region(8, 8)
    replacement = path.with_name("replacement")
    new_content = write_pattern(replacement, SIZE, 2)
    replacement.rename(path)
    assert bytes(manager.make_cursor(path).use_region(8, 8).buffer()) == new_content[8:16]
    assert bytes(old.use_region(2 * GRANULE, 8).buffer()) == pattern(SIZE, 1)[2 * GRANULE :][:8]
    assert bytes(old.use_region(16, 8).buffer()) == pattern(24, 1)[16:]
    release_descriptors(manager)
    with pytest.raises(FileChangedError, match="inode"):
        old.use_region(GRANULE, 8)
    assert bytes(old.buffer()) == pattern(24, 1)[16:]


def test_a_change_of_directory_does_not_change_the_file(
    tmp_path: Path, manager: SlidingWindowMapManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Defect 25: a relative path is made absolute by ``make_cursor``; another directory's file is never read."""
    for seed, name in enumerate(("here", "there")):
        (tmp_path / name).mkdir()
        write_pattern(tmp_path / name / "file", SIZE, seed)
    monkeypatch.chdir(tmp_path / "here")
    used: WindowCursor = manager.make_cursor("file").use_region(0, 8)
    unused = manager.make_cursor(b"file")
    monkeypatch.chdir(tmp_path / "there")
    assert bytes(used.use_region(GRANULE, 8).buffer()) == pattern(SIZE, 0)[GRANULE : GRANULE + 8]
    assert bytes(unused.use_region(GRANULE, 8).buffer()) == pattern(SIZE, 0)[GRANULE : GRANULE + 8]
    assert bytes(manager.make_cursor("file").use_region(0, 8).buffer()) == pattern(8, 1)


def test_all_names_of_one_file_share_its_region(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defect 25: a hard link, a symbolic one, a relative path and a descriptor: one inode, mapped once."""
    hard, soft = path.with_name("hard"), path.with_name("soft")
    hard.hardlink_to(path)
    soft.symlink_to(path)
    monkeypatch.chdir(path.parent)
    with StaticWindowMapManager() as manager, open_descriptor(path) as number:
        names: list[Path | str | int] = [path, hard, soft, "file", "./file", number]
        cursors = [manager.make_cursor(name).use_region() for name in names]
        assert len({cursor.region() for cursor in cursors}) == 1
        assert (manager.num_file_handles(), manager.num_open_files()) == (1, 1)
        assert_books_match_kernel(manager, path, own_descriptors=1)


def test_a_file_that_shrank_is_a_changed_file(path: Path, manager: SlidingWindowMapManager) -> None:
    """Defect 26: where an old cursor needs a new window of a shorter file, it raises FileChangedError and stays.

    By the descriptor that is kept it maps what windows the file still has.
    """
    cursor = manager.make_cursor(path).use_region(0, 8)
    os.truncate(path, SIZE - 1 - GRANULE)
    assert cursor.read(GRANULE, 8) == pattern(SIZE, 1)[GRANULE : GRANULE + 8]
    with pytest.raises(FileChangedError, match="bytes now"):
        cursor.use_region(3 * GRANULE, 8)
    release_descriptors(manager)
    os.truncate(path, SIZE - 1)
    with pytest.raises(FileChangedError, match=f"{SIZE - 1} bytes now"):
        cursor.use_region(2 * GRANULE, 8)
    assert bytes(cursor.buffer()) == pattern(8, 1)
    assert manager.make_cursor(path).file_size() == SIZE - 1


def test_a_sparse_file_of_three_tebibytes_is_read_at_any_offset(tmp_path: Path) -> None:
    """Not a defect: 3 TiB are no problem; a mark near the end is found where it is."""
    path = tmp_path / "sparse"
    size = 3 << 40
    marks = {offset: pattern(64, seed) for seed, offset in enumerate((0, (1 << 32) - 5, (2 << 40) + 3, size - 64), 1)}
    with path.open("wb") as file:
        file.truncate(size)
        for offset, mark in marks.items():
            file.seek(offset)
            file.write(mark)
    with SlidingWindowMapManager() as manager:
        cursor = manager.make_cursor(path)
        assert cursor.file_size() == size
        for offset, mark in marks.items():
            assert bytes(cursor.use_region(offset, 64).buffer()) == mark
            assert cursor.read(offset, 64) == mark
        buffer = SlidingWindowMapBuffer(cursor)
        assert len(buffer) == size
        assert buffer[-64:] == marks[size - 64]
        assert buffer[size - 3 * GRANULE :: GRANULE] == bytes(3)


def test_an_empty_file_leaves_the_cursor_invalid(tmp_path: Path, manager: SlidingWindowMapManager) -> None:
    """Not a defect: an empty file has no window, costs nothing, and its buffer has length 0, as ``bytes`` would."""
    path = tmp_path / "empty"
    path.touch()
    cursor = manager.make_cursor(path).use_region()
    assert (cursor.is_valid(), cursor.size(), cursor.file_size()) == (False, 0, 0)
    assert (cursor.read(0, 10), bytes(cursor.view(0, 10))) == (b"", b"")
    assert manager.num_file_handles() == 0
    buffer = SlidingWindowMapBuffer(cursor)
    assert (len(buffer), bytes(buffer), buffer[:]) == (0, b"", b"")
    with pytest.raises(ValueError, match="offset 1 is not inside the file of 0 bytes"):
        SlidingWindowMapBuffer(cursor, 1)


LIVES_AT_EXIT = """
import sys
import smmap_typed
path = sys.argv[1]
managers = [smmap_typed.SlidingWindowMapManager(4096), smmap_typed.StaticWindowMapManager(reader="pread")]
cursors = [manager.make_cursor(path).use_region(3, 9) for manager in managers]
views = [cursor.buffer() for cursor in cursors]
maps = [cursors[0].map(), cursors[0].region()]
buffer = smmap_typed.SlidingWindowMapBuffer(cursors[0])
cycle = [cursors[0], views[0]]
cycle.append(cycle)
print([bytes(view).hex() for view in views], buffer[3:12].hex())
"""


def test_an_interpreter_exits_in_silence_with_live_cursors_and_views(path: Path) -> None:
    """Not a defect: globals and cycles that are alive at exit bring neither an error nor a warning."""
    done = run_python(LIVES_AT_EXIT, path)
    expected = pattern(12, 1)[3:].hex()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{[expected, expected]} {expected}\n"


def test_a_file_is_unmapped_when_its_manager_is_dropped(path: Path) -> None:
    """Not a defect: a manager that nobody closed gives everything back with its last reference."""
    manager = SlidingWindowMapManager(GRANULE)
    manager.make_cursor(path).use_region()
    assert mapped_bytes_of(path) == GRANULE
    del manager
    assert (mapped_bytes_of(path), descriptors_of(path)) == (0, 0)
