"""Markov kernels that leave a density unchanged: one move of many chains at once."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

LogDensity = Callable[[Tensor], Tensor]
"""x [B, ...] -> log p(x) [B], up to a constant; -inf where there is none."""


class Move(NamedTuple):
    """Where the chains are after a move [B, ...], and the probability with which each was accepted [B]."""

    x: Tensor
    accepted: Tensor


def random_walk(x: Tensor, log_density: LogDensity, scale: Tensor | float, generator: Generator) -> Move:
    """Metropolis' algorithm: a Gaussian step, kept with probability min(1, p(x') / p(x)) (Metropolis et al. 1953).

    x:      [B, ...], where the density is not 0
    scale:  standard deviation of the step; a number, or broadcasting against x
    """
    proposal = x + scale * normal(x, generator)
    return choose(x, proposal, log_density(proposal) - log_density(x), generator)


def hmc(x: Tensor, log_density: LogDensity, step: Tensor | float, leaps: int, generator: Generator) -> Move:
    """Hamiltonian Monte Carlo: `leaps` leapfrog steps with a fresh momentum of unit mass (Neal 2011, section 5.3.2).

    One leap is the Metropolis-adjusted Langevin algorithm.

    x:     [B, ...], where the density is not 0
    step:  of the leapfrog; a number, or broadcasting against x
    """
    momentum = normal(x, generator)
    before, slope = value_and_gradient(log_density, x)
    place, moved, after = x, momentum, before
    for _ in range(leaps):
        moved = moved + step / 2 * slope
        place = place + step * moved
        after, slope = value_and_gradient(log_density, place)
        moved = moved + step / 2 * slope
    return choose(x, place, (after - energy(moved)) - (before - energy(momentum)), generator)


def energy(momentum: Tensor) -> Tensor:
    """The kinetic energy of momenta [B, ...] of unit mass, [B]."""
    return momentum.square().flatten(1).sum(1) / 2


def choose(x: Tensor, proposal: Tensor, log_ratio: Tensor, generator: Generator) -> Move:
    """The proposals that are accepted, with probability min(1, exp(log_ratio)) each, and x for the rest.

    A ratio that is nan, as where a trajectory has left the range of floats, is refused.
    """
    accepted = log_ratio.nan_to_num(nan=-torch.inf).clamp(max=0).exp()
    uniform = torch.rand(len(x), generator=generator, dtype=x.dtype).to(x.device)
    taken = (uniform < accepted).reshape(-1, *[1] * (x.dim() - 1))
    return Move(torch.where(taken, proposal, x), accepted)


def value_and_gradient(log_density: LogDensity, x: Tensor) -> tuple[Tensor, Tensor]:
    """log p(x) [B] and its gradient, like x; neither remembers how it was computed."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = log_density(x)
        (gradient,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), gradient


def normal(x: Tensor, generator: Generator) -> Tensor:
    """Standard normal numbers like x, drawn on the CPU."""
    return torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
