"""What observers and the log are told: each map and unmap, in order, by the thread that did it, outside of the lock."""

import errno
import gc
import logging
import mmap
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Final

import pytest
from typing_extensions import override

from smmap_typed import (
    Event,
    HandleLimitError,
    LimitReached,
    MapFailed,
    MemoryLimitError,
    RegionMapped,
    RegionUnmapped,
    SlidingWindowMapManager,
    Window,
)
from smmap_typed.testing import check_invariants, in_threads
from support import GRANULE, Fault, mapped_bytes_of, write_pattern

W: Final = 2 * GRANULE


def told(events: list[Event]) -> list[tuple[str, object]]:
    """In short: what, and about which offset or limit."""
    return [
        (type(event).__name__, event.limit if isinstance(event, LimitReached) else event.window.offset)
        for event in events
    ]


def test_each_map_and_unmap_is_told_in_order(path: Path) -> None:
    events: list[Event] = []
    with SlidingWindowMapManager(W, max_open_handles=2, observer=events.append) as manager:
        cursor = manager.make_cursor(path)
        for offset in (0, W, 2 * W):
            cursor.use_region(offset, 8)
        cursor.use_region(2 * W + 8, 8)
        cursor.use_region(W, 8).close()
        assert told(events) == [
            ("RegionMapped", 0),
            ("RegionMapped", W),
            ("RegionUnmapped", 0),
            ("RegionMapped", 2 * W),
        ]
        first, evicted = events[0], events[2]
        assert isinstance(first, RegionMapped)
        assert (first.target, first.window) == (str(path), Window(0, W))
        assert 0 < first.seconds < 60
        assert evicted == RegionUnmapped(str(path), Window(0, W), "evicted")
        del events[:]
        assert manager.collect() == 2
        assert {event.reason for event in events if isinstance(event, RegionUnmapped)} == {"collected"}
        cursor.use_region(0, 8)
        del events[:]
    assert events == [RegionUnmapped(str(path), Window(0, W), "given up")]


def test_a_hit_and_a_move_to_a_mapped_window_tell_nothing(path: Path) -> None:
    events: list[Event] = []
    with SlidingWindowMapManager(W, observer=events.append) as manager:
        cursor = manager.make_cursor(path)
        for offset in (0, W):
            cursor.use_region(offset, 8)
        del events[:]
        for _ in range(200):
            cursor.use_region(0, 8).use_region(1, 8).use_region(W, 8)
            manager.make_cursor(path).use_region(0, 8)
        assert events == []


def test_limits_are_told_whether_hard_or_soft(path: Path) -> None:
    events: list[Event] = []
    with SlidingWindowMapManager(W, W, max_open_handles=2, observer=events.append) as manager:
        first, second, third = (manager.make_cursor(path) for _ in range(3))
        first.use_region(0, 8)
        second.use_region(W, 8)
        assert events[-1] == LimitReached("memory", W, 2 * W, hard=False)
        with pytest.raises(HandleLimitError):
            third.use_region(2 * W, 8)
        assert events[-1] == LimitReached("handles", 2, 2, hard=True)
    del events[:]
    with SlidingWindowMapManager(W, W, strict_memory=True, observer=events.append) as manager:
        first, second = manager.make_cursor(path).use_region(0, 8), manager.make_cursor(path)
        with pytest.raises(MemoryLimitError):
            second.use_region(W, 8)
        assert events[-1] == LimitReached("memory", W, W, hard=True)
        first.close()


def test_what_could_not_be_mapped_is_told_with_its_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []

    def fail(*_: object, **__: object) -> mmap.mmap:
        raise OSError(errno.EIO, "a bad disk")

    with SlidingWindowMapManager(W, observer=events.append) as manager:
        cursor = manager.make_cursor(path)
        with monkeypatch.context() as patch:
            patch.setattr(mmap, "mmap", fail)
            with pytest.raises(OSError, match="a bad disk") as caught:
                cursor.use_region(W, 8)
        assert events == [MapFailed(str(path), Window(W, W), caught.value)]
        check_invariants(manager)


