"""Errors: one root, builtins that callers catch already, messages with the values, and pickling."""

import copy
import errno
import pickle

import pytest

from smmap_typed import (
    CompatError,
    CursorInvalidError,
    FileChangedError,
    HandleLimitError,
    ManagerClosedError,
    MemoryLimitError,
    ReentrantCallError,
    RegionUnmappedError,
    SmmapError,
    UnsizedFileError,
    exceptions,
)
from smmap_typed._source import Source, explain_unnamed

BUILTINS: dict[type[SmmapError], type[Exception]] = {
    SmmapError: Exception,
    CompatError: RuntimeError,
    CursorInvalidError: ValueError,
    FileChangedError: OSError,
    HandleLimitError: OSError,
    ManagerClosedError: ValueError,
    MemoryLimitError: OSError,
    ReentrantCallError: RuntimeError,
    RegionUnmappedError: ValueError,
    UnsizedFileError: OSError,
}

EXAMPLES: list[SmmapError] = [
    SmmapError("a sentence"),
    CompatError("a sentence"),
    CursorInvalidError("a sentence"),
    FileChangedError("/some/file", "it has 3 bytes now, and had 5 before"),
    FileChangedError(7, "it has 3 bytes now, and had 5 before"),
    HandleLimitError(10, 9),
    ManagerClosedError("a sentence"),
    MemoryLimitError(4096, 8192, 100),
    ReentrantCallError("a sentence"),
    RegionUnmappedError("a sentence"),
    UnsizedFileError("/proc/some/file", 0),
]


def test_every_error_has_the_root_and_a_builtin() -> None:
    """None is missing here, and the module's list is complete."""
    assert {kind.__name__ for kind in BUILTINS} == set(exceptions.__all__)
    for kind, builtin in BUILTINS.items():
        assert issubclass(kind, SmmapError)
        assert issubclass(kind, builtin)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_and_copying(error: SmmapError) -> None:
    """Class, message and values are the same afterwards."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        twin: SmmapError = pickle.loads(pickle.dumps(error, protocol))
        assert (type(twin), str(twin), twin.args, vars(twin)) == (type(error), str(error), error.args, vars(error))
    twin = copy.copy(error)
    assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_what_a_user_adds_to_an_error_survives_pickling(error: SmmapError) -> None:
    """Notes, and the name of the file, which the worker of a pool knows and its owner asks for."""
    error = copy.copy(error)
    error.add_note("in block 7")
    if isinstance(error, OSError):
        error.filename = "/another/file"
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert twin.__notes__ == ["in block 7"]
        assert getattr(twin, "filename", None) == getattr(error, "filename", None)
        assert (str(twin), twin.args, vars(twin)) == (str(error), error.args, vars(error))


def test_limit_errors_carry_their_figures() -> None:
    """As attributes, in the message, and as the errno that the system would give."""
    handles, memory = HandleLimitError(10, 9), MemoryLimitError(4096, 8192, 100)
    assert (handles.errno, handles.limit, handles.pinned) == (errno.EMFILE, 10, 9)
    assert (memory.errno, memory.limit, memory.pinned, memory.wanted) == (errno.ENOMEM, 4096, 8192, 100)
    assert all(figure in str(handles) for figure in ("10", "9"))
    assert all(figure in str(memory) for figure in ("4096", "8192", "100"))


@pytest.mark.parametrize("target", ["/some/file", b"/some/file", 7])
def test_a_changed_file_is_named(target: str | bytes | int) -> None:
    """As ``filename``, as for any OSError."""
    error = FileChangedError(target, "it has 3 bytes now")
    assert (error.errno, error.filename, error.target) == (errno.ESTALE, target, target)
    assert "it has 3 bytes now" in str(error)
    assert repr(target) in str(error)


@pytest.mark.parametrize("filename", [None, "/other"])
def test_an_error_of_a_reader_keeps_the_name_that_it_has(filename: str | None) -> None:
    """And its words; otherwise it gets the name of the file, and says what was tried."""
    error = OSError(errno.EIO, "no luck", filename)
    explain_unnamed(error, Source("/some/file", "/some/file"), "decoding")
    assert (error.filename, "decoding" in str(error)) == (filename or "/some/file", filename is None)
