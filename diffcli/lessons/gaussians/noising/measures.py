"""Whether data on their way to noise have the law that they should have, time by time and from time to time."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from diffcli.core.levels import Level
from diffcli.metrics.statistics import kolmogorov_distance, ks_p_value


class LawAtLevel(NamedTuple):
    """x at a level, given x0, against N(alpha x0, sigma²): all its numbers are draws, whatever their x0.

    mean, variance:  of x, averaged over the numbers, beside the true ones and their standard errors
    ks, p_value:     Kolmogorov's distance of (x - alpha x0) / sigma from N(0, 1), and how often chance is as far off
    """

    mean: float
    mean_true: float
    mean_standard_error: float
    variance: float
    variance_true: float
    variance_standard_error: float
    ks: float
    p_value: float

    @property
    def deviation(self) -> float:
        """The larger distance of mean and variance from the truth, in standard errors."""
        mean = abs(self.mean - self.mean_true) / self.mean_standard_error
        return max(mean, abs(self.variance - self.variance_true) / self.variance_standard_error)


def law_at_level(x: Tensor, x0: Tensor, level: Level) -> LawAtLevel:
    """What x has of its law, for x and x0 of the same shape, at a level with noise."""
    alpha, sigma = (part.item() for part in level)
    residual, count = x - alpha * x0, x.numel()
    ks = kolmogorov_distance(torch.special.ndtr((residual / sigma).double()))
    return LawAtLevel(
        mean=x.mean().item(),
        mean_true=alpha * x0.mean().item(),
        mean_standard_error=sigma / math.sqrt(count),
        variance=residual.square().mean().item(),  # about the true mean, so the divisor is N
        variance_true=sigma**2,
        variance_standard_error=sigma**2 * math.sqrt(2 / count),
        ks=ks,
        p_value=ks_p_value(ks, count),
    )


def correlated(a: Tensor, b: Tensor) -> float:
    """Pearson's correlation of the numbers of two tensors of the same shape."""
    return torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1].item()


def correlation_error(true: float, count: int) -> float:
    """The standard error of Pearson's correlation of `count` Gaussian pairs, for many (Fisher 1915)."""
    return (1 - true**2) / math.sqrt(count)
