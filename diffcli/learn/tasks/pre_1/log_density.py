"""Held to the closed form, far out too, and to an integral of one: the grid of the last question is a quadrature."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def log_density(x: Tensor, mean: float, std: float) -> Tensor:
    """The log of the density of N(mean, std²) at each x, in nats; finite however far out x is.

    x:    [B], any numbers
    mean: a number
    std:  a number above 0, the standard deviation

    Returns [B].
    """
    return -0.5 * ((x - mean) / std) ** 2 - math.log(std) - 0.5 * math.log(2 * math.pi)


def questions(ask: Ask) -> Iterator[Seen]:
    x = torch.tensor([0.0, 0.5, -2.0, 3.0])
    for mean, std in ((0.0, 1.0), (1.5, 1.0), (0.0, 2.0), (-1.0, 0.3)):
        yield Seen(f"x = {x.tolist()}, mean {mean:g}, std {std:g}", ask(x, mean, std))
    yield Seen("x = [50, 500], far out, mean 0, std 1", ask(torch.tensor([50.0, 500.0]), 0.0, 1.0))
    grid = torch.linspace(-8, 10, 2001, dtype=torch.float64)
    density = torch.as_tensor(ask(grid, 1.0, 0.7)).exp()
    yield Seen("the integral of exp(log_density) over the line", torch.trapezoid(density, grid).item())


WRONG = [
    Swap("variance-for-std", "with `std` taken for the variance", "the kind of `std`: it is squared below the distance",
         "(x - mean) / std) ** 2 - math.log(std)", "(x - mean)) ** 2 / std - 0.5 * math.log(std)"),
    Swap("distance-over-std", "when the distance is squared and the standard deviation below it is not",
         "the unit of the exponent: it has to be none", "(x - mean) / std) ** 2", "(x - mean)) ** 2 / std"),
    Swap("no-half", "without the ½ of the squared distance", "the exponent of the density", "-0.5 * ((x", "-((x"),
    Swap("no-constant", "without the constant ½ log 2π, so that the density does not integrate to 1",
         "what makes the integral 1", " - 0.5 * math.log(2 * math.pi)", ""),
    Swap("no-root", "without the ½ of ½ log 2π", "the root in 1 / (σ √(2π))",
         "- 0.5 * math.log(2 * math.pi)", "- math.log(2 * math.pi)"),
    Swap("log-variance", "with log σ² for log σ", "the root before the integral: 1 / (σ √2π)",
         "math.log(std)", "math.log(std**2)"),
    Swap("no-spread", "without the term log σ", "what a wider density costs at its peak", " - math.log(std)", ""),
    Swap("bits", "with the logarithm of σ to the base of 2", "the unit: nats, the natural logarithm",
         "math.log(std)", "math.log2(std)"),
    Swap("density", "with the density itself, not its logarithm", "the name of the function",
         "return -0.5 * ((x - mean) / std) ** 2 - math.log(std) - 0.5 * math.log(2 * math.pi)",
         "return torch.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))"),
]  # fmt: skip


@wrong(
    "with the logarithm of a density that is 0 in floating point",
    "where the logarithm is taken: by hand, before anything is computed",
)
def through_the_density(x: Tensor, mean: float, std: float) -> Tensor:
    density = torch.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))
    return torch.log(density)


@right
def by_torch(x: Tensor, mean: float, std: float) -> Tensor:
    return torch.distributions.Normal(mean, std).log_prob(x)


@right
def by_a_loop(x: Tensor, mean: float, std: float) -> list[float]:
    peak = -math.log(std * math.sqrt(2 * math.pi))
    return [peak - (value - mean) ** 2 / (2 * std**2) for value in x.tolist()]


@right
def in_double(x: Tensor, mean: float, std: float) -> Tensor:
    x = x.double()
    return -((x - mean) ** 2) / (2 * std * std) - 0.5 * math.log(2 * math.pi * std * std)
