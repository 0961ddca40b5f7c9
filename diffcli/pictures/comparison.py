"""Settings side by side: distance against seconds, and the same images under each."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from torch import Tensor

from diffcli.pictures.figures import show_image

CELL = 0.72  # inches of an image on the sheet
MOST_LINES = 10
MARKS = "osD^vP*X"


class Dot(NamedTuple):
    """A setting: which line it is on, its sampler, seconds, distance with standard error, and its name."""

    series: str
    sampler: str
    seconds: float
    distance: float
    error: float
    name: str


def comparison_figure(title: str, dots: Sequence[Dot], floor: float, best: Dot, features: str) -> Figure:
    """Distance against seconds, both logarithmic; what nothing beats in both is joined, and the one to take is marked.

    A line per series, or where they are many a colour per sampler.
    """
    figure = Figure(figsize=(9.0, 5.4), layout="constrained")
    axes = figure.subplots()
    many = len({dot.series for dot in dots}) > MOST_LINES
    groups = dict.fromkeys(dot.sampler if many else dot.series for dot in dots)
    for number, group in enumerate(groups):
        own = sorted((d for d in dots if (d.sampler if many else d.series) == group), key=lambda d: d.seconds)
        axes.errorbar(
            [d.seconds for d in own], [d.distance for d in own], [d.error for d in own],
            marker=MARKS[number % len(MARKS)], markersize=5, linewidth=0.0 if many else 1.2, elinewidth=0.8, capsize=2,
            label=group,
        )  # fmt: skip
    front = pareto(dots)
    axes.plot(
        [d.seconds for d in front], [d.distance for d in front], color="black", linewidth=5, alpha=0.12, zorder=0,
        label="nothing is better and faster",
    )  # fmt: skip
    axes.axhline(floor, color="#6b7280", linestyle="--", linewidth=1, label="as many real images")
    axes.plot([best.seconds], [best.distance], "o", markersize=15, markerfacecolor="none", color="black")
    axes.set(xscale="log", yscale="log", xlabel="seconds", ylabel=f"Fréchet distance, {features}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, which="major", color="#e5e7eb", linewidth=0.6)
    axes.set_title(f"{title}\ntake {best.name}", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def pareto(dots: Sequence[Dot]) -> list[Dot]:
    """Those that no other beats in both seconds and distance, by seconds."""
    front: list[Dot] = []
    for dot in sorted(dots, key=lambda d: (d.seconds, d.distance)):
        if not front or dot.distance < front[-1].distance:
            front.append(dot)
    return front


def sheet_figure(title: str, rows: Sequence[Sequence[Tensor]], names: Sequence[str]) -> Figure:
    """Images [C, H, W] in rows, a setting each, the same image below itself."""
    columns = max(map(len, rows))
    close = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.01, wspace=0, hspace=0)
    figure = Figure(figsize=(2.2 + CELL * columns, 0.5 + CELL * len(rows)), layout=close)
    figure.suptitle(title, fontsize=9)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, row, name in zip(axes, rows, names, strict=True):
        for cell, image in zip(line, row, strict=True):
            show_image(cell, image)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=7, labelpad=6)
    return figure


Table = Mapping[str, Mapping[int, float]]


def table_figure(ours: Table, paper: Table, returns: Mapping[int, float], paper_returns: Mapping[int, float]) -> Figure:
    """Tables 1 and 2 of DDIM as lines: ours, the paper's, and the errors of images that went to noise and back."""
    figure = Figure(figsize=(11.0, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for axes, rows, title in (
        (left, ours, "table 1, this model"), (middle, paper, "table 1, the paper (FID, CIFAR-10)"),
    ):  # fmt: skip
        for mark, (eta, row) in zip(MARKS, rows.items(), strict=False):
            axes.plot(list(row), list(row.values()), marker=mark, markersize=4, linewidth=1.2, label=f"eta {eta}")
        axes.set_title(title, fontsize=9)
        axes.set_ylabel("distance", fontsize=8)
    for errors, name in ((returns, "this model"), (paper_returns, "the paper")):
        right.plot(list(errors), list(errors.values()), marker="o", markersize=4, linewidth=1.2, label=name)
    right.set_title("table 2, an image to noise and back", fontsize=9)
    right.set_ylabel("squared error per value", fontsize=8)
    for axes in (left, middle, right):
        axes.set(xscale="log", yscale="log")
        axes.set_xlabel("steps", fontsize=8)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
        axes.tick_params(labelsize=7)
        axes.grid(visible=True, which="both", color="#e5e7eb", linewidth=0.6)
        axes.legend(frameon=False, fontsize=7)
    return figure
