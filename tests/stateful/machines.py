"""The machines of ``smmap_typed.testing`` for each kind of manager, and each reader."""

from typing import Final, Literal, TypeAlias

from hypothesis import HealthCheck, Phase, settings

from smmap_typed import SlidingWindowMapManager, StaticWindowMapManager
from smmap_typed.testing import ManagerSettings
from smmap_typed.testing.machines import Factory, make_buffer_machine, make_manager_machine
from smmap_typed.testing.strategies import manager_settings

__all__ = [
    "BufferMachine",
    "SlidingCopiesMachine",
    "SlidingMachine",
    "StaticCopiesMachine",
    "StaticMachine",
    "finding",
    "sliding",
]


def finding(examples: int, steps: int) -> settings:
    """The same examples each time, and no shrinking: for a machine that must fail, and is asked for nothing else."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


ReaderName: TypeAlias = Literal["mmap", "pread"]


def sliding(reader: ReaderName) -> Factory:
    def factory(asked: ManagerSettings) -> SlidingWindowMapManager:
        window, memory, handles, strict = asked
        return SlidingWindowMapManager(window, memory, handles, reader=reader, strict_memory=strict)

    return factory


def static(reader: ReaderName) -> Factory:
    def factory(asked: ManagerSettings) -> StaticWindowMapManager:
        window, memory, handles, strict = asked
        return StaticWindowMapManager(window, memory, handles, reader=reader, strict_memory=strict)

    return factory


SlidingMachine: Final = make_manager_machine(sliding("mmap"))
SlidingCopiesMachine: Final = make_manager_machine(sliding("pread"), copies=True)
StaticMachine: Final = make_manager_machine(static("mmap"), settings=manager_settings(whole_files=True))
StaticCopiesMachine: Final = make_manager_machine(
    static("pread"), settings=manager_settings(whole_files=True), copies=True
)
BufferMachine: Final = make_buffer_machine(sliding("mmap"))
