"""Pictures of the variational bound, of the walks that it compares, and of likelihoods item by item."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

COLORS = {"small": "tab:orange", "large": "tab:red", "optimal": "tab:blue", "learned": "tab:green"}
PARTS = {"prior": "#9ca3af", "diffusion": "#60a5fa", "reconstruction": "#f59e0b"}


def bound_figure(
    log_snr: Tensor,
    per_step: Mapping[str, Tensor],
    terms: Mapping[str, Mapping[str, float]],
    unit: str,
    title: str,
) -> Figure:
    """Where the bits go: per step over log-SNR, their running sum from noise to data, and the three terms.

    log_snr:   at the start of each step, [T]
    per_step:  kind of variance -> cost of each step, the decoder last, [T]
    terms:     kind of variance -> prior, diffusion and reconstruction
    """
    figure = Figure(figsize=(12.0, 4.4), layout="constrained")
    figure.suptitle(title)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.2, 1.2, 1.0])
    for kind, cost in per_step.items():
        color = COLORS[kind]
        left.plot(log_snr[:-1], cost[:-1].clamp(min=1e-12), color=color, label=kind, linewidth=1.4)
        left.plot(log_snr[-1:], cost[-1:].clamp(min=1e-12), "o", color=color, markersize=5)
        summed = terms[kind]["prior"] + cost.cumsum(0)
        middle.plot(log_snr, summed, color=color, label=f"{kind}: {summed[-1]:.4g}", linewidth=1.6)
    floor = min(float(cost[:-1].quantile(0.02)) for cost in per_step.values()) if len(log_snr) > 1 else 1e-6
    left.set_yscale("log")
    left.set_ylim(bottom=max(floor / 3, 1e-8))
    left.set_title("cost of each step (dot: the decoder)", fontsize=10)
    left.set_ylabel(f"{unit} per step")
    middle.set_title("cost so far, from noise to data", fontsize=10)
    middle.set_ylabel(unit)
    for ax in (left, middle):
        ax.set_xlabel("log SNR at the start of the step  (left noise, right data)")
        ax.legend(frameon=False, fontsize=8, title="reverse variance", title_fontsize=8)
    _bars(right, terms, unit)
    return figure


def _bars(ax: Axes, terms: Mapping[str, Mapping[str, float]], unit: str) -> None:
    """Stacked bars of the three terms, a row per variance."""
    kinds = list(terms)
    base = torch.zeros(len(kinds), dtype=torch.float64)
    for part, color in PARTS.items():
        width = torch.tensor([terms[kind][part] for kind in kinds], dtype=torch.float64)
        ax.barh(kinds, width.numpy(), left=base.numpy(), color=color, label=part)
        base += width
    for place, total in enumerate(base.tolist()):
        ax.text(total, place, f" {total:.4g}", va="center", fontsize=8)
    ax.set_xlim(min(0.0, float(base.min()) * 1.2), max(float(base.max()) * 1.22, 1e-9))
    ax.set_xlabel(unit)
    ax.set_title("the three terms", fontsize=10)
    ax.invert_yaxis()
    ax.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.45, -0.16), ncols=3)


def walks_figure(log_snr: Tensor, walks: Mapping[str, Sequence[int]], costs: Mapping[str, float], unit: str) -> Figure:
    """Where several walks of as many steps stop, over log-SNR.

    log_snr:  of the levels that they choose from, [T]
    walks:    name -> places in it;  costs: name -> the bound along the walk
    """
    figure = Figure(figsize=(8.5, 0.55 * len(walks) + 1.5), layout="constrained")
    ax = figure.subplots()
    for row, (name, places) in enumerate(walks.items()):
        ax.plot(log_snr[list(places)], [row] * len(places), "|", markersize=16, markeredgewidth=1.6)
        ax.text(float(log_snr.max()) + 0.6, row, f"{costs[name]:.4g} {unit}", va="center", fontsize=9)
    ax.set_yticks(range(len(walks)), list(walks))
    ax.set_ylim(len(walks) - 0.4, -0.6)
    ax.set_xlim(float(log_snr.min()) - 0.5, float(log_snr.max()) + 5.5)
    ax.set_xlabel("log SNR  (left noise, right data)")
    ax.set_title(
        f"Where a walk of {len(next(iter(walks.values())))} steps stops, and what the bound is then", fontsize=10
    )
    ax.grid(axis="x", alpha=0.25)
    return figure


def likelihood_figure(cost: Tensor, truth: Tensor | None, unit: str, title: str) -> Figure:
    """How the cost of items is spread; beside it that of the law, item by item, where it is known.

    cost, truth:  [N]
    """
    figure = Figure(figsize=(9.6 if truth is not None else 5.6, 4.0), layout="constrained")
    figure.suptitle(title, wrap=True)
    axes = figure.subplots(1, 2 if truth is not None else 1, squeeze=False)[0]
    axes[0].hist(cost.numpy(), bins=max(5, min(40, len(cost) // 4)), color="tab:blue", alpha=0.8)
    axes[0].axvline(cost.mean().item(), color="black", linewidth=1.2, label=f"mean {cost.mean():.4g}")
    axes[0].set_xlabel(f"-log p, {unit}")
    axes[0].set_ylabel("items")
    axes[0].legend(frameon=False)
    if truth is not None:
        axes[1].plot(truth, cost - truth, ".", markersize=3)
        axes[1].axhline(0, color="black", linewidth=0.7)
        axes[1].set_xlabel(f"-log p of the law, {unit}")
        axes[1].set_ylabel(f"the flow less the law, {unit}")
    return figure
