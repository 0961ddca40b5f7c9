"""Functions that torch lacks: log densities, the incomplete beta function, and the inverse of whatever rises."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

HALVINGS = 60
"""Of an interval, after which a bisection knows a number to the last bit or nearly."""


def bisected(rising: Callable[[Tensor], Tensor], wanted: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Where a function that rises takes the wanted values, each between low and high."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = rising(middle) < wanted
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def log_beta(a: float, b: float) -> float:
    """log B(a, b)."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def regularised_beta(x: Tensor, a: float, b: float) -> Tensor:
    """I_x(a, b), the distribution function of the beta law, for x in [0, 1] (DLMF, eq. 8.17.22).

    The continued fraction converges fast below the mean, so above it I_x(a, b) = 1 - I_(1-x)(b, a) is used.
    """
    above = x > (a + 1) / (a + b + 2)
    y = torch.where(above, 1 - x, x)
    first, second = torch.tensor([[a], [b]], dtype=torch.float64)
    p, q = torch.where(above, second, first), torch.where(above, first, second)
    fraction = torch.ones_like(y)
    for k in reversed(range(1, 50 + 10 * math.ceil(math.sqrt(max(a, b))))):
        m = k // 2
        odd = -(p + m) * (p + q + m) / ((p + 2 * m) * (p + 2 * m + 1))
        even = m * (q - m) / ((p + 2 * m - 1) * (p + 2 * m)) if m else 0.0
        fraction = 1 + (odd if k % 2 else even) * y / fraction
    value = (torch.xlogy(p, y) + q * torch.log1p(-y) - log_beta(a, b)).exp() / (p * fraction)
    return torch.where(above, 1 - value, value)


def log_normal(x: Tensor, mean: Tensor | float, std: Tensor | float) -> Tensor:
    """The log density of N(mean, std²)."""
    std = torch.as_tensor(std, dtype=torch.float64)
    return -(((x - mean) / std) ** 2) / 2 - std.log() - math.log(2 * math.pi) / 2


def log_laplace(x: Tensor, centre: float, scale: float) -> Tensor:
    """The log density exp(-|x - centre| / scale) / (2 scale)."""
    return -(x - centre).abs() / scale - math.log(2 * scale)


def laplace_quantile(u: Tensor, centre: float, scale: float) -> Tensor:
    """Of the same law."""
    side = u - 0.5
    return centre - scale * side.sign() * torch.log1p(-2 * side.abs())
