"""Plots of Markov chains: where they are in the long run, how fast they forget, and a few of their trajectories."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from torch import Tensor

from diffcli.core.processes.chains.finite import Finite
from diffcli.lessons.markov.measures import FAINT, Portrait

WRITTEN = 12  # states whose names and probabilities fit into the picture
EXACT, FOUND, MARK = "tab:blue", "tab:orange", "tab:red"


def law_figure(chain: Finite, law: Tensor, share: Tensor, error: Tensor, title: str) -> Figure:
    """Left the transition matrix; right the long-run law, exact and simulated, and by how much these differ."""
    figure = Figure(figsize=(11.5, 5.0), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=[2.2, 1])
    left = figure.add_subplot(grid[:, 0])
    _matrix(left, chain)
    figure.colorbar(left.images[0], ax=left, label="probability of a step")
    upper = figure.add_subplot(grid[0, 1])
    lower = figure.add_subplot(grid[1, 1], sharex=upper)
    place = torch.arange(len(law))
    upper.bar(place, law, color=EXACT, alpha=0.45, width=0.85, label="exact")
    upper.plot(place, share, "o", color=FOUND, markersize=5 if len(law) <= 40 else 2, label="simulated")
    upper.set(ylabel="share of time", ylim=(0, 1.25 * max(law.max().item(), share.max().item())), title=title)
    upper.tick_params(labelbottom=False)
    upper.legend(frameon=False, ncols=2, loc="upper center")
    lower.errorbar(
        place, share - law, 2 * error, fmt="o", color=FOUND, markersize=4 if len(law) <= 40 else 2, capsize=2
    )
    lower.axhline(0, color=EXACT, linewidth=1)
    lower.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    lower.set(xlabel="state", ylabel="simulated - exact\n± 2 standard errors")
    _names(lower, chain.states)
    return figure


def _matrix(axes: Axes, chain: Finite) -> None:
    axes.imshow(chain.matrix, cmap="Blues", vmin=0, vmax=1, aspect="equal", interpolation="nearest")
    axes.set(xlabel="to", ylabel="from", title="transition matrix: each row is the law of the next state")
    _names(axes, chain.states)
    if len(chain.states) <= WRITTEN:
        axes.set_yticks(range(len(chain.states)), chain.states)
        for i, row in enumerate(chain.matrix.tolist()):
            for j, value in enumerate(row):
                if value > 0:
                    color = "white" if value > 0.55 else "black"
                    axes.text(j, i, f"{value:.2g}", ha="center", va="center", fontsize=8, color=color)


def _names(axes: Axes, states: Sequence[str]) -> None:
    """The names of the states below, where there is room for them."""
    if len(states) <= WRITTEN:
        long = max(map(len, states)) > 7
        axes.set_xticks(range(len(states)), [s if len(s) < 20 else f"{s[:19]}…" for s in states], rotation=40 * long)


def mixing_figure(seen: Portrait, times: Tensor, curves: Tensor, start: int, paths: Tensor) -> Figure:
    """Left the total variation over time; right a few simulated trajectories.

    times, curves:  [T], and from each start [T, S]
    paths:          states [N, K]
    """
    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = seen.chain.states
    slope = 1 - seen.gap if seen.mixing_time and 0 < seen.gap < 1 else None
    title = (
        "how far from the stationary law" if seen.law is not None else f"how far from the long run of {names[start]}"
    )
    distance_axes(left, times, _chosen_starts(seen, curves, start), seen.mixing_time, slope)
    left.set(xlabel="steps", title=title)
    shown = min(len(paths), max(40, 4 * (seen.mixing_time or 40)), 400)
    for k in range(paths.shape[1]):
        right.step(range(shown), paths[:shown, k], where="post", linewidth=1.2, alpha=0.8)
    right.set(xlabel="steps", ylabel="state", title=f"{paths.shape[1]} simulated trajectories from {names[start]}")
    right.yaxis.set_major_locator(MaxNLocator(integer=True))
    if len(names) <= WRITTEN:
        right.set_yticks(range(len(names)), names)
    return figure


def _chosen_starts(seen: Portrait, curves: Tensor, start: int) -> dict[str, Tensor]:
    """The curves [T] that are shown: from the worst start, from the one that was simulated, from the likeliest."""
    names = seen.chain.states
    chosen = {f"from {names[start]}": curves[:, start]}
    if seen.law is None:
        return chosen
    worst = curves.amax(1)
    if torch.allclose(worst, curves[:, start]):
        chosen = {f"from {names[start]}, the worst start": worst}
    else:
        chosen = {"worst start": worst, **chosen}
    if seen.likeliest != start:
        chosen[f"from {names[seen.likeliest]}"] = curves[:, seen.likeliest]
    return chosen


def distance_axes(
    axes: Axes, times: Tensor, curves: Mapping[str, Tensor], mixed: int | None, slope: float | None
) -> None:
    """Total variations over time on a logarithmic axis, the quarter, the mixing time, and the slope of the gap.

    slope:  the factor of one step, if there is one; its line touches the first curve where that is last seen
    """
    worst = next(iter(curves.values()))
    low = min([0.1, *(curve[curve > FAINT].min().item() for curve in curves.values() if (curve > FAINT).any())])
    for i, (name, curve) in enumerate(curves.items()):
        line = "-" if i < 2 else "--"
        axes.plot(times, curve.where(curve > FAINT, torch.nan), line, label=name, linewidth=2.8 - 0.8 * i)
    if slope is not None:
        anchor = int((worst > 10 * FAINT).nonzero()[-1])
        line_of_gap = worst[anchor] * slope ** (times - times[anchor]).double()
        visible = line_of_gap.where((line_of_gap < 2) & (line_of_gap > low / 2), torch.nan)
        axes.plot(times, visible, ":", color="black", label=f"slope of the gap: {slope:.4g} per step")
    axes.axhline(0.25, color="grey", linewidth=0.8)
    if mixed is not None:
        axes.axvline(mixed, color=MARK, linewidth=1, label=f"1/4 reached after {mixed}")
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(low / 2, 2)
    axes.set_ylabel("total variation")
    _legend_below(axes)
    axes.grid(alpha=0.25)


def _legend_below(axes: Axes) -> None:
    """Outside of the axes, where it hides nothing."""
    axes.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)


class Density(NamedTuple):
    """A density at places [G], and draws [N] that should have it."""

    places: Tensor
    values: Tensor
    draws: Tensor
    name: str


def bell(std: float, draws: Tensor, name: str) -> Density:
    """N(0, std²), beside draws [N]."""
    places = torch.linspace(-4, 4, 201, dtype=torch.float64) * std
    return Density(places, (-((places / std) ** 2) / 2).exp() / (std * math.sqrt(2 * math.pi)), draws, name)


def walk_figure(
    title: str,
    paths: Tensor,
    band: tuple[Tensor, Tensor] | None,
    end: Density,
    times: Tensor,
    curves: Mapping[str, Tensor],
    mixed: Mapping[str, int | None],
) -> Figure:
    """Left trajectories of numbers with a band of two standard deviations, and their ends; right distances over time.

    paths:   [N, K]
    band:    mean and standard deviation over time [N]
    curves:  by name, over times [T]; those with KL in their name in nats
    """
    figure = Figure(figsize=(12.0, 4.8), layout="constrained")
    figure.suptitle(title)
    left, side, right = figure.subplots(1, 3, width_ratios=[3.2, 1.1, 4.0])
    _trajectories(left, side, paths, band, end)
    _distances(right, times, curves, mixed)
    return figure


def _trajectories(left: Axes, side: Axes, paths: Tensor, band: tuple[Tensor, Tensor] | None, end: Density) -> None:
    """Left the numbers over time, and beside them, on the same scale, where they end."""
    steps = torch.arange(len(paths))
    left.plot(steps, paths, linewidth=0.9, alpha=0.8)
    if band:
        mean, std = band
        left.fill_between(steps, mean - 2 * std, mean + 2 * std, color="grey", alpha=0.2, label="exact mean ± 2 std")
        left.legend(frameon=False, loc="upper right")
    left.set(xlabel="steps", ylabel="x", title=f"{paths.shape[1]} simulated trajectories")
    limit = max(end.places.abs().max().item(), paths.abs().max().item())
    side.hist(end.draws, bins=25, density=True, orientation="horizontal", color=FOUND, alpha=0.6, label="simulated")
    side.plot(end.values, end.places, color=EXACT, label=end.name)
    side.set(xlabel="density", title="at the end")
    side.legend(frameon=False, fontsize=8, loc="upper right")
    for axes in (left, side):
        axes.set_ylim(-limit, 1.35 * limit)
    side.tick_params(labelleft=False)


def _distances(right: Axes, times: Tensor, curves: Mapping[str, Tensor], mixed: Mapping[str, int | None]) -> None:
    for i, (name, curve) in enumerate(curves.items()):
        style = "--" if "KL" in name else "-"
        right.plot(times, curve.where(curve > FAINT, torch.nan), style, color=f"C{i // 2}", label=name)
    right.axhline(0.25, color="grey", linewidth=0.8)
    for i, (name, step) in enumerate(mixed.items()):
        if step is not None:
            right.axvline(step, color=f"C{i}", linewidth=1, linestyle=":", label=f"{name}: ≤ 1/4 after {step}")
    right.set_yscale("log")
    right.set(
        xlabel="steps",
        ylabel="total variation; KL in nats",
        title="distance from pure noise" if len(mixed) > 1 else "distance from the stationary law",
    )
    _legend_below(right)
    right.grid(alpha=0.25)


class CountedValues(NamedTuple):
    """Shares by value: simulated with standard errors, and exact where it is known; each [V]."""

    label: str
    values: Tensor
    share: Tensor
    error: Tensor
    exact: Tensor | None = None

    def enumerated(self, values: Tensor, law: Tensor) -> "CountedValues":
        """The same beside the law [S] of configurations with these values [S]."""
        places = ((values - self.values[0]) / 2).round().long()
        return self._replace(exact=torch.zeros_like(self.share).index_add(0, places, law))


def ising_figure(
    title: str,
    spins: Mapping[str, Tensor],
    histograms: Sequence[CountedValues],
    seen: Portrait | None,
    distances: tuple[Tensor, Tensor] | None,
    magnetisations: Tensor,
) -> Figure:
    """Above configurations by name [side, side]; below histograms, and total variation or magnetisations [N, K]."""
    figure = Figure(figsize=(12.0, 6.8), layout="constrained")
    figure.suptitle(title)
    grid = figure.add_gridspec(2, 1, height_ratios=[1, 1.9])
    top = grid[0].subgridspec(1, len(spins))
    for i, (name, spin) in enumerate(spins.items()):
        axes = figure.add_subplot(top[i])
        axes.imshow(spin, cmap="coolwarm", vmin=-1.3, vmax=1.3, interpolation="nearest")
        axes.set(xticks=[], yticks=[], title=name)
    bottom = grid[1].subgridspec(1, len(histograms) + 1)
    for i, histogram in enumerate(histograms):
        _histogram(figure.add_subplot(bottom[i]), histogram)
    last = figure.add_subplot(bottom[len(histograms)])
    if seen is not None and distances is not None:
        times, curves = distances
        slope = 1 - seen.gap if 0 < seen.gap < 1 else None
        chosen = {"worst start": curves.amax(1), "all spins up": curves[:, -1]}
        distance_axes(last, times, chosen, seen.mixing_time, slope)
        last.set(xlabel="updates of one site", title="how far from the Boltzmann law")
    else:
        last.plot(magnetisations, linewidth=0.8)
        last.set(xlabel="sweeps", ylabel="magnetisation per spin", ylim=(-1.1, 1.1), title="simulated trajectories")
    return figure


def _histogram(axes: Axes, histogram: CountedValues) -> None:
    label, values, share, error, exact = histogram
    width = 0.85 * values.diff().min().item()
    if exact is not None:
        axes.bar(values, exact, width=width, color=EXACT, alpha=0.45, label="enumerated")
    axes.errorbar(values, share, 2 * error, fmt="o", color=FOUND, markersize=4, capsize=2, label="simulated, ± 2 s.e.")
    most = max((share + 2 * error).max().item(), exact.max().item() if exact is not None else 0)
    axes.set(xlabel=label, ylabel="probability", ylim=(0, 1.25 * most))
    if exact is None:  # a larger square: most energies are never seen
        seen = values[share > 0]
        axes.set_xlim(seen.min().item() - 2 * width, seen.max().item() + 2 * width)
    axes.legend(frameon=False, fontsize=9, ncols=2, loc="upper center")
