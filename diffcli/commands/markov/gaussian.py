"""Chains of numbers: autoregressions, and the forward process of diffusion as one of them."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from diffcli.commands.markov.size import check_size
from diffcli.errors import UsageProblem

if TYPE_CHECKING:
    from torch import Tensor

    from diffcli.commands.markov import Simulation
    from diffcli.core.diffusion.schedules import Level, Schedule
    from diffcli.core.processes.autoregression import Autoregression
    from diffcli.lesson import Lesson

MOST_STEPS = 10_000  # of the forward process
SHOWN = 400  # steps in a picture
PATHS = 8
BLOCK = 100  # levels at once
FAR = 3.0  # standard deviations from the middle: where an autoregression starts, unless told


def study(chain: "Autoregression", wanted: "Simulation", made: "Lesson") -> None:
    """Fill the lesson for an autoregression."""
    from itertools import islice, repeat

    import torch

    from diffcli.core.processes.autoregression import noisings, total_variation
    from diffcli.core.processes.gaussian import kl
    from diffcli.core.randomness import keyed
    from diffcli.metrics.chains import first_within
    from diffcli.metrics.statistics import autocorrelation, standard_error
    from diffcli.pictures.chains import Density, walk_figure

    start = number(wanted.start, FAR * chain.std)
    std = torch.tensor(chain.std, dtype=torch.float64)

    def variation(step: "Tensor") -> "Tensor":
        return total_variation(*chain.law(start, step), 0.0, std)

    mixed = first_within(variation, 0.25)
    x = torch.full((wanted.chains,), start, dtype=torch.float64)
    walk = noisings(x, repeat(chain.step), keyed(wanted.seed, "markov"))
    ways = torch.stack([*islice(walk, wanted.steps + 1)])
    mean, spread = chain.law(start, torch.tensor(float(wanted.steps)).double())
    end, rho = ways[-1], autocorrelation(ways[len(ways) // 2 :])[1].item()
    made.document |= {
        "stationary": {"mean": 0.0, "std": chain.std},
        "reversible": True,
        "irreducible": True,
        "period": 1,
        "eigenvalues": [chain.rho**k for k in range(6)],
        "spectral_gap": chain.gap,
        "relaxation_time": 1 / chain.gap,
        "mixing_time": mixed,
        "start": start,
        "end": {"mean": end.mean().item(), "standard_error": standard_error(end), "expected": mean.item()},
        "end_std": {"std": end.std().item(), "expected": spread.item()},
        "autocorrelation": {"measured": rho, "expected": chain.rho},
    }
    off = standard_error(end)
    made.lines += [
        f"x' = {chain.rho:.6g} x + {chain.noise:.6g} ε",
        f"stationary law N(0, {chain.std:.5g}²), reversible, eigenvalues {chain.rho:.4g}^k for k = 0, 1, 2, ...",
        f"spectral gap {chain.gap:.5g}, relaxation time {1 / chain.gap:.5g} steps",
        f"mixing time {mixed} steps, until total variation 1/4 from {start:.4g} (the line has no worst start)",
        f"after {wanted.steps} steps: mean {end.mean():.4f} ± {off:.4f}, exactly {mean:.4f}",
        f"  standard deviation {end.std():.4f} ± {off / math.sqrt(2):.4f}, exactly {spread:.4f}",
        f"  correlation of neighbours {rho:.4f}, exactly {chain.rho:.4f}",
    ]
    horizon = min(max(4 * (mixed or 1), 20), MOST_STEPS * 1000)
    times = torch.linspace(0, horizon, min(horizon, SHOWN) + 1, dtype=torch.float64).round()
    laws = chain.law(start, times)
    places = torch.linspace(-4, 4, 201, dtype=torch.float64) * std
    density = (-((places / std) ** 2) / 2).exp() / (std * math.sqrt(2 * math.pi))
    shown = min(len(ways), SHOWN, max(40, horizon))
    walk_figure(
        made.figure("mixing.png"),
        f"{wanted.name}: every step keeps {chain.rho:.4g} of x and adds noise",
        ways[:shown, :PATHS],
        chain.law(start, torch.arange(shown).double()),
        Density(places, density, end, "stationary"),
        times,
        {"total variation": variation(times), "KL": kl(*laws, 0.0, std)},
        {f"from {start:.3g}": mixed},
    )
    made.seen = (
        f"From {start:.4g} the chain is within 1/4 of N(0, {chain.std:.4g}²) after {mixed} steps; "
        f"at the end the simulated mean is {end.mean():.3f} ± {off:.3f}."
    )
    made.leads = "The forward process of diffusion is this chain with a ratio of its own in each step."
    made.next = "diffcli markov diffusion"


def number(text: str | None, default: float) -> float:
    """A start on the line."""
    try:
        value = default if text is None else float(text)
        if abs(value) <= 1e9:
            return value
    except ValueError:
        pass
    raise UsageProblem(f"--start must be a number of at most 1e9 here, not '{text}'", "as in --start 2.5")


class Forward(NamedTuple):
    """The levels of a forward process, CLEAN first, and whether it keeps the variance of data that have 1."""

    levels: "list[Level]"
    keeps: bool


def forward(schedule: "Schedule", steps: int) -> Forward:
    """The walk up a schedule in so many equal steps of time; 0 takes its own number, or 1000."""
    import torch

    from diffcli.core.diffusion.schedules import CLEAN, Level

    steps = steps or min(schedule.length or 1000, MOST_STEPS)
    if not 1 <= steps <= MOST_STEPS:
        raise ValueError(f"steps must be 1 to {MOST_STEPS}, not {steps}")
    alpha, sigma = schedule(torch.arange(1, steps + 1, dtype=torch.float64) / steps)
    keeps = bool(((alpha**2 + sigma**2 - 1).abs() < 1e-9).all())
    return Forward([CLEAN, *map(Level, alpha, sigma)], keeps)


def study_forward(chain: Forward, wanted: "Simulation", made: "Lesson") -> None:
    """Fill the lesson for the forward process on data at plus and minus one place."""
    from itertools import pairwise

    import torch

    from diffcli.core.processes.autoregression import noising, noisings, total_variation
    from diffcli.core.processes.gaussian import kl
    from diffcli.core.randomness import keyed
    from diffcli.metrics.statistics import standard_error
    from diffcli.pictures.chains import Density, walk_figure

    if wanted.start is not None:
        raise UsageProblem("diffusion starts at its data, -1 and 1", "leave --start out")
    steps = len(chain.levels) - 1
    check_size(steps, wanted.chains)
    data = 1.0 - 2 * (torch.arange(wanted.chains) % 2).double()
    walk = noisings(data, (noising(s, t) for s, t in pairwise(chain.levels)), keyed(wanted.seed, "markov"))
    ways = torch.stack([*walk])
    alpha, sigma = (torch.stack(part) for part in zip(*chain.levels, strict=True))
    noise = (alpha**2 + sigma**2).sqrt()
    variation = total_variation(alpha, sigma, 0.0, noise)
    divergence = kl(alpha, sigma, 0.0, noise)
    both, both_kl = (torch.cat([first, rest]) for first, rest in _of_data(alpha, sigma))
    mixed, mixed_both = first_of(variation), first_of(both)
    left = data * ways[-1]
    off = standard_error(left)
    gaps = [1 - (t.alpha / s.alpha).item() for s, t in pairwise(chain.levels)]
    made.document |= {
        "steps": steps,
        "stationary": {"mean": 0.0, "std": 1.0} if chain.keeps else None,
        "reversible": chain.keeps,
        "irreducible": True,
        "period": 1,
        "spectral_gap": None,
        "step_gaps": {"first": gaps[0], "last": gaps[-1]},
        "mixing_time": mixed,
        "mixing_time_of_the_data": mixed_both,
        "terminal_total_variation": {"one image": variation[-1].item(), "data": both[-1].item()},
        "terminal_kl": {"one image": divergence[-1].item(), "data": both_kl[-1].item()},
        "left": {"mean": left.mean().item(), "standard_error": off, "expected": alpha[-1].item()},
        "end_std": {"std": ways[-1].std().item(), "expected": noise[-1].item()},
    }
    made.lines += lines(chain, made.document)
    places = torch.linspace(-4, 4, 201, dtype=torch.float64) * noise[-1]
    density = (-((places / noise[-1]) ** 2) / 2).exp() / (noise[-1] * math.sqrt(2 * math.pi))
    walk_figure(
        made.figure("mixing.png"),
        f"{wanted.name}: the forward process of diffusion as a Markov chain, from data at -1 and 1",
        ways[:, :PATHS],
        None,
        Density(places, density, ways[-1], "pure noise"),
        torch.arange(steps + 1),
        {"one image, x0 = 1: total variation": variation, "one image: KL": divergence,
         "all data, x0 = ±1: total variation": both, "all data: KL": both_kl},
        {"one image": mixed, "all data": mixed_both},
    )  # fmt: skip
    made.seen = (
        f"It takes {mixed if mixed is not None else f'more than {steps}'} steps to forget which image it was, and "
        f"{mixed_both if mixed_both is not None else 'more'} to forget that it was one; "
        f"what is left at the end is x0 times {left.mean():.4f} ± {off:.4f} (α = {alpha[-1]:.4f})."
    )
    made.leads = "A diffusion model learns to walk this chain backwards, from its stationary law to the data."
    made.next = "diffcli visualize forward"


def _of_data(alpha: "Tensor", sigma: "Tensor") -> Iterator[tuple["Tensor", "Tensor"]]:
    """Total variation and KL of all data from noise: that of CLEAN, where they are points, and those of the rest."""
    import torch

    from diffcli.core.processes.autoregression import two_points

    parts = [two_points(a, s) for a, s in zip(alpha[1:].split(BLOCK), sigma[1:].split(BLOCK), strict=True)]
    for first, rest in zip((1.0, math.inf), zip(*parts, strict=True), strict=True):
        yield torch.tensor([first], dtype=torch.float64), torch.cat(rest)


def first_of(variation: "Tensor") -> int | None:
    """The first step with a total variation of at most 1/4."""
    near = (variation <= 0.25).nonzero()
    return int(near[0]) if len(near) else None


def lines(chain: Forward, document: dict[str, Any]) -> list[str]:
    """What the forward process is like."""
    steps, gaps = document["steps"], document["step_gaps"]
    kinds = (("one image", "mixing_time"), ("data", "mixing_time_of_the_data"))
    said = [
        "every step is reversible under N(0, 1), which it leaves as it is"
        if chain.keeps
        else "no law is stationary, since the variance of the noisy data changes; compared with the Gaussian of it",
        f"gap of a step, 1 - ratio: {gaps['first']:.4g} in the first, {gaps['last']:.4g} in the last",
    ]
    for name, key in kinds:
        when = f"after {document[key]} of {steps} steps" if document[key] is not None else f"never in {steps} steps"
        end = f"{document['terminal_total_variation'][name]:.3g}, KL {document['terminal_kl'][name]:.3g} nats"
        said.append(f"{name}: total variation from noise 1/4 {when}; at the end {end}")
    end, left = document["end_std"], document["left"]
    said.append(f"at the end: standard deviation {end['std']:.4f}, exactly {end['expected']:.4f}")
    said.append(f"  mean of x0 x {left['mean']:.4f} ± {left['standard_error']:.4f}, exactly α = {left['expected']:.4f}")
    return said
