"""Plots of annealed importance sampling."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from diffcli.core.processes.montecarlo.unnormalised import Unnormalised
from diffcli.lessons.annealing.walks import Climb, KeptChains
from diffcli.lessons.annealing.weights import Closing

AIS, BACK, PLAIN, TRUTH = "#1d4ed8", "#c2410c", "#6b7280", "black"
CELLS, DOTS = 80, 1000  # of the chains' picture: points along a side of the density, chains


class LogWeights(NamedTuple):
    """Log-weights of the run upwards [B], minus those of the run downwards [B], and those of plain sampling [N]."""

    up: Tensor
    down: Tensor
    plain: Tensor


def ais_figure(truth: float, weights: LogWeights, climb: Climb, closings: Sequence[Closing]) -> Figure:
    """The log-weights, the ladder, what is gained on it, and the bounds over the number of temperatures."""
    figure = Figure(figsize=(12.0, 8.4), layout="constrained")
    (first, second), (third, fourth) = figure.subplots(2, 2)
    _histograms(first, truth, weights)
    _sandwich(second, truth, closings)
    _ladder(third, climb)
    _growth(fourth, truth, climb)
    return figure


def _histograms(axes: Axes, truth: float, weights: LogWeights) -> None:
    """Each as a share of its draws; of plain sampling's only the best are in sight."""
    ends = torch.cat([weights.up, weights.down])
    ends = ends[ends.isfinite()].quantile(torch.tensor([0.002, 0.998], dtype=torch.float64))
    low, high = min(ends[0].item(), truth) - 3, max(ends[1].item(), truth) + 3
    low -= 0.6 * (high - low)
    bins = torch.linspace(low, high, 81, dtype=torch.float64)
    named = (
        ("plain importance sampling", weights.plain, PLAIN, 0.55),
        ("AIS, upwards", weights.up, AIS, 0.6),
        ("AIS, downwards (minus log w)", weights.down, BACK, 0.45),
    )
    for name, values, color, alpha in named:
        inside = values[(values >= low) & (values <= high)]
        share = torch.histogram(inside, bins).hist / len(values)
        missed = 1 - len(inside) / len(values)
        label = f"{name}: {100 * missed:.4g} % out of sight" if missed > 0.005 else name
        axes.stairs(share.numpy(), bins.numpy(), fill=True, color=color, alpha=alpha, label=label)
    axes.axvline(truth, ymax=0.73, color=TRUTH, linestyle="--", linewidth=1.3, label=f"true log Z = {truth:.3f}")
    axes.set_yscale("log")
    top = axes.get_ylim()[1]
    axes.set_ylim(0.2 / max(len(weights.plain), 1), 300 * top)
    axes.set(xlabel="log-weight (nats)", ylabel="share of the draws per bin", title="How heavy the draws are")
    axes.legend(frameon=False, fontsize=9, loc="upper left")


def _sandwich(axes: Axes, truth: float, closings: Sequence[Closing]) -> None:
    counts = [c.temperatures for c in closings]
    named = (
        ("upper bound: minus mean log w, downwards", [c.upper for c in closings], BACK, "v"),
        ("log of the mean weight, upwards", [c.log_z for c in closings], AIS, "o"),
        ("lower bound: mean log w, upwards", [c.lower for c in closings], AIS, "^"),
    )
    for i, (name, values, color, marker) in enumerate(named):
        centres, errors = ([v[j] - truth * (j == 0) for v in values] for j in (0, 1))
        style = "-" if i != 1 else ":"
        axes.errorbar(counts, centres, errors, color=color, marker=marker, linestyle=style, capsize=3, label=name)
    axes.axhline(0, color=TRUTH, linestyle="--", linewidth=1.3, label="truth")
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1.0)
    axes.minorticks_off()
    axes.set_xticks(counts, [str(c) for c in counts])
    reach = max(1.0, *(abs(v) for v in axes.get_ylim()))
    axes.set_ylim(-2 * reach, 40 * reach)
    ticks = [float(10**k) for k in range(1 + math.ceil(math.log10(reach)))]
    axes.set_yticks([*(-t for t in reversed(ticks)), 0, *ticks])
    axes.grid(alpha=0.25)
    axes.set(xlabel="temperatures", ylabel="nats above the true log Z", title="Bounds over the number of temperatures")
    axes.legend(framealpha=0.9, edgecolor="none", fontsize=9, loc="upper right")


