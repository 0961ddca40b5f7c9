"""The forward process of diffusion as a Markov chain, on data at -1 and 1."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from diffcli.errors import UsageProblem
from diffcli.lessons.markov.size import check_size

if TYPE_CHECKING:
    from torch import Tensor

    from diffcli.commands.markov import Simulation
    from diffcli.console.results import Lesson
    from diffcli.core.diffusion.schedules import Schedule
    from diffcli.core.levels import Level

MOST_STEPS = 10_000
BLOCK = 100  # levels at once
PATHS = 4
KINDS = ("one image", "data")


class Forward(NamedTuple):
    """The levels of a forward process, CLEAN first, and whether it keeps the variance of data that have 1."""

    levels: "list[Level]"
    keeps: bool


def forward(schedule: "Schedule", steps: int) -> Forward:
    """The walk up a schedule in so many equal steps of time; 0 takes its own number, or 1000."""
    import torch

    from diffcli.core.levels import CLEAN, Level

    steps = steps or min(schedule.length or 1000, MOST_STEPS)
    if not 1 <= steps <= MOST_STEPS:
        raise ValueError(f"steps must be 1 to {MOST_STEPS}, not {steps}")
    alpha, sigma = schedule(torch.arange(1, steps + 1, dtype=torch.float64) / steps)
    keeps = bool(((alpha**2 + sigma**2 - 1).abs() < 1e-9).all())
    return Forward([CLEAN, *map(Level, alpha, sigma)], keeps)


class Distances(NamedTuple):
    """Total variation and KL from pure noise at every level, [T]."""

    variation: "Tensor"
    nats: "Tensor"

    @property
    def mixed(self) -> int | None:
        """The first step with a total variation of at most 1/4."""
        near = (self.variation <= 0.25).nonzero()
        return int(near[0]) if len(near) else None


def study(chain: Forward, wanted: "Simulation", made: "Lesson") -> None:
    """Fill the lesson."""
    if wanted.start is not None:
        raise UsageProblem("diffusion starts at its data, -1 and 1", "leave --start out")
    steps = len(chain.levels) - 1
    check_size(steps, wanted.chains, least=2)
    ways = simulated(chain, wanted)
    one, both = of_one(chain), of_data(chain)
    made.document |= facts(chain, one, both) | measured(chain, ways)
    made.lines += lines(chain, made.document)
    draw(wanted, one, both, ways, made)
    left = made.document["left"]
    one_step, both_step = (f"more than {steps}" if far.mixed is None else str(far.mixed) for far in (one, both))
    made.seen = (
        f"It takes {one_step} steps to forget which image it was, and {both_step} to forget that it was one; what is "
        f"left at the end is x0 times {left['mean']:.4f} ± {left['standard_error']:.4f} (α = {left['expected']:.4f})."
    )
    made.leads = "A diffusion model learns to walk this chain backwards, from its stationary law to the data."
    made.next = "diffcli langevin"


def simulated(chain: Forward, wanted: "Simulation") -> "Tensor":
    """Numbers float64 [steps + 1, chains], from 1 and -1 by turns."""
    from itertools import pairwise

    import torch

    from diffcli.core.levels import noising
    from diffcli.core.processes.chains.autoregression import noisings
    from diffcli.core.randomness import keyed

    data = 1.0 - 2 * (torch.arange(wanted.chains) % 2).double()
    steps = (noising(s, t) for s, t in pairwise(chain.levels))
    return torch.stack([*noisings(data, steps, keyed(wanted.seed, "markov"))])


def of_one(chain: Forward) -> Distances:
    """Of one image, x0 = 1, from the Gaussian with the variance of all."""
    from diffcli.core.processes.chains.autoregression import total_variation
    from diffcli.core.processes.laws.gaussian import kl

    alpha, sigma, noise = parts(chain)
    return Distances(total_variation(alpha, sigma, 0.0, noise), kl(alpha, sigma, 0.0, noise))


def of_data(chain: Forward) -> Distances:
    """Of all data, x0 = 1 or -1, from the Gaussian with their variance."""
    import torch

    from diffcli.core.processes.chains.autoregression import two_points

    alpha, sigma, _ = parts(chain)
    blocks = zip(alpha[1:].split(BLOCK), sigma[1:].split(BLOCK), strict=True)
    rest = zip(*(two_points(a, s) for a, s in blocks), strict=True)
    clean = (1.0, math.inf)  # points, which have no density
    return Distances(*(torch.cat([alpha.new_tensor([c]), *r]) for c, r in zip(clean, rest, strict=True)))


def parts(chain: Forward) -> Iterator["Tensor"]:
    """α, σ and √(α² + σ²) of every level, each [T]."""
    import torch

    alpha, sigma = (torch.stack(part) for part in zip(*chain.levels, strict=True))
    yield from (alpha, sigma, (alpha**2 + sigma**2).sqrt())


def facts(chain: Forward, one: Distances, both: Distances) -> dict[str, Any]:
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


def measured(chain: Forward, ways: "Tensor") -> dict[str, Any]:
    """Of simulated chains at the end, with what it should be: the mean of x0 x, which is α, and the spread."""
    from diffcli.metrics.statistics import standard_error

    left, last = ways[0] * ways[-1], chain.levels[-1]
    std = (last.alpha**2 + last.sigma**2).sqrt().item()
    return {
        "left": {"mean": left.mean().item(), "standard_error": standard_error(left), "expected": last.alpha.item()},
        "end_std": {"std": ways[-1].std().item(), "expected": std},
    }


def lines(chain: Forward, document: dict[str, Any]) -> list[str]:
    """What the forward process is like."""
    steps, gaps = document["steps"], document["step_gaps"]
    said = [
        "every step is reversible under N(0, 1), which it leaves as it is"
        if chain.keeps
        else "no law is stationary, since the variance of the noisy data changes; compared with the Gaussian of it",
        f"gap of a step, 1 - ratio: {gaps['first']:.4g} in the first, {gaps['last']:.4g} in the last",
    ]
    for name, key in zip(KINDS, ("mixing_time", "mixing_time_of_the_data"), strict=True):
        when = f"after {document[key]} of {steps} steps" if document[key] is not None else f"never in {steps} steps"
        variation, nats = document["terminal_total_variation"][name], _short(document["terminal_kl"][name])
        said.append(f"{name}: total variation from noise 1/4 {when}; at the end {variation:.3g}, KL {nats} nats")
    end, left = document["end_std"], document["left"]
    said.append(f"at the end: standard deviation {end['std']:.4f}, exactly {end['expected']:.4f}")
    said.append(f"  mean of x0 x {left['mean']:.4f} ± {left['standard_error']:.4f}, exactly α = {left['expected']:.4f}")
    return said


def _short(nats: float) -> str:
    """A KL, of which rounding leaves no less than 1e-15."""
    return f"{nats:.3g}" if nats > 1e-15 else "below 1e-15"


def draw(wanted: "Simulation", one: Distances, both: Distances, ways: "Tensor", made: "Lesson") -> None:
    """The figure."""
    import torch

    from diffcli.lessons.markov.pictures import bell, walk_figure

    walk_figure(
        made.figure("mixing.png"),
        f"{wanted.name}: the forward process of diffusion as a Markov chain, from data at -1 and 1",
        ways[:, :PATHS],
        None,
        bell(made.document["end_std"]["expected"], ways[-1], "pure noise"),
        torch.arange(len(ways)),
        {
            "one image, x0 = 1: total variation": one.variation,
            "one image: KL": one.nats,
            "all data, x0 = ±1: total variation": both.variation,
            "all data: KL": both.nats,
        },
        {"one image": one.mixed, "all data": both.mixed},
    )
