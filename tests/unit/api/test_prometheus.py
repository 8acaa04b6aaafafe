"""The collector, as the parser of the exposition format reads it, and the error of who has no client."""

import re
import tomllib
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from smmap_typed import SlidingWindowMapManager
from smmap_typed.prometheus import ManagerCollector
from support import GRANULE, run_python


def test_what_is_scraped_is_what_the_managers_say(path: Path) -> None:
    registry = CollectorRegistry()
    with SlidingWindowMapManager(2 * GRANULE, max_open_handles=2) as first, SlidingWindowMapManager() as second:
        registry.register(ManagerCollector({"first": first, 'the "second"': second}))
        cursor = first.make_cursor(path)
        for offset in range(0, 8 * GRANULE, 2 * GRANULE):
            cursor.use_region(offset, 8)
        second.make_cursor(path).file_size()
        text = generate_latest(registry).decode()
        stats = first.stats()
    families = list(text_string_to_metric_families(text))
    kinds = {family.name: family.type for family in families}
    assert kinds["smmap_typed_maps"] == "counter"
    assert kinds["smmap_typed_mapped_bytes"] == "gauge"
    assert all(family.documentation for family in families)
    samples = {
        (sample.name, sample.labels["manager"]): sample.value for family in families for sample in family.samples
    }
    assert samples["smmap_typed_maps_total", "first"] == stats.maps == 4
    assert samples["smmap_typed_evictions_total", "first"] == stats.evictions == 2
    assert samples["smmap_typed_mapped_bytes", "first"] == stats.mapped_bytes == 4 * GRANULE
    assert samples["smmap_typed_pinned_regions", "first"] == 1
    assert samples["smmap_typed_maps_total", 'the "second"'] == 0
    assert samples["smmap_typed_kept_descriptors", "first"] == stats.kept_descriptors == 0
    assert samples["smmap_typed_kept_descriptors", 'the "second"'] == 1
    assert len(samples) == 2 * 20


def test_without_the_client_the_error_names_the_command_that_gets_it() -> None:
    result = run_python("import sys; sys.modules['prometheus_client'] = None; import smmap_typed.prometheus")
    assert result.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: smmap_typed.prometheus needs prometheus_client: "
        'python -m pip install "prometheus-client>=0.20"'
    )


def test_the_commands_install_what_the_extras_do() -> None:
    """Each module that needs an extra names a requirement of it."""
    root = Path(__file__).parents[3]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {
        requirement
        for path in (root / "src").rglob("*.py")
        for requirement in re.findall(r'^[^>\n]*\bneeded\("\w+", "([^"]+)"', path.read_text(), re.MULTILINE)
    }
    assert named == {*extras["testing"], *extras["prometheus"]}
