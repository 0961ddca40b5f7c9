"""Noise levels, the idea that everything hangs on: a level, what lies between two of them, and the way up.

The forward process is a chain from level to level, each step with noise of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor


class Level(NamedTuple):
    """One noise level: x = alpha * x0 + sigma * eps. Each is [] or [B, 1, ..., 1], so nothing ever reshapes."""

    alpha: Tensor
    sigma: Tensor

    @property
    def log_snr(self) -> Tensor:
        """log(alpha² / sigma²); inf at CLEAN, -inf where no signal is left."""
        return 2 * (self.alpha.log() - self.sigma.log())

    @classmethod
    def of(cls, alpha: float, sigma: float) -> "Level":
        """The level of two numbers: 0-dim float64 on the CPU, which is exact and never promotes a float32 x."""
        return cls(torch.tensor(alpha, dtype=torch.float64), torch.tensor(sigma, dtype=torch.float64))

    def noised(self, x0: Tensor, eps: Tensor) -> Tensor:
        """The jump from data to this level (Ho et al. 2020, eq. 4)."""
        return self.alpha * x0 + self.sigma * eps


CLEAN = Level.of(1.0, 0.0)
"""Where every walk ends: the data themselves."""


class Bridge(NamedTuple):
    """q(x_s | x_t, x0) = N(of_x * x_t + of_x0 * x0, variance), and the variance of q(x_t | x_s)."""

    of_x: Tensor
    of_x0: Tensor
    variance: Tensor
    forward_variance: Tensor


def bridge(t: Level, s: Level) -> Bridge:
    """The Gaussian at the less noisy level s, given x at level t and the data.

    Ho et al. 2020, eq. 6-7, written for any pair of levels as in Kingma et al. 2021, appendix A.2;
    at s = CLEAN it is the point x0.
    """
    ratio = t.alpha / s.alpha
    forward_variance = t.sigma**2 - ratio**2 * s.sigma**2
    return Bridge(
        of_x=ratio * s.sigma**2 / t.sigma**2,
        of_x0=s.alpha * forward_variance / t.sigma**2,
        variance=forward_variance * s.sigma**2 / t.sigma**2,
        forward_variance=forward_variance,
    )


class Noising(NamedTuple):
    """One step x' = ratio * x + std * eps."""

    ratio: Tensor
    std: Tensor


def noising(s: Level, t: Level) -> Noising:
    """The step from level s to the noisier t, q(x_t | x_s) (Ho et al. 2020, eq. 2; Kingma et al. 2021, app. A.1)."""
    return Noising(t.alpha / s.alpha, bridge(t, s).forward_variance.sqrt())


def noisier(x: Tensor, s: Level, t: Level, eps: Tensor) -> Tensor:
    """A draw of q(x_t | x_s) for x at level s, from standard normal eps like x."""
    ratio, std = noising(s, t)
    return ratio * x + std * eps


def chain(x0: Tensor, levels: Sequence[Level], noise: Callable[[int], Tensor]) -> Iterator[Tensor]:
    """Walk up from x0, which is at levels[0], to each further level by q(x_t | x_s).

    levels:  from CLEAN, for data, to noise
    noise:   step -> standard normal like x0, independent from step to step; steps count from 0
    """
    x = x0
    for step, (s, t) in enumerate(pairwise(levels)):
        x = noisier(x, s, t, noise(step))
        yield x


def shares(levels: Sequence[Level]) -> Tensor:
    """By how much each step's noise enters the eps of x = alpha x0 + sigma eps at the last level, [len(levels) - 1].

    The squares add up to 1 for a walk from CLEAN: the chain ends where the jump with that eps does.
    """
    end = levels[-1]
    scaled = [end.alpha / t.alpha if t is not end else torch.ones_like(end.alpha) for t in levels[1:]]
    spreads = [noising(s, t).std for s, t in pairwise(levels)]
    return torch.stack([factor * spread / end.sigma for factor, spread in zip(scaled, spreads, strict=True)])


def correlation(s: Level, t: Level) -> Tensor:
    """Of x_s and x_t along a chain, given x0, for s the less noisy: the root of the ratio of their SNRs."""
    return t.alpha * s.sigma / (s.alpha * t.sigma)
