"""``python -m benchmarks.plot``: draw the pictures of ``docs/performance.md``, and write its tables.

Everything comes from the stored results, and the same results give the same files.
"""

# Many methods of matplotlib pass on keywords that it gives no types.
# pyright: reportUnknownMemberType=false

import statistics
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks import page
from benchmarks.misses import CURVE
from benchmarks.rows import ROWS
from benchmarks.scans import SCAN_WINDOWS
from benchmarks.storage import LOCAL, SLOW, name_of
from benchmarks.storage import THREADS as STORAGE_THREADS
from benchmarks.store import Results
from benchmarks.threads import COUNTS

__all__ = ["PICTURES", "main"]

PICTURES: Final = page.ROOT / "docs/pictures"
STYLE: Final = {
    # A page on a dark ground shows the same picture.
    "savefig.facecolor": "white",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "svg.fonttype": "path",
    # The names of elements are made from it, and are random without it.
    "svg.hashsalt": "smmap_typed",
}
WIDTH: Final = 4.8
"""Of each picture, in inches: so narrow that its words can be read on a phone, too."""
LONGEST_NAME: Final = 24
"""Letters of one line of a name beside bars."""
BAR: Final = 0.19
"""Inches of height for each bar."""
NEARLY_ONE: Final = 0.9
"""From there on a bar is so short that its number fits on either side."""
TICKS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
FINE_TICKS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2, 3, 5, 7)
"""Where an axis of ratios has a line, the latter if it would have fewer than three."""
FEWEST_TICKS: Final = 3

BESIDE_BARE: Final = (
    *("hit", "move", "byte", "short slice", "long slice", "cursor", "miss 64", "miss 4096", "collect"),
    *("scan", "random reads"),
)
"""The rows whose first line has a bare operation that does the same work."""


@dataclass(frozen=True)
class Series:
    """What is drawn in one colour."""

    name: str
    colour: str
    marker: str


SMMAP: Final = Series("smmap", "#e69f00", "s")
PURE: Final = Series("pure", "#56b4e9", "o")
COMPILED: Final = Series("compiled", "#0072b2", "D")
BARE: Final = Series("bare", "#444444", "x")
PREAD: Final = Series("os.pread", "#444444", "x")
ONE_MAP: Final = Series("one map", "#cc79a7", "^")
OURS: Final = (PURE, COMPILED)


def pooled(results: Results, row: str, above: str | None, below: str | None) -> float | None:
    """The median of the ratios of all rounds of both builds: for what the build does not touch."""
    ratios = [
        over / under
        for build in results.builds()
        for over, under in zip(
            results.values.get((row, build, above or ""), []),
            results.values.get((row, build, below or ""), []),
            strict=False,
        )
    ]
    return statistics.median(ratios) if ratios else None


