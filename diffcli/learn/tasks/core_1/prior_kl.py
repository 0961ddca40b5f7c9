"""Held to torch's divergence of two normal laws, and on one number to a quadrature."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def prior_kl(x0: Tensor, alpha_bar: float) -> Tensor:
    """How far the end of the chain is from pure noise: KL(q(x_T | x_0) || N(0, I)) of each item, in nats.

    q(x_T | x_0) = N(sqrt(alpha-bar_T) x_0, (1 - alpha-bar_T) I), where the second place is a variance.

    x0:        [B, ...], data of any shape
    alpha_bar: alpha-bar_T, a number above 0 and below 1

    Returns [B]: for each item the sum over all its numbers.
    """
    nats = (alpha_bar * x0**2 - alpha_bar - math.log(1 - alpha_bar)) / 2
    return nats.flatten(1).sum(1)


def truth(x0: Tensor, alpha_bar: float) -> Tensor:
    if x0.numel() == 1:
        return quadrature(x0.item(), alpha_bar)
    end = Normal(alpha_bar**0.5 * x0, (1 - alpha_bar) ** 0.5)
    return kl_divergence(end, Normal(torch.zeros_like(x0), 1.0)).flatten(1).sum(1)


def quadrature(x0: float, alpha_bar: float) -> Tensor:
    end = Normal(torch.tensor(alpha_bar**0.5 * x0, dtype=torch.float64), (1 - alpha_bar) ** 0.5)
    grid = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    noise = Normal(torch.zeros((), dtype=torch.float64), 1.0)
    return torch.trapezoid(end.log_prob(grid).exp() * (end.log_prob(grid) - noise.log_prob(grid)), grid).reshape(1)


def questions(ask: Ask) -> Iterator[Seen]:
    yield Seen("x0 = 0.5, one number, alpha-bar 0.3", ask(torch.tensor([[0.5]], dtype=torch.float64), 0.3))
    points = torch.tensor([[1.0, -0.5, 2.0], [0.2, 0.0, -1.0]], dtype=torch.float64)
    for alpha_bar in (0.3, 0.9, 0.01):
        yield Seen(f"x0 = {points.tolist()}, alpha-bar {alpha_bar:g}", ask(points, alpha_bar))
    images = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(3, 1, 2, 4)
    yield Seen("three images of shape [1, 2, 4], alpha-bar 0.5", ask(images, 0.5))


WRONG = [
    Swap(
        "mean",
        "with the mean over an item's numbers",
        "what is wanted of the numbers of an item: their sum",
        ".sum(1)",
        ".mean(1)",
    ),
    Swap(
        "bits",
        "with bits for nats",
        "the unit: natural logarithms",
        "nats.flatten(1).sum(1)",
        "nats.flatten(1).sum(1) / math.log(2)",
    ),
    Swap("no-half", "without the ½", "the divergence of two normal laws: half of three terms", " / 2", ""),
    Swap(
        "log-std",
        "with log σ for log σ²",
        "the logarithm: ½ log σ² = log σ, and the ½ stands before it already",
        "math.log(1 - alpha_bar)",
        "math.log(1 - alpha_bar) / 2",
    ),
    Swap(
        "no-spread",
        "with the distance of the means alone, as if both laws were equally wide",
        "the variance of x_T, 1 − ᾱ, beside that of the noise, 1",
        " - alpha_bar - math.log(1 - alpha_bar)",
        "",
    ),
    Swap(
        "bar-squared",
        "with ᾱ x0 as the mean of x_T",
        "the mean of x_T: √ᾱ x0, whose square has one ᾱ",
        "alpha_bar * x0**2",
        "(alpha_bar * x0) ** 2",
    ),
    Swap(
        "no-log",
        "without the logarithm",
        "the term that grows without end where no noise has been added",
        " - math.log(1 - alpha_bar)",
        "",
    ),
]


@wrong("with the divergence the other way round, KL(N(0, I) || q)", "which law the draws come from: the first one, q")
def turned_round(x0: Tensor, alpha_bar: float) -> Tensor:
    variance = 1 - alpha_bar
    nats = ((1 + alpha_bar * x0**2) / variance - 1 + math.log(variance)) / 2
    return nats.flatten(1).sum(1)


@wrong("with one number for the whole batch", "the shape of the result: one number for each item")
def whole_batch(x0: Tensor, alpha_bar: float) -> Tensor:
    return ((alpha_bar * x0**2 - alpha_bar - math.log(1 - alpha_bar)) / 2).sum()


@right
def by_torch(x0: Tensor, alpha_bar: float) -> Tensor:
    end = Normal(alpha_bar**0.5 * x0, math.sqrt(1 - alpha_bar))
    found = kl_divergence(end, Normal(0.0, 1.0))
    return found.reshape(len(x0), -1).sum(-1)


@right
def item_by_item(x0: Tensor, alpha_bar: float) -> list[float]:
    std = math.sqrt(1 - alpha_bar)
    found = []
    for item in x0:
        total = 0.0
        for x in item.flatten().tolist():
            total += -math.log(std) + (std**2 + alpha_bar * x**2) / 2 - 0.5
        found.append(total)
    return found


@right
def by_squared_lengths(x0: Tensor, alpha_bar: float) -> Tensor:
    numbers = x0[0].numel()
    squares = x0.float().square().flatten(1).sum(1)
    return alpha_bar / 2 * squares - numbers * (alpha_bar + math.log1p(-alpha_bar)) / 2
