"""diffcli ais"""

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from diffcli.console import options
from diffcli.errors import UsageProblem, one_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Generator, Tensor

    from diffcli.core.processes.montecarlo.annealing import Kernel
    from diffcli.core.processes.montecarlo.kernels import LogDensity, Move
    from diffcli.core.processes.montecarlo.unnormalised import Unnormalised
    from diffcli.lessons.annealing.pictures import Climb, Closing, Snapshot
    from diffcli.lessons.annealing.weights import LogEstimate

KERNELS = ("random-walk", "hmc")

COUNTS = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000)  # temperatures with which the bounds are shown
PLAIN = 1_000_000  # draws of plain importance sampling at most
BLOCK = 50_000  # of them at once
MOST = 3_000_000_000  # numbers that are moved: an hour or so
LEAPS, PILOTS, RUNGS = 5, 100, 50  # of hmc: steps of a move; chains and temperatures of the run that finds step sizes
CELLS, SHOWN, DOTS = 80, 6, 1000  # of the particles' picture: points along a side, temperatures, chains
AGREED = 3  # standard errors
ROUNDING = 1e-9  # nats: a standard error below it is none
SURE = 0.01  # the probability that a bound by Markov's inequality may fail with


def ais(
    problem: Annotated[
        str, typer.Argument(metavar="PROBLEM", help="unimodal, bimodal, mixture or rbm; with [,KEY=VALUE...].")
    ] = "bimodal",
    ladder: Annotated[
        Optional[str], typer.Option("--ladder", help="neal, linear, geometric or sigmoid.  [the problem's]")
    ] = None,
    temperatures: Annotated[
        int, typer.Option("--temperatures", help="Steps of the ladder.", min=1, max=COUNTS[-1])
    ] = 1000,
    chains: Annotated[int, typer.Option("--chains", help="Independent runs.", min=2, max=100_000)] = 1000,
    kernel: Annotated[str, typer.Option("--kernel", help="Of the moves: random-walk or hmc.")] = "random-walk",
    moves: Annotated[int, typer.Option("--moves", help="Moves at each temperature.", min=1, max=100)] = 1,
    seed: options.Seed = 0,
    out: options.Out = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Annealed importance sampling of a constant that is known, with bounds from both sides.

    Problems and their parameters: unimodal (dimension, mean, std), bimodal (dimension, separation, std, narrow,
    weight), mixture (dimension, modes, radius, std, ratio, log-z), rbm (visible, hidden, scale, seed).
    """
    from diffcli import specs
    from diffcli.console.results import lesson
    from diffcli.console.show import Show
    from diffcli.core.processes.montecarlo.annealing import LADDERS
    from diffcli.core.processes.montecarlo.unnormalised import PROBLEMS
    from diffcli.lessons.annealing.pictures import Weights, ais_figure, particles_figure
    from diffcli.lessons.annealing.weights import estimate

    show = Show(as_json=as_json, quiet=quiet)
    one_of(kernel, KERNELS, "kernel")
    target = specs.make(PROBLEMS, problem, "problem")
    ladder = ladder or target.ladder
    rungs = LADDERS[one_of(ladder, LADDERS, "ladder")]
    if temperatures * chains * moves * target.dimension > MOST:
        raise UsageProblem("that would take hours", "use fewer --temperatures, --chains or --moves")
    with lesson("ais", out, show) as made:
        mover = _mover(target, kernel, moves, seed)
        counts = [*(c for c in COUNTS if c < temperatures), temperatures]
        runs: list[Closing] = []
        with show.progress("annealing", sum(counts), "temperatures") as bar:
            for count in counts:
                betas = rungs(count)
                climb, places, up = _climb(target, betas, mover(betas), chains, seed)
                down = _descend(target, betas, mover(betas), chains, seed)
                runs.append(_closing(count, up, down))
                bar.update(sum(counts[: len(runs)]))
        plain = _plain(target, min(PLAIN, temperatures * chains), seed)
        ais_figure(made.figure("ais.png"), target.log_z, Weights(up, -down, plain), climb, runs)
        particles_figure(made.figure("particles.png"), [_snapshot(target, *place) for place in places])
        found, back, naive = estimate(up), estimate(down), estimate(plain)
        made.document = {"problem": problem, "ladder": ladder, "temperatures": temperatures, "chains": chains}
        made.document |= {"kernel": kernel, "moves": moves, "seed": seed, "accepted": climb.accepted.mean().item()}
        made.document |= _numbers(target.log_z, runs, found, back, naive)
        made.lines = _lines(target.log_z, runs[-1], found, back, naive, (chains, len(plain)))
        made.seen = _seen(target.log_z, runs[-1], found, naive, len(plain))
        made.leads = (
            "A diffusion model is such a ladder from noise to data; its moves are learned, so that a few hundred do, "
            "and its variational bound is a mean log-weight, as the lower bound here."
        )
        made.next = NEXT[problem.partition(",")[0].strip()]
        if _errors_off(target.log_z, found) > AGREED and temperatures < COUNTS[-1]:
            made.next = f"diffcli ais {problem} --temperatures {min(COUNTS[-1], 3 * temperatures)}"


NEXT = {
    "unimodal": "diffcli ais bimodal",
    "bimodal": "diffcli ais rbm --kernel hmc",
    "mixture": "diffcli ais bimodal",
    "rbm": "diffcli vae train",
}


def _mover(problem: "Unnormalised", kernel: str, moves: int, seed: int) -> "Callable[[Tensor], Kernel]":
    """betas -> the moves at these temperatures; those of hmc have step sizes from a run of their own, then fixed."""
    import numpy as np
    import torch

    from diffcli.core.processes.montecarlo.annealing import LADDERS, metropolis, stepping, tuned
    from diffcli.core.processes.montecarlo.unnormalised import draw_standard, standard
    from diffcli.core.randomness import keyed

    if kernel == "random-walk":
        return lambda betas: metropolis(repeats=moves)
    at, generator = LADDERS[problem.ladder](RUNGS), keyed(seed, "ais-steps")
    pilots = draw_standard(PILOTS, problem.dimension, generator)
    steps = tuned(_walk, pilots, standard, problem.log_density, at, generator)

    def kernel_of(betas: "Tensor") -> "Kernel":
        return stepping(_walk, torch.from_numpy(np.interp(betas, at[1:], steps[1:])), moves)

    return kernel_of


def _walk(x: "Tensor", log_density: "LogDensity", step: float, generator: "Generator") -> "Move":
    from diffcli.core.processes.montecarlo.kernels import hmc

    return hmc(x, log_density, step, LEAPS, generator)


def _climb(
    problem: "Unnormalised", betas: "Tensor", kernel: "Kernel", chains: int, seed: int
) -> "tuple[Climb, list[tuple[float, Tensor, Tensor]], Tensor]":
    """A run up the ladder: what happens on it, the chains at some of its temperatures, and their log-weights [B]."""
    import torch

    from diffcli.core.processes.montecarlo.annealing import ais as anneal
    from diffcli.core.processes.montecarlo.unnormalised import draw_standard, standard
    from diffcli.core.randomness import keyed
    from diffcli.lessons.annealing.pictures import Climb
    from diffcli.lessons.annealing.weights import log_mean

    generator, count = keyed(seed, "ais-up", len(betas)), len(betas) - 1
    x = draw_standard(chains, problem.dimension, generator)
    shown = [round(k) for k in torch.linspace(0, count, min(SHOWN, count + 1)).tolist()]
    seen, rows = [(0.0, x, x.new_zeros(chains))], []
    for k, step in enumerate(anneal(x, standard, problem.log_density, betas, kernel, generator), start=1):
        rows.append((log_mean(step.log_weight), step.log_weight.mean().item(), step.accepted.mean().item()))
        if k in shown:
            seen.append((betas[k].item(), step.x, step.log_weight))
    climb = Climb(betas, *torch.tensor(rows, dtype=torch.float64).T)
    return climb, seen, step.log_weight


def _snapshot(problem: "Unnormalised", beta: float, chains: "Tensor", log_weight: "Tensor") -> "Snapshot":
    """Some of the chains in the problem's plane, and the density there of the law at beta."""
    import torch

    from diffcli.lessons.annealing.pictures import Snapshot

    points = chains[:DOTS] @ problem.plane
    low, high = points.min(0).values, points.max(0).values
    middle, reach = (low + high) / 2, 0.6 * (high - low).max() + 0.1
    side = torch.linspace(-1, 1, CELLS, dtype=torch.float64) * reach
    density = problem.marginal(beta, middle + torch.cartesian_prod(side, side))
    if density is not None:
        density = (density - density.max()).exp().reshape(CELLS, CELLS).T
    (left, bottom), (right, top) = (middle - reach).tolist(), (middle + reach).tolist()
    return Snapshot(beta, points, log_weight[:DOTS], (left, right, bottom, top), density)


def _descend(problem: "Unnormalised", betas: "Tensor", kernel: "Kernel", chains: int, seed: int) -> "Tensor":
    """The log-weights of a run down the ladder, from exact draws of the target, [B]."""
    from diffcli.core.processes.montecarlo.annealing import reverse
    from diffcli.core.processes.montecarlo.unnormalised import standard
    from diffcli.core.randomness import keyed

    generator = keyed(seed, "ais-down", len(betas))
    x = problem.draw(chains, generator)
    *_, last = reverse(x, standard, problem.log_density, betas, kernel, generator)
    return last.log_weight


def _closing(temperatures: int, up: "Tensor", down: "Tensor") -> "Closing":
    from diffcli.lessons.annealing.pictures import Closing
    from diffcli.lessons.annealing.weights import estimate, mean_log

    lower, upper, found = mean_log(up), mean_log(-down), estimate(up)
    return Closing(temperatures, lower[:2], upper[:2], found[:2])


def _plain(problem: "Unnormalised", count: int, seed: int) -> "Tensor":
    """The log-weights of draws of the start with no moves at all, [count]."""
    import torch

    from diffcli.core.processes.montecarlo.annealing import log_ratio
    from diffcli.core.processes.montecarlo.unnormalised import draw_standard, standard
    from diffcli.core.randomness import keyed

    generator = keyed(seed, "ais-plain")
    blocks = [min(BLOCK, count - done) for done in range(0, count, BLOCK)]
    drawn = (draw_standard(block, problem.dimension, generator) for block in blocks)
    return torch.cat([log_ratio(x, standard, problem.log_density) for x in drawn])


def _numbers(
    truth: float, runs: "list[Closing]", found: "LogEstimate", back: "LogEstimate", naive: "LogEstimate"
) -> dict[str, Any]:
    """What was measured, for metrics.json; in nats."""
    from diffcli.lessons.annealing.weights import surely

    bounds = {
        name: [
            {"temperatures": r.temperatures, name: v[0], "standard_error": v[1]}
            for r in runs
            for v in [getattr(r, name)]
        ]
        for name in ("lower", "upper")
    }
    return {
        "log_z": found.value,
        "log_z_true": truth,
        "standard_error": found.standard_error,
        "ess": found.effective,
        "lower": runs[-1].lower[0],
        "upper": runs[-1].upper[0],
        "surely_above": found.value - surely(SURE),
        "surely_below": surely(SURE) - back.value,
        "reverse": {"log_z": -back.value, "standard_error": back.standard_error, "ess": back.effective},
        "plain": {"log_z": naive.value, "standard_error": naive.standard_error, "ess": naive.effective},
        "bounds": bounds,
    }


def _lines(
    truth: float,
    last: "Closing",
    found: "LogEstimate",
    back: "LogEstimate",
    naive: "LogEstimate",
    draws: tuple[int, int],
) -> list[str]:
    """The table of estimates and bounds."""
    from diffcli.console.show import table
    from diffcli.lessons.annealing.weights import surely

    def row(name: str, value: float, error: float, size: str = "") -> list[str]:
        return [
            name,
            f"{value:.3f}",
            f"{error:.3f}",
            f"{(value - truth) / error:+.1f}" if error > ROUNDING else "",
            size,
        ]

    rows = [
        ["truth", f"{truth:.3f}", "", "", ""],
        row("AIS", found.value, found.standard_error, f"{found.effective:.1f} of {draws[0]}"),
        row("AIS downwards", -back.value, back.standard_error, f"{back.effective:.1f} of {draws[0]}"),
        row("plain sampling", naive.value, naive.standard_error, f"{naive.effective:.1f} of {draws[1]}"),
        ["lower bound", f"{last.lower[0]:.3f}", f"{last.lower[1]:.3f}", "", ""],
        ["upper bound", f"{last.upper[0]:.3f}", f"{last.upper[1]:.3f}", "", ""],
    ]
    low, high = found.value - surely(SURE), surely(SURE) - back.value
    heads = ["", "log Z", "std. error", "errors off", "worth draws"]
    return [*table(heads, rows, right=(1, 2, 3, 4)), f"above {low:.3f}, and below {high:.3f}: each with 99 % certainty"]


def _errors_off(truth: float, found: "LogEstimate") -> float:
    """How far the estimate is from the truth, in standard errors."""
    return abs(found.value - truth) / max(found.standard_error, ROUNDING)


def _seen(truth: float, last: "Closing", found: "LogEstimate", naive: "LogEstimate", draws: int) -> str:
    """What the numbers of this run say."""
    off = _errors_off(truth, found)
    agrees = "agrees with" if off <= AGREED else "misses"
    (low, below), (high, above) = last.lower, last.upper
    if low <= truth <= high:
        held = "which lies between its bounds"
    elif low - AGREED * below - ROUNDING <= truth <= high + AGREED * above + ROUNDING:
        held = "whose bounds are as close as their own errors"
    else:
        held = "whose bounds do not hold it, so these chains are too few"
    far = abs(naive.value - truth)
    return (
        f"AIS {agrees} the truth ({off:.1f} standard errors off), {held}; plain importance sampling is "
        f"{far:.2f} nats off, its {draws} draws worth {naive.effective:.1f}."
    )
