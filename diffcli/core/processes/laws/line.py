"""Laws on the line, in the plane and on a table that are known whole: density, distribution function, moments.

Points are x [N, D], float64; those of a table are its places, 0 to K - 1. Uniform numbers are u [N, D] in (0, 1).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.special import ndtr, ndtri

from diffcli.core.processes.laws import special
from diffcli.core.processes.laws.special import HALVINGS, bisected, log_beta, log_normal

LARGEST, SMALLEST = 1e6, 1e-6  # of any parameter that is a length


class Proposal(NamedTuple):
    """A law q that is easy to draw from and covers p: p <= exp(log_bound) q everywhere.

    Drawn as quantile(u); log_bound is log M, and 1 / M the share that rejection keeps.
    """

    name: str
    quantile: Callable[[Tensor], Tensor]
    log_density: Callable[[Tensor], Tensor]
    log_bound: float


class LawMoments(NamedTuple):
    """Mean and standard deviation of every coordinate, [D]."""

    mean: Tensor
    std: Tensor


class Scales(NamedTuple):
    """The standard deviation along the narrowest direction, and along the widest."""

    narrow: float
    wide: float


class Law(ABC):
    """A law with all that the methods of `drawing` may ask of it.

    dim:       D
    discrete:  whether it is a table
    effort:    evaluations of the distribution function that a quantile of one number takes; 1 for a closed form
    """

    dim = 1
    discrete = False
    effort = 1

    @abstractmethod
    def log_density(self, x: Tensor) -> Tensor:
        """log p(x) [N], normalised; -inf where there is none."""

    @abstractmethod
    def cdf(self, x: Tensor) -> Tensor:
        """P(X1 <= x1), and P(X2 <= x2 | X1 = x1): uniform if x has this law (Rosenblatt 1952). [N, D]"""

    @abstractmethod
    def quantile(self, u: Tensor) -> Tensor:
        """The inverse of `cdf`, coordinate after coordinate: of this law if u is uniform. [N, D]"""

    @abstractmethod
    def moments(self) -> LawMoments:
        """Mean and standard deviation of `worth`."""

    @abstractmethod
    def proposal(self) -> Proposal:
        """What rejection, importance and independence draw from."""

    def scales(self) -> Scales:
        """How far to walk in x."""
        std = self.moments().std.item()
        return Scales(std, std)

    def worth(self, x: Tensor) -> Tensor:
        """The numbers that points stand for [N, D]; a table's values, elsewhere x itself."""
        return x

    def to_free(self, x: Tensor) -> Tensor:
        """Coordinates z of x that may be any numbers."""
        return x

    def from_free(self, z: Tensor) -> Tensor:
        """x from them."""
        return z

    def free_log_density(self, z: Tensor) -> Tensor:
        """log p(x) + log |dx/dz| [N]: the density of z."""
        return self.log_density(z)

    def free_scales(self) -> Scales:
        """How far to walk in z."""
        return self.scales()


@dataclass(frozen=True)
class LineNormal(Law):
    """N(mean, std²)."""

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        within("mean", self.mean, -LARGEST, LARGEST)
        within("std", self.std, SMALLEST, LARGEST)

    def log_density(self, x: Tensor) -> Tensor:
        return log_normal(x[:, 0], self.mean, self.std)

    def cdf(self, x: Tensor) -> Tensor:
        return ndtr((x - self.mean) / self.std)

    def quantile(self, u: Tensor) -> Tensor:
        return self.from_normals(ndtri(u))

    def from_normals(self, z: Tensor) -> Tensor:
        """Standard normal numbers with this mean and spread, [N, 1]."""
        return self.mean + self.std * z

    def moments(self) -> LawMoments:
        return LawMoments(vector(self.mean), vector(self.std))

    def proposal(self) -> Proposal:
        """A double exponential of scale std; p / q is largest one standard deviation from the middle."""
        return Proposal(
            "double exponential",
            lambda u: special.laplace_quantile(u, self.mean, self.std),
            lambda x: special.log_laplace(x[:, 0], self.mean, self.std),
            (math.log(2 / math.pi) + 1) / 2,
        )


@dataclass(frozen=True)
class Exponential(Law):
    """rate · exp(-rate · x) for x > 0."""

    rate: float = 1.0

    def __post_init__(self) -> None:
        within("rate", self.rate, SMALLEST, LARGEST)

    def log_density(self, x: Tensor) -> Tensor:
        return torch.where(x[:, 0] > 0, math.log(self.rate) - self.rate * x[:, 0], -torch.inf)

    def cdf(self, x: Tensor) -> Tensor:
        return -torch.expm1(-self.rate * x.clamp(min=0))

    def quantile(self, u: Tensor) -> Tensor:
        return -torch.log1p(-u) / self.rate

    def moments(self) -> LawMoments:
        return LawMoments(vector(1 / self.rate), vector(1 / self.rate))

    def proposal(self) -> Proposal:
        """The exponential law of half the rate; p / q is largest at 0."""
        return Proposal(
            "exponential of half the rate",
            lambda u: 2 * self.quantile(u),
            lambda x: Exponential.log_density(self, x / 2) - math.log(2),
            math.log(2),
        )

    def to_free(self, x: Tensor) -> Tensor:
        return x.log()

    def from_free(self, z: Tensor) -> Tensor:
        return z.exp()

    def free_log_density(self, z: Tensor) -> Tensor:
        return math.log(self.rate) - self.rate * z[:, 0].exp() + z[:, 0]

    def free_scales(self) -> Scales:
        return Scales(math.pi / math.sqrt(6), math.pi / math.sqrt(6))


