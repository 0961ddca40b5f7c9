"""diffcli noise chain"""

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from diffcli.console.results import Lesson
    from diffcli.lessons.gaussians.noising import Held
    from diffcli.lessons.gaussians.noising_pictures import Bond, Paths
    from diffcli.lessons.gaussians.walk import ChainBesideJump

STEPS = 1000  # of a schedule in continuous time
MOST_STEPS = 10_000
MOST_NUMBERS = 2_000_000  # walking at once
LARGEST = 1e6  # of --value
LINES = 6  # paths in the figure
COUNTS = {3: 20, 1: 2000, 0: 5000}  # by the length of an item's shape


def chain(
    dataset: Annotated[
        Optional[str], typer.Option(help="A name (diffcli data lists them) or a folder of images.  [mnist]")
    ] = None,
    value: Annotated[Optional[float], typer.Option(help="One number as x0, instead of a data set.")] = None,
    schedule: Annotated[str, typer.Option(metavar="NAME[,KEY=VALUE...]", help="Noise schedule, e.g. flow.")] = "linear",
    steps: Annotated[
        Optional[int], typer.Option(help="Of the chain.  [the table's, or 1000]", min=2, max=MOST_STEPS)
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
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.lessons.gaussians.walk import levels_up, walked
    from diffcli.specs import schedule as make

    show = Show(as_json=as_json, quiet=quiet)
    law = make(schedule)
    x0 = _start(dataset, value, count, seed, data)
    steps = steps or max(2, min(law.length or STEPS, MOST_STEPS))
    with lesson("noise-chain", out, show) as made:
        walk = walked(x0, levels_up(law, steps), seed, show)
        _measure(walk, made)
        made.document |= {
            "schedule": schedule,
            "steps": steps,
            "dataset": dataset,
            "value": value,
            "shape": [*x0.shape],
        }
        _draw(walk, made, f"{schedule} schedule, {steps} steps", dataset or "mnist", data)
        made.next = "diffcli draw"


def _start(dataset: str | None, value: float | None, count: int | None, seed: int, data: "Path | None") -> "Tensor":
    """x0, [N, ...] float64; raises UsageProblem."""
    import torch

    from diffcli.commands.visualize.forward import items
    from diffcli.data.points import TITLES

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


def _measure(walk: "ChainBesideJump", made: "Lesson") -> None:
    """Laws at the stops, correlations between them; what is said of them."""
    from diffcli.console.show import table
    from diffcli.lessons.gaussians.noising import held
    from diffcli.lessons.gaussians.walk import bonds

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
    pairs = bonds(walk)
    made.document |= {
        "times": rows,
        "correlations": pairs,
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
    alike = facts["largest_deviation"] < 5 and facts["least_p_value"] * len(laws) > 1e-4
    made.seen = (
        f"Chain and jump {'have one law' if alike else 'differ from the law'} at every time (furthest "
        f"{facts['largest_deviation']:.1f} standard errors, least p {facts['least_p_value']:.2g} of {len(laws)})"
    )
    if pairs:
        far = min(pairs, key=lambda pair: abs(pair["true"] - 0.5))  # neither the same nor strangers
        made.seen += (
            f", but not the same paths: the noise at t = {far['s']:.2f} and {far['t']:.2f} correlates "
            f"{far['chain']:.3f} ± {far['standard_error']:.3f} along the chain (exact {far['true']:.3f}) "
            "and 1 along the jump"
        )
    made.seen += "."
    made.leads = (
        "Training looks at one time at once, so it may jump; sampling goes back along the chain, step by step, by "
        "q(x_s | x_t, x0)."
    )


def _draw(walk: "ChainBesideJump", made: "Lesson", title: str, dataset: str, data: "Path | None") -> None:
    from diffcli.core.diffusion.job import spread
    from diffcli.lessons.gaussians.noising_pictures import Shown, images_figure, paths_figure

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


def _draw_points(walk: "ChainBesideJump", made: "Lesson", stops: list[int], dataset: str, data: "Path | None") -> None:
    """Two rows of points over the density at some levels."""
    from PIL import Image

    from diffcli.pictures.grid import save_png
    from diffcli.pictures.points import row
    from diffcli.sampling.planes import PlanarData

    plane = PlanarData.of_dataset(dataset, data)
    strips = []
    for name, at in (("chain", walk.chain.__getitem__), ("jump", walk.jump)):
        panels = plane.panels([(walk.levels[stop], at(stop)) for stop in stops])
        strips.append(row(panels, title=f"{name}: points over the density at their level", side=2.6))
    sheet = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)), "white")
    sheet.paste(strips[0], (0, 0))
    sheet.paste(strips[1], (0, strips[0].height))
    save_png(made.figure("points.png"), sheet)


def _paths(walk: "ChainBesideJump") -> "Paths":
    """A few numbers on their way from the same x0, the greatest there is."""
    import torch

    from diffcli.core.levels import chain as steps
    from diffcli.core.randomness import keyed
    from diffcli.lessons.gaussians.noising_pictures import Paths

    levels, start = walk.levels, walk.x0.max().expand(LINES)
    noises = torch.randn(len(levels), LINES, generator=keyed(walk.seed, "paths"), dtype=torch.float64)
    alpha, sigma = (torch.stack(parts) for parts in zip(*levels, strict=True))
    walked = torch.stack([start, *steps(start, levels, lambda step: noises[step])])
    jumped = torch.stack([level.noised(start, noises[-1]) for level in levels])
    return Paths(torch.linspace(0, 1, len(levels)).double(), walked, jumped, alpha * start[0], sigma)


def _bond(walk: "ChainBesideJump") -> "Bond":
    """The correlations of the middle stop with all times."""
    import torch

    from diffcli.core.levels import correlation
    from diffcli.lessons.gaussians.noising_pictures import Bond
    from diffcli.lessons.gaussians.walk import bonds

    levels, middle = walk.levels, walk.middle
    pairs = [(levels[min(i, middle)], levels[max(i, middle)]) for i in range(1, len(levels))]
    truth = torch.stack([correlation(s, t) for s, t in pairs])
    measured = [(b["s"] if b["t"] == walk.time(middle) else b["t"], b["chain"]) for b in bonds(walk)]
    times = torch.arange(1, len(levels)) / (len(levels) - 1)
    return Bond(walk.time(middle), times, truth, measured)
