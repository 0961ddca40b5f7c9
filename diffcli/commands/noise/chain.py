"""diffcli noise chain"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli import options
from diffcli.errors import UsageProblem

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from diffcli.core.diffusion.schedules import Level
    from diffcli.lesson import Lesson
    from diffcli.metrics.noising import Held
    from diffcli.pictures.noising import Bond, Paths
    from diffcli.show import Show

STEPS = 1000  # of a schedule in continuous time
MOST_STEPS = 10_000
MOST_NUMBERS = 2_000_000  # walking at once
LARGEST = 1e6  # of --value
STOPS = 8  # times at which the laws are compared
LINES = 6  # paths in the figure
COUNTS = {3: 20, 1: 2000, 0: 5000}  # by the length of an item's shape


def chain(
    dataset: Annotated[
        Optional[str], typer.Option(help="A name (diffcli data lists them) or a folder of images.  [mnist]")
    ] = None,
    value: Annotated[Optional[float], typer.Option(help="One number as x0, instead of a data set.")] = None,
    schedule: Annotated[str, typer.Option(metavar="NAME[,KEY=VALUE...]", help="Noise schedule, e.g. flow.")] = "linear",
    steps: Annotated[
        Optional[int], typer.Option(help="Of the chain.  [the table's, or 1000]", min=1, max=MOST_STEPS)
    ] = None,
    count: Annotated[
        Optional[int],
        typer.Option("--count", help="Chains.  [20 images, 2000 points, 5000 numbers]", min=1, max=20_000),
    ] = None,
    seed: options.Seed = 0,
    data: options.Data = None,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """The forward process step by step against the one-jump formula: the same law at every time, other paths."""
    from diffcli.lesson import lesson
    from diffcli.show import Show
    from diffcli.specs import schedule as make

    show = Show(as_json=as_json, quiet=quiet)
    law = make(schedule)
    x0 = _start(dataset, value, count, seed, data)
    steps = steps or min(law.length or STEPS, MOST_STEPS)
    with lesson("noise-chain", out, show) as made:
        walk = _walk(x0, _levels(law, steps), seed, show)
        _measure(walk, made)
        made.document |= {
            "schedule": schedule,
            "steps": steps,
            "dataset": dataset,
            "value": value,
            "shape": [*x0.shape],
        }
        _draw(walk, made, f"{schedule} schedule, {steps} steps", dataset or "mnist", data)
        made.next = "diffcli noise forward" + (f" --schedule {schedule}" if schedule != "cosine" else "")


def _start(dataset: str | None, value: float | None, count: int | None, seed: int, data: "Path | None") -> "Tensor":
    """x0, [N, ...] float64; raises UsageProblem."""
    import torch

    from diffcli.commands.visualize.forward import items
    from diffcli.points import TITLES

    if value is None:
        kind = 1 if dataset in TITLES else 3
        x0 = items(dataset or "mnist", None, count or COUNTS[kind], seed, data).double()
    elif dataset is not None:
        raise UsageProblem("--dataset and --value do not go together")
    elif not abs(value) <= LARGEST:
        raise UsageProblem(f"--value must be from -{LARGEST:g} to {LARGEST:g}, not {value:g}")
    else:
        x0 = torch.full((count or COUNTS[0],), value, dtype=torch.float64)
    if x0.numel() < 10:
        raise UsageProblem(f"{x0.numel()} numbers say nothing of a law", "raise --count to 10 or more")
    if x0.numel() > MOST_NUMBERS:
        raise UsageProblem(f"--count {len(x0)} is {x0.numel():,} numbers, and {MOST_NUMBERS:,} is the most", "lower it")
    return x0


def _levels(law: Any, steps: int) -> "list[Level]":
    import torch

    from diffcli.core.diffusion.schedules import CLEAN

    return [CLEAN, *(law(torch.tensor(i / steps, dtype=torch.float64)) for i in range(1, steps + 1))]


@dataclass
class Walk:
    """What was walked: x by the chain at some of the levels' numbers, and the one eps of the jump, both like x0.

    miss:  the largest distance of the chain's end from the jump with the sum of the steps' noises as its eps, over sigma
    """

    x0: "Tensor"
    levels: "list[Level]"
    chain: "dict[int, Tensor]"
    eps: "Tensor"
    miss: float
    seed: int

    def jump(self, stop: int) -> "Tensor":
        return self.levels[stop].noised(self.x0, self.eps)

    def left(self, stop: int) -> "Tensor":
        """What the chain's x is without alpha x0."""
        return self.chain[stop] - self.levels[stop].alpha * self.x0

    def time(self, stop: int) -> float:
        return stop / (len(self.levels) - 1)


