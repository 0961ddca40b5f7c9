"""Held to the same walk in the form with x0: the posterior's two coefficients, and the best clean estimate."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.levels import Level, bridge
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import parted


def walk_moments(betas: Tensor, mean: float, variance: float, large: bool) -> Tensor:
    """Mean and variance of what DDPM draws (algorithm 2), the data being N(mean, variance) and ε the best prediction.

    A step is x_{t−1} = (x_t − β_t/√(1 − ᾱ_t) ε(x_t)) / √(1 − β_t) + √v z with ε(x_t) = E[ε | x_t] and z ~ N(0, 1). The
    walk begins at x_T ~ N(0, 1), whatever the data, and its last step, from x_1 to x_0, has no z.

    betas:    [T], float64; betas[0] is β_1, the step next to the data
    mean:     of the data
    variance: of the data, above 0
    large:    whether v is β_t; otherwise it is β̃_t = β_t (1 − ᾱ_{t−1}) / (1 − ᾱ_t), with ᾱ_0 = 1

    Returns [2]: the mean of x_0, then its variance.
    """
    abars = torch.cumprod(1 - betas, 0)
    before = torch.cat([torch.ones_like(abars[:1]), abars[:-1]])
    centre, spread = torch.zeros_like(abars[0]), torch.ones_like(abars[0])
    for t in reversed(range(len(betas))):
        beta, abar = betas[t], abars[t]
        slope = (1 - abar).sqrt() / (abar * variance + 1 - abar)  # the prediction is slope * (x - sqrt(abar) mean)
        pull = beta / (1 - abar).sqrt() * slope
        shrink = (1 - pull) / (1 - beta).sqrt()
        added = beta if large else beta * (1 - before[t]) / (1 - abar)
        centre = shrink * centre + pull * abar.sqrt() * mean / (1 - beta).sqrt()
        spread = shrink**2 * spread + (added if t > 0 else 0)
    return torch.stack([centre, spread])


def questions(ask: Ask) -> Iterator[Seen]:
    tables = {
        "four steps, β from 0.2 to 0.8": torch.linspace(0.2, 0.8, 4, dtype=torch.float64),
        "ten steps, β from 0.01 to 0.6": torch.linspace(0.01, 0.6, 10, dtype=torch.float64),
    }
    for name, betas in tables.items():
        for mean, variance in ((0.0, 1.0), (1.5, 0.25), (-1.0, 3.0)):
            for large in (False, True):
                kind = "β" if large else "β̃"
                asked = f"{name}, data of mean {mean:g} and variance {variance:g}, noise of variance {kind}"
                centre, spread = parted(ask(betas, mean, variance, large), "the mean", "the variance")
                yield Seen(f"{asked}: the mean", centre)
                yield Seen(f"{asked}: the variance", spread)


def truth(betas: Tensor, mean: float, variance: float, large: bool) -> Tensor:
    abars = [1.0, *torch.cumprod(1 - betas.double(), 0).tolist()]
    levels = [Level.of(abar**0.5, (1 - abar) ** 0.5) for abar in abars]
    centre, spread = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    for t, s in zip(reversed(levels[1:]), reversed(levels[:-1]), strict=True):
        step = bridge(t, s)
        gain = t.alpha * variance / (t.alpha**2 * variance + t.sigma**2)  # x0 is mean + gain * (x - alpha mean)
        factor = step.of_x + step.of_x0 * gain
        centre = factor * centre + step.of_x0 * (mean - gain * t.alpha * mean)
        spread = factor**2 * spread
        if s.sigma > 0:
            spread = spread + (step.forward_variance if large else step.variance)
    return torch.stack([centre, spread])


WRONG = [
    Swap(
        "noise-on-the-last-step",
        "with noise on the step to x_0 as well",
        "line 3 of algorithm 2: z is 0 at t = 1",
        "(added if t > 0 else 0)",
        "added",
    ),
    Swap(
        "variances-swapped",
        "with β and β̃ exchanged",
        "the meaning of `large`: β, the larger one",
        "beta if large else beta * (1 - before[t]) / (1 - abar)",
        "beta * (1 - before[t]) / (1 - abar) if large else beta",
    ),
    Swap(
        "beta-tilde-turned-over",
        "with (1 − ᾱ_t) / (1 − ᾱ_{t−1}) for its inverse",
        "β̃, which is less than β: at t − 1 there is less noise than at t",
        "(1 - before[t]) / (1 - abar)",
        "(1 - abar) / (1 - before[t]).clamp(min=1e-9)",
    ),
    Swap(
        "factor-not-squared",
        "with a variance that is multiplied by the factor itself, not by its square",
        "the variance of a x + b",
        "shrink**2",
        "shrink",
    ),
    Swap(
        "started-at-the-data",
        "with a walk that begins at the variance of the data",
        "the law of x_T, from which sampling starts",
        "torch.ones_like(abars[0])\n",
        "torch.full_like(abars[0], variance)\n",
    ),
    Swap(
        "noise-by-std",
        "with the standard deviation of the noise added to a variance",
        "the unit of β: it is a variance",
        "(added if t > 0 else 0)",
        "(added**0.5 if t > 0 else 0)",
    ),
    Swap(
        "prediction-of-white-data",
        "with a prediction that takes the data for white noise, of variance 1",
        "the variance of x_t, ᾱ variance + 1 − ᾱ",
        "abar * variance + 1 - abar",
        "abar + 1 - abar",
    ),
    Swap(
        "mean-not-divided",
        "with a mean that is not divided by √(1 − β)",
        "the bracket that √(1 − β) divides: all of it",
        "mean / (1 - beta).sqrt()",
        "mean",
    ),
    Swap(
        "shift-turned-over",
        "with the wrong sign of b",
        "the two minus signs in −β (x_t − √ᾱ m)",
        "centre + pull",
        "centre - pull",
    ),
    Swap(
        "other-way-round",
        "with a walk from the first entry of the table to the last",
        "the order of sampling: T first, 1 last",
        "reversed(range(len(betas)))",
        "range(len(betas))",
    ),
]


@wrong("if the mean of the data is left out of the prediction", "E[ε | x] at the mean of x_t: it is 0")
def no_mean(betas: Tensor, mean: float, variance: float, large: bool) -> Tensor:
    return walk_moments(betas, 0.0, variance, large)


@wrong("with a walk that begins at the true law of x_T", "the law from which sampling starts: N(0, 1) for all data")
def from_the_noised_data(betas: Tensor, mean: float, variance: float, large: bool) -> Tensor:
    final = float(torch.prod(1 - betas))
    from_zero, from_one = (follow(betas, mean, variance, start) for start in (0.0, 1.0))
    gain = from_one - from_zero
    spread = gain**2 * (final * variance + 1 - final)
    centre = from_zero + gain * final**0.5 * mean
    return torch.stack([centre, spread + walk_moments(betas, mean, variance, large)[1] - gain**2])


@wrong("with `abars[t - 1]` at t = 0, which in Python is the last entry, ᾱ_T", "ᾱ_0, which is in no table: it is 1")
def from_the_last_entry(betas: Tensor, mean: float, variance: float, large: bool) -> Tensor:
    abars = torch.cumprod(1 - betas, 0)
    added = betas[0] * (1 if large else (1 - abars[-1]) / (1 - abars[0]))
    centre, spread = walk_moments(betas, mean, variance, large)
    return torch.stack([centre, spread + added])


def follow(betas: Tensor, mean: float, variance: float, start: float) -> Tensor:
    """Where the walk without noise takes a point."""
    abars = torch.cumprod(1 - betas, 0)
    x = torch.tensor(start, dtype=torch.float64)
    for beta, abar in zip(betas.flip(0), abars.flip(0), strict=True):
        pull = beta / (abar * variance + 1 - abar)
        x = (x - pull * (x - abar.sqrt() * mean)) / (1 - beta).sqrt()
    return x


@right
def by_two_points(betas: Tensor, mean: float, variance: float, large: bool) -> Tensor:
    """Every step is an affine map: it is known by what it does to 0 and to 1."""
    abars = torch.cumprod(1 - betas, 0)
    points, spread = torch.tensor([0.0, 1.0], dtype=torch.float64), 0.0
    for i in range(len(betas) - 1, -1, -1):
        beta, abar, before = betas[i].item(), abars[i].item(), abars[i - 1].item() if i else 1.0
        eps = (1 - abar) ** 0.5 * (points - abar**0.5 * mean) / (abar * variance + 1 - abar)
        moved = (points - beta / (1 - abar) ** 0.5 * eps) / (1 - beta) ** 0.5
        spread = spread * float((moved[1] - moved[0]) / (points[1] - points[0])) ** 2
        points = moved
        if i:
            spread += beta if large else beta * (1 - before) / (1 - abar)
    return torch.stack([points[0], (points[1] - points[0]) ** 2 + spread])


@right
def from_the_end(betas: Tensor, mean: float, variance: float, large: bool) -> tuple[float, float]:
    """Every noise that is added is multiplied by all factors that come after it."""
    kept, centre, spread, abar = 1.0, 0.0, 0.0, 1.0
    for t, beta in enumerate(betas.tolist()):
        before, abar = abar, abar * (1 - beta)
        pull = beta / (abar * variance + 1 - abar)
        if t > 0:
            spread += kept**2 * (beta if large else beta * (1 - before) / (1 - abar))
        centre += kept * pull * abar**0.5 * mean / (1 - beta) ** 0.5
        kept *= (1 - pull) / (1 - beta) ** 0.5
    return centre, spread + kept**2


@right
def with_the_clean_estimate(betas: Tensor, mean: float, variance: float, large: bool) -> Tensor:
    abars = [1.0, *torch.cumprod(1 - betas, 0).tolist()]
    centre, spread = 0.0, 1.0
    for t in range(len(betas), 0, -1):
        beta, abar, before = float(betas[t - 1]), abars[t], abars[t - 1]
        of_x0, of_x = before**0.5 * beta / (1 - abar), (1 - beta) ** 0.5 * (1 - before) / (1 - abar)
        gain = abar**0.5 * variance / (abar * variance + 1 - abar)
        centre = of_x * centre + of_x0 * (mean + gain * (centre - abar**0.5 * mean))
        spread = (of_x + of_x0 * gain) ** 2 * spread
        if t > 1:
            spread += beta if large else beta * (1 - before) / (1 - abar)
    return torch.tensor([centre, spread])
