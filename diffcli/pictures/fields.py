"""Vector fields in the plane, the score above all: arrows over a density."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from diffcli.core.levels import Level

ARROW = "#c2410c"


class ScoreField(NamedTuple):
    """At a level: the density over the square from -reach to reach [G, G], and the score at some points [M, 2]."""

    level: Level
    reach: float
    density: Tensor
    points: Tensor
    score: Tensor


def score_fields_figure(rows: Mapping[str, Sequence[ScoreField]]) -> Figure:
    """Rows of score fields, columns of levels: arrows along the score, at most one step of the grid long."""
    count = len(next(iter(rows.values())))
    figure = Figure(figsize=(max(6.5, 3.1 * count), 2.95 * len(rows) + 0.65), layout="constrained")
    title = "The score ∇ log p(x) at each noise level: arrows point to where data are; blue is p(x)"
    figure.suptitle(title, wrap=True)
    axes = figure.subplots(len(rows), count, squeeze=False)
    for r, (name, fields) in enumerate(rows.items()):
        for c, field in enumerate(fields):
            ax, reach = axes[r][c], field.reach
            ends = (-reach, reach, -reach, reach)
            ax.imshow(field.density.numpy(), origin="lower", extent=ends, cmap="Blues", aspect="equal")
            draw_arrows(ax, field.points, field.score, reach, usual_length(field.score), most=1.0)
            ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
            ax.tick_params(labelsize=8)
            if r == 0:
                ratio = field.level.sigma / field.level.alpha
                ax.set_title(f"σ/α {ratio:.2g}, log SNR {field.level.log_snr:.1f}", fontsize=10)
            if c == 0:
                ax.set_ylabel(name)
    return figure


def usual_length(vectors: Tensor) -> float:
    """The length that nine of ten vectors [M, 2] stay below, for `draw_arrows` to scale by."""
    return vectors.norm(dim=1).quantile(0.9).item()


def draw_arrows(axes: Axes, points: Tensor, vectors: Tensor, reach: float, scale: float, most: float) -> None:
    """Vectors [M, 2] at points [M, 2] of a square grid from -reach to reach, as arrows.

    scale:  the length of a vector that is drawn as long as a step of the grid
    most:   the length of the longest arrow, in steps of the grid
    """
    step = 2 * reach / len(points) ** 0.5
    length = vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)
    arrows = vectors / length * (length / scale).clamp(max=most) * step
    axes.quiver(
        *points.T.numpy(), *arrows.T.numpy(), color=ARROW, angles="xy", scale_units="xy", scale=1, width=0.006
    )  # fmt: skip