def number(value: float) -> str:
    """Beside a bar."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def draw_ratios(axes: Axes, groups: Sequence[tuple[str, Mapping[str, float | None]]], series: Sequence[Series]) -> None:
    """Groups of bars that begin at 1, on a logarithmic scale: to the right is more, to the left is less."""
    values = [value for _, group in groups for value in group.values() if value is not None]
    axes.set_xscale("log")
    for at, one in enumerate(series):
        places = [place + (at - (len(series) - 1) / 2) / (len(series) + 1) for place in range(len(groups))]
        pairs = [(place, group[one.name]) for place, (_, group) in zip(places, groups, strict=True)]
        shown = [(place, value) for place, value in pairs if value is not None]
        axes.barh(
            [place for place, _ in shown],
            [value - 1 for _, value in shown],
            height=0.9 / (len(series) + 1),
            left=1,
            color=one.colour,
            label=one.name,
        )
        for place, value in shown:
            right = value >= NEARLY_ONE
            axes.annotate(
                number(value),
                (max(value, 1) if right else value, place),
                xytext=(4 if right else -4, 0),
                textcoords="offset points",
                ha="left" if right else "right",
                va="center",
                fontsize=8,
            )
    axes.axvline(1, color="black", linewidth=1)
    name_groups(axes, [name for name, _ in groups])
    low, high = min([1, *values]), max([1, *values])
    room = (high / low) ** 0.12
    axes.set_xlim(low / (room if low < NEARLY_ONE else 1.05), high * room)
    label_ratios(axes.xaxis, axes.get_xlim())


def name_groups(axes: Axes, names: Sequence[str]) -> None:
    """The names of the groups, from above to below."""
    axes.set_yticks(range(len(names)), [textwrap.fill(name, LONGEST_NAME) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")


def label_ratios(axis: Axis, limits: tuple[float, float]) -> None:
    """Plain numbers at some places of a logarithmic axis."""
    low, high = limits
    coarse, fine = ([tick for tick in ticks if low <= tick <= high] for ticks in (TICKS, FINE_TICKS))
    axis.set_major_locator(FixedLocator(fine if len(coarse) < FEWEST_TICKS else coarse))
    axis.set_major_formatter(FuncFormatter(plain))
    axis.set_minor_locator(NullLocator())


def plain(value: float, _: int | None = None) -> str:
    """A number at an axis."""
    return f"{value:g}"


def thousands(value: float, _: int | None = None) -> str:
    """A large number at an axis."""
    return f"{value:,.0f}"


def bars(
    title: str, axis: str, groups: Sequence[tuple[str, Mapping[str, float | None]]], series: Sequence[Series]
) -> Figure:
    """A picture of groups of bars."""
    figure = Figure(figsize=(WIDTH, 1.3 + BAR * (len(series) + 1) * len(groups)), layout="constrained")
    axes = figure.add_subplot()
    draw_ratios(axes, groups, series)
    axes.set_xlabel(axis)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    figure.legend(loc="outside lower left", ncols=len(series), frameon=False)
    return figure


def beside_bare(results: Results) -> Figure:
    """What the operations cost, in bare operations."""
    groups: list[tuple[str, Mapping[str, float | None]]] = []
    for key in BESIDE_BARE:
        line = ROWS[key].lines[0]
        ratios = {SMMAP.name: pooled(results, key, line.smmap, line.bare)}
        ratios |= {one.name: results.ratio(key, one.name, line.ours, line.bare) for one in OURS}
        groups.append((page.name_of(ROWS[key], line).replace("`", ""), ratios))
    return bars(
        "What an operation costs: shorter is better",
        "times the bare operation (the line at 1)",
        groups,
        (SMMAP, *OURS),
    )


def beside_smmap(results: Results) -> Figure:
    """How many times smmap's speed."""
    groups = [
        (
            page.name_of(row, line).replace("`", ""),
            {one.name: results.ratio(row.key, one.name, line.smmap, line.ours) for one in OURS},
        )
        for row in ROWS.values()
        for line in row.lines
        if line.smmap is not None and row.unit == "second" and row.key not in {"threads", "miss curve"}
    ]
    measured = [group for group in groups if any(value is not None for value in group[1].values())]
    return bars("Speed beside smmap: longer is better", "times smmap (the line at 1)", measured, OURS)


@dataclass(frozen=True)
class Curve:
    """One line of a picture; a point that was not measured is left out."""

    series: Series
    points: Mapping[float, float | None]


def draw_curves(axes: Axes, curves: Iterable[Curve]) -> None:
    """Lines with a mark at each point."""
    for curve in curves:
        shown = {x: y for x, y in curve.points.items() if y is not None}
        axes.plot(
            list(shown),
            list(shown.values()),
            color=curve.series.colour,
            marker=curve.series.marker,
            markersize=5,
            label=curve.series.name,
        )


def name_places(axes: Axes, names: Mapping[float, str]) -> None:
    """A logarithmic axis to the right, labelled where there are points."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(names), list(names.values()))
    axes.xaxis.set_minor_locator(NullLocator())


def ratios_upwards(axes: Axes) -> None:
    """A logarithmic axis upwards, with plain numbers."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low / 1.1, high * 1.1)
    label_ratios(axes.yaxis, axes.get_ylim())


def misses(results: Results) -> Figure:
    """What a miss costs over the number of live windows."""
    row, unit = "miss curve", f"bare {CURVE[0]}"
    figure = Figure(figsize=(WIDTH, 4), layout="constrained")
    axes = figure.add_subplot()
    curves = [Curve(SMMAP, {live: pooled(results, row, f"smmap {live}", unit) for live in CURVE})]
    curves += [Curve(one, {live: results.ratio(row, one.name, f"ours {live}", unit) for live in CURVE}) for one in OURS]
    curves.append(Curve(BARE, {live: pooled(results, row, f"bare {live}", unit) for live in CURVE}))
    draw_curves(axes, curves)
    name_places(axes, {live: f"{live:,}" for live in CURVE})
    ratios_upwards(axes)
    axes.set_xlabel("live windows")
    axes.set_ylabel(f"times a bare miss among {CURVE[0]}")
    axes.set_title("What a miss costs: lower is better", loc="left", fontsize=11)
    axes.legend(frameon=False)
    return figure


