"""Figures of the forward and the reverse process, of schedules, and of how losses weigh the levels."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from matplotlib.figure import Figure, SubFigure
from torch import Tensor

from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.diffusion.walks import Step
from diffcli.core.levels import Level
from diffcli.pictures.figures import CELL, mosaic, short

WIDEST = 20.0  # the log-SNR beyond which curves are cut
SCHEDULE_STYLES, WEIGHTING_STYLES = ("-", "--"), ("-", "--", "-.")


def forward_figure(
    columns: Sequence[Tensor], times: Tensor, levels: Sequence[Level], schedule: Schedule, name: str
) -> Figure:
    """Rows of images over columns of levels, above the curves of the schedule they come from.

    columns:  for each time, images [N, C, H, W]
    """
    rows, wide = len(columns[0]), len(columns)
    figure = Figure(figsize=(max(5.0, CELL * wide + 0.6), CELL * rows + 3.1), layout="constrained")
    images, curves = cast(
        "tuple[SubFigure, SubFigure]", figure.subfigures(2, 1, height_ratios=[CELL * rows + 0.8, 2.3])
    )
    images.suptitle(f"The forward process, {name} schedule: x = α x0 + σ ε")
    titles = [
        f"t = {t:.2f}\nα {level.alpha:.3f}\nσ {level.sigma:.3f}\nSNR {short((level.alpha / level.sigma) ** 2)}"
        for t, level in zip(times, levels, strict=True)
    ]
    mosaic(images, [[column[row] for column in columns] for row in range(rows)], titles)
    _schedule_curves(curves, schedule, times)
    return figure


def _schedule_curves(figure: SubFigure, schedule: Schedule, marked: Tensor) -> None:
    """Left α and σ, right the log-SNR, over time; the marked times as vertical lines."""
    left, right = figure.subplots(1, 2)
    t = torch.linspace(0, 1, 400, dtype=torch.float64)
    along = schedule(t)
    left.plot(t, along.alpha, label="α, signal")
    left.plot(t, along.sigma, label="σ, noise")
    right.plot(t, along.log_snr.clamp(-WIDEST, WIDEST), color="tab:green", label="log SNR = log α²/σ²")
    right.axhline(0, color="grey", linewidth=0.7)
    for axes in (left, right):
        axes.set_xlabel("t (0 data, 1 noise)")
        axes.legend(loc="best", frameon=False)
        for time in marked:
            axes.axvline(float(time), color="grey", alpha=0.15)


def reverse_figure(columns: Sequence[tuple[Level, Step]], title: str) -> Figure:
    """For each image two rows, where the walk stands and its clean estimate, over columns of levels."""
    count = len(columns[0][1].x)
    figure = Figure(figsize=(max(7.5, CELL * len(columns) + 1.0), 2 * CELL * count + 0.8), layout="constrained")
    figure.suptitle(title)
    rows, names = [], []
    for i in range(count):
        rows += [[step.x[i] for _, step in columns], [step.x0[i] for _, step in columns]]
        names += ["x_t", "x0 guess"]
    titles = [f"σ {level.sigma:.2f}\nSNR {short((level.alpha / level.sigma) ** 2)}" for level, _ in columns]
    mosaic(figure, rows, titles, names)
    return figure


def schedules_figure(schedules: Mapping[str, Schedule]) -> Figure:
    """Left the log-SNR over time; right how training spreads its levels over the log-SNR."""
    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    t = torch.linspace(0, 1, 2001, dtype=torch.float64)
    uniform = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    bins = torch.linspace(-WIDEST, WIDEST, 121, dtype=torch.float64)
    for i, (name, schedule) in enumerate(schedules.items()):
        # thin over thick: vp hides linear
        style = {"linewidth": max(1.2, 3.2 - 0.25 * i), "linestyle": SCHEDULE_STYLES[i % len(SCHEDULE_STYLES)]}
        left.plot(t, schedule(t).log_snr.clamp(-WIDEST, WIDEST), label=name, **style)
        drawn = schedule(schedule.training_time(uniform)).log_snr
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
    return figure


def weightings_figure(log_snr: Tensor, curves: Mapping[str, Tensor], density: Tensor, schedule: str) -> Figure:
    """Left the weights themselves; right what is minimised, weight times density of the levels drawn, 1 at log-SNR 0.

    curves:   weighting -> weight of the squared error of eps at each log-SNR, [N]
    density:  of the levels that training draws, [N]
    """
    figure = Figure(figsize=(11.5, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, (name, curve) in enumerate(curves.items()):
        style = {
            "color": f"C{i}",
            "linestyle": WEIGHTING_STYLES[i % len(WEIGHTING_STYLES)],
            "linewidth": 3.4 if name == "vlb" else 1.7,
        }
        left.plot(log_snr, curve.clamp(min=1e-12), label=name, **style)
        product = curve * density
        right.plot(log_snr, product / product[int(log_snr.abs().argmin())], label=name, **style)
    left.set_yscale("log")
    left.set_ylim(1e-5, 1e5)
    left.set_title("weight of the squared error of ε in the loss of one draw", fontsize=10)
    right.set_title(
        f"times the density of the levels that {schedule} draws,\n1 at log SNR 0: what training minimises", fontsize=10
    )
    right.set_yscale("log")
    right.set_ylim(1e-4, 1e4)
    for ax in (left, right):
        ax.set_xlabel("log SNR = log α²/σ²  (left noise, right data)")
        ax.grid(alpha=0.25)
    left.legend(frameon=False, fontsize=8, ncols=2)
    return figure
