"""A Gaussian-Bernoulli restricted Boltzmann machine that is small enough to be summed over."""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from diffcli.core.randomness import keyed

MOST = 12
"""Hidden units: all their states are written down, 2^12 of them."""


class Machine(NamedTuple):
    """exp(-|v|² / 2 + biases · h + v · weights h), real v [V] and binary h [H] (Hinton 2012, section 13.2).

    Given h, v is normal around weights h with variance 1; the law of v is a mixture of 2^H such Gaussians.
    """

    weights: Tensor
    biases: Tensor

    def log_density(self, v: Tensor) -> Tensor:
        """log of the sum over h, in closed form because the hidden units are independent given v [B, V]; [B]."""
        return F.softplus(self.biases + v @ self.weights).sum(1) - v.square().sum(1) / 2

    def mixture(self) -> tuple[Tensor, Tensor]:
        """For each state of the hidden units the mean of v, [2^H, V], and its log share times Z / (2 π)^(V / 2)."""
        states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * len(self.biases))
        states = states.reshape(-1, len(self.biases))  # cartesian_prod of one is flat
        means = states @ self.weights.T
        return means, states @ self.biases + means.square().sum(1) / 2

    def log_z(self) -> float:
        """log of the integral over v of the sum over h, by enumeration."""
        _, log_shares = self.mixture()
        return (log_shares.logsumexp(0) + len(self.weights) / 2 * math.log(2 * math.pi)).item()

    def draw(self, count: int, generator: Generator) -> Tensor:
        """Exact draws of v, float64 [count, V]: first the hidden units, then the visible ones."""
        means, log_shares = self.mixture()
        chosen = torch.multinomial(log_shares.softmax(0), count, replacement=True, generator=generator)
        noise = torch.randn(count, len(self.weights), generator=generator, dtype=torch.float64)
        return means[chosen] + noise


def random_machine(visible: int, hidden: int, scale: float, seed: int) -> Machine:
    """Normal weights; the biases are such that no unit alone changes the mass, which leaves the modes comparable.

    scale:  root mean square length of a column of weights
    """
    if not 2 <= visible <= 100:
        raise ValueError("visible must be from 2 to 100")
    if not 1 <= hidden <= MOST:
        raise ValueError(f"hidden must be from 1 to {MOST}, for 2^hidden states are summed over")
    if not 0 <= scale <= 20:
        raise ValueError("scale must be from 0 to 20")
    if seed < 0:
        raise ValueError("seed must not be negative")
    normal = torch.randn(visible, hidden, generator=keyed(seed, "rbm"), dtype=torch.float64)
    weights = scale / math.sqrt(visible) * normal
    return Machine(weights, -weights.square().sum(0) / 2)
