"""Held to the package's own, which takes factors and not their squares, and to its inverse, the logistic function."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.levels import Level
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def log_snr(alpha_bar: Tensor) -> Tensor:
    """The logarithm of the signal-to-noise ratio: what is left of the data's variance, 1 at first, over the noise's.

    alpha_bar: any shape, each number between 0 and 1 and neither of them

    Returns the same shape; natural logarithm.
    """
    return torch.log(alpha_bar / (1 - alpha_bar))


def truth(alpha_bar: Tensor) -> Tensor:
    return Level(alpha_bar.sqrt(), (1 - alpha_bar).sqrt()).log_snr


def questions(ask: Ask) -> Iterator[Seen]:
    bars = torch.tensor([0.9999, 0.8, 0.5, 0.25, 0.01, 4e-5], dtype=torch.float64)
    yield Seen(f"alpha-bar {bars.tolist()}", ask(bars))
    yield Seen("alpha-bar [[0.9, 0.3], [0.6, 0.05]]", ask(torch.tensor([[0.9, 0.3], [0.6, 0.05]], dtype=torch.float64)))
    wanted = torch.tensor([-3.0, 0.5, 4.0], dtype=torch.float64)
    yield Seen("alpha-bar = 1 / (1 + exp(-3)), and for -0.5 and 4", ask(torch.sigmoid(-wanted)))


WRONG = [
    Swap(
        "half",
        "with log(α/σ), the logarithm of the ratio of the factors, half as large",
        "what is divided: variances, which are squares",
        "torch.log(",
        "0.5 * torch.log(",
    ),
    Swap(
        "noise-over-signal",
        "with the ratio turned round, noise over signal",
        "the sign: much signal is a large number",
        "alpha_bar / (1 - alpha_bar)",
        "(1 - alpha_bar) / alpha_bar",
    ),
    Swap("decades", "with the logarithm to base 10", "which logarithm is asked for", "torch.log(", "torch.log10("),
    Swap(
        "no-log",
        "with the ratio itself, without its logarithm",
        "the name of the function",
        "torch.log(alpha_bar / (1 - alpha_bar))",
        "alpha_bar / (1 - alpha_bar)",
    ),
    Swap(
        "signal-only",
        "with log ᾱ alone",
        "what the signal is compared with: the variance of the noise",
        "alpha_bar / (1 - alpha_bar)",
        "alpha_bar",
    ),
    Swap("bits", "with the logarithm to base 2", "which logarithm is asked for", "torch.log(", "torch.log2("),
]


@wrong(
    "with ᾱ squared: alpha-bar is taken for the factor of the data", "what ᾱ is: the square of the factor of the data"
)
def squared(alpha_bar: Tensor) -> Tensor:
    return torch.log(alpha_bar**2 / (1 - alpha_bar**2))


@right
def by_logit(alpha_bar: Tensor) -> Tensor:
    return torch.logit(alpha_bar)


@right
def by_difference(alpha_bar: Tensor) -> Tensor:
    return alpha_bar.log() - torch.log1p(-alpha_bar)


@right
def by_numbers(alpha_bar: Tensor) -> Tensor:
    found = [-math.log(1 / bar - 1) for bar in alpha_bar.flatten().tolist()]
    return torch.tensor(found).reshape(alpha_bar.shape)
