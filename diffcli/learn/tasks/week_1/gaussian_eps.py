"""Held to the conditional of the joint normal law of noise and noisy data."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.processes.laws.gaussian import Normal
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def gaussian_eps(x: Tensor, abar: float, mean: float, variance: float) -> Tensor:
    """The best prediction of the noise, E[ε | x_t = x], where x0 ~ N(mean, variance) and x_t = √ᾱ x0 + √(1 − ᾱ) ε.

    x:        [B], noisy numbers
    abar:     ᾱ_t, above 0 and below 1
    mean:     of the data
    variance: of the data, not their standard deviation; above 0

    Returns [B].
    """
    return math.sqrt(1 - abar) * (x - math.sqrt(abar) * mean) / (abar * variance + 1 - abar)


def questions(ask: Ask) -> Iterator[Seen]:
    x = torch.tensor([-2.0, -0.3, 0.5, 3.0])
    for mean, variance in ((0.0, 1.0), (0.0, 0.25), (2.0, 0.25), (-1.0, 4.0)):
        for abar in (0.95, 0.5, 0.1):
            asked = f"x = {x.tolist()}, abar {abar:g}, data of mean {mean:g} and variance {variance:g}"
            yield Seen(asked, ask(x, abar, mean, variance))


def truth(x: Tensor, abar: float, mean: float, variance: float) -> Tensor:
    signal, noise = abar**0.5, (1 - abar) ** 0.5
    covariance = torch.tensor([[1.0, noise], [noise, abar * variance + noise**2]], dtype=torch.float64)
    joint = Normal(torch.tensor([0.0, signal * mean], dtype=torch.float64), covariance)  # of the noise and of x
    return torch.cat([joint.given([1], value.reshape(1).double()).mean for value in x])


WRONG = [
    Swap(
        "abar-for-its-root",
        "with ᾱ in the place of √ᾱ",
        "the mean of x_t: by what the data are multiplied",
        "math.sqrt(abar) * mean",
        "abar * mean",
    ),
    Swap(
        "std-for-variance",
        "with the root of the variance",
        "the kind of `variance`: no standard deviation",
        "abar * variance",
        "abar * variance**0.5",
    ),
    Swap(
        "variance-squared",
        "with the square of the variance",
        "the kind of `variance`: no standard deviation",
        "abar * variance",
        "abar * variance**2",
    ),
    Swap(
        "mean-not-scaled",
        "with the mean of the data for that of x_t",
        "the mean of x_t: by what the data are multiplied",
        "math.sqrt(abar) * mean",
        "mean",
    ),
    Swap(
        "point-data",
        "if the data were the point `mean` and had no spread of their own",
        "the variance of x_t",
        " / (abar * variance + 1 - abar)",
        " / (1 - abar)",
    ),
    Swap("no-mean", "if the mean of the data were 0", "the mean of x_t", "(x - math.sqrt(abar) * mean)", "x"),
    Swap(
        "variance-of-the-noise",
        "with 1 − ᾱ in the place of √(1 − ᾱ)",
        "the covariance of ε and x_t",
        "math.sqrt(1 - abar) *",
        "(1 - abar) *",
    ),
    Swap(
        "unscaled-variance",
        "with the variance of the data where that of √ᾱ x0 belongs",
        "the variance of x_t: factors are squared",
        "abar * variance + 1",
        "variance + 1",
    ),
]


@wrong("with the score, which is −ε/√(1 − ᾱ)", "the sign and the unit of the answer: ε has variance 1")
def score(x: Tensor, abar: float, mean: float, variance: float) -> Tensor:
    return -(x - abar**0.5 * mean) / (abar * variance + 1 - abar)


@right
def from_the_clean_estimate(x: Tensor, abar: float, mean: float, variance: float) -> Tensor:
    gain = abar**0.5 * variance / (abar * variance + 1 - abar)
    x0 = mean + gain * (x - abar**0.5 * mean)
    return (x - abar**0.5 * x0) / (1 - abar) ** 0.5


@right
def from_the_score(x: Tensor, abar: float, mean: float, variance: float) -> Tensor:
    law = torch.distributions.Normal(abar**0.5 * mean, (abar * variance + 1 - abar) ** 0.5)
    x = x.clone().requires_grad_(True)
    (found,) = torch.autograd.grad(law.log_prob(x).sum(), x)
    return -found * (1 - abar) ** 0.5


@right
def by_a_loop(x: Tensor, abar: float, mean: float, variance: float) -> list[float]:
    signal, noise = abar**0.5, (1 - abar) ** 0.5
    spread = signal * signal * variance + noise * noise
    return [noise / spread * (float(value) - signal * mean) for value in x]
