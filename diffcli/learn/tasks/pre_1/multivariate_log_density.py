"""Held to the package's own density of a Gaussian, which `verify` holds to the inverse and the determinant."""

import math
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor

from diffcli.core.processes.laws.gaussian import Normal
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def multivariate_log_density(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """The log of the density of N(mean, covariance) at each row of x, in nats; also where D is 100 and more.

    x:          [B, D]
    mean:       [D]
    covariance: [D, D], symmetric and positive definite

    Returns [B].
    """
    factor = torch.linalg.cholesky(covariance)
    unit = torch.linalg.solve_triangular(factor, (x - mean).T, upper=False)
    log_root = torch.log(factor.diagonal()).sum()
    return -0.5 * (unit**2).sum(0) - log_root - 0.5 * len(mean) * math.log(2 * math.pi)


def truth(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    return Normal(mean, covariance).log_density(x)


@cache
def wide(dimensions: int) -> tuple[Tensor, Tensor, Tensor]:
    """Points, a mean and a covariance whose determinant is below the least float."""
    generator = torch.Generator().manual_seed(1)
    shape = torch.randn(dimensions, dimensions, generator=generator, dtype=torch.float64) / dimensions**0.5
    covariance = 1e-4 * (torch.eye(dimensions, dtype=torch.float64) + shape @ shape.T)
    mean = torch.linspace(-1, 1, dimensions, dtype=torch.float64)
    return mean + 0.01 * torch.randn(3, dimensions, generator=generator, dtype=torch.float64), mean, covariance


def questions(ask: Ask) -> Iterator[Seen]:
    def numbers(*rows: list[float]) -> Tensor:
        return torch.tensor(rows, dtype=torch.float64)

    x, mean = numbers([0.0, 0.0], [1.0, -0.5], [3.0, 2.0]), numbers([0.5, -1.0])[0]
    yield Seen("variances 0.25 and 4, no correlation", ask(x, mean, numbers([0.25, 0.0], [0.0, 4.0])))
    yield Seen("covariance [[1, 0.6], [0.6, 2]]", ask(x, mean, numbers([1.0, 0.6], [0.6, 2.0])))
    yield Seen("covariance [[0.5, -0.4], [-0.4, 0.9]]", ask(x, mean, numbers([0.5, -0.4], [-0.4, 0.9])))
    yield Seen("one dimension, variance 0.09", ask(numbers([0.3], [-1.0]), numbers([0.2])[0], numbers([0.09])))
    yield Seen("100 dimensions, variances of about 0.0002", ask(*wide(100)))


WRONG = [
    Swap("covariance-for-precision", "when the distance is multiplied by the factor instead of divided",
         "the unit of the exponent: a wider law has smaller distances",
         "torch.linalg.solve_triangular(factor, (x - mean).T, upper=False)", "factor.T @ (x - mean).T"),
    Swap("factor-transposed", "with the factor turned round: Σ = L Lᵀ, and the distance is |L⁻¹(x − μ)|²",
         "the matrix of the system: L, not Lᵀ", "torch.linalg.solve_triangular(factor, (x - mean).T, upper=False)",
         "torch.linalg.solve_triangular(factor.T, (x - mean).T, upper=True)"),
    Swap("taken-for-upper", "if L is taken for upper triangular: of L only the diagonal is read",
         "the triangle of L that is not 0: the lower one", "upper=False", "upper=True"),
    Swap("not-squared", "with |u| for |u|²", "the square in −½ |u|²", "(unit**2).sum(0)", "unit.norm(dim=0)"),
    Swap("half-determinant", "with half of the log of the root: log |L| is ½ log |Σ| already",
         "the root of the determinant: log √|Σ| = Σᵢ log Lᵢᵢ", "- log_root", "- 0.5 * log_root"),
    Swap("whole-determinant", "with log |Σ| where ½ log |Σ| belongs", "the root in √|2πΣ|",
         "- log_root", "- 2 * log_root"),
    Swap("no-determinant", "without the determinant, so that the density does not integrate to 1",
         "what a wider density costs at its peak", " - log_root", ""),
    Swap("one-constant", "with ½ log 2π once, not once for each dimension", "the number of integrals: D",
         "0.5 * len(mean) * math", "0.5 * math"),
    Swap("batch-for-dimension", "with the number of points where the number of dimensions belongs",
         "the shape of x: [B, D]",
         "0.5 * len(mean) * math", "0.5 * len(x) * math"),
    Swap("no-constant", "without the constant ½ D log 2π", "what makes the integral 1",
         " - 0.5 * len(mean) * math.log(2 * math.pi)", ""),
    Swap("no-half", "without the ½ of the squared distance", "the exponent of the density",
         "-0.5 * (unit**2)", "-(unit**2)"),
]  # fmt: skip


@wrong("when the correlations are left out", "what the numbers beside the diagonal say")
def independent(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    std = covariance.diagonal().sqrt()
    return torch.distributions.Normal(mean, std).log_prob(x).sum(1)


@wrong("with a determinant that is 0 in floating point", "the sum of the logs of the factor's diagonal")
def determinant(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    square = torch.einsum("bi,ij,bj->b", x - mean, torch.linalg.inv(covariance), x - mean)
    return -0.5 * square - 0.5 * torch.log(torch.linalg.det(covariance)) - 0.5 * len(mean) * math.log(2 * math.pi)


@right
def by_torch(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    return torch.distributions.MultivariateNormal(mean, covariance).log_prob(x)


@right
def along_its_axes(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    variances, axes = torch.linalg.eigh(covariance)
    along = (x - mean) @ axes
    return -0.5 * (along**2 / variances + torch.log(2 * math.pi * variances)).sum(1)


@right
def by_a_loop(x: Tensor, mean: Tensor, covariance: Tensor) -> list[float]:
    inverse, log_determinant = torch.linalg.inv(covariance), torch.logdet(covariance).item()
    constant = -0.5 * log_determinant - len(mean) / 2 * math.log(2 * math.pi)
    return [(constant - 0.5 * (row - mean) @ inverse @ (row - mean)).item() for row in x]
