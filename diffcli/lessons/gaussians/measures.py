"""Gaussians against their draws: moments with standard errors, and divergences."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.processes.laws.gaussian import Normal
from diffcli.metrics.statistics import standard_error

REACH, NODES = 9.0, 181  # of the quadrature, in standard deviations each way, and its nodes along each axis


class MeasuredMoments(NamedTuple):
    """Mean [D] and covariance [D, D] of draws, and the standard errors that they have under the true law."""

    mean: Tensor
    covariance: Tensor
    mean_error: Tensor
    covariance_error: Tensor

    def deviation(self, truth: Normal) -> float:
        """The largest distance of a mean or a covariance from the truth, in standard errors."""
        means = (self.mean - truth.mean) / self.mean_error
        covariances = (self.covariance - truth.covariance) / self.covariance_error
        return torch.cat([means, covariances.flatten()]).abs().max().item()


def moments(draws: Tensor, truth: Normal) -> MeasuredMoments:
    """The moments of independent draws [N, D] of the true law, N >= 2.

    The covariance has divisor N - 1. Its law is Wishart's, where entry i, j has variance (S_ij² + S_ii S_jj) / (N - 1).
    """
    count, true = len(draws), truth.covariance
    mean = draws.mean(0)
    covariance = (draws - mean).mT @ (draws - mean) / (count - 1)
    spread = true.square() + torch.outer(true.diagonal(), true.diagonal())
    return MeasuredMoments(mean, covariance, (true.diagonal() / count).sqrt(), (spread / (count - 1)).sqrt())


class Divergence(NamedTuple):
    """KL(p || q) in nats, three ways; the standard error is that of the Monte Carlo estimate."""

    closed: float
    quadrature: float
    monte_carlo: float
    standard_error: float


def divergence(p: Normal, q: Normal, draws: Tensor) -> Divergence:
    """KL(p || q) in closed form, by quadrature in 1 or 2 dimensions, and as the mean of log(p / q) over draws of p."""
    ratios = p.log_density(draws) - q.log_density(draws)
    return Divergence(p.kl(q).item(), quadrature(p, q), ratios.mean().item(), standard_error(ratios))


def quadrature(p: Normal, q: Normal) -> float:
    """The integral of p log(p / q) in nats, by the trapezoidal rule on a grid along the axes of p."""
    line = torch.linspace(-REACH, REACH, NODES, dtype=torch.float64)
    unit = torch.cartesian_prod(*[line] * len(p.mean)).reshape(-1, len(p.mean))
    places = p.mean + unit @ torch.linalg.cholesky(p.covariance).mT
    cell = torch.linalg.cholesky(p.covariance).diagonal().prod() * (2 * REACH / (NODES - 1)) ** len(p.mean)
    log_p = p.log_density(places)
    return (log_p.exp() * (log_p - q.log_density(places)) * cell).sum().item()


def accepted(draws: Tensor, other: Normal, uniform: Tensor) -> Tensor:
    """Those of the draws [N, D] of p that are draws of the product p(x) q(x), normalised, [M, D]: by rejection.

    uniform:  [N] in [0, 1); a draw stays with probability q(x) / max q (von Neumann 1951)
    """
    return draws[uniform.log() < other.log_density(draws) - other.log_density(other.mean)]


def along_regression(draws: Tensor, value: float) -> Tensor:
    """The first of two coordinates [N, 2], each moved along the least-squares line to where the second is `value`, [N].

    For Gaussians regression is the conditional mean, and what is left does not depend on the second coordinate.
    """
    first, second = (draws - draws.mean(0)).T
    slope = (first * second).sum() / second.square().sum()
    return draws[:, 0] + slope * (value - draws[:, 1])


def regression_error(draws: Tensor, value: float, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Standard errors of mean and variance of `along_regression`, where the residual has this variance.

    The mean's is that of a point on the fitted line: it grows away from the data.
    """
    second = draws[:, 1] - draws[:, 1].mean()
    leverage = 1 / len(draws) + (value - draws[:, 1].mean()) ** 2 / second.square().sum()
    return (variance * leverage).sqrt(), variance * math.sqrt(2 / (len(draws) - 2))
