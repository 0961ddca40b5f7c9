"""The truth writes out both proposal densities, those of log-normal laws, and decides chain by chain."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.distributions import LogNormal

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def hastings_step(
    x: Tensor, log_density: Callable[[Tensor], Tensor], step: float, noise: Tensor, uniform: Tensor
) -> Tensor:
    """One Metropolis-Hastings step of chains on the positive numbers, with a proposal that multiplies.

    The proposal is x' = x exp(step · noise). It is accepted with probability
    min(1, p(x') q(x | x') / (p(x) q(x' | x))), where q(x' | x) is the density at x' of what is proposed from x when the
    noise is standard normal: that of a log-normal law. It is not symmetric in x and x'.

    x:           [B], float64, all above 0
    log_density: function of [B], gives log p [B] up to a constant
    step:        above 0, the standard deviation of log x' given x
    noise:       [B], standard normal numbers, for the proposals
    uniform:     [B], uniform numbers in (0, 1): a proposal is accepted where its number is below the probability

    Returns [B]: x' where it was accepted, x where not.
    """
    proposal = x * torch.exp(step * noise)
    log_ratio = log_density(proposal) - log_density(x) + torch.log(proposal / x)
    return torch.where(uniform.log() < log_ratio, proposal, x)


def truth(x: Tensor, log_density: Callable[[Tensor], Tensor], step: float, noise: Tensor, uniform: Tensor) -> Tensor:
    moved = []
    for i in range(len(x)):
        here = x[i : i + 1]
        there = LogNormal(0.0, step).icdf(0.5 * (1 + torch.erf(noise[i : i + 1] / math.sqrt(2)))) * here
        forth = LogNormal(here.log(), step).log_prob(there)
        back = LogNormal(there.log(), step).log_prob(here)
        chance = (log_density(there) + back - log_density(here) - forth).clamp(max=0).exp()
        moved.append(there if bool(uniform[i] < chance) else here)
    return torch.cat(moved)


COUNT = 60


def gamma(x: Tensor) -> Tensor:
    """log p of Gamma(3, 1), up to a constant."""
    return 2 * x.log() - x


def tail(x: Tensor) -> Tensor:
    """log p = -2 log(1 + x), with a constant of -2000."""
    return -2 * torch.log1p(x) - 2000


def bump(x: Tensor) -> Tensor:
    """log p of N(2, 0.5²), with a constant of 1500."""
    return -2 * (x - 2) ** 2 + 1500


def questions(ask: Ask) -> Iterator[Seen]:
    source = torch.Generator().manual_seed(36)
    for name, density, step in (
        ("a gamma law", gamma, 0.7),
        ("a gamma law", gamma, 2.5),
        ("a heavy tail", tail, 1.5),
        ("a narrow bump", bump, 0.6),
    ):
        x = 0.2 + 4 * torch.rand(COUNT, generator=source, dtype=torch.float64)
        noise = torch.randn(COUNT, generator=source, dtype=torch.float64)
        uniform = torch.rand(COUNT, generator=source, dtype=torch.float64)
        yield Seen(f"{name}, step {step:g}, {COUNT} chains", ask(x, density, step, noise, uniform))
    x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    far = torch.tensor([3.0, -4.0, 5.0], dtype=torch.float64)
    yield Seen("a gamma law, proposals far out", ask(x, gamma, 1.2, far, torch.tensor([0.5, 1e-3, 0.9]).double()))


WRONG = [
    Swap(
        "as-if-symmetric",
        "without q(x | x') / q(x' | x), as if the proposal were symmetric",
        "how much wider the proposal is where x is large",
        " + torch.log(proposal / x)",
        "",
    ),
    Swap(
        "q-upside-down",
        "with the ratio of the proposal densities upside down",
        "which of the two is in the numerator: the way back",
        "torch.log(proposal / x)",
        "torch.log(x / proposal)",
    ),
    Swap(
        "p-upside-down",
        "with p(x) / p(x')",
        "which state has to be likelier for the step to be taken",
        "log_density(proposal) - log_density(x)",
        "log_density(x) - log_density(proposal)",
    ),
    Swap(
        "always-accepted",
        "when every proposal is accepted",
        "what happens to those whose uniform number is too large",
        "torch.where(uniform.log() < log_ratio, proposal, x)",
        "proposal",
    ),
    Swap(
        "uniform-without-log",
        "when a uniform number is compared with the logarithm of the ratio",
        "the two sides of the comparison: both are logarithms, or none",
        "uniform.log() <",
        "uniform <",
    ),
    Swap(
        "only-uphill",
        "when only steps upwards are taken",
        "what the uniform numbers are for",
        "uniform.log() <",
        "0 <",
    ),
    Swap(
        "other-way-round",
        "when proposals are accepted with the probability with which they should be refused",
        "the comparison: a proposal is accepted if its uniform number is below the probability",
        "uniform.log() <",
        "uniform.log() >",
    ),
]


@wrong("when densities are divided, not their logarithms subtracted", "what exp(-2000) is in floating point")
def without_logarithms(
    x: Tensor, log_density: Callable[[Tensor], Tensor], step: float, noise: Tensor, uniform: Tensor
) -> Tensor:
    proposal = x * torch.exp(step * noise)
    ratio = log_density(proposal).exp() * proposal / (log_density(x).exp() * x)
    return torch.where(uniform < ratio, proposal, x)


@wrong("when noise is added to x", "the first line of the docstring: this proposal multiplies")
def additive(x: Tensor, log_density: Callable[[Tensor], Tensor], step: float, noise: Tensor, uniform: Tensor) -> Tensor:
    proposal = x + step * noise
    log_ratio = log_density(proposal) - log_density(x)
    return torch.where(uniform.log() < log_ratio, proposal, x)


@right
def by_the_noise(
    x: Tensor, log_density: Callable[[Tensor], Tensor], step: float, noise: Tensor, uniform: Tensor
) -> Tensor:
    jump = step * noise
    chance = (log_density(x * jump.exp()) - log_density(x) + jump).clamp(max=0).exp()
    taken = (uniform < chance).double()
    return taken * x * jump.exp() + (1 - taken) * x


@right
def in_log_x(x: Tensor, log_density: Callable[[Tensor], Tensor], step: float, noise: Tensor, uniform: Tensor) -> Tensor:
    y = x.log()
    there = y + step * noise
    ratio = (log_density(there.exp()) + there) - (log_density(y.exp()) + y)  # the density of log x is p(x) x
    return torch.where(uniform <= ratio.exp(), there, y).exp()


@right
def in_numpy(
    x: Tensor, log_density: Callable[[Tensor], Tensor], step: float, noise: Tensor, uniform: Tensor
) -> np.ndarray:
    here = x.numpy()
    there = here * np.exp(step * noise.numpy())
    forth = -np.log(there) - (np.log(there) - np.log(here)) ** 2 / (2 * step**2)
    back = -np.log(here) - (np.log(here) - np.log(there)) ** 2 / (2 * step**2)
    ratio = log_density(torch.from_numpy(there)).numpy() - log_density(x).numpy() + back - forth
    moved = here.copy()
    for i in range(len(moved)):
        if np.log(uniform[i].item()) < ratio[i]:
            moved[i] = there[i]
    return moved
