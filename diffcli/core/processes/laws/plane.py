"""Two laws in the plane and the law of a table, known whole as those of `distributions`."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.special import ndtr, ndtri

from diffcli.core.processes.laws.line import Law, LawMoments, LineNormal, Proposal, Scales, vector, within
from diffcli.core.processes.laws.special import laplace_quantile, log_laplace, log_normal


@dataclass(frozen=True)
class Normal2(Law):
    """Two standard normal numbers with correlation rho."""

    rho: float = 0.9
    dim = 2

    def __post_init__(self) -> None:
        within("rho", self.rho, -0.999, 0.999)

    @property
    def rest(self) -> float:
        """The standard deviation of either coordinate where the other is known."""
        return math.sqrt(1 - self.rho**2)

    def log_density(self, x: Tensor) -> Tensor:
        return log_normal(x[:, 0], 0, 1) + log_normal(x[:, 1], self.rho * x[:, 0], self.rest)

    def cdf(self, x: Tensor) -> Tensor:
        return ndtr(torch.stack([x[:, 0], (x[:, 1] - self.rho * x[:, 0]) / self.rest], dim=1))

    def quantile(self, u: Tensor) -> Tensor:
        return self.from_normals(ndtri(u))

    def from_normals(self, z: Tensor) -> Tensor:
        """Two independent standard normal numbers with this correlation, [N, 2]."""
        return torch.stack([z[:, 0], self.rho * z[:, 0] + self.rest * z[:, 1]], dim=1)

    def conditional(self, other: Tensor) -> tuple[Tensor, float]:
        """Mean [N] and standard deviation of one coordinate, given the other [N]: all that Gibbs needs."""
        return self.rho * other, self.rest

    def moments(self) -> LawMoments:
        return LawMoments(vector(0, 0), vector(1, 1))

    def scales(self) -> Scales:
        return Scales(math.sqrt(1 - abs(self.rho)), math.sqrt(1 + abs(self.rho)))

    def proposal(self) -> Proposal:
        """Two independent normals as wide as the ellipse is long; p / q is largest along the long axis."""
        wide = LineNormal(0, self.scales().wide)
        return Proposal(
            "two independent normals",
            wide.quantile,
            lambda x: wide.log_density(x[:, :1]) + wide.log_density(x[:, 1:]),
            math.log((1 + abs(self.rho)) / self.rest),
        )


@dataclass(frozen=True)
class Banana(Law):
    """A normal pair of variances std² and 1, bent: x2 + bend · (x1² - std²) ~ N(0, 1) (Haario et al. 1999).

    Theirs bends by 0.03 or by 0.1. Mean 0; draws are exact, and the bending keeps areas.
    """

    bend: float = 0.03
    std: float = 10.0
    dim = 2

    def __post_init__(self) -> None:
        within("bend", self.bend, -100, 100)
        within("std", self.std, 0.01, 1000)

    def ridge(self, first: Tensor) -> Tensor:
        """The middle of x2 where x1 is known, [N]."""
        return -self.bend * (first**2 - self.std**2)

    def log_density(self, x: Tensor) -> Tensor:
        return log_normal(x[:, 0], 0, self.std) + log_normal(x[:, 1], self.ridge(x[:, 0]), 1)

    def cdf(self, x: Tensor) -> Tensor:
        return ndtr(torch.stack([x[:, 0] / self.std, x[:, 1] - self.ridge(x[:, 0])], dim=1))

    def quantile(self, u: Tensor) -> Tensor:
        first = self.std * ndtri(u[:, 0])
        return torch.stack([first, self.ridge(first) + ndtri(u[:, 1])], dim=1)

    def moments(self) -> LawMoments:
        return LawMoments(vector(0, 0), vector(self.std, math.sqrt(1 + 2 * self.bend**2 * self.std**4)))

    def scales(self) -> Scales:
        slope = 2 * self.bend * self.std  # of the ridge one std from the middle
        narrow = min(self.std, 1) / math.sqrt(1 + slope**2)
        return Scales(max(narrow, 1e-3), max(self.moments().std.tolist()))

    def proposal(self) -> Proposal:
        """x1 from a normal of twice the variance, x2 from a double exponential around the top of the ridge.

        With d = x2 - ridge, |x2 - top| <= |d| + |bend| x1²; scale >= 4 |bend| std² lets the wider normal pay for x1².
        """
        wide, top = LineNormal(0, math.sqrt(2) * self.std), self.bend * self.std**2
        scale = max(4 * abs(top), 1.0)
        return Proposal(
            "a wide normal and a double exponential",
            lambda u: torch.stack([wide.quantile(u[:, 0]), laplace_quantile(u[:, 1], top, scale)], dim=1),
            lambda x: wide.log_density(x[:, :1]) + log_laplace(x[:, 1], top, scale),
            math.log(2 * scale / math.sqrt(math.pi)) + 1 / (2 * scale**2),
        )


@dataclass(frozen=True)
class TableLaw(Law):
    """Values [K] with probabilities, positive and of sum 1; x is a place in the table."""

    values: tuple[float, ...]
    probabilities: tuple[float, ...]
    discrete = True

    @property
    def p(self) -> Tensor:
        """The probabilities, [K]."""
        return vector(*self.probabilities)

    def log_density(self, x: Tensor) -> Tensor:
        return self.p.log()[x[:, 0].long()]

    def cdf(self, x: Tensor) -> Tensor:
        return self.p.cumsum(0)[x.long()].clamp(max=1)

    def quantile(self, u: Tensor) -> Tensor:
        return torch.searchsorted(self.p.cumsum(0), u).clamp(max=len(self.values) - 1).double()

    def worth(self, x: Tensor) -> Tensor:
        return vector(*self.values)[x.long()]

    def moments(self) -> LawMoments:
        values, p = vector(*self.values), self.p
        mean = (p * values).sum()
        return LawMoments(mean.reshape(1), (p * (values - mean) ** 2).sum().sqrt().reshape(1))

    def scales(self) -> Scales:
        return Scales(max(1.0, len(self.values) / 8), len(self.values))  # in places

    def proposal(self) -> Proposal:
        """Every entry alike; p / q is largest for the most probable one."""
        count = len(self.values)
        return Proposal(
            "all entries alike",
            lambda u: (count * u).floor().clamp(max=count - 1),
            lambda x: torch.full((len(x),), -math.log(count), dtype=torch.float64),
            math.log(count * max(self.probabilities)),
        )
