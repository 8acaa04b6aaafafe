"""gevent: what docs/how-to/greenlets.md says of greenlets."""

import subprocess
import sys
from pathlib import Path

import pytest

from guests.programs import PATCHED, UNPATCHED
from support import GRANULE, write_pattern


def output_of(program: str, path: Path) -> str:
    """What ``program`` prints; it must end well and in silence."""
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    write_pattern(path, 8 * GRANULE)
    return path


def test_greenlets_wait_for_each_other_where_gevent_has_patched_first(path: Path) -> None:
    """As threads do, also together with gevent's own threads."""
    assert output_of(PATCHED, path) == "done"


def test_a_greenlet_gets_an_error_where_it_would_wait_for_its_own_thread(path: Path) -> None:
    """Without the patches, or with patches that come too late: it names greenlets, and nothing else is disturbed."""
    assert output_of(UNPATCHED, path) == "done"
    late = UNPATCHED.replace("manager = Sliding", "import gevent.monkey\ngevent.monkey.patch_all()\nmanager = Sliding")
    assert late != UNPATCHED
    assert output_of(late, path) == "done"
