"""Pictures of draws: beside their law, how a method makes them, and what each costs."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from torch import Generator, Tensor

from diffcli.core.processes.laws.line import Law
from diffcli.core.processes.laws.plane import TableLaw
from diffcli.core.processes.montecarlo.methods import ring, tried, uniforms
from diffcli.lessons.drawing.judging import ACCENT, DRAWS, LAW, bars, deviation, memory, trace, weights
from diffcli.lessons.drawing.samples import MethodSample

REFUSED = "#d1d5db"
DOTS = 800  # of a scatter


def method_figure(law: Law, title: str, drawn: MethodSample, generator: Generator) -> Figure:
    """The draws over their law, what the method does, and how far off they are."""
    figure = Figure(figsize=(14.0, 4.8), layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.08))
    left, middle, right = figure.subplots(1, 3)
    name = drawn.method.title
    figure.suptitle(f"{title} by {name}: {drawn.worth.effective:.0f} effective draws, {drawn.tested}")
    result(left, law, drawn)
    left.set_title("the draws and their law")
    if drawn.method.chained:
        trace(middle, law, drawn.sample.x)
        memory(right, law, drawn.sample.x, drawn.worth.time)
    else:
        INSIDE[drawn.name](middle, law, drawn, generator)
        if drawn.sample.log_weights is None:
            deviation(right, law, drawn.points, drawn.shares, drawn.worth.tested)
        else:
            weights(right, law, drawn.points, drawn.sample.log_weights.flatten())
    return figure


def comparison_figure(law: Law, title: str, samples: Sequence[MethodSample]) -> Figure:
    """A panel for every method, and what an effective draw costs with each."""
    columns = 4 if len(samples) + 1 in (7, 8) else 3
    rows = math.ceil((len(samples) + 1) / columns)
    figure = Figure(figsize=(3.6 * columns, 3.2 * rows + 0.5), layout=ConstrainedLayoutEngine(h_pad=0.08))
    figure.suptitle(f"{title}: draws by every method over the law, and what an effective draw costs")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for ax, drawn in zip(axes, samples, strict=False):
        result(ax, law, drawn, legend=ax is axes[0])
        ax.set_title(f"{drawn.method.title}\nESS {drawn.worth.effective:.0f}, {drawn.tested}", fontsize=9)
        ax.tick_params(labelsize=8)
    cost_bars = axes[len(samples)]
    costs = [drawn.worth.cost if math.isfinite(drawn.worth.cost) else math.nan for drawn in samples]
    cost_bars.barh([drawn.name for drawn in samples], costs, color=DRAWS)
    for place, cost in enumerate(costs):
        if cost == cost:
            cost_bars.text(cost * 1.08, place, f"{cost:.3g}" if cost < 1000 else f"{cost:.0f}", va="center", fontsize=8)
    finite = [cost for cost in costs if cost == cost] or [1.0]
    cost_bars.set(xscale="log", xlim=(min(0.5, min(finite) / 2), 12 * max(finite)))
    cost_bars.set_xlabel("evaluations per effective draw", fontsize=9)
    cost_bars.invert_yaxis()
    cost_bars.tick_params(labelsize=8)
    for ax in axes[len(samples) + 1 :]:
        ax.set_axis_off()
    return figure


def result(ax: Axes, law: Law, drawn: MethodSample, *, legend: bool = True) -> None:
    """Draws over their law: a histogram under the density, points over contours, or shares beside probabilities."""
    kind = "draws" if drawn.sample.log_weights is None else "weighted draws"
    if law.dim == 2:
        some = drawn.shares.multinomial(DOTS, replacement=True, generator=Generator().manual_seed(0))
        _dots(ax, drawn.points[some], s=5, alpha=0.6, color=DRAWS)
        contours(ax, law)
    elif isinstance(law, TableLaw):
        found = torch.zeros(len(law.p)).double().index_add(0, drawn.points[:, 0].long(), drawn.shares)
        bars(ax, found, label=kind)
        ax.plot(range(len(law.p)), law.p.numpy(), "_" if len(law.p) < 60 else "-", color=LAW, ms=9, lw=1, label="law")
        ax.set(xlabel="place in the table", ylabel="probability", ylim=(0, 1.25 * max(found.max(), law.p.max()).item()))
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    else:
        x, density = curve(law)
        bins = torch.linspace(x[0, 0].item(), x[-1, 0].item(), 51, dtype=torch.float64)
        each = (drawn.shares / (bins[1] - bins[0])).numpy()
        heights, _, _ = ax.hist(drawn.points[:, 0].numpy(), bins.tolist(), weights=each, color=DRAWS, label=kind)
        ax.plot(x[:, 0], density, color=LAW, linewidth=1.6, label="law")
        ax.set(xlabel="x", ylabel="density", ylim=(0, 1.3 * min(density.max().item(), 1.5 * max(heights) or math.inf)))
    if legend and law.dim == 1:
        ax.legend(frameon=False, fontsize=9, ncols=2, loc="upper center")


def curve(law: Law) -> tuple[Tensor, Tensor]:
    """A law on the line where all but 0.2 % of it lies: x [401, 1] and its density [401]."""
    low, high = law.quantile(torch.tensor([[0.001], [0.999]]).double())[:, 0].tolist()
    x = torch.linspace(low, high, 401, dtype=torch.float64).unsqueeze(1)
    return x, law.log_density(x).exp()


def contours(ax: Axes, law: Law) -> None:
    """Where the density is 1/2, 1/8 and 1/64 of the highest in sight, and the limits of what is in sight."""
    seen = law.quantile(uniforms(20_000, 2, Generator().manual_seed(0)))
    low, high = seen.quantile(0.001, dim=0), seen.quantile(0.999, dim=0)
    low, high = low - 0.1 * (high - low), high + 0.1 * (high - low)
    x, y = (torch.linspace(low[i].item(), high[i].item(), 241, dtype=torch.float64) for i in range(2))
    density = law.log_density(torch.cartesian_prod(x, y)).exp().reshape(241, 241).T
    levels = [density.max().item() / share for share in (64, 8, 2)]
    ax.contour(x.numpy(), y.numpy(), density.numpy(), levels=levels, colors=LAW, linewidths=0.9)
    ax.set(xlim=(low[0].item(), high[0].item()), ylim=(low[1].item(), high[1].item()), xlabel="x1", ylabel="x2")


# What a method does


def quantiles(ax: Axes, law: Law, drawn: MethodSample, generator: Generator) -> None:
    """Uniform numbers on the left go across to the distribution function and down to x."""
    u = (torch.arange(12).double().unsqueeze(1) + 0.5) / 12
    ax.set_title("across from a uniform number, down to x")
    if law.dim == 2:
        u = uniforms(DOTS, 2, generator)
        _coloured(ax, law.quantile(u), u[:, 0], "x")
        ax.set_title("x1 from u1 (the colour), then x2 from u2 given x1")
        return
    grid = torch.linspace(0.0005, 0.9995, 2001, dtype=torch.float64).unsqueeze(1)
    ax.plot(law.quantile(grid)[:, 0], grid[:, 0], color=LAW, linewidth=1.6)
    left = law.quantile(grid[:1]).item()
    for height, place in zip(u[:, 0].tolist(), law.quantile(u)[:, 0].tolist(), strict=True):
        ax.plot([left, place, place], [height, height, 0], color=ACCENT, linewidth=0.8)
        ax.plot([place], [0], "v", color=ACCENT, markersize=5, clip_on=False)
    ax.set(xlabel="place in the table" if law.discrete else "x", ylabel="uniform number u = F(x)", ylim=(0, 1))
    if law.discrete:
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def turned(ax: Axes, law: Law, drawn: MethodSample, generator: Generator) -> None:
    """Pairs of normal numbers, coloured by the uniform number that became their angle."""
    u = uniforms(DOTS, 2, generator)
    _coloured(ax, ring(u), u[:, 1], "z", "hsv")
    ax.set_aspect("equal")
    ax.set_title("radius √(−2 log u1), angle 2π u2 (the colour)")


def envelope(ax: Axes, law: Law, drawn: MethodSample, generator: Generator) -> None:
    """Proposals under the envelope M q: those under p are kept."""
    proposal, found = law.proposal(), tried(law, 600, generator)
    bound = math.exp(proposal.log_bound)
    ax.set_title(f"{proposal.name}, M = {bound:.3g}: 1/M = {1 / bound:.3g}", fontsize=10)
    x = found.x
    if law.dim == 2:
        for points, colour, name in ((x[~found.kept], REFUSED, "refused"), (x[found.kept], DRAWS, "kept")):
            _dots(ax, points, s=6, color=colour, label=name)
        contours(ax, law)
        low, high = (x.quantile(q, dim=0).tolist() for q in (0.005, 0.995))
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1] + 0.25 * (high[1] - low[1])))
        ax.legend(frameon=False, fontsize=9, loc="upper center", ncols=2)
        return
    height = found.height * bound * proposal.log_density(x).exp()
    jitter = 0.7 * (uniforms(len(x), 1, generator) - 0.5) if law.discrete else 0.0
    for kept, colour, name in ((~found.kept, REFUSED, "refused"), (found.kept, DRAWS, "kept")):
        ax.scatter((x + jitter)[kept, 0], height[kept], s=7, color=colour, linewidths=0, label=name)
    _both(ax, law, bound, "p", "M q")
    ax.legend(frameon=False, fontsize=9, loc="upper center", ncols=4)


def _both(ax: Axes, law: Law, bound: float, wanted: str, proposed: str) -> None:
    """The density of a law on the line or a table, and that of its proposal times a bound."""
    grid, density = (torch.arange(len(law.p)).unsqueeze(1), law.p) if isinstance(law, TableLaw) else curve(law)
    high = bound * law.proposal().log_density(grid).exp()
    margin = 0.5 if law.discrete else 0.0
    places = torch.cat([grid[:1, 0] - margin, grid[:, 0], grid[-1:, 0] + margin])
    for heights, colour, style, name in ((density, LAW, "-", wanted), (high, ACCENT, "--", proposed)):
        drawn = torch.cat([heights[:1], heights, heights[-1:]])
        ax.plot(places, drawn, style, color=colour, label=name, drawstyle="steps-mid" if law.discrete else "default")
    top = min(max(high.max().item(), density.max().item()), 3 * density.quantile(0.98).item())
    ax.set(xlim=(places[0].item(), places[-1].item()), ylim=(0, 1.3 * top))
    ax.set(xlabel="place in the table" if law.discrete else "x", ylabel="probability" if law.discrete else "density")
    if law.discrete:
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def proposals(ax: Axes, law: Law, drawn: MethodSample, generator: Generator) -> None:
    """The proposals as they come, larger where they count more."""
    proposal, some = law.proposal(), slice(0, DOTS)
    ax.set_title(f"proposals: {proposal.name}", fontsize=10)
    if law.dim == 2:
        x, share = drawn.points[some], drawn.shares[some]
        _dots(ax, x, s=1 + 40 * share / share.max(), color=DRAWS, alpha=0.7)
        contours(ax, law)
        low, high = (x.quantile(q, dim=0).tolist() for q in (0.005, 0.995))
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        return
    _both(ax, law, 1.0, "p, wanted", "q, drawn from")
    ax.legend(frameon=False, fontsize=9, loc="upper center", ncols=2)


INSIDE: dict[str, Callable[[Axes, Law, MethodSample, Generator], None]] = {
    "inverse": quantiles,
    "box-muller": turned,
    "rejection": envelope,
    "importance": proposals,
}


def _dots(ax: Axes, x: Tensor, **style: Any) -> None:
    ax.scatter(x[:, 0].numpy(), x[:, 1].numpy(), linewidths=0, **style)


def _coloured(ax: Axes, x: Tensor, colour: Tensor, name: str, colours: str = "viridis") -> None:
    _dots(ax, x, s=6, c=colour.numpy(), cmap=colours)
    ax.set(xlabel=f"{name}1", ylabel=f"{name}2")