def test_an_observer_may_use_the_manager_and_is_in_nobodys_way(path: Path) -> None:
    """It is called when the call is out of the library: so it maps, and another thread gets the lock meanwhile."""
    managers: list[SlidingWindowMapManager] = []
    seen: list[bytes] = []

    def observe(event: Event) -> None:
        if isinstance(event, RegionMapped) and event.window.offset == 0:
            seen.append(managers[0].make_cursor(path).read(3 * W, 8))
            in_threads(1, lambda _: seen.append(managers[0].make_cursor(path).read(W, 8)))

    with SlidingWindowMapManager(W, observer=observe) as manager:
        managers.append(manager)
        manager.make_cursor(path).use_region(0, 8)
        assert seen == [path.read_bytes()[3 * W : 3 * W + 8], path.read_bytes()[W : W + 8]]


def test_what_an_observer_raises_is_nobodys_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while an error of the library is on its way to the caller."""
    reported: list[SimpleNamespace] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)

    def observe(event: Event) -> None:
        raise RuntimeError(type(event).__name__)

    with SlidingWindowMapManager(W, max_open_handles=1, observer=observe) as manager:
        cursor = manager.make_cursor(path).use_region(0, 8)
        assert bytes(cursor.buffer()) == path.read_bytes()[:8]
        with pytest.raises(HandleLimitError):
            manager.make_cursor(path).use_region(W, 8)
        cursor.close()
        check_invariants(manager)
    assert [str(one.exc_value) for one in reported] == ["RegionMapped", "LimitReached", "RegionUnmapped"]
    assert all(one.object is observe for one in reported)


def test_what_the_log_or_the_hook_raises_is_nobodys_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers keep their errors to themselves, and filters do not."""

    def refuse(_: logging.LogRecord) -> bool:
        raise RuntimeError("a bad filter")

    def report(one: SimpleNamespace) -> None:
        reported.append(str(one.exc_value))
        raise RuntimeError("a bad hook")

    reported: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", report)
    logger = logging.getLogger("smmap_typed")
    logger.addFilter(refuse)
    logger.setLevel(logging.DEBUG)
    try:
        with SlidingWindowMapManager(W) as manager:
            assert manager.make_cursor(path).read(3, 9) == path.read_bytes()[3:12]
            check_invariants(manager)
    finally:
        logger.setLevel(logging.NOTSET)
        logger.removeFilter(refuse)
    assert reported == ["a bad filter"] * 2