@dataclass(frozen=True)
class Beta(Law):
    """x^(a - 1) (1 - x)^(b - 1) / B(a, b) for 0 < x < 1."""

    a: float = 2.0
    b: float = 5.0
    effort = HALVINGS

    def __post_init__(self) -> None:
        within("a", self.a, 0.5, 1000)  # below, much of the law lies closer to an edge than floats can tell
        within("b", self.b, 0.5, 1000)

    def log_density(self, x: Tensor) -> Tensor:
        x = x[:, 0]
        inside = (x > 0) & (x < 1)
        y = torch.where(inside, x, 0.5)
        value = (self.a - 1) * y.log() + (self.b - 1) * torch.log1p(-y) - log_beta(self.a, self.b)
        return torch.where(inside, value, -torch.inf)

    def cdf(self, x: Tensor) -> Tensor:
        return special.regularised_beta(x.clamp(0, 1), self.a, self.b)

    def quantile(self, u: Tensor) -> Tensor:
        return bisected(self.cdf, u, torch.zeros_like(u), torch.ones_like(u))

    def moments(self) -> LawMoments:
        total = self.a + self.b
        return LawMoments(vector(self.a / total), vector(math.sqrt(self.a * self.b / (total + 1)) / total))

    def proposal(self) -> Proposal:
        """Kumaraswamy's law, which is as steep at edges where p has no bound, and uniform without such edges."""
        a, b = min(self.a, 1), min(self.b, 1)

        def quantile(u: Tensor) -> Tensor:
            return (1 - (1 - u) ** (1 / b)) ** (1 / a)

        def log_density(x: Tensor) -> Tensor:
            x = x[:, 0]
            return math.log(a * b) + (a - 1) * x.log() + (b - 1) * torch.log1p(-(x**a))

        if a == b == 1:
            mode = 0.5 if self.a == self.b else (self.a - 1) / (self.a + self.b - 2)
            highest = self.log_density(vector(min(max(mode, 1e-300), 1 - 2**-53)).unsqueeze(1)).item()
            return Proposal("uniform", quantile, log_density, highest)
        return Proposal("Kumaraswamy's law", quantile, log_density, -math.log(a * b) - log_beta(self.a, self.b))

    def to_free(self, x: Tensor) -> Tensor:
        return x.logit()

    def from_free(self, z: Tensor) -> Tensor:
        return z.sigmoid()

    def free_log_density(self, z: Tensor) -> Tensor:
        logs = torch.nn.functional.logsigmoid
        return self.a * logs(z[:, 0]) + self.b * logs(-z[:, 0]) - log_beta(self.a, self.b)

    def free_scales(self) -> Scales:
        std = torch.special.polygamma(1, torch.tensor([self.a, self.b]).double()).sum().sqrt().item()
        return Scales(std, std)


@dataclass(frozen=True)
class LineMixture(Law):
    """Normal laws of these weights, which sum to 1, means and standard deviations on the line."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]
    effort = HALVINGS

    def log_density(self, x: Tensor) -> Tensor:
        weights, means, stds = self.parts()
        return (weights.log() + log_normal(x, means, stds)).logsumexp(1)

    def cdf(self, x: Tensor) -> Tensor:
        weights, means, stds = self.parts()
        return (weights * ndtr((x - means) / stds)).sum(1, keepdim=True)

    def quantile(self, u: Tensor) -> Tensor:
        _, means, stds = self.parts()
        ends = means + stds * ndtri(u)  # the quantiles of the parts: the mixture's lies between them
        return bisected(self.cdf, u, ends.amin(1, keepdim=True), ends.amax(1, keepdim=True))

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights, means and standard deviations, each [K]."""
        weights, means, stds = (torch.tensor(v, dtype=torch.float64) for v in (self.weights, self.means, self.stds))
        return weights, means, stds

    def moments(self) -> LawMoments:
        weights, means, stds = self.parts()
        mean = (weights * means).sum()
        variance = (weights * (stds**2 + (means - mean) ** 2)).sum()
        return LawMoments(mean.reshape(1), variance.sqrt().reshape(1))

    def proposal(self) -> Proposal:
        """One normal law, wider than the mixture and than every part; the bound is the sum of the parts' own."""
        weights, means, stds = self.parts()
        mean, std = self.moments()
        wide = LineNormal(mean.item(), (std**2 + stds.max() ** 2).sqrt().item())
        highest = wide.std / stds * ((means - mean) ** 2 / (2 * (wide.std**2 - stds**2))).exp()
        return Proposal("one normal", wide.quantile, wide.log_density, (weights * highest).sum().log().item())


def within(name: str, value: float, least: float, most: float) -> None:
    """Raise ValueError unless least <= value <= most."""
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least:g} to {most:g}, not {value:g}")


def vector(*values: float) -> Tensor:
    """Numbers as float64 [D]."""
    return torch.tensor(values, dtype=torch.float64)
