"""Langevin dynamics: steps along the score with noise, whose law comes to that of the density."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from diffcli.core.processes.montecarlo.kernels import LogDensity, Move, hmc, normal

Score = Callable[[Tensor], Tensor]
"""x [B, ...] -> the gradient of log p at x, like x."""


class Cooling(NamedTuple):
    """Particles x [B, ...] and the standard deviation of the noise at which they are."""

    x: Tensor
    sigma: float


def langevin_step(x: Tensor, score: Tensor, step: Tensor | float, noise: Tensor) -> Tensor:
    """One step, x + step / 2 · score + √step · noise, like x (Song & Ermon 2019, eq. 4)."""
    return x + step / 2 * score + step**0.5 * noise


@torch.no_grad()
def ula(score: Score, x: Tensor, step: float, steps: int, generator: Generator) -> Iterator[Tensor]:
    """The unadjusted algorithm: steps along score(x) with fresh noise, x [B, ...].

    Its stationary law is that of the density up to an error of the order of `step`; on N(m, s²) it is
    N(m, s² / (1 - step / 4 s²)), and there is none from step = 4 s² on.
    """
    for _ in range(steps):
        x = langevin_step(x, score(x), step, normal(x, generator))
        yield x


def mala(log_density: LogDensity, x: Tensor, step: float, steps: int, generator: Generator) -> Iterator[Move]:
    """The Metropolis-adjusted algorithm: the same step as a proposal, so that the density is exactly stationary.

    Roberts & Tweedie 1996, section 1.4.1. It is a Hamiltonian move of one leap of √step (Neal 2011, section 5.5.2).

    x:  [B, ...], where the density is not 0
    """
    for _ in range(steps):
        move = hmc(x, log_density, math.sqrt(step), 1, generator)
        x = move.x
        yield move


@torch.no_grad()
def annealed(
    score_at: Callable[[Tensor, float], Tensor],
    x: Tensor,
    sigmas: Sequence[float],
    share: float,
    steps_each: int,
    generator: Generator,
) -> Iterator[Cooling]:
    """Langevin steps at one noise level after the other, each step share · sigma² (Song & Ermon 2019, algorithm 1).

    score_at:    (x [B, ...], sigma) -> the score of the data with noise of that standard deviation, like x
    sigmas:      falling
    share:       the size of a step in units of the variance of the noise; the paper's epsilon / sigma_L²
    """
    for sigma in sigmas:
        for place in ula(partial(_at, score_at, sigma), x, share * sigma**2, steps_each, generator):
            x = place
            yield Cooling(x, sigma)


def _at(score_at: Callable[[Tensor, float], Tensor], sigma: float, x: Tensor) -> Tensor:
    return score_at(x, sigma)


def geometric(high: float, low: float, count: int) -> list[float]:
    """`count` noise levels from high to low with equal ratios (Song & Ermon 2019, section 4.3)."""
    return [high * (low / high) ** (i / max(1, count - 1)) for i in range(count)]