def threads(results: Results) -> Figure:
    """Moves in a second, by all threads together."""
    row, unit = "threads", "smmap 1"
    figure = Figure(figsize=(WIDTH, 4), layout="constrained")
    axes = figure.add_subplot()
    curves = [Curve(SMMAP, {count: pooled(results, row, unit, f"smmap {count}") for count in COUNTS})]
    curves += [
        Curve(one, {count: results.ratio(row, one.name, unit, f"ours {count}") for count in COUNTS}) for one in OURS
    ]
    draw_curves(axes, curves)
    name_places(axes, {count: str(count) for count in COUNTS})
    axes.set_ylim(bottom=0)
    axes.set_xlabel("threads, with a cursor each")
    axes.set_ylabel("all threads, times smmap in one")
    axes.set_title("Moves among 64 windows: higher is better", loc="left", fontsize=11)
    axes.legend(frameon=False)
    return figure


def windows(results: Results) -> Figure:
    """What the size of a window costs."""
    figure = Figure(figsize=(WIDTH, 7), layout="constrained")
    upper, lower = figure.subplots(2, 1).flatten().tolist()
    for axes, row, title in (
        (upper, "windows", "Scan of 256 MiB, room for four windows"),
        (lower, "random windows", "Random 4 KiB of 1 GiB, room for 64 MiB"),
    ):
        assert isinstance(axes, Axes)
        sizes = {size: name for name, size in SCAN_WINDOWS.items() if name in ROWS[row].contestants}
        draw_curves(
            axes,
            [
                Curve(one, {size: results.ratio(row, one.name, name, "one map") for size, name in sizes.items()})
                for one in OURS
            ],
        )
        axes.axhline(1, color="black", linewidth=1)
        name_places(
            axes, {size: name.replace(" ", "\n").replace("1024\nMiB", "1\nGiB") for size, name in sizes.items()}
        )
        ratios_upwards(axes)
        axes.set_xlabel("bytes of a window")
        axes.set_ylabel("times one map of the whole file")
        axes.set_title(title, loc="left", fontsize=11)
        axes.legend(frameon=False)
    return figure


def storage(results: Results) -> Figure:
    """Reads in a second of bytes that are not in memory, by all threads together."""
    figure = Figure(figsize=(WIDTH, 7), layout="constrained")
    upper, lower = figure.subplots(2, 1).flatten().tolist()
    for axes, row, title in (
        (upper, SLOW, "Storage that answers after 10 ms"),
        (lower, LOCAL, "A local disk, random 4 KiB"),
    ):
        assert isinstance(axes, Axes)
        # Storage is slow whatever the build is.
        curves = [(SMMAP, "smmap", "pure"), (PREAD, "os.pread", "pure"), (ONE_MAP, "one map", "pure")]
        curves += [(one, "ours", one.name) for one in OURS]
        draw_curves(
            axes,
            [
                Curve(
                    series,
                    {
                        threads: None if seconds is None else 1 / seconds
                        for threads in STORAGE_THREADS
                        for seconds in [results.figure(row, build, name_of(who, threads))]
                    },
                )
                for series, who, build in curves
            ],
        )
        name_places(axes, {threads: str(threads) for threads in STORAGE_THREADS})
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(thousands))
        axes.set_xlabel("threads")
        axes.set_ylabel("reads in a second")
        axes.set_title(f"{title}: higher is better", loc="left", fontsize=11)
        axes.legend(frameon=False)
    return figure


DRAWN: Final[Mapping[str, Callable[[Results], Figure]]] = {
    "beside-bare": beside_bare,
    "beside-smmap": beside_smmap,
    "misses": misses,
    "storage": storage,
    "threads": threads,
    "windows": windows,
}


def save(figure: Figure, path: Path, results: str) -> None:
    """Write a picture without anything that changes from run to run; it tells which results it shows."""
    metadata = {"Date": None, "Creator": "python -m benchmarks.plot", "Identifier": results}
    figure.savefig(path, metadata=metadata if path.suffix == ".svg" else None)


def main(folder: Path = PICTURES, suffix: str = ".svg") -> None:
    """Draw everything."""
    results, digest = page.load(), page.digest()
    folder.mkdir(parents=True, exist_ok=True)
    with style.context(STYLE):
        for name, draw in DRAWN.items():
            save(draw(results), folder / f"{name}{suffix}", digest)
    page.write(results)


if __name__ == "__main__":
    main()