def _walk(x0: "Tensor", levels: "list[Level]", seed: int, show: "Show") -> Walk:
    """Walk all chains; the noises are drawn a second time, by their keys, for the eps that they add up to."""
    import torch

    from diffcli.core.processes.forward import chain as walk
    from diffcli.core.processes.forward import shares
    from diffcli.core.randomness import keyed

    def noise(step: int) -> "Tensor":
        return torch.randn(x0.shape, generator=keyed(seed, "chain", step), dtype=torch.float64)

    steps = len(levels) - 1
    stops = {math.ceil(steps * i / STOPS) for i in range(1, STOPS + 1)}
    kept, eps = {}, torch.zeros_like(x0)
    with show.progress("walking", 2 * steps, "steps") as bar:
        for step, x in enumerate(walk(x0, levels, noise), start=1):
            bar.update(step)
            if step in stops:
                kept[step] = x
        for step, share in enumerate(shares(levels)):
            eps += share * noise(step)
            bar.update(steps + step + 1)
    end = levels[-1]
    miss = ((kept[steps] - end.noised(x0, eps)).abs().max() / end.sigma).item()
    fresh = torch.randn(x0.shape, generator=keyed(seed, "jump"), dtype=torch.float64)
    return Walk(x0, levels, kept, fresh, miss, seed)


def _measure(walk: Walk, made: "Lesson") -> None:
    """Laws at the stops, correlations between them; what is said of them."""
    from diffcli.metrics.noising import held
    from diffcli.show import table

    x0, rows, cells = walk.x0, [], []
    laws: list[Held] = []
    for stop, x in walk.chain.items():
        level = walk.levels[stop]
        by_chain, by_jump = held(x, x0, level), held(walk.jump(stop), x0, level)
        laws += [by_chain, by_jump]
        head = {"step": stop, "t": walk.time(stop), "alpha": level.alpha.item(), "sigma": level.sigma.item()}
        rows.append(head | {"chain": by_chain._asdict(), "jump": by_jump._asdict()})
        numbers = (by_chain.mean, by_chain.mean_true, by_chain.variance, by_chain.variance_true, by_chain.p_value)
        cells.append([f"{walk.time(stop):.3f}", *(f"{n:.4g}" for n in numbers), f"{by_jump.p_value:.4g}"])
    bonds = _bonds(walk)
    made.document |= {
        "times": rows,
        "correlations": bonds,
        "largest_deviation": max(law.deviation for law in laws),
        "least_p_value": min(law.p_value for law in laws),
        "numbers": x0.numel(),
        "end_miss": walk.miss,
    }
    heads = ["t", "mean", "true", "variance", "true", "p chain", "p jump"]
    made.lines = [
        *table(heads, cells, right=range(7)),
        f"the chain's end against the jump with the sum of its noises as eps: {walk.miss:.1e} sigma apart",
    ]
    facts = made.document
    made.seen = (
        f"Chain and jump have one law at every time (furthest {facts['largest_deviation']:.1f} standard errors, least p "
        f"{facts['least_p_value']:.2g} of {len(laws)})"
    )
    if bonds:
        far = min(bonds, key=lambda bond: bond["true"])
        made.seen += (
            f", but not the same paths: the noise at t = {far['s']:.2f} and {far['t']:.2f} correlates "
            f"{far['chain']:.3f} ± {far['standard_error']:.3f} along the chain (exact {far['true']:.3f}) and 1 along the jump"
        )
    made.seen += "."
    made.leads = (
        "Training looks at one time at once, so it may jump; sampling goes back along the chain, step by step, by "
        "q(x_s | x_t, x0)."
    )


