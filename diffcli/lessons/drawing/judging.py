"""Pictures by which draws are judged: how far they are from their law, what they weigh, and how chains remember."""

import math

import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from diffcli.core.processes.laws.line import Law
from diffcli.core.processes.laws.plane import TableLaw
from diffcli.metrics.statistics import autocorrelation

LAW, DRAWS, ACCENT = "#111827", "#60a5fa", "#c2410c"
BAND = 1.358
"""√n times Kolmogorov's distance that true draws stay below 95 times in 100."""


def bars(ax: Axes, heights: Tensor, label: str | None = None) -> None:
    """One bar per entry of a table; an area where they would be too many."""
    if len(heights) > 200:
        ax.fill_between(range(len(heights)), heights.numpy(), step="mid", color=DRAWS, linewidth=0, label=label)
    else:
        ax.bar(range(len(heights)), heights.tolist(), color=DRAWS, label=label)


def deviation(ax: Axes, law: Law, points: Tensor, shares: Tensor, count: float) -> None:
    """How far the draws are from the law, beside how far true ones may be."""
    if isinstance(law, TableLaw):
        found = torch.zeros(len(law.p)).double().index_add(0, points[:, 0].long(), shares)
        error = (law.p * (1 - law.p) / count).sqrt()
        bars(ax, (found - law.p) / error)
        for height in (-2.0, 2.0):
            ax.axhline(height, color=ACCENT, linestyle="--", linewidth=1)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set(xlabel="place in the table", ylabel="share − probability, in standard errors")
        ax.set_title("error; 95 of 100 lie within the lines", fontsize=10)
        return
    u = law.cdf(points)
    for i in range(law.dim):
        ordered, order = u[:, i].sort()
        ax.plot(ordered, shares[order].cumsum(0) - ordered, linewidth=1.2, color=(DRAWS, LAW)[i], label=f"u{i + 1}")
    reach = BAND / math.sqrt(count)
    for height in (-reach, reach):
        ax.axhline(height, color=ACCENT, linestyle="--", linewidth=1)
    ax.set(ylim=(-2 * reach, 2 * reach), xlabel="u = F(x) of the law", ylabel="share of draws below − u")
    ax.set_title("error; 95 of 100 samples stay within the lines", fontsize=10)
    if law.dim == 2:
        ax.legend(frameon=False, fontsize=9, ncols=2)


def weights(ax: Axes, law: Law, points: Tensor, log_weights: Tensor) -> None:
    """What draws weigh: p / q over x on the line, how it is spread in the plane."""
    heavy = log_weights.exp()
    ax.set_title(f"weights p/q: mean {heavy.mean():.3g}, largest {heavy.max():.3g}", fontsize=10)
    if law.dim == 1:
        ax.plot(points[:2000, 0], heavy[:2000], ".", markersize=3, color=DRAWS)
        ax.set(xlabel="place in the table" if law.discrete else "x", ylabel="weight p/q", ylim=(0, None))
        return
    ax.hist(heavy.numpy(), bins=60, color=DRAWS)
    ax.set(xlabel="weight p/q", ylabel="draws", yscale="log")


def trace(ax: Axes, law: Law, x: Tensor, moves: int = 400) -> None:
    """The first moves of two chains [S, C, D], in the last coordinate of all."""
    values = x[:moves, :2, -1]
    for chain, colour in zip(values.T, (DRAWS, LAW), strict=False):
        ax.plot(chain, color=colour, linewidth=0.9)
    name = "place in the table" if law.discrete else ("x", "x2")[law.dim - 1]
    ax.set(xlabel="move after burn-in", ylabel=name)
    if law.discrete:
        ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.set_title(f"{values.shape[1]} of {x.shape[1]} chains" if x.shape[1] > 1 else "the chain")


def memory(ax: Axes, law: Law, x: Tensor, time: float) -> None:
    """The autocorrelation of chains [S, C, D] and of their squares about the mean."""
    values = law.worth(x.flatten(0, 1)).reshape(x.shape)
    lags = int(min(len(x) - 1, max(10, 4 * time if math.isfinite(time) else 100)))
    for i in range(x.shape[2]):
        name = "x" if x.shape[2] == 1 else f"x{i + 1}"
        kinds = ((values, name), ((values - values.mean((0, 1))) ** 2, f"({name} − mean)²"))
        for (kind, label), style in zip(kinds, ("-", "--"), strict=True):
            rho = autocorrelation(kind[..., i])[: lags + 1]
            ax.plot(rho, style, marker="." if lags < 40 else None, color=(DRAWS, LAW)[i], label=label)
    ax.axhline(0, color="grey", linewidth=0.7)
    ax.set(xlabel="lag in moves", ylabel="autocorrelation", ylim=(None, 1.05))
    ax.set_title(f"memory: autocorrelation time {time:.3g} moves")
    ax.legend(frameon=False, fontsize=9, loc="upper right")
