"""The truth has no logarithm that could overflow: the weights are exact fractions of the largest."""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import parted


def log_mean_weight(log_weights: Tensor) -> tuple[float, float]:
    """What N log-weights say: the log of the mean weight, and how many exact draws of the target they are worth.

    The first is log((1/N) Σ exp(log_weights)), in nats, the estimate of log Z_target / Z_start. The second is
    (Σ w)² / Σ w² with w = exp(log_weights), between 1 and N.

    log_weights: [N], float64, of any size: −2000 and 2000 are usual, and exp of them is 0 or inf

    Returns the two numbers.
    """
    log_mean = torch.logsumexp(log_weights, 0) - math.log(len(log_weights))
    shares = torch.softmax(log_weights, 0)
    return log_mean.item(), 1 / (shares**2).sum().item()


def truth(log_weights: Tensor) -> tuple[float, float]:
    most = log_weights.max().item()
    weights = [Fraction(math.exp(value - most)) for value in log_weights.tolist()]
    whole, squares = sum(weights), sum(w * w for w in weights)
    return math.log(float(whole / len(weights))) + most, float(whole * whole / squares)


def questions(ask: Ask) -> Iterator[Seen]:
    small = torch.tensor([0.5, 1.0, 2.0, 8.0], dtype=torch.float64).log()
    wide = 3 * torch.randn(50, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    for name, log_weights in (
        ("the logs of 0.5, 1, 2 and 8", small),
        ("50 log-weights between -8 and 7", wide),
        ("the same 50, all minus 2000", wide - 2000),
        ("the same 50, all plus 2000", wide + 2000),
        ("the log-weights -2000, 0 and 2000", torch.tensor([-2000.0, 0.0, 2000.0], dtype=torch.float64)),
    ):
        log_mean, worth = parted(ask(log_weights), "the log of the mean weight", "how many draws all are worth")
        yield Seen(f"{name}: the log of their mean", log_mean)
        yield Seen(f"{name}: how many draws they are worth", worth)


WRONG = [
    Swap("sum-for-mean", "with the log of the sum, not of the mean", "the 1/N", " - math.log(len(log_weights))", ""),
    Swap(
        "mean-of-logs",
        "with the mean of the log-weights, which is a lower bound of what is asked for",
        "what is taken first, the mean or the logarithm",
        "torch.logsumexp(log_weights, 0) - math.log(len(log_weights))",
        "log_weights.mean()",
    ),
    Swap(
        "worth-upside-down",
        "with Σ w² / (Σ w)²",
        "which of the two is at least 1: N equal weights are worth N",
        "1 / (shares**2).sum().item()",
        "(shares**2).sum().item()",
    ),
    Swap(
        "log-base-two",
        "with a logarithm to base 2 for N",
        "the unit: nats, the natural logarithm",
        "math.log(len",
        "math.log2(len",
    ),
    Swap(
        "largest-only",
        "with the largest weight alone",
        "the sum: all weights belong to it",
        "torch.logsumexp(log_weights, 0)",
        "log_weights.max()",
    ),
    Swap(
        "worth-of-logs",
        "with log-weights for weights in the second number",
        "what w is: the exponential",
        "torch.softmax(log_weights, 0)",
        "log_weights / log_weights.sum()",
    ),
    Swap(
        "share-for-number",
        "with the worth as a share of N",
        "the second number: how many draws, between 1 and N",
        "1 / (shares**2).sum().item()",
        "1 / (shares**2).sum().item() / len(log_weights)",
    ),
]


@wrong(
    "with exp of numbers that are too large or too small for it", "the largest log-weight, which may be taken out first"
)
def overflowing(log_weights: Tensor) -> tuple[float, float]:
    weights = log_weights.exp()
    return weights.mean().log().item(), (weights.sum() ** 2 / (weights**2).sum()).item()


@wrong("when the largest log-weight is taken out and not put back", "what log Z is of weights that are all the same")
def not_put_back(log_weights: Tensor) -> tuple[float, float]:
    weights = (log_weights - log_weights.max()).exp()
    return weights.mean().log().item(), (weights.sum() ** 2 / (weights**2).sum()).item()


@wrong(
    "with another log-weight taken out than the largest: exp of the distance overflows",
    "the one to take out so that no exponent is above 0",
)
def another_taken_out(log_weights: Tensor) -> tuple[float, float]:
    one = log_weights.mean()
    weights = (log_weights - one).exp()
    return (one + weights.mean().log()).item(), (weights.sum() ** 2 / weights.square().sum()).item()


@wrong("with Σ w / Σ w², where the sum above is not squared", "the worth when all weights are multiplied by a number")
def worth_not_squared(log_weights: Tensor) -> tuple[float, float]:
    most = log_weights.max()
    weights = (log_weights - most).exp()
    return (most + weights.mean().log()).item(), (weights.sum() / weights.square().sum()).item()


@right
def by_hand(log_weights: Tensor) -> tuple[float, float]:
    most = log_weights.max()
    weights = (log_weights - most).exp()
    return (most + weights.mean().log()).item(), (weights.sum() ** 2 / weights.square().sum()).item()


@right
def in_numpy(log_weights: Tensor) -> np.ndarray:
    values = log_weights.numpy()
    whole = np.logaddexp.reduce(values)
    return np.array([whole - np.log(len(values)), np.exp(2 * whole - np.logaddexp.reduce(2 * values))])


@right
def one_by_one(log_weights: Tensor) -> list[Tensor]:
    whole, squares = log_weights[0], 2 * log_weights[0]
    for value in log_weights[1:]:
        whole, squares = torch.logaddexp(whole, value), torch.logaddexp(squares, 2 * value)
    return [whole - math.log(len(log_weights)), torch.exp(2 * whole - squares)]
