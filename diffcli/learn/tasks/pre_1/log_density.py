"""Held to the closed form in double precision, and to an integral of one: the grid of the last question is a quadrature."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right


def log_density(x: Tensor, mean: float, std: float) -> Tensor:
    """The log of the density of N(mean, std²) at each x, in nats.

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
    grid = torch.linspace(-8, 10, 2001, dtype=torch.float64)
    density = torch.as_tensor(ask(grid, 1.0, 0.7)).exp()
    yield Seen("the integral of exp(log_density) over the line", torch.trapezoid(density, grid).item())


WRONG = [
    Swap("variance-for-std", "with the variance in the place of the standard deviation", "what `std` is, and what is squared",
         "(x - mean) / std) ** 2", "(x - mean)) ** 2 / std"),
    Swap("no-half", "without the ½ of the squared distance", "the exponent of the density", "-0.5 * ((x", "-((x"),
    Swap("no-constant", "without the constant ½ log 2π, so that the density does not integrate to 1",
         "what makes the integral 1", " - 0.5 * math.log(2 * math.pi)", ""),
    Swap("log-variance", "with log σ² for log σ", "the root before the integral: 1 / (σ √2π)", "math.log(std)", "math.log(std**2)"),
    Swap("no-spread", "without the term log σ", "what a wider density costs at its peak", " - math.log(std)", ""),
    Swap("density", "with the density itself, not its logarithm", "the name of the function",
         "return -0.5 * ((x - mean) / std) ** 2 - math.log(std) - 0.5 * math.log(2 * math.pi)",
         "return torch.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))"),
]  # fmt: skip


@right
def by_torch(x: Tensor, mean: float, std: float) -> Tensor:
    return torch.distributions.Normal(mean, std).log_prob(x)


@right
def by_a_loop(x: Tensor, mean: float, std: float) -> list[float]:
    found = []
    for value in x.tolist():
        density = math.exp(-((value - mean) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))
        found.append(math.log(max(density, 1e-300)))
    return found


@right
def in_double(x: Tensor, mean: float, std: float) -> Tensor:
    x = x.double()
    return -((x - mean) ** 2) / (2 * std * std) - 0.5 * math.log(2 * math.pi * std * std)
