"""Figures of the chain of the forward process beside the jump."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from matplotlib.figure import Figure, SubFigure
from torch import Tensor

from diffcli.core.levels import Level
from diffcli.pictures.figures import CELL, mosaic, short, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHAIN, JUMP, TRUTH = "#c2410c", "#1d4ed8", "black"
BINS = 60


class Paths(NamedTuple):
    """K numbers from the same x0 on their way, [T + 1, K] each; the times, and the law's mean and std, [T + 1]."""

    times: Tensor
    chain: Tensor
    jump: Tensor
    mean: Tensor
    std: Tensor


class Bond(NamedTuple):
    """The correlation of the noise at `reference` with that at other times: the curve, and what was measured."""

    reference: float
    times: Tensor
    truth: Tensor
    measured: Sequence[tuple[float, float]]


class Shown(NamedTuple):
    """What is left of x at a time when alpha x0 is taken away, by the chain and by the jump [N], and its true std."""

    time: float
    std: float
    chain: Tensor
    jump: Tensor


def paths_figure(path: Path, paths: Paths, bond: Bond, shown: Sequence[Shown], title: str) -> None:
    """Above the paths of the chain, those of the jump, and how much a time knows of another; below the laws."""
    figure = Figure(figsize=(11.5, 7.2), layout="constrained")
    figure.suptitle(title)
    above, below = cast("tuple[SubFigure, SubFigure]", figure.subfigures(2, 1, height_ratios=[1.25, 1.0]))
    left, middle, right = above.subplots(1, 3)
    _paths(left, paths, paths.chain, CHAIN, "chain: a walk, new noise at every step")
    _paths(middle, paths, paths.jump, JUMP, "jump: one ε for all times, a smooth curve")
    _bond(right, bond)
    axes = below.subplots(1, len(shown), squeeze=False)[0]
    for ax, one in zip(axes, shown, strict=True):
        _histograms(ax, one)
    axes[0].set_ylabel("density")
    axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    write_figure(figure, path)


def _paths(ax: "Axes", paths: Paths, walked: Tensor, color: str, title: str) -> None:
    low, high = paths.mean - 2 * paths.std, paths.mean + 2 * paths.std
    ax.fill_between(paths.times, low, high, color="0.9", label="α x0 ± 2σ")
    ax.plot(paths.times, paths.mean, color=TRUTH, linewidth=1, linestyle="--", label="α x0")
    ax.plot(paths.times, walked, color=color, linewidth=0.7, alpha=0.85)
    reach = torch.cat([paths.chain.flatten(), paths.jump.flatten(), low, high])
    margin = 0.05 * float(reach.max() - reach.min())
    ax.set(xlabel="t (0 data, 1 noise)", ylabel="x at t", xlim=(0, 1))
    ax.set_ylim(float(reach.min()) - margin, float(reach.max()) + 5 * margin)
    ax.set_title(title, fontsize=10)
    ax.legend(frameon=False, fontsize=8, loc="upper left", ncols=2)


def _bond(ax: "Axes", bond: Bond) -> None:
    ax.plot(bond.times, bond.truth, color=TRUTH, linewidth=1, label="chain, exact")
    ax.plot(*zip(*bond.measured, strict=True), "o", color=CHAIN, markersize=5, label="chain, measured")
    ax.axhline(1, color=JUMP, linewidth=1.5, label="jump: always 1")
    ax.axvline(bond.reference, color="grey", linewidth=0.7, linestyle=":")
    ax.set(xlabel="t (0 data, 1 noise)", ylabel="correlation", xlim=(0, 1.02), ylim=(0, 1.4))
    ax.set_title(f"noise at t and noise at {bond.reference:.2f}", fontsize=10)
    ax.legend(frameon=False, fontsize=8, loc="upper center", ncols=2)


def _histograms(ax: "Axes", one: Shown) -> None:
    reach = 4 * one.std
    bins = torch.linspace(-reach, reach, BINS + 1, dtype=torch.float64).tolist()
    looks = (("chain", one.chain, CHAIN), ("jump", one.jump, JUMP))
    for name, values, color in looks:
        ax.hist(values.numpy(), bins=bins, density=True, histtype="step", color=color, label=name)
    x = torch.linspace(-reach, reach, 300, dtype=torch.float64)
    law = torch.distributions.Normal(0.0, one.std)
    ax.plot(x, law.log_prob(x).exp(), color=TRUTH, linewidth=1, label="N(0, σ²)")
    ax.set(xlabel="x − α x0", xlim=(-reach, reach))
    ax.set_title(f"t = {one.time:.2f}, σ {one.std:.3g}", fontsize=10)


def images_figure(
    path: Path, rows: Mapping[str, Sequence[Tensor]], times: Sequence[float], levels: Sequence[Level], title: str
) -> None:
    """Rows of an image [C, H, W] on its way, by name, over columns of times; shown at unit length."""
    figure = Figure(figsize=(max(6.0, CELL * len(times) + 0.8), CELL * len(rows) + 1.2), layout="constrained")
    figure.suptitle(title)
    shown = [[x / torch.hypot(*level) for x, level in zip(row, levels, strict=True)] for row in rows.values()]
    ratios = [short((level.alpha / level.sigma) ** 2) for level in levels]
    heads = [f"t = {t:.2f}\nSNR {ratio}" for t, ratio in zip(times, ratios, strict=True)]
    mosaic(figure, shown, heads, list(rows))
    write_figure(figure, path)
