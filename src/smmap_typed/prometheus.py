"""Prometheus: the statistics of managers, exported as metrics. Needs the extra ``prometheus``.

>>> from prometheus_client import CollectorRegistry, generate_latest
>>> from smmap_typed import SlidingWindowMapManager
>>> registry = CollectorRegistry()
>>> registry.register(ManagerCollector({"packs": SlidingWindowMapManager()}))
>>> 'smmap_typed_maps_total{manager="packs"} 0.0' in generate_latest(registry).decode()
True
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, final

from typing_extensions import override

from smmap_typed._extras import needed
from smmap_typed.manager import StaticWindowMapManager
from smmap_typed.values import ManagerStats

with needed("prometheus_client", "prometheus-client>=0.20", "smmap_typed.prometheus"):
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector

__all__ = ["ManagerCollector"]

_PREFIX: Final = "smmap_typed_"
_COUNTERS: Final[dict[str, tuple[str, Callable[[ManagerStats], float]]]] = {
    "acquisitions": ("Pins taken.", lambda stats: stats.acquisitions),
    "misses": ("Acquisitions that found their window not mapped.", lambda stats: stats.misses),
    "maps": ("Regions mapped.", lambda stats: stats.maps),
    "unmaps": ("Regions unmapped, for whatever reason.", lambda stats: stats.unmaps),
    "evictions": ("Regions unmapped to make room.", lambda stats: stats.evictions),
    "map_failures": ("Attempts to map that the system refused.", lambda stats: stats.map_failures),
    "map_seconds": ("Seconds spent in the system calls that mapped or read windows.", lambda stats: stats.map_seconds),
    "detached_reads": ("Reads by a descriptor, without a window.", lambda stats: stats.detached_reads),
    "detached_bytes": ("Bytes that came by such reads.", lambda stats: stats.detached_bytes),
    "marks_forgotten": ("How often it was forgotten which pages are in memory.", lambda stats: stats.marks_forgotten),
}
_GAUGES: Final[dict[str, tuple[str, Callable[[ManagerStats], float]]]] = {
    "mapped_bytes": ("Bytes mapped or reserved.", lambda stats: stats.mapped_bytes),
    "peak_mapped_bytes": ("The most that mapped_bytes has been.", lambda stats: stats.peak_mapped_bytes),
    "handles": ("Regions mapped.", lambda stats: stats.handles),
    "in_flight": ("Regions that are being mapped.", lambda stats: stats.in_flight),
    "peak_handles": ("The most that handles and in_flight have been together.", lambda stats: stats.peak_handles),
    "idle_regions": ("Regions without a cursor or a view.", lambda stats: stats.idle_regions),
    "pinned_regions": ("Regions with a cursor on them.", lambda stats: stats.pinned_regions),
    "view_pinned_regions": ("Regions that only views keep mapped.", lambda stats: stats.view_pinned_regions),
    "kept_descriptors": ("Descriptors of files that are kept open.", lambda stats: stats.kept_descriptors),
    "open_files": ("Files with at least one region.", lambda stats: stats.open_files),
}


@final
class ManagerCollector(Collector):
    """Exports the ``stats`` of several managers at each scrape, with the name of the manager as label ``manager``.

    Safe in any thread. After ``reset_stats`` the counters start anew, as after a restart. O(regions) per scrape.
    """

    def __init__(self, managers: Mapping[str, StaticWindowMapManager]) -> None:
        self._managers: Final = tuple(managers.items())

    @override
    def collect(self) -> Iterable[Metric]:
        """Read the statistics of each manager once, so that its figures belong together, and yield the metrics."""
        surveys = {name: manager.stats() for name, manager in self._managers}
        for kind, figures in ((CounterMetricFamily, _COUNTERS), (GaugeMetricFamily, _GAUGES)):
            for name, (words, figure) in figures.items():
                family = kind(_PREFIX + name, words, labels=["manager"])
                for label, stats in surveys.items():
                    family.add_metric([label], figure(stats))
                yield family