def _ladder(axes: Axes, climb: Climb) -> None:
    k = torch.arange(len(climb.betas))
    axes.plot(k, climb.betas, color=AIS, label="inverse temperature β")
    axes.plot(k[1:], climb.accepted, color="tab:green", label="share of moves accepted")
    axes.set(
        xlabel="temperature number", ylim=(0, 1.28), title="The ladder from the start (β = 0) to the target (β = 1)"
    )
    axes.set_ylabel("β, and share accepted")
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=9, loc="upper center", ncols=2)


def _growth(axes: Axes, truth: float, climb: Climb) -> None:
    """What the path costs: below it the mean log-weight, whose lag is what is lost by moving too fast."""
    k = torch.arange(1, len(climb.betas))
    axes.plot(k, climb.log_z, color=AIS, label="log of the mean weight: log Z at β")
    axes.plot(k, climb.average, color=AIS, linestyle=":", label="mean log-weight")
    axes.axhline(truth, color=TRUTH, linestyle="--", linewidth=1.3, label="true log Z at β = 1")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.32 * (high - low))
    axes.grid(alpha=0.25)
    axes.set(xlabel="temperature number", ylabel="nats", title="What is gained on the ladder")
    axes.legend(framealpha=0.9, edgecolor="none", fontsize=9, loc="upper right")


class Snapshot(NamedTuple):
    """At beta: chains in the plane [B, 2], their log-weights [B], and the density over a square, [G, G] or None.

    window:  left, right, bottom and top of the square
    """

    beta: float
    points: Tensor
    log_weight: Tensor
    window: tuple[float, float, float, float]
    density: Tensor | None

    @property
    def areas(self) -> Tensor:
        """How large the dots are: as the weights, but for the largest and the least; 4 for the mean weight."""
        return (4 * len(self.log_weight) * self.log_weight.softmax(0)).clamp(0.5, 150)


def snapshot(problem: Unnormalised, kept: KeptChains) -> Snapshot:
    """Some of the chains in the problem's plane, and the density there of the law at their temperature."""
    points = kept.x[:DOTS] @ problem.plane
    low, high = points.min(0).values, points.max(0).values
    middle, reach = (low + high) / 2, 0.6 * (high - low).max() + 0.1
    side = torch.linspace(-1, 1, CELLS, dtype=torch.float64) * reach
    density = problem.marginal(kept.beta, middle + torch.cartesian_prod(side, side))
    if density is not None:
        density = (density - density.max()).exp().reshape(CELLS, CELLS).T
    (left, bottom), (right, top) = (middle - reach).tolist(), (middle + reach).tolist()
    return Snapshot(kept.beta, points, kept.log_weight[:DOTS], (left, right, bottom, top), density)


def particles_figure(snapshots: Sequence[Snapshot]) -> Figure:
    """The chains at some temperatures, three in a row, over the marginal density of each law."""
    wide = min(3, len(snapshots))
    tall = math.ceil(len(snapshots) / wide)
    figure = Figure(figsize=(3.9 * wide, 4.0 * tall + 0.5), layout="constrained")
    figure.suptitle(
        "Chains on the way to the target, over each law's marginal density (blue)\narea of a dot: its weight"
    )
    axes = figure.subplots(tall, wide, squeeze=False).flatten()
    for i, snapshot in enumerate(snapshots):
        left, right, bottom, top = snapshot.window
        if snapshot.density is not None:
            shade = (snapshot.density / snapshot.density.max()).sqrt()
            axes[i].imshow(shade.numpy(), origin="lower", extent=snapshot.window, cmap="Blues", aspect="equal", vmin=0)
        areas = snapshot.areas.numpy()
        axes[i].scatter(*snapshot.points.T.numpy(), areas, color="#c2410c", alpha=0.55, linewidths=0)
        axes[i].set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
        axes[i].set(xlabel="first direction", ylabel="second direction")
        unknown = "" if snapshot.density is not None else " (density not known here)"
        axes[i].set_title(f"β = {snapshot.beta:.3g}{unknown}", fontsize=10)
        axes[i].tick_params(labelsize=8)
    for empty in axes[len(snapshots) :]:
        empty.set_axis_off()
    return figure