def test_what_an_observer_raises_keeps_no_window_pinned(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error's traceback refers to the frames of the call, which hold its pin; it goes at once, without the GC."""
    monkeypatch.setattr(sys, "unraisablehook", id)

    def observe(event: Event) -> None:
        raise RuntimeError(type(event).__name__)

    gc.disable()
    try:
        with SlidingWindowMapManager(W, max_open_handles=2, observer=observe) as manager:
            cursor = manager.make_cursor(path)
            for offset in (0, W, 2 * W):
                cursor.use_region(offset, 8)
            cursor.close()
            assert manager.stats().pinned_regions == 0
    finally:
        gc.enable()


def test_threads_tell_what_they_did_themselves(path: Path) -> None:
    by_thread: dict[int, list[int]] = {}
    lock = threading.Lock()

    def observe(event: Event) -> None:
        if isinstance(event, RegionMapped):
            with lock:
                by_thread.setdefault(threading.get_ident(), []).append(event.window.offset)

    with SlidingWindowMapManager(W, observer=observe) as manager:
        mine: dict[int, int] = {}

        def work(number: int) -> None:
            mine[threading.get_ident()] = number * W
            manager.make_cursor(path).use_region(number * W, 8)

        in_threads(4, work)
    assert by_thread == {thread: [offset] for thread, offset in mine.items()}


def test_an_observer_must_be_callable() -> None:
    with pytest.raises(TypeError, match="observer must be callable, got str"):
        SlidingWindowMapManager(observer="log")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - that is tested


def test_the_log_has_one_record_for_each_event(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "smmap_typed")
    with SlidingWindowMapManager(W, max_open_handles=1) as manager:
        cursor = manager.make_cursor(path)
        cursor.use_region(0, 8)
        with pytest.raises(HandleLimitError):
            manager.make_cursor(path).use_region(W, 8)
    mapped, limit, unmapped = caplog.records
    assert [record.levelno for record in caplog.records] == [logging.DEBUG, logging.INFO, logging.DEBUG]
    assert mapped.getMessage().startswith(f"mapped {W} bytes at 0 of {str(path)!r} in 0.")
    assert limit.getMessage() == "the hard limit of 1 for handles is reached, with 1 in use"
    assert unmapped.getMessage() == f"given up: {W} bytes at 0 of {str(path)!r}"
    assert vars(mapped)["smmap_event"] == "RegionMapped"
    assert vars(mapped)["smmap_window"] == Window(0, W)
    assert (vars(limit)["smmap_limit"], vars(limit)["smmap_maximum"]) == ("handles", 1)


def test_a_map_that_fails_is_logged_with_its_error(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, "smmap_typed")
    with SlidingWindowMapManager(W) as manager:
        cursor = manager.make_cursor(path)
        monkeypatch.setattr(mmap, "mmap", Fault(mmap.mmap, OSError(errno.EIO, "no luck"), at=1))
        with pytest.raises(OSError, match="no luck"):
            cursor.use_region(W, 1)
    (record,) = caplog.records
    told = f"could not map {W} bytes at {W} of {str(path)!r}: [Errno {errno.EIO}] no luck"
    assert (record.levelno, record.getMessage()[: len(told)]) == (logging.DEBUG, told)


def test_at_info_only_limits_are_logged_and_by_default_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with SlidingWindowMapManager(W, W) as manager:
        manager.make_cursor(path).use_region(0, 8)
    assert caplog.records == []
    caplog.set_level(logging.INFO, "smmap_typed")
    with SlidingWindowMapManager(W, W) as manager:
        first = manager.make_cursor(path).use_region(0, 8)
        manager.make_cursor(path).use_region(W, 8)
        first.close()
    assert [vars(record)["smmap_event"] for record in caplog.records] == ["LimitReached"]


def test_a_handler_of_the_log_may_use_the_manager(path: Path) -> None:
    """From several threads, each with the handler's lock while it wants the manager's."""
    seen: list[int] = []

    class Handler(logging.Handler):
        @override
        def emit(self, record: logging.LogRecord) -> None:
            assert record.name == "smmap_typed"
            if threading.current_thread() is not threading.main_thread() and len(seen) < 100:
                seen.append(len(manager.make_cursor(path).read(len(seen) % 4 * W, 8)))

    handler, logger = Handler(), logging.getLogger("smmap_typed")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with SlidingWindowMapManager(W, max_open_handles=6) as manager:

            def work(number: int) -> None:
                cursor = manager.make_cursor(path)
                for step in range(40):
                    cursor.use_region((step + number) % 4 * W, 8)
                    manager.collect()

            in_threads(3, work)
            check_invariants(manager)
    finally:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(handler)
    assert set(seen) == {8}


def test_a_nested_call_tells_the_observer_and_not_the_log(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that interrupts a call must wait for nobody, and the log may have a lock."""
    caplog.set_level(logging.DEBUG, "smmap_typed")
    events: list[Event] = []
    real = os.open

    def open_and_be_struck(*arguments: object, **keywords: object) -> int:
        monkeypatch.setattr(os, "open", real)
        signal.raise_signal(signal.SIGINT)
        return real(*arguments, **keywords)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - as they came

    with SlidingWindowMapManager(W, observer=events.append) as manager:

        def strike(number: int, frame: FrameType | None) -> None:
            del number, frame
            manager.make_cursor(path).use_region(W, 8)

        before = signal.signal(signal.SIGINT, strike)
        try:
            monkeypatch.setattr(os, "open", open_and_be_struck)
            manager.make_cursor(path).use_region(0, 8)
        finally:
            signal.signal(signal.SIGINT, before)
        assert told(events) == [("RegionMapped", W), ("RegionMapped", 0)]
        assert [vars(record)["smmap_window"] for record in caplog.records] == [Window(0, W)]


def test_regions_are_told_as_they_are(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_pattern(other, W + 5)
    with SlidingWindowMapManager(W) as manager:
        assert manager.regions() == ()
        first = manager.make_cursor(path).use_region(0, 8)
        second = manager.make_cursor(other).use_region(W, 5)
        view = manager.make_cursor(path).use_region(2 * W, 8).buffer()
        manager.make_cursor(path).use_region(W, 8)
        regions = manager.regions()
        assert [(region.target, region.window) for region in regions] == [
            (str(path), Window(0, W)),
            (str(other), Window(W, 5)),
            (str(path), Window(2 * W, W)),
            (str(path), Window(W, W)),
        ]
        assert [region.file_size for region in regions] == [8 * GRANULE, W + 5, 8 * GRANULE, 8 * GRANULE]
        assert [(region.cursors, region.has_views) for region in regions] == [
            (1, True),
            (1, True),
            (0, True),
            (0, False),
        ]
        assert [region.turn for region in regions] == [None, None, 0, 1]
        assert all(0 <= region.age < 60 for region in regions)
        assert regions[0].age > regions[3].age
        first.close()
        second.close()
        assert [region.turn for region in manager.regions()] == [2, 3, 0, 1]
        view.release()


if sys.platform != "win32":

    @pytest.mark.parametrize(
        ("advice", "constant"),
        [("normal", "NORMAL"), ("sequential", "SEQUENTIAL"), ("random", "RANDOM"), ("willneed", "WILLNEED")],
    )
    def test_the_kernel_is_told_how_windows_will_be_read(
        path: Path, monkeypatch: pytest.MonkeyPatch, advice: str, constant: str
    ) -> None:
        """Of the manager's windows, unless the cursor's differ; what is mapped already is taken as it is."""
        given: list[int] = []

        class Told(mmap.mmap):
            @override
            def madvise(self, option: int, start: int = 0, length: int = 0) -> None:
                assert (start, length) == (0, 0)
                given.append(option)
                super().madvise(option)

        monkeypatch.setattr(mmap, "mmap", Told)
        with SlidingWindowMapManager(W, advice=advice) as manager:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - one of them
            manager.make_cursor(path).use_region(0, 8)
            assert given == [getattr(mmap, f"MADV_{constant}")]
            manager.make_cursor(path, advice="random").use_region(W, 8).use_region(0, 8)
            assert given[1:] == [mmap.MADV_RANDOM]
        with SlidingWindowMapManager(W) as manager:
            manager.make_cursor(path).use_region(0, 8)
        assert len(given) == 2

    def test_an_advice_that_the_kernel_does_not_take_does_no_harm(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class Deaf(mmap.mmap):
            @override
            def madvise(self, option: int, start: int = 0, length: int = 0) -> None:
                raise OSError(errno.EINVAL, f"no advice {option} for {length} bytes at {start}")

        monkeypatch.setattr(mmap, "mmap", Deaf)
        with SlidingWindowMapManager(W, advice="sequential") as manager:
            assert bytes(manager.make_cursor(path).use_region(0, 8).buffer()) == path.read_bytes()[:8]
            manager.collect()
            assert mapped_bytes_of(path) == 0


def test_an_advice_that_there_is_not_is_refused_at_once(path: Path) -> None:
    words = r"advice must be one of normal, sequential, random, willneed, or None; got 'fast'"
    with pytest.raises(ValueError, match=words):
        SlidingWindowMapManager(advice="fast")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - that is tested
    with SlidingWindowMapManager() as manager, pytest.raises(ValueError, match=words):
        manager.make_cursor(path, advice="fast")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - that is tested
