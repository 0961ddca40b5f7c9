"""The tables of a race, its goals, and quality against minutes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from measuring import Goal, number, table

from racing.judging import Verdict
from racing.peers import Walk
from racing.runners import Runner

COLORS = {"diffcli": "#c0392b", "diffusers": "#1f5fa8", "lucidrains": "#2e8b57"}


class Ended(NamedTuple):
    """What a runner has after all the minutes.

    seconds:  of drawing `drawn` images by `walk`
    share:    of the machine's limit
    course:   how it was trained
    """

    verdict: Verdict
    walk: Walk
    seconds: float
    drawn: int
    images_per_second: float
    share: float
    parameters: int
    course: str


def results(ended: Mapping[Runner, Ended], classed: bool) -> list[str]:
    """The table of those with classes, or of those without."""
    rows = []
    for runner, end in ended.items():
        if runner.classed == classed:
            v = end.verdict
            read = [] if not classed else ["" if v.read is None else f"{v.read:.1%} ± {v.read_error:.1%}"]
            rows.append(
                [
                    runner.title, *read, f"{v.frechet:.3f} ± {v.error:.3f}", f"{v.floor:.3f}", str(end.walk),
                    number(end.seconds / end.drawn), number(end.images_per_second), f"{end.share:.0%}",
                    f"{end.parameters / 1e6:.2f} M", end.course,
                ]
            )  # fmt: skip
    head = ["read as asked for"] if classed else []
    return table(
        [
            "", *head, "Fréchet distance, judge", "floor", "sampler", "s per image", "training images/s",
            "of the limit", "parameters", "trained with",
        ],
        rows,
    )  # fmt: skip


def by_minutes(quality: Mapping[Runner, Mapping[float, Verdict]], minutes: float) -> list[str]:
    """Everyone after every share of the time."""
    shares = list(next(iter(quality.values())))
    rows = []
    for runner, found in quality.items():
        cells = [f"{v.frechet:.3g}" + ("" if v.read is None else f", {v.read:.0%}") for v in (found[s] for s in shares)]
        rows.append([runner.title + (", with classes" if runner.classed else ""), *cells])
    return table(["Fréchet distance, read as asked for", *(f"{number(minutes * s)} min" for s in shares)], rows)


# Goals


def ahead(quality: Mapping[Runner, Mapping[float, Verdict]], minutes: float, classed: bool) -> list[Goal]:
    """Whether we have after the first share of the time what the better peer has after all of it."""
    shares = next(iter(quality.values()))
    first, last = min(shares), max(shares)
    ours = next(found[first] for runner, found in quality.items() if runner.ours and runner.classed == classed)
    peers = {r: found[last] for r, found in quality.items() if not r.ours and r.classed == classed}
    if not peers:
        return []
    better = min(peers, key=lambda runner: peers[runner].frechet)
    theirs = peers[better]
    which = "with classes" if classed else "without classes"
    name = f"{which}: diffcli after {number(60 * minutes * first)} s / {better.title} after {number(minutes)} min"
    goals = [Goal(f"{name}, Fréchet distance", ours.text, f"at most {theirs.text}", ours.frechet <= theirs.frechet)]
    if classed and ours.read is not None:
        most = max(v.read or 0.0 for v in peers.values())
        title = f"{name.split(' / ')[0]} / the better peer, read as asked for"
        goals.append(Goal(title, f"{ours.read:.1%}", f"at least {most:.1%}", ours.read >= most))
    return goals


def speed_goals(ended: Mapping[Runner, Ended], wanted: float = 4, limit: float = 0.6) -> list[Goal]:
    """Training speed beside the faster peer's, and beside what the machine could do."""
    ours = next(end for runner, end in ended.items() if runner.ours and runner.classed)
    goals = [Goal("of the machine's best convolution", f"{ours.share:.0%}", f"{limit:.0%}", ours.share >= limit)]
    peers = {runner: end for runner, end in ended.items() if not runner.ours}
    if peers:
        faster = max(peers, key=lambda runner: peers[runner].images_per_second)
        ratio = ours.images_per_second / peers[faster].images_per_second
        name = f"training images/s: diffcli / {faster.title}, the faster peer"
        goals.insert(0, Goal(name, number(ratio), f"at least {wanted:g}", ratio >= wanted))
    return goals


