"""Held to the slope of the package's own log density, by automatic differentiation."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.processes.laws.gaussian import Normal
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def score(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """The score of N(mean, covariance) at each row of x: the gradient of the log density with respect to x.

    x:          [B, D]
    mean:       [D]
    covariance: [D, D], symmetric and positive definite

    Returns [B, D].
    """
    return -torch.linalg.solve(covariance, (x - mean).T).T


def truth(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    place = x.clone().requires_grad_()
    return torch.autograd.grad(Normal(mean, covariance).log_density(place).sum(), place)[0]


def questions(ask: Ask) -> Iterator[Seen]:
    def numbers(*rows: list[float]) -> Tensor:
        return torch.tensor(rows, dtype=torch.float64)

    yield Seen("one dimension, mean 0.5, variance 4", ask(numbers([2.5], [-1.0]), numbers([0.5])[0], numbers([4.0])))
    x, mean = numbers([0.0, 0.0], [1.0, -0.5], [3.0, 2.0]), numbers([0.5, -1.0])[0]
    yield Seen("variances 0.25 and 4, no correlation", ask(x, mean, numbers([0.25, 0.0], [0.0, 4.0])))
    yield Seen("covariance [[1, 0.6], [0.6, 2]]", ask(x, mean, numbers([1.0, 0.6], [0.6, 2.0])))
    wide = numbers([1.0, 0.5, -0.2], [0.5, 2.0, 0.3], [-0.2, 0.3, 0.5])
    yield Seen("three dimensions, at one point", ask(numbers([0.3, -1.2, 2.0]), numbers([1.0, 0.0, -0.5])[0], wide))


WRONG = [
    Swap("uphill-sign", "with the wrong sign: this points away from the mean, and the density falls there",
         "the direction in which log p rises", "return -torch", "return torch"),
    Swap("not-centred", "without the mean: a score vanishes at the mean, not at 0", "the distance in the exponent",
         "(x - mean).T", "x.T"),
    Swap("covariance-for-precision", "when the distance is multiplied by the covariance instead of divided by it",
         "the effect of width: the wider the law, the flatter its log",
         "torch.linalg.solve(covariance, (x - mean).T).T", "((x - mean) @ covariance)"),
    Swap("std-for-variance", "with one Cholesky factor, the many-dimensional standard deviation, for the covariance",
         "how often the distance is divided by a spread: twice", "torch.linalg.solve(covariance, (x",
         "torch.linalg.solve(torch.linalg.cholesky(covariance), (x"),
    Swap("half", "with a ½ that the derivative of a square takes away", "the derivative of −½ u²",
         "return -torch", "return -0.5 * torch"),
]  # fmt: skip


@wrong("when the correlations are left out", "what the numbers beside the diagonal do")
def independent(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    return -(x - mean) / covariance.diagonal()


@wrong("with the gradient of the density, not of its logarithm", "the logarithm: its slope is the slope of p over p")
def of_the_density(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    place = x.clone().requires_grad_()
    density = torch.distributions.MultivariateNormal(mean, covariance).log_prob(place).exp()
    return torch.autograd.grad(density.sum(), place)[0]


@right
def by_autograd(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    place = x.clone().requires_grad_()
    log_density = torch.distributions.MultivariateNormal(mean, covariance).log_prob(place)
    return torch.autograd.grad(log_density.sum(), place)[0]


@right
def by_the_inverse(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    return (mean - x) @ torch.linalg.inv(covariance)


@right
def by_rows(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    factor = torch.linalg.cholesky(covariance)
    found = torch.empty_like(x)
    for i, row in enumerate(x):
        found[i] = torch.cholesky_solve((mean - row).unsqueeze(1), factor).squeeze(1)
    return found
