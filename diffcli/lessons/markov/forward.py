"""The forward process of diffusion as a Markov chain, on data at -1 and 1."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from diffcli.console.results import Lesson
from diffcli.core.diffusion.schedules import Schedule
from diffcli.core.levels import CLEAN, Level, noising
from diffcli.core.processes.chains.autoregression import noisings, total_variation, two_points
from diffcli.core.processes.laws.gaussian import kl
from diffcli.core.randomness import keyed
from diffcli.errors import UsageProblem
from diffcli.lessons.markov.pictures import bell, walk_figure
from diffcli.lessons.markov.simulation import Simulation, check_size
from diffcli.metrics.statistics import standard_error
from diffcli.pictures.figures import write_figure

MOST_STEPS = 10_000
BLOCK = 100  # levels at once
PATHS = 4
KINDS = ("one image", "data")


class ForwardChain(NamedTuple):
    """The levels of a forward process, CLEAN first, and whether it keeps the variance of data that have 1."""

    levels: list[Level]
    keeps: bool


def forward_chain(schedule: Schedule, steps: int) -> ForwardChain:
    """The walk up a schedule in so many equal steps of time; 0 takes its own number, or 1000."""
    steps = steps or min(schedule.length or 1000, MOST_STEPS)
    if not 1 <= steps <= MOST_STEPS:
        raise ValueError(f"steps must be 1 to {MOST_STEPS}, not {steps}")
    alpha, sigma = schedule(torch.arange(1, steps + 1, dtype=torch.float64) / steps)
    keeps = bool(((alpha**2 + sigma**2 - 1).abs() < 1e-9).all())
    return ForwardChain([CLEAN, *map(Level, alpha, sigma)], keeps)


class FromNoise(NamedTuple):
    """Total variation and KL from pure noise at every level, [T]."""

    variation: Tensor
    nats: Tensor

    @property
    def mixed(self) -> int | None:
        """The first step with a total variation of at most 1/4."""
        near = (self.variation <= 0.25).nonzero()
        return int(near[0]) if len(near) else None


def study_forward_process(chain: ForwardChain, wanted: Simulation, made: Lesson) -> None:
    """Fill the lesson."""
    if wanted.start is not None:
        raise UsageProblem("diffusion starts at its data, -1 and 1", "leave --start out")
    steps = len(chain.levels) - 1
    check_size(steps, wanted.chains, least=2)
    ways = simulated(chain, wanted)
    one, both = image_from_noise(chain), data_from_noise(chain)
    made.document |= forward_facts(chain, one, both) | measured(chain, ways)
    made.lines += forward_lines(chain, made.document)
    figure = noising_figure(wanted, one, both, ways, made.document["end_std"]["expected"])
    write_figure(figure, made.figure("mixing.png"))
    left = made.document["left"]
    one_step, both_step = (f"more than {steps}" if far.mixed is None else str(far.mixed) for far in (one, both))
    made.seen = (
        f"It takes {one_step} steps to forget which image it was, and {both_step} to forget that it was one; what is "
        f"left at the end is x0 times {left['mean']:.4f} ± {left['standard_error']:.4f} (α = {left['expected']:.4f})."
    )
    made.leads = "A diffusion model learns to walk this chain backwards, from its stationary law to the data."
    made.next = "diffcli langevin"


def simulated(chain: ForwardChain, wanted: Simulation) -> Tensor:
    """Numbers float64 [steps + 1, chains], from 1 and -1 by turns."""
    data = 1.0 - 2 * (torch.arange(wanted.chains) % 2).double()
    steps = (noising(s, t) for s, t in pairwise(chain.levels))
    return torch.stack([*noisings(data, steps, keyed(wanted.seed, "markov"))])


def image_from_noise(chain: ForwardChain) -> FromNoise:
    """How far one image, x0 = 1, is from the Gaussian with the variance of all."""
    alpha, sigma, noise = alpha_sigma_length(chain)
    return FromNoise(total_variation(alpha, sigma, 0.0, noise), kl(alpha, sigma, 0.0, noise))


def data_from_noise(chain: ForwardChain) -> FromNoise:
    """How far all data, x0 = 1 or -1, are from the Gaussian with their variance."""
    alpha, sigma, _ = alpha_sigma_length(chain)
    blocks = zip(alpha[1:].split(BLOCK), sigma[1:].split(BLOCK), strict=True)
    rest = zip(*(two_points(a, s) for a, s in blocks), strict=True)
    clean = (1.0, math.inf)  # points, which have no density
    return FromNoise(*(torch.cat([alpha.new_tensor([c]), *r]) for c, r in zip(clean, rest, strict=True)))


def alpha_sigma_length(chain: ForwardChain) -> Iterator[Tensor]:
    """α, σ and √(α² + σ²) of every level, each [T]."""
    alpha, sigma = (torch.stack(part) for part in zip(*chain.levels, strict=True))
    yield from (alpha, sigma, (alpha**2 + sigma**2).sqrt())


def forward_facts(chain: ForwardChain, one: FromNoise, both: FromNoise) -> dict[str, Any]:
    """The numbers that need no simulation; null for what does not exist."""
    first, last = (1 - (t.alpha / s.alpha).item() for s, t in (chain.levels[:2], chain.levels[-2:]))
    return {
        "steps": len(chain.levels) - 1,
        "stationary": {"mean": 0.0, "std": 1.0} if chain.keeps else None,
        "reversible": chain.keeps,
        "irreducible": True,
        "period": 1,
        "spectral_gap": None,  # every step has its own
        "step_gaps": {"first": first, "last": last},
        "mixing_time": one.mixed,
        "mixing_time_of_the_data": both.mixed,
        "terminal_total_variation": {n: d.variation[-1].item() for n, d in zip(KINDS, (one, both), strict=True)},
        "terminal_kl": {n: d.nats[-1].item() for n, d in zip(KINDS, (one, both), strict=True)},
    }


def measured(chain: ForwardChain, ways: Tensor) -> dict[str, Any]:
    """What simulated chains have at the end, and what they should: the mean of x0 x, which is α, and the spread."""
    left, last = ways[0] * ways[-1], chain.levels[-1]
    std = (last.alpha**2 + last.sigma**2).sqrt().item()
    return {
        "left": {"mean": left.mean().item(), "standard_error": standard_error(left), "expected": last.alpha.item()},
        "end_std": {"std": ways[-1].std().item(), "expected": std},
    }


def forward_lines(chain: ForwardChain, document: dict[str, Any]) -> list[str]:
    """What the forward process is like."""
    steps, gaps = document["steps"], document["step_gaps"]
    lines = [
        "every step is reversible under N(0, 1), which it leaves as it is"
        if chain.keeps
        else "no law is stationary, since the variance of the noisy data changes; compared with the Gaussian of it",
        f"gap of a step, 1 - ratio: {gaps['first']:.4g} in the first, {gaps['last']:.4g} in the last",
    ]
    for name, key in zip(KINDS, ("mixing_time", "mixing_time_of_the_data"), strict=True):
        when = f"after {document[key]} of {steps} steps" if document[key] is not None else f"never in {steps} steps"
        variation, nats = document["terminal_total_variation"][name], _short(document["terminal_kl"][name])
        lines.append(f"{name}: total variation from noise 1/4 {when}; at the end {variation:.3g}, KL {nats} nats")
    end, left = document["end_std"], document["left"]
    lines.append(f"at the end: standard deviation {end['std']:.4f}, exactly {end['expected']:.4f}")
    lines.append(
        f"  mean of x0 x {left['mean']:.4f} ± {left['standard_error']:.4f}, exactly α = {left['expected']:.4f}"
    )
    return lines


def _short(nats: float) -> str:
    """A KL, of which rounding leaves no less than 1e-15."""
    return f"{nats:.3g}" if nats > 1e-15 else "below 1e-15"


def noising_figure(wanted: Simulation, one: FromNoise, both: FromNoise, ways: Tensor, end_std: float) -> Figure:
    """Some of the simulated chains, and the distances from pure noise over time."""
    return walk_figure(
        f"{wanted.name}: the forward process of diffusion as a Markov chain, from data at -1 and 1",
        ways[:, :PATHS],
        None,
        bell(end_std, ways[-1], "pure noise"),
        torch.arange(len(ways)),
        {
            "one image, x0 = 1: total variation": one.variation,
            "one image: KL": one.nats,
            "all data, x0 = ±1: total variation": both.variation,
            "all data: KL": both.nats,
        },
        {"one image": one.mixed, "all data": both.mixed},
    )
