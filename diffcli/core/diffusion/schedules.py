"""Noise levels, and schedules: two functions of time from data (t = 0) to noise (t = 1)."""

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import jvp


class Level(NamedTuple):
    """One noise level: x = alpha * x0 + sigma * eps. Each is [] or [B, 1, ..., 1], so nothing ever reshapes."""

    alpha: Tensor
    sigma: Tensor

    @property
    def log_snr(self) -> Tensor:
        """log(alpha² / sigma²); inf at CLEAN, -inf where no signal is left."""
        return 2 * (self.alpha.log() - self.sigma.log())

    def noised(self, x0: Tensor, eps: Tensor) -> Tensor:
        """The jump from data to this level (Ho et al. 2020, eq. 4)."""
        return self.alpha * x0 + self.sigma * eps


CLEAN = Level(torch.tensor(1.0, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64))
"""Where every walk ends: the data themselves."""


class Schedule(ABC):
    """How signal and noise change over t in [0, 1]. A subclass gives `alpha` and `sigma`; the rest is derived."""

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """The factor of the data at time t; like t."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """The standard deviation of the noise at time t; like t."""

    def __call__(self, t: Tensor) -> Level:
        return Level(self.alpha(t), self.sigma(t))

    def times(self, steps: int) -> Tensor:
        """The times of a walk of `steps` steps from noise to data, without its clean end; [steps], float64."""
        if steps < 1:
            raise ValueError(f"a walk needs at least 1 step, not {steps}")
        return torch.arange(steps, 0, -1, dtype=torch.float64) / steps

    def levels(self, steps: int) -> list[Level]:
        """The walk from noise to data: steps + 1 levels, the last is CLEAN. 0-dim float64 on the CPU."""
        return [self(t) for t in self.times(steps)] + [CLEAN]

    def draw(self, x0: Tensor, generator: torch.Generator | None = None) -> Level:
        """A level for each image of x0 [B, ...], uniform over (0, 1] in t; each part [B, 1, ..., 1].

        One random number shifts B equally spaced times: each is uniform and together they cover the
        range, which lowers the variance of the loss (Kingma et al. 2021, appendix I.1).
        """
        shift = torch.rand((), generator=generator, dtype=torch.float64)
        t = 1 - (shift + torch.arange(len(x0), dtype=torch.float64) / len(x0)) % 1
        level = self(self.trained(t).reshape(-1, *[1] * (x0.dim() - 1)))
        return Level(*(part.to(x0.device, x0.dtype) for part in level))

    def trained(self, t: Tensor) -> Tensor:
        """The time at which a network is trained when t in (0, 1] was drawn; like t."""
        return t

    def rates(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The derivatives of alpha and sigma with respect to t; each like t."""
        forward = torch.ones_like(t)
        return jvp(self.alpha, (t,), (forward,))[1], jvp(self.sigma, (t,), (forward,))[1]

    def sde(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Drift factor f and squared diffusion g² of dx = f x dt + g dw with these marginals (Song et al. 2021, eq. 5).

        f = alpha' / alpha and g² = (sigma²)' - 2 f sigma² (Lu et al. 2022, section 2.1).
        """
        level, (alpha_rate, sigma_rate) = self(t), self.rates(t)
        f = alpha_rate / level.alpha
        return f, 2 * level.sigma * (sigma_rate - f * level.sigma)


class Table(Schedule):
    """A discrete variance-preserving chain x_i = sqrt(1 - beta_i) x_{i-1} + sqrt(beta_i) eps (Ho et al. 2020, eq. 2).

    Entry i of the paper's table, i = 1 ... T, is time i / T. Between two entries log alpha² is linear,
    which is the continuous chain with piecewise constant beta.
    """

    def __init__(self, betas: Tensor) -> None:
        if not (betas > 0).logical_and(betas < 1).all():
            raise ValueError("each beta must lie strictly between 0 and 1")
        self.betas = betas.double()
        log_alpha2 = torch.log1p(-self.betas).cumsum(0)
        self.log_alpha2 = torch.cat([torch.zeros(1, dtype=torch.float64), log_alpha2])

    def alpha(self, t: Tensor) -> Tensor:
        return (self._interpolate(t) / 2).exp()

    def sigma(self, t: Tensor) -> Tensor:
        return torch.expm1(self._interpolate(t)).abs().sqrt()

    def times(self, steps: int) -> Tensor:
        """As in `Schedule`, rounded to entries of the table, so a walk over all T steps is the paper's chain."""
        length = len(self.betas)
        if steps > length:
            raise ValueError(f"this schedule has {length} steps; a walk cannot take {steps}")
        return (super().times(steps) * length).round() / length

    def trained(self, t: Tensor) -> Tensor:
        """The entry of the table at or after t, so each is drawn equally often (Ho et al. 2020, algorithm 1)."""
        return (t * len(self.betas)).ceil() / len(self.betas)

    def _interpolate(self, t: Tensor) -> Tensor:
        position = t * len(self.betas)
        index = position.detach().floor().long().clamp(0, len(self.betas) - 1)
        table = self.log_alpha2.to(t.device)
        return (table[index] + (position - index) * (table[index + 1] - table[index])).to(t.dtype)


class Flow(Schedule):
    """The straight line from data to noise (Lipman et al. 2023, eq. 20 with sigma_min = 0, time turned round)."""

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        return t


def linear_betas(steps: int = 1000) -> Tensor:
    """DDPM's table (Ho et al. 2020, section 4): 1e-4 ... 0.02; [steps], float64."""
    return torch.linspace(1e-4, 0.02, steps, dtype=torch.float64)


def cosine_betas(steps: int = 1000, offset: float = 0.008, limit: float = 0.999) -> Tensor:
    """The table whose alpha² follows a squared cosine (Nichol & Dhariwal 2021, eq. 17); [steps], float64."""
    t = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    alpha2 = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    return (1 - alpha2[1:] / alpha2[:-1]).clamp(max=limit)


SCHEDULES: dict[str, Schedule] = {
    "linear": Table(linear_betas()),
    "cosine": Table(cosine_betas()),
    "flow": Flow(),
}
