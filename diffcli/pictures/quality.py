"""What a study of quality shows: samples, the pairs nearest to training images, classes, precision and recall."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from torch import Tensor

from diffcli.pictures.figures import show_image
from diffcli.pictures.grid import grid

SAMPLES = "#1d4ed8"
REAL = "#9ca3af"


class NearPair(NamedTuple):
    """A sample and the training image nearest to it, [C, H, W] each, and what is said of them."""

    sample: Tensor
    training: Tensor
    caption: str


class ClassBars(NamedTuple):
    """A share per class: of the samples read as asked, or as this class at all; and that of real images beside it."""

    title: str
    names: Sequence[str]
    samples: Sequence[float]
    real: Sequence[float]


class Point(NamedTuple):
    """Precision and recall, and what of."""

    name: str
    precision: float
    recall: float
    real: bool


def quality_figure(
    title: str, samples: Tensor, count: int, pairs: Sequence[NearPair], bars: ClassBars | None, points: Sequence[Point]
) -> Figure:
    """All four panels; those of which nothing is known are left out.

    samples:  images [N, C, H, W] to be shown, the first of `count`
    """
    figure = Figure(figsize=(11.0, 7.6), layout="constrained")
    figure.suptitle(title, fontsize=11)
    above, below = figure.subfigures(2, 1, height_ratios=[1.25, 1.0], squeeze=False)[:, 0]
    left, right = above.subfigures(1, 2, width_ratios=[1.15, 1.0], squeeze=False)[0]
    axes = left.subplots()
    axes.imshow(grid(samples, width=600), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(f"the first {len(samples)} of {count} samples", fontsize=9)
    shown = [bars is not None, bool(points)]
    if any(shown):
        places = list(right.subplots(1, sum(shown), width_ratios=[1.5, 1.0][: sum(shown)], squeeze=False)[0])
        if bars is not None:
            _bars(places[0], bars)
        if points:
            _points(places[-1], points)
    _pairs(below, pairs)
    return figure


def _bars(axes: Axes, bars: ClassBars) -> None:
    places = range(len(bars.names))
    axes.barh([p - 0.2 for p in places], bars.samples, height=0.38, color=SAMPLES, label="samples")
    axes.barh([p + 0.2 for p in places], bars.real, height=0.38, color=REAL, label="real")
    axes.set_yticks(list(places), [name[:12] for name in bars.names], fontsize=7 if len(bars.names) > 12 else 8)
    axes.invert_yaxis()
    least = min([*bars.samples, *bars.real])
    if max([*bars.samples, *bars.real]) > 0.7:  # shares of a class, not of all images
        axes.set_xlim(max(0.0, least - 0.05) if least > 0.7 else 0.0, 1.0)
    axes.tick_params(axis="x", labelsize=7)
    axes.set_title(bars.title, fontsize=9)
    axes.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=2)


def _points(axes: Axes, points: Sequence[Point]) -> None:
    """Recall over precision, the unit square."""
    for number, point in enumerate(points):
        colour = REAL if point.real else SAMPLES
        mark = "os^D"[number // 2 % 4]
        axes.plot([point.precision], [point.recall], mark, color=colour, markersize=7, label=point.name, alpha=0.8)
    axes.set(xlim=(0, 1.04), ylim=(0, 1.04), aspect="equal")
    axes.set_xlabel("precision", fontsize=8)
    axes.set_ylabel("recall", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.set_title("precision and recall", fontsize=9)
    axes.legend(frameon=False, fontsize=8, loc="lower left")


def _pairs(figure: FigureBase, pairs: Sequence[NearPair]) -> None:
    if not pairs:
        return
    figure.suptitle("the samples nearest to training images (above), and these images (below)", fontsize=9)
    axes = figure.subplots(2, len(pairs), squeeze=False)
    for column, pair in enumerate(pairs):
        show_image(axes[0][column], pair.sample)
        show_image(axes[1][column], pair.training)
        axes[1][column].set_xlabel(pair.caption, fontsize=7)
