"""Gaussian autoregressions x' = ratio x + std ε: AR(1), Ornstein-Uhlenbeck, and the way from data to noise."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.special import ndtr

from diffcli.core.levels import Noising


def noisings(x: Tensor, steps: Iterable[Noising], generator: Generator) -> Iterator[Tensor]:
    """Many chains at once, [C]: at the start and after each step."""
    yield x
    for ratio, std in steps:
        x = ratio * x + std * torch.randn(x.shape, generator=generator, dtype=x.dtype)
        yield x


@dataclass(frozen=True)
class Autoregression:
    """AR(1), x' = rho x + noise ε with |rho| < 1; rho and noise are float64 scalars.

    Its stationary law is N(0, std²), it is reversible, and its eigenvalues are rho^k, those of Hermite's polynomials
    (Mehler's formula), so the spectral gap is 1 - |rho|.
    """

    rho: float
    noise: float

    @property
    def std(self) -> float:
        """Of the stationary law."""
        return self.noise / math.sqrt((1 - self.rho) * (1 + self.rho))

    @property
    def gap(self) -> float:
        """1 minus the largest |rho^k|, k = 1, 2, ..."""
        return 1 - abs(self.rho)

    @property
    def step(self) -> Noising:
        """Of the chain."""
        return Noising(torch.tensor(self.rho, dtype=torch.float64), torch.tensor(self.noise, dtype=torch.float64))

    def autocovariance(self, lag: Tensor) -> Tensor:
        """Of the stationary chain at whole lags; like lag, float64."""
        return self.std**2 * torch.tensor(self.rho, dtype=torch.float64) ** lag.abs()

    def law(self, start: float, step: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation after whole numbers of steps from a start; each like step, float64."""
        fades = torch.tensor(self.rho, dtype=torch.float64) ** step
        return start * fades, self.std * ((1 - fades) * (1 + fades)).sqrt()


def total_variation(mean: Tensor, std: Tensor, other_mean: Tensor | float, other_std: Tensor | float) -> Tensor:
    """Between N(mean, std²) and N(other_mean, other_std²), in [0, 1]; 1 where std is 0.

    One density lies above the other between the two roots of a quadratic, or on one side of its only root, which is
    where the other root has gone to infinity.
    """
    m, s = (mean - other_mean) / other_std, (std / other_std).clamp(min=1e-150)
    curve, half, level = (s - 1) * (s + 1), m * s, m**2 - 2 * s.log()  # curve z² + 2 half z + level, x = mean + std z
    root = (m**2 + 2 * curve * s.log()).sqrt()
    q = -torch.where(half < 0, half - root, half + root)  # no difference of like numbers
    (low, low_other), (high, high_other) = ((ndtr(z), ndtr(m + s * z)) for z in (q / curve, level / q))
    return torch.where(q == 0, 0.0, ((high - low) - (high_other - low_other)).abs())


POINTS, REACH = 4001, 9.0  # of the quadrature over a component, and its half width in standard deviations


def two_points(alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Of data at 1 and -1, a half each: total variation and KL in nats of x = alpha x0 + sigma ε from its Gaussian.

    That is N(0, alpha² + sigma²), which has the same variance. By quadrature over ε around one of the two points,
    since both are alike. alpha, sigma: float64 [T], sigma > 0; both results [T].
    """
    eps = torch.linspace(-REACH, REACH, POINTS, dtype=torch.float64)
    weights = (-(eps**2) / 2).softmax(0)
    mean, std = alpha.unsqueeze(1), sigma.unsqueeze(1)
    x, variance = mean + std * eps, mean**2 + std**2
    log_p = torch.logaddexp(-(eps**2) / 2, -((eps + 2 * mean / std) ** 2) / 2) - math.log(2) - std.log()
    log_ratio = log_p + (x**2 / variance + variance.log()) / 2
    return -torch.expm1(-log_ratio).clamp(max=0) @ weights, log_ratio @ weights
