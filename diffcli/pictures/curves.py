"""Plots of schedules and fields."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.levels import Level
from diffcli.pictures.figures import write_figure

WIDEST = 20.0  # the log-SNR beyond which curves are cut
STYLES = ("-", "--")


def schedules_figure(path: Path, schedules: Mapping[str, Schedule]) -> None:
    """Left the log-SNR over time; right how training spreads its levels over the log-SNR."""
    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    t = torch.linspace(0, 1, 2001, dtype=torch.float64)
    uniform = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    bins = torch.linspace(-WIDEST, WIDEST, 121, dtype=torch.float64)
    for i, (name, schedule) in enumerate(schedules.items()):
        style = {"linewidth": max(1.2, 3.2 - 0.25 * i), "linestyle": STYLES[i % 2]}  # thin over thick: vp hides linear
        left.plot(t, schedule(t).log_snr.clamp(-WIDEST, WIDEST), label=name, **style)
        drawn = schedule(schedule.trained(uniform)).log_snr
        share = torch.histogram(drawn[drawn.isfinite()], bins).hist / len(drawn) / bins.diff()
        right.plot((bins[1:] + bins[:-1]) / 2, share, label=name, **style)
    left.set_xlabel("t (0 data, 1 noise)")
    left.set_ylabel("log SNR = log α²/σ²")
    left.axhline(0, color="grey", linewidth=0.7)
    left.set_title("signal against noise over time")
    right.set_xlabel("log SNR = log α²/σ²  (left noise, right data)")
    right.set_ylabel("density of the levels that training draws")
    right.set_ylim(0, 0.19)
    right.set_title("where each schedule spends its time")
    right.legend(frameon=False, fontsize=9)
    write_figure(figure, path)


class Field(NamedTuple):
    """At a level: the density over the square from -reach to reach [G, G], and the score at some points [M, 2]."""

    level: Level
    reach: float
    density: Tensor
    points: Tensor
    score: Tensor


def score_figure(path: Path, rows: Mapping[str, Sequence[Field]]) -> None:
    """Rows of score fields, columns of levels: arrows along the score, at most one step of the grid long."""
    count = len(next(iter(rows.values())))
    figure = Figure(figsize=(max(6.5, 3.1 * count), 2.95 * len(rows) + 0.65), layout="constrained")
    figure.suptitle("The score ∇ log p(x) at each noise level: arrows point to where data are; blue is p(x)")
    axes = figure.subplots(len(rows), count, squeeze=False)
    for r, (name, fields) in enumerate(rows.items()):
        for c, field in enumerate(fields):
            ax, reach = axes[r][c], field.reach
            ends = (-reach, reach, -reach, reach)
            ax.imshow(field.density.numpy(), origin="lower", extent=ends, cmap="Blues", aspect="equal")
            step = 2 * reach / len(field.points) ** 0.5
            length = field.score.norm(dim=1, keepdim=True)
            arrows = field.score / length * (length / length.quantile(0.9)).clamp(max=1) * step
            ax.quiver(
                *field.points.T.numpy(),
                *arrows.T.numpy(),
                color="#c2410c",
                angles="xy",
                scale_units="xy",
                scale=1,
                width=0.006,
            )
            ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
            ax.tick_params(labelsize=8)
            if r == 0:
                ratio = field.level.sigma / field.level.alpha
                ax.set_title(f"σ/α {ratio:.2g}, log SNR {field.level.log_snr:.1f}", fontsize=10)
            if c == 0:
                ax.set_ylabel(name)
    write_figure(figure, path)
