"""Held to the conditional of the joint Gaussian of z and x, which needs no formula of its own for this model."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.processes.laws.gaussian import Normal
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def linear_posterior(x: Tensor, weight: Tensor, offset: Tensor, std: float) -> tuple[Tensor, Tensor]:
    """The posterior of z given x where x = W z + b + s ε, with z ~ N(0, I) and ε ~ N(0, I): a Gaussian.

    x:      [B, D], observations, one z for each
    weight: W, [D, L]; a column for each of the L units
    offset: b, [D]
    std:    s, a number above 0: the standard deviation of the noise

    Returns the mean [B, L] and the covariance [L, L], which is the same for every x.
    """
    one, variance = torch.eye(weight.shape[1], dtype=weight.dtype), std**2
    precision = one + weight.T @ weight / variance
    covariance = torch.linalg.inv(precision)
    return (x - offset) @ weight @ covariance / variance, covariance


def truth(x: Tensor, weight: Tensor, offset: Tensor, std: float) -> tuple[Tensor, Tensor]:
    values, units = weight.shape
    whole = torch.cat([torch.eye(units), weight]).double()
    covariance = whole @ whole.T
    covariance.diagonal()[units:] += std**2
    joint = Normal(torch.cat([torch.zeros(units), offset]).double(), covariance)
    found = [joint.given(range(units, units + values), row.double()) for row in x]
    return torch.stack([one.mean for one in found]), found[0].covariance


def questions(ask: Ask) -> Iterator[Seen]:
    x, weight, offset = torch.tensor([[1.0], [-0.5]]), torch.tensor([[2.0]]), torch.tensor([0.3])
    yield Seen("x [[1], [-0.5]], W [[2]], b [0.3], s 0.5", list(ask(x, weight, offset, 0.5)))
    generator = torch.Generator().manual_seed(4)
    for values, units, std in ((4, 2, 0.7), (5, 3, 1.6), (3, 1, 0.4)):
        weight = torch.randn(values, units, generator=generator)
        x, offset = torch.randn(2, values, generator=generator), torch.randn(values, generator=generator)
        told = f"two x of {values} values, units: {units}, s {std:g}: the mean [2, {units}] and the covariance"
        yield Seen(told, list(ask(x, weight, offset, std)))


WRONG = [
    Swap("std-for-variance", "with s in the place of s²", "what `std` is: densities have its square",
         "std**2", "std"),
    Swap("no-offset", "without subtracting b", "what x is where z = 0", "(x - offset)", "x"),
    Swap("precision-returned", "with the precision, the covariance's inverse, in the place of the covariance",
         "what the matrix in the exponent of a Gaussian is", "/ variance, covariance", "/ variance, precision"),
    Swap("prior-of-variance-s", "with s² I for the prior's I while data keep their 1 / s²",
         "the factor of the prior: z has variance 1, whatever the noise is",
         "precision = one", "precision = variance * one"),
    Swap("no-prior", "without the prior's precision, I: this is least squares", "what is known of z before x is seen",
         "precision = one + weight", "precision = weight"),
    Swap("mean-without-covariance", "with m/S for m: the mean times the precision",
         "the exponent: Wᵀ (x − b) / s² is S⁻¹ m, and has to be multiplied by S",
         "@ covariance / variance", "@ one / variance"),
    Swap("mean-without-noise", "with a mean that is not divided by s²", "how far the data pull: Wᵀ (x − b) / s²",
         "@ covariance / variance", "@ covariance"),
]  # fmt: skip


@wrong("with M⁻¹ for s² M⁻¹, where M = Wᵀ W + s² I", "the covariance where W = 0: it has to be the prior's, I")
def covariance_without_noise(x: Tensor, weight: Tensor, offset: Tensor, std: float) -> tuple[Tensor, Tensor]:
    inverse = torch.linalg.inv(weight.T @ weight + std**2 * torch.eye(weight.shape[1]))
    return (x - offset) @ weight @ inverse, inverse


@right
def by_the_larger_matrix(x: Tensor, weight: Tensor, offset: Tensor, std: float) -> list[Tensor]:
    """The gain Wᵀ (W Wᵀ + s²)⁻¹, from the covariance of x."""
    total = weight @ weight.T + std**2 * torch.eye(len(weight))
    gain = torch.linalg.solve(total, weight).T
    return [(x - offset) @ gain.T, torch.eye(weight.shape[1]) - gain @ weight]


@right
def by_tipping_and_bishop(x: Tensor, weight: Tensor, offset: Tensor, std: float) -> tuple[Tensor, Tensor]:
    inner = weight.T @ weight + std * std * torch.eye(weight.shape[1])
    return torch.linalg.solve(inner, weight.T @ (x - offset).T).T, std * std * torch.linalg.inv(inner)


@right
def one_value_after_the_other(x: Tensor, weight: Tensor, offset: Tensor, std: float) -> tuple[Tensor, Tensor]:
    """Bayes' rule value by value: each row of W is one more measurement."""
    mean, covariance = torch.zeros(len(x), weight.shape[1]).double(), torch.eye(weight.shape[1]).double()
    for value, row in enumerate(weight.double()):
        across = covariance @ row
        gain = across / (row @ across + std**2)
        surprise = x[:, value] - offset[value] - mean @ row
        mean = mean + surprise.unsqueeze(1) * gain
        covariance = covariance - torch.outer(gain, across)
    return mean, covariance
