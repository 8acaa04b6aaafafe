"""Types of windows, errors, functions and constants: checked by mypy and pyright, never run.

Each ignore marks a call that must be refused: an ignore that is not needed is an error in both checkers.
"""

from typing import assert_type

import smmap_typed
from smmap_typed import (
    ALLOCATIONGRANULARITY,
    CompatError,
    CursorInvalidError,
    FileChangedError,
    HandleLimitError,
    ManagerClosedError,
    MemoryLimitError,
    ReentrantCallError,
    RegionUnmappedError,
    SmmapError,
    Window,
    align_to_mmap,
    compat,
    is_64_bit,
)


def windows(window: Window) -> None:
    assert_type(Window(0, 1), Window)
    assert_type(Window(offset=0, size=1), Window)
    assert_type(window.offset, int)
    assert_type(window.size, int)
    assert_type(window.end, int)
    assert_type(window.ofs_begin(), int)
    assert_type(window.ofs_end(), int)
    assert_type(window.includes_ofs(ofs=7), bool)
    assert_type(sorted({window, Window(0, 1)}), list[Window])
    assert_type(window < Window(0, 1), bool)
    match window:
        case Window(offset, size):
            assert_type(offset, int)
            assert_type(size, int)


def refused_of_windows(window: Window) -> None:
    Window(0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Window("0", 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    window.offset = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    window.end = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    window.align()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    _ = window < (0, 1)  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]


class MyWindow(Window):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    """Final: windows are compared by their two fields alone."""


def one_root() -> list[type[SmmapError]]:
    return [
        CompatError,
        CursorInvalidError,
        FileChangedError,
        HandleLimitError,
        ManagerClosedError,
        MemoryLimitError,
        ReentrantCallError,
        RegionUnmappedError,
    ]


def what_callers_of_smmap_catch() -> None:
    values: list[type[ValueError]] = [CursorInvalidError, ManagerClosedError, RegionUnmappedError]
    systems: list[type[OSError]] = [FileChangedError, HandleLimitError, MemoryLimitError]
    states: list[type[RuntimeError]] = [CompatError, ReentrantCallError]
    del values, systems, states


def attributes_of_errors(changed: FileChangedError, handles: HandleLimitError, memory: MemoryLimitError) -> None:
    assert_type(changed.target, str | bytes | int)
    assert_type(changed.reason, str)
    assert_type(changed.errno, int | None)
    assert_type(handles.limit, int)
    assert_type(handles.pinned, int)
    assert_type(memory.limit, int)
    assert_type(memory.pinned, int)
    assert_type(memory.wanted, int)


def catching() -> None:
    try:
        pass
    except FileChangedError as error:
        assert_type(error, FileChangedError)
    except (HandleLimitError, MemoryLimitError) as error:
        assert_type(error.limit, int)
    except SmmapError as error:
        assert_type(error, SmmapError)


def refused_of_errors(error: SmmapError) -> None:
    HandleLimitError()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    HandleLimitError("too many")  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    FileChangedError(None, "gone")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    _ = error.limit  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    wrong: type[OSError] = CursorInvalidError  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    del wrong


def functions() -> None:
    assert_type(align_to_mmap(1, True), int)
    assert_type(align_to_mmap(num=1, round_up=False), int)
    assert_type(is_64_bit(), bool)
    assert_type(ALLOCATIONGRANULARITY, int)
    assert_type(smmap_typed.__version__, str)
    assert_type(smmap_typed.version_info, tuple[int, int, int])
    assert_type(compat.install(), None)


def refused_of_functions() -> None:
    align_to_mmap(1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    align_to_mmap(1.5, True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    align_to_mmap(1, "up")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    _ = smmap_typed.MapRegion  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
