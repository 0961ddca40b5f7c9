"""Held to the package's own divergence of two Gaussians, which is verified by quadrature."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.processes.laws.gaussian import kl
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def gaussian_kl(mean: Tensor, log_variance: Tensor, other_mean: Tensor, other_log_variance: Tensor) -> Tensor:
    """KL(p || q) in nats per item, for p = N(mean, exp(log_variance)) and q = N(other_mean, exp(other_log_variance)).

    The numbers of an item are independent, so their divergences add up. p comes first: it is the law that the
    expectation is taken under.

    mean, log_variance, other_mean, other_log_variance: [B, ...], all of one shape; B items of any number of dimensions

    Returns [B].
    """
    log_ratio = log_variance - other_log_variance
    distance = (mean - other_mean) ** 2 / other_log_variance.exp()
    each = 0.5 * (distance + log_ratio.exp() - 1 - log_ratio)
    return each.flatten(1).sum(1)


def truth(mean: Tensor, log_variance: Tensor, other_mean: Tensor, other_log_variance: Tensor) -> Tensor:
    std, other_std = (0.5 * log_variance).exp(), (0.5 * other_log_variance).exp()
    return kl(mean, std, other_mean, other_std).flatten(1).sum(1)


def questions(ask: Ask) -> Iterator[Seen]:
    same, zero = torch.tensor([[0.5], [-2.0]]), torch.zeros(2, 1)
    yield Seen("unit variances, means 0.5 and -2 against 0", ask(same, zero, zero, zero))
    yield Seen("means 0, log-variances 0.5 and -2 against 0", ask(zero, same, zero, zero))
    yield Seen("means 0, log-variances 0 against 0.5 and -2", ask(zero, zero, zero, same))
    draw = torch.randn(4, 3, 2, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    yield Seen("three items of shape 2 x 4 x 4, all four arguments drawn at random", ask(*draw))


WRONG = [
    Swap("mean-for-sum", "with the mean over an item's numbers in the place of their sum",
         "what independence makes of the joint density: logarithms add up", ".sum(1)", ".mean(1)"),
    Swap("one-number", "with one number for the whole batch", "what is returned: [B], a number for each item",
         "each.flatten(1).sum(1)", "each.sum()"),
    Swap("no-half", "without the factor ½", "the ½ in the exponent of the density", "0.5 * (distance", "(distance"),
    Swap("no-one", "without the - 1, so that KL(p || p) is not 0", "the value for two equal laws",
         "log_ratio.exp() - 1 - log_ratio", "log_ratio.exp() - log_ratio"),
    Swap("own-variance", "with the squared distance in units of p's own variance",
         "whose density is integrated: the distance stands in log q, so it is measured by q's variance",
         "other_log_variance.exp()", "log_variance.exp()"),
    Swap("sign-of-log", "with the wrong sign of the logarithm of the ratio",
         "the value for two equal means: it is never below 0", "- 1 - log_ratio", "- 1 + log_ratio"),
]  # fmt: skip


@wrong(
    "with the two laws exchanged, KL(q || p)", "the docstring: the first law is the one that the expectation is under"
)
def exchanged(mean: Tensor, log_variance: Tensor, other_mean: Tensor, other_log_variance: Tensor) -> Tensor:
    return gaussian_kl(other_mean, other_log_variance, mean, log_variance)


@wrong(
    "with the logarithm of σ in the place of that of σ²",
    "the names of the arguments: the variance is exp(log_variance)",
)
def log_std(mean: Tensor, log_variance: Tensor, other_mean: Tensor, other_log_variance: Tensor) -> Tensor:
    return gaussian_kl(mean, 2 * log_variance, other_mean, 2 * other_log_variance)


@wrong("with bits for nats", "the unit: natural logarithms all through, and no division by log 2")
def in_bits(mean: Tensor, log_variance: Tensor, other_mean: Tensor, other_log_variance: Tensor) -> Tensor:
    return gaussian_kl(mean, log_variance, other_mean, other_log_variance) / math.log(2)


@right
def by_torch(mean: Tensor, log_variance: Tensor, other_mean: Tensor, other_log_variance: Tensor) -> Tensor:
    p = torch.distributions.Normal(mean, torch.sqrt(log_variance.exp()))
    q = torch.distributions.Normal(other_mean, torch.sqrt(other_log_variance.exp()))
    return torch.distributions.kl_divergence(p, q).reshape(len(mean), -1).sum(-1)


@right
def by_loops(mean: Tensor, log_variance: Tensor, other_mean: Tensor, other_log_variance: Tensor) -> list[float]:
    found = []
    for a, b, c, d in zip(mean, log_variance, other_mean, other_log_variance, strict=True):
        total = 0.0
        for m, v, n, w in zip(*(part.flatten().tolist() for part in (a, b, c, d)), strict=True):
            total += (w - v) / 2 + (math.exp(v) + (m - n) ** 2) / (2 * math.exp(w)) - 0.5
        found.append(total)
    return found


@right
def by_densities(mean: Tensor, log_variance: Tensor, other_mean: Tensor, other_log_variance: Tensor) -> Tensor:
    """Cross entropy minus entropy."""
    square = log_variance.double().exp() + (mean.double() - other_mean) ** 2
    cross = (square * (-other_log_variance.double()).exp() + other_log_variance).flatten(1).sum(1)
    own = (1 + log_variance.double()).flatten(1).sum(1)
    return (cross - own) / 2
