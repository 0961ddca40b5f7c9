"""Gaussians in D dimensions, which maps, sums, products, conditionals and marginals leave Gaussian."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class Normal:
    """N(mean, covariance), mean [D] and covariance [D, D], float64.

    Raises ValueError unless the covariance is symmetric and positive definite and the sizes agree.
    """

    mean: Tensor
    covariance: Tensor

    def __post_init__(self) -> None:
        if self.covariance.shape != (*self.mean.shape, *self.mean.shape) or self.mean.dim() != 1:
            sizes = (list(self.mean.shape), list(self.covariance.shape))
            raise ValueError(f"a mean of shape {sizes[0]} and a covariance of shape {sizes[1]} do not go together")
        factored(self.covariance)

    def draw(self, count: int, generator: Generator) -> Tensor:
        """Independent draws, [count, D] float64: mean + L eps with covariance L L^T."""
        eps = torch.randn(count, len(self.mean), generator=generator, dtype=torch.float64)
        return self.mean + eps @ torch.linalg.cholesky(self.covariance).mT

    def log_density(self, x: Tensor) -> Tensor:
        """log p(x) in nats for x [..., D], like x without its last dimension (Bishop 2006, eq. 2.43)."""
        factor = torch.linalg.cholesky(self.covariance)
        unit = torch.linalg.solve_triangular(factor, (x - self.mean).unsqueeze(-1), upper=False).squeeze(-1)
        return -unit.square().sum(-1) / 2 - factor.diagonal().log().sum() - len(self.mean) / 2 * math.log(2 * math.pi)

    def affine(self, matrix: Tensor, shift: Tensor) -> "Normal":
        """The law of matrix x + shift, for a matrix [M, D] of rank M and a shift [M].

        Raises ValueError for a matrix of lower rank: that law has no density.
        """
        return Normal(matrix @ self.mean + shift, symmetric(matrix @ self.covariance @ matrix.mT))

    def plus(self, other: "Normal") -> "Normal":
        """The law of the sum of two independent variables, whose density is the convolution."""
        return Normal(self.mean + other.mean, self.covariance + other.covariance)

    def times(self, other: "Normal") -> tuple["Normal", Tensor]:
        """The product of the two densities as a normalised one, and the log of its integral.

        p(x) q(x) = exp(constant) N(x), the constant being log N(self.mean; other.mean, the sum of the covariances).
        It is Bayes' rule where one is the prior and the other the likelihood (Rasmussen & Williams 2006, eq. A.7-A.8).
        """
        total = self.covariance + other.covariance
        gain = torch.linalg.solve(total, self.covariance).mT  # self.covariance total^-1
        mean = self.mean + gain @ (other.mean - self.mean)
        return Normal(mean, symmetric(gain @ other.covariance)), Normal(other.mean, total).log_density(self.mean)

    def given(self, places: Sequence[int], values: Tensor) -> "Normal":
        """The law of the other coordinates, in their order, where those at `places` have `values` [len(places)].

        Bishop 2006, eq. 2.81-2.82.
        """
        rest = [i for i in range(len(self.mean)) if i not in places]
        known = list(places)
        across = self.covariance[rest][:, known]
        slope = torch.linalg.solve(self.covariance[known][:, known], across.mT).mT
        mean = self.mean[rest] + slope @ (values - self.mean[known])
        return Normal(mean, symmetric(self.covariance[rest][:, rest] - slope @ across.mT))

    def marginal(self, places: Sequence[int]) -> "Normal":
        """The law of the coordinates at `places`, in that order, whatever the others are."""
        chosen = list(places)
        return Normal(self.mean[chosen], self.covariance[chosen][:, chosen])

    def kl(self, other: "Normal") -> Tensor:
        """KL(self || other) in nats, a number; draws of self are expected to be this much likelier under self.

        It is (tr(R) - D - log det R + d^T other.covariance^-1 d) / 2, with R = other.covariance^-1 self.covariance and
        d the difference of the means (Rasmussen & Williams 2006, eq. A.23).
        """
        ratio = torch.linalg.solve(other.covariance, self.covariance)
        between = other.mean - self.mean
        distance = between @ torch.linalg.solve(other.covariance, between)
        return (ratio.trace() - len(between) - torch.linalg.slogdet(ratio).logabsdet + distance) / 2


def factored(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Variances [D], ascending, and the orthogonal axes that they are along, the columns of [D, D].

    Raises ValueError unless the covariance is symmetric and positive definite.
    """
    square = covariance.dim() == 2 and covariance.shape[0] == covariance.shape[1] > 0
    if not square or not (covariance - covariance.mT).abs().max() <= 1e-9 * covariance.abs().max():
        raise ValueError("a covariance must be a symmetric matrix")
    variance, axes = torch.linalg.eigh(covariance.double())
    if not variance[0] > 0:
        raise ValueError(f"a covariance must be positive definite; its least eigenvalue is {variance[0]:.3g}")
    return variance, axes


def symmetric(matrix: Tensor) -> Tensor:
    """The matrix without the asymmetry that rounding leaves in products."""
    return (matrix + matrix.mT) / 2


def kl(mean: Tensor, std: Tensor, other_mean: Tensor | float, other_std: Tensor) -> Tensor:
    """KL(N(mean, std²) || N(other_mean, other_std²)) per coordinate, in nats (Kingma & Welling 2014, appendix B)."""
    ratio = (std / other_std) ** 2
    return ((mean - other_mean) ** 2 / other_std**2 + ratio - 1 - ratio.log()) / 2