def _bonds(walk: Walk) -> list[dict[str, float]]:
    """Correlations of the noise at the middle stop with that at the others."""
    from diffcli.core.processes.forward import correlation
    from diffcli.metrics.noising import correlated, correlation_error

    stops, found = list(walk.chain), []
    middle = stops[(len(stops) - 1) // 2]
    for stop in stops:
        if stop == middle:
            continue
        s, t = sorted((stop, middle))
        true = correlation(walk.levels[s], walk.levels[t]).item()
        jumped = (walk.jump(v) - walk.levels[v].alpha * walk.x0 for v in (s, t))
        found.append(
            {
                "s": walk.time(s),
                "t": walk.time(t),
                "chain": correlated(walk.left(s), walk.left(t)),
                "true": true,
                "standard_error": correlation_error(true, walk.x0.numel()),
                "jump": correlated(*jumped),
            }
        )
    return found


def _draw(walk: Walk, made: "Lesson", title: str, dataset: str, data: "Path | None") -> None:
    from diffcli.pictures.noising import Shown, images_figure, paths_figure
    from diffcli.sampling import spread

    stops = list(walk.chain)
    few = [stops[i] for i in spread(len(stops), 4)]
    shown = []
    for stop in few:
        sigma = walk.levels[stop].sigma
        shown.append(Shown(walk.time(stop), sigma.item(), walk.left(stop).flatten(), (sigma * walk.eps).flatten()))
    paths_figure(made.figure("chain.png"), _paths(walk), _bond(walk), shown, f"The forward process, {title}")
    if walk.x0.dim() == 4:
        rows, levels = {}, [walk.levels[0], *(walk.levels[stop] for stop in stops)]
        for i in range(min(2, len(walk.x0))):
            rows[f"chain {i + 1}"] = [walk.x0[i], *(walk.chain[stop][i] for stop in stops)]
            rows[f"jump {i + 1}"] = [walk.x0[i], *(walk.jump(stop)[i] for stop in stops)]
        times = [0.0, *map(walk.time, stops)]
        head = "Each image twice: by the chain its grain changes, by the jump it only grows"
        images_figure(made.figure("images.png"), rows, times, levels, head)
    elif walk.x0.dim() == 2 and walk.x0.shape[1] == 2:
        _draw_points(walk, made, few, dataset, data)


def _draw_points(walk: Walk, made: "Lesson", stops: list[int], dataset: str, data: "Path | None") -> None:
    """Two rows of points over the density at some levels."""
    from PIL import Image

    from diffcli.pictures.grid import save_png
    from diffcli.pictures.points import row
    from diffcli.planes import Plane

    plane = Plane.of_dataset(dataset, data)
    strips = []
    for name, at in (("chain", walk.chain.__getitem__), ("jump", walk.jump)):
        panels = plane.panels([(walk.levels[stop], at(stop)) for stop in stops])
        strips.append(row(panels, title=f"{name}: points over the density at their level", side=2.6))
    sheet = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)), "white")
    sheet.paste(strips[0], (0, 0))
    sheet.paste(strips[1], (0, strips[0].height))
    save_png(made.figure("points.png"), sheet)


def _paths(walk: Walk) -> "Paths":
    """A few numbers on their way from the same x0, the greatest there is."""
    import torch

    from diffcli.core.processes.forward import chain as steps
    from diffcli.core.randomness import keyed
    from diffcli.pictures.noising import Paths

    levels, start = walk.levels, walk.x0.max().expand(LINES)
    noises = torch.randn(len(levels), LINES, generator=keyed(walk.seed, "paths"), dtype=torch.float64)
    alpha, sigma = (torch.stack(parts) for parts in zip(*levels, strict=True))
    walked = torch.stack([start, *steps(start, levels, lambda step: noises[step])])
    jumped = torch.stack([level.noised(start, noises[-1]) for level in levels])
    return Paths(torch.linspace(0, 1, len(levels)).double(), walked, jumped, alpha * start[0], sigma)


def _bond(walk: Walk) -> "Bond":
    """The correlations of the middle stop with all times."""
    import torch

    from diffcli.core.processes.forward import correlation
    from diffcli.pictures.noising import Bond

    stops, levels = list(walk.chain), walk.levels
    middle = stops[(len(stops) - 1) // 2]
    pairs = [(levels[min(i, middle)], levels[max(i, middle)]) for i in range(1, len(levels))]
    truth = torch.stack([correlation(s, t) for s, t in pairs])
    measured = [(b["s"] if b["t"] == walk.time(middle) else b["t"], b["chain"]) for b in _bonds(walk)]
    times = torch.arange(1, len(levels)) / (len(levels) - 1)
    return Bond(walk.time(middle), times, truth, measured)
