"""Figures of Gaussians: draws over the densities that they should have."""

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from diffcli.core.processes.laws.gaussian import Normal, factored
from diffcli.lessons.gaussians.measures import Divergence
from diffcli.lessons.gaussians.operations import Operation

DRAWN, OTHER, LAW = "#c2410c", "#15803d", "#1d4ed8"
MOST = 3000  # points in a panel
RADII = (1, 2, 3)  # of ellipses, in standard deviations


def density_figure(law: Normal, draws: Tensor, deviation: float) -> Figure:
    """1-D: histogram and density. 2-D: points, ellipses at 1, 2, 3 standard deviations, and both marginals."""
    title = f"{len(draws):,} draws and their law: every mean and covariance within {deviation:.1f} standard errors"
    if len(law.mean) == 1:
        figure = Figure(figsize=(7.5, 4.6), layout="constrained")
        figure.suptitle(title, fontsize=11)
        ax = figure.subplots()
        _line(ax, law, draws, DRAWN)
        ax.legend(frameon=False, fontsize=9)
    else:
        figure = Figure(figsize=(7.2, 7.2), layout="constrained")
        figure.suptitle(title, fontsize=11)
        axes = figure.subplots(2, 2, width_ratios=[4, 1.1], height_ratios=[1.1, 4])
        _plane(axes[1][0], law, draws, DRAWN, square=False)  # its axes are those of the marginals
        reach = _reach(law)
        axes[1][0].set(xlim=reach[0], ylim=reach[1])
        axes[1][0].legend(frameon=False, fontsize=9, loc="upper left", markerscale=3)
        _line(axes[0][0], law.marginal([0]), draws[:, :1], DRAWN)
        _line(axes[1][1], law.marginal([1]), draws[:, 1:], DRAWN, turned=True)
        axes[0][0].set(xlim=reach[0], xlabel="")
        axes[1][1].set(ylim=reach[1], ylabel="")
        axes[0][1].set_axis_off()
    return figure


def algebra_figure(
    laws: tuple[Normal, Normal],
    draws: tuple[Tensor, Tensor],
    operations: Sequence[Operation],
    divergences: Mapping[str, Divergence],
) -> Figure:
    """The two Gaussians, what the operations make of them, and the divergence each way."""
    figure = Figure(figsize=(12.0, 7.8), layout="constrained")
    figure.suptitle("What is done with Gaussians: draws, and the law predicted for them")
    axes = figure.subplots(2, 3).flatten()
    flat = len(laws[0].mean) == 1
    for law, points, color, name in zip(laws, draws, (DRAWN, OTHER), ("x", "z"), strict=True):
        if flat:
            _line(axes[0], law, points, color, name=name)
        else:
            _plane(axes[0], law, points, color, name=name)
    axes[0].set_title("the two Gaussians", fontsize=10)
    axes[0].legend(frameon=False, fontsize=8, loc="best" if flat else "upper right", markerscale=3)
    for ax, operation in zip(axes[1:5], operations, strict=True):
        if len(operation.truth.mean) == 1:
            _line(ax, operation.truth, operation.draws, DRAWN)
        else:
            _plane(ax, operation.truth, operation.draws, DRAWN)
        ax.set_title(f"{operation.name}: {operation.formula}", fontsize=10)
    figure.legend(
        *axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=2, markerscale=3, frameon=False
    )
    _bars(axes[5], divergences)
    return figure


def _line(ax: Axes, law: Normal, draws: Tensor, color: str, *, name: str = "draws", turned: bool = False) -> None:
    """A histogram of draws [N, 1] and the density."""
    mean, std = law.mean.item(), law.covariance.sqrt().item()
    x = torch.linspace(mean - 4 * std, mean + 4 * std, 300, dtype=torch.float64)
    density = law.log_density(x.unsqueeze(1)).exp()
    side = "horizontal" if turned else "vertical"
    if len(draws):
        bins = torch.linspace(mean - 4 * std, mean + 4 * std, 61, dtype=torch.float64).numpy()
        inside = ((draws - mean).abs() <= 4 * std).squeeze(1)
        weights = torch.full((int(inside.sum()),), 1 / (len(draws) * 8 * std / 60)).numpy()
        shown = draws[inside, 0].numpy()
        ax.hist(shown, bins=bins, weights=weights, orientation=side, color=color, alpha=0.4, label=name)  # type: ignore[arg-type]
    curve = (density, x) if turned else (x, density)
    ax.plot(*curve, color=color if name != "draws" else LAW, linewidth=1.5, label="density")
    ax.set_xlabel("density" if turned else "x")
    ax.set_ylabel("x" if turned else "density")


def _plane(ax: Axes, law: Normal, draws: Tensor, color: str, *, name: str = "draws", square: bool = True) -> None:
    """Draws [N, 2] and the ellipses of the law."""
    few = draws[:MOST]
    size = 2.0 if len(few) > 500 else 3.5
    ax.plot(*few.T.numpy(), "o", color=color, markersize=size, markeredgewidth=0, alpha=0.35, label=name)
    for radius in RADII:
        label = "the law, at 1, 2, 3 standard deviations" if radius == RADII[0] and name == "draws" else None
        ink = LAW if name == "draws" else color
        ax.plot(*_ellipse(law, radius).T.numpy(), color=ink, linewidth=1.4, label=label)
    if square:
        ax.set_aspect("equal", adjustable="datalim")
    ax.set(xlabel="x 1", ylabel="x 2")


def _ellipse(law: Normal, radius: float) -> Tensor:
    """Where the density is that of points `radius` standard deviations off along the axes, [200, 2]."""
    angle = torch.linspace(0, 2 * math.pi, 200, dtype=torch.float64)
    variance, axes = factored(law.covariance)
    return law.mean + radius * (torch.stack([angle.cos(), angle.sin()], dim=1) * variance.sqrt()) @ axes.mT


def _reach(law: Normal) -> list[tuple[float, float]]:
    """Both axes of a picture of a law in the plane, as long as each other."""
    half = 4 * law.covariance.diagonal().max().sqrt().item()
    return [(mean - half, mean + half) for mean in law.mean.tolist()]


def _bars(ax: Axes, divergences: Mapping[str, Divergence]) -> None:
    """Each divergence three ways; the Monte Carlo estimate with two standard errors each way."""
    colors = (LAW, OTHER, DRAWN)
    for i, found in enumerate(divergences.values()):
        heights = (found.closed, found.quadrature, found.monte_carlo)
        names = ("closed form", "quadrature", "Monte Carlo ± 2 s.e.")
        for j, (name, height, color) in enumerate(zip(names, heights, colors, strict=True)):
            error = 2 * found.standard_error if j == 2 else None
            ax.bar(i + 0.27 * (j - 1), height, 0.25, color=color, yerr=error, capsize=4, label=name if i == 0 else None)
    top = max(max(found.closed, found.monte_carlo) for found in divergences.values())
    ax.set_xticks(range(len(divergences)), ["KL(x from z)", "KL(z from x)"])
    ax.set(ylabel="nats", ylim=(0, 1.35 * top or 1))
    ax.set_title("KL divergence: not the same both ways", fontsize=10)
    ax.legend(frameon=False, fontsize=8, loc="upper center", ncols=3, columnspacing=1.0, handlelength=1.2)
