"""The picture of a soak: ``PYTHONPATH=. python tests/soak/picture.py SOAK.json SOAK.svg``."""

# Many methods of matplotlib pass on keywords that it gives no types.
# pyright: reportUnknownMemberType=false

import json
import sys
from pathlib import Path
from typing import Final

from benchmarks.plot import STYLE
from benchmarks.stage import MIB
from matplotlib import style
from matplotlib.figure import Figure

__all__ = ["draw"]

PANELS: Final = (("memory", MIB, "anonymous memory, MiB"), ("descriptors", 1, "descriptors"), ("maps", 1, "maps"))


def draw(stored: Path, picture: Path) -> None:
    """Three curves over time, with a mark at each end of a round."""
    data = json.loads(stored.read_text())
    with style.context(STYLE):
        figure = Figure(figsize=(9, 6), layout="constrained")
        axes = figure.subplots(len(PANELS), 1, sharex=True)
        for one, (name, unit, label) in zip(axes, PANELS, strict=True):
            for series, look in (("running", {"color": "#56b4e9", "lw": 0.6}), ("released", {"color": "#d55e00"})):
                points = data[series]
                one.plot(
                    [point["seconds"] / 60 for point in points],
                    [point[name] / unit for point in points],
                    marker="o" if series == "released" else "",
                    markersize=3,
                    label="while threads work" if series == "running" else "all released",
                    **look,
                )
            one.set_ylabel(label)
            one.set_ylim(bottom=0)
        axes[0].legend(frameon=False, loc="lower right")
        axes[-1].set_xlabel("minutes")
        figure.savefig(picture, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
