"""Distributions: copied sources are built, and what is built is installed where nothing else is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
# What a former build left behind is no part of the source.
REMAINS: Final = shutil.ignore_patterns("*.egg-info", "__pycache__", "*.so", "build", "dist")


def run(
    *command: str | Path, folder: Path | None = None, fails: bool = False, variables: dict[str, str] | None = None
) -> str:
    """What a command prints, in an environment that knows nothing of this source; of a failure, its errors, too."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SMMAP_TYPED_MYPYC")}
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**environment, **(variables or {})},
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + (done.stderr if fails else "")


def copy(names: tuple[str, ...], folder: Path) -> None:
    """Files and folders of the repository, as a clone has them."""
    folder.mkdir(parents=True)
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=REMAINS)
        else:
            shutil.copy(ROOT / name, folder / name)


def new_environment(folder: Path, *requirements: str | Path) -> Path:
    """The interpreter of a virtual environment that has these and nothing else."""
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", *requirements)
    return python