class Chain(NamedTuple):
    """The cheapest walk that is as good as DDPM-1000, and its seconds for `drawn` images."""

    walk: Walk
    verdict: Verdict
    whole: Verdict
    seconds: float


def chain_table(chains: Mapping[Runner, Chain], drawn: int) -> list[str]:
    rows = [
        [
            runner.title + (", with classes" if runner.classed else ""), f"{c.whole.frechet:.3f} ± {c.whole.error:.3f}",
            str(c.walk), f"{c.verdict.frechet:.3f} ± {c.verdict.error:.3f}", number(c.seconds),
        ]
        for runner, c in chains.items()
    ]  # fmt: skip
    return table(["", "DDPM-1000", "cheapest as good", "its distance", f"s for {drawn} images"], rows)


def chain_goals(chains: Mapping[Runner, Chain], drawn: int, seconds: float, wanted: float = 30) -> list[Goal]:
    """How quickly we draw as well as by DDPM-1000, beside the faster peer and in seconds."""
    plain = {runner: chain for runner, chain in chains.items() if not runner.classed}
    peers = {runner: chain for runner, chain in plain.items() if not runner.ours}
    goals = []
    for runner, chain in chains.items():
        if runner.ours:
            which = "with classes" if runner.classed else "without classes"
            name = f"{drawn} digits {which} as good as by DDPM-1000 ({chain.walk})"
            goals.append(Goal(name, f"{number(chain.seconds)} s", f"under {seconds:g} s", chain.seconds < seconds))
    if peers:
        faster = min(peers, key=lambda runner: peers[runner].seconds)
        ours = next(chain for runner, chain in plain.items() if runner.ours)
        ratio = peers[faster].seconds / ours.seconds
        name = f"drawing as well as by one's own DDPM-1000: {faster.title}, the faster peer / diffcli"
        goals.append(Goal(name, number(ratio), f"at least {wanted:g}", ratio >= wanted))
    return goals


def goal_lines(goals: list[Goal]) -> list[str]:
    rows = [[g.name, g.measured, g.wanted, "yes" if g.reached else "no"] for g in goals]
    return table(["goal", "measured", "wanted", "reached"], rows)


# The figure


def draw(quality: Mapping[Runner, Mapping[float, Verdict]], minutes: float, path: Path) -> None:
    """Quality against minutes as a PNG: distances without and with classes, and what is read as asked for."""
    figure = Figure(figsize=(13.5, 4.6), layout="constrained")
    panels = figure.subplots(1, 3)
    for axes, classed in zip(panels[:2], (False, True), strict=True):
        some = {runner: found for runner, found in quality.items() if runner.classed == classed}
        _curves(axes, some, minutes, lambda v: v.frechet, lambda v: v.error)
        axes.set_yscale("log")
        axes.set_title(f"{'with' if classed else 'without'} classes")
        axes.set_ylabel("Fréchet distance, judge")
        floors = [list(found.values())[-1].floor for found in some.values()]
        if floors:
            axes.axhline(floors[0], color="0.4", linestyle=":", linewidth=1.2, label="as many real images")
    some = {runner: found for runner, found in quality.items() if runner.classed}
    _curves(panels[2], some, minutes, lambda v: 100 * (v.read or 0.0), lambda v: 100 * (v.read_error or 0.0))
    panels[2].set_title("with classes")
    panels[2].set_ylabel("read as the class asked for, %")
    for axes in panels:
        axes.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=120)


def _curves(
    axes: Axes,
    quality: Mapping[Runner, Mapping[float, Verdict]],
    minutes: float,
    value: Callable[[Verdict], float],
    error: Callable[[Verdict], float],
) -> None:
    """One curve each, its points with one standard error."""
    for runner, found in quality.items():
        at = [minutes * share for share in found]
        axes.errorbar(
            at, [value(v) for v in found.values()], [error(v) for v in found.values()],
            color=COLORS.get(runner.library, "0.3"), linestyle="-" if runner.ours or runner.tuned else "--",
            marker="o" if runner.ours else "s", markersize=5, linewidth=2.2 if runner.ours else 1.4, capsize=2,
            label=runner.title,
        )  # fmt: skip
    axes.set_xscale("log")
    ticks = sorted({minutes * share for found in quality.values() for share in found})
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: number(x)))
    axes.set_xlabel("minutes of training")
