"""Figures of the chain of the forward process beside the jump."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from PIL import Image
from torch import Tensor

from diffcli.core.levels import chain as steps_up
from diffcli.core.levels import correlation
from diffcli.core.randomness import keyed
from diffcli.lessons.gaussians.noising.walk import ChainBesideJump, noise_correlations
from diffcli.pictures.figures import CELL, mosaic, short
from diffcli.pictures.points import row
from diffcli.sampling.planes import PlanarData

CHAIN, JUMP, TRUTH = "#c2410c", "#1d4ed8", "black"
BINS = 60
LINES = 6  # paths
MOST_IMAGES = 2  # of which each has two rows


def paths_figure(walk: ChainBesideJump, stops: Sequence[int], title: str) -> Figure:
    """Above the paths of the chain, the jump's, and how much a time knows of another; below the laws at stops."""
    figure = Figure(figsize=(11.5, 7.2), layout="constrained")
    figure.suptitle(title)
    above, below = cast("tuple[SubFigure, SubFigure]", figure.subfigures(2, 1, height_ratios=[1.25, 1.0]))
    left, middle, right = above.subplots(1, 3)
    paths = some_paths(walk)
    _paths(left, paths, paths.chain, CHAIN, "chain: a walk, new noise at every step")
    _paths(middle, paths, paths.jump, JUMP, "jump: one ε for all times, a smooth curve")
    _correlation(right, walk)
    axes = below.subplots(1, len(stops), squeeze=False)[0]
    for ax, stop in zip(axes, stops, strict=True):
        _histograms(ax, walk, stop)
    axes[0].set_ylabel("density")
    axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    return figure


class Paths(NamedTuple):
    """K numbers from the same x0 on their way, [T + 1, K] each; the times, and the law's mean and std, [T + 1]."""

    times: Tensor
    chain: Tensor
    jump: Tensor
    mean: Tensor
    std: Tensor


def some_paths(walk: ChainBesideJump) -> Paths:
    """A few numbers on their way from the same x0, the greatest there is."""
    levels, start = walk.levels, walk.x0.max().expand(LINES)
    noises = torch.randn(len(levels), LINES, generator=keyed(walk.seed, "paths"), dtype=torch.float64)
    alpha, sigma = (torch.stack(parts) for parts in zip(*levels, strict=True))
    by_chain = torch.stack([start, *steps_up(start, levels, lambda step: noises[step])])
    by_jump = torch.stack([level.noised(start, noises[-1]) for level in levels])
    return Paths(torch.linspace(0, 1, len(levels)).double(), by_chain, by_jump, alpha * start[0], sigma)


def _paths(ax: Axes, paths: Paths, walked: Tensor, color: str, title: str) -> None:
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


def _correlation(ax: Axes, walk: ChainBesideJump) -> None:
    """How the noise at the middle stop correlates with that at all other times."""
    levels, middle = walk.levels, walk.middle
    reference = walk.time(middle)
    pairs = [(levels[min(i, middle)], levels[max(i, middle)]) for i in range(1, len(levels))]
    truth = torch.stack([correlation(s, t) for s, t in pairs])
    measured = [(pair.s if pair.t == reference else pair.t, pair.chain) for pair in noise_correlations(walk)]
    ax.plot(torch.arange(1, len(levels)) / (len(levels) - 1), truth, color=TRUTH, linewidth=1, label="chain, exact")
    ax.plot(*zip(*measured, strict=True), "o", color=CHAIN, markersize=5, label="chain, measured")
    ax.axhline(1, color=JUMP, linewidth=1.5, label="jump: always 1")
    ax.axvline(reference, color="grey", linewidth=0.7, linestyle=":")
    ax.set(xlabel="t (0 data, 1 noise)", ylabel="correlation", xlim=(0, 1.02), ylim=(0, 1.4))
    ax.set_title(f"noise at t and noise at {reference:.2f}", fontsize=10)
    ax.legend(frameon=False, fontsize=8, loc="upper center", ncols=2)


def _histograms(ax: Axes, walk: ChainBesideJump, stop: int) -> None:
    """What is left of x when alpha x0 is taken away, by the chain and by the jump, and its law."""
    sigma = walk.levels[stop].sigma
    std = sigma.item()
    reach = 4 * std
    bins = torch.linspace(-reach, reach, BINS + 1, dtype=torch.float64).tolist()
    for name, left, color in (("chain", walk.left(stop), CHAIN), ("jump", sigma * walk.eps, JUMP)):
        ax.hist(left.flatten().numpy(), bins=bins, density=True, histtype="step", color=color, label=name)
    x = torch.linspace(-reach, reach, 300, dtype=torch.float64)
    law = torch.distributions.Normal(0.0, std)
    ax.plot(x, law.log_prob(x).exp(), color=TRUTH, linewidth=1, label="N(0, σ²)")
    ax.set(xlabel="x − α x0", xlim=(-reach, reach))
    ax.set_title(f"t = {walk.time(stop):.2f}, σ {std:.3g}", fontsize=10)


def images_figure(walk: ChainBesideJump) -> Figure:
    """Some images on their way, by the chain and by the jump, over columns of times; shown at unit length."""
    stops = list(walk.chain)
    levels, times = [walk.levels[0], *(walk.levels[stop] for stop in stops)], [0.0, *map(walk.time, stops)]
    rows = {}
    for i in range(min(MOST_IMAGES, len(walk.x0))):
        rows[f"chain {i + 1}"] = [walk.x0[i], *(walk.chain[stop][i] for stop in stops)]
        rows[f"jump {i + 1}"] = [walk.x0[i], *(walk.jump(stop)[i] for stop in stops)]
    figure = Figure(figsize=(max(6.0, CELL * len(times) + 0.8), CELL * len(rows) + 1.2), layout="constrained")
    figure.suptitle("Each image twice: by the chain its grain changes, by the jump it only grows")
    shown = [[x / torch.hypot(*level) for x, level in zip(images, levels, strict=True)] for images in rows.values()]
    ratios = [short((level.alpha / level.sigma) ** 2) for level in levels]
    heads = [f"t = {t:.2f}\nSNR {ratio}" for t, ratio in zip(times, ratios, strict=True)]
    mosaic(figure, shown, heads, list(rows))
    return figure


def points_sheet(walk: ChainBesideJump, plane: PlanarData, stops: Sequence[int]) -> Image.Image:
    """Two rows of points over the density at some levels, by the chain and by the jump."""
    strips = []
    for name, at in (("chain", walk.chain.__getitem__), ("jump", walk.jump)):
        panels = plane.panels([(walk.levels[stop], at(stop)) for stop in stops])
        strips.append(row(panels, title=f"{name}: points over the density at their level", side=2.6))
    sheet = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)), "white")
    sheet.paste(strips[0], (0, 0))
    sheet.paste(strips[1], (0, strips[0].height))
    return sheet
