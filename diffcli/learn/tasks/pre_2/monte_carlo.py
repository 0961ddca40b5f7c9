"""Held to sums in double precision; with five values N and N − 1 lie far apart."""

import math
import statistics
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong
from diffcli.learn.props import parted


def monte_carlo(values: Tensor) -> tuple[float, float]:
    """The mean of independent draws, and its standard error: how far it is from the true mean, as a rule.

    values: [N], N at least 2

    Returns (mean, standard error), two numbers. The spread of the values is estimated with the divisor N - 1.
    """
    return values.mean().item(), (values.std() / math.sqrt(len(values))).item()


def truth(values: Tensor) -> tuple[float, float]:
    numbers = values.double().numpy()
    return float(numbers.mean()), float(
        np.sqrt(((numbers - numbers.mean()) ** 2).sum() / (len(numbers) - 1) / len(numbers))
    )


def questions(ask: Ask) -> Iterator[Seen]:
    waits = -torch.rand(300, generator=torch.Generator().manual_seed(1), dtype=torch.float64).log()
    cases = {
        "values 1 and 4": torch.tensor([1.0, 4.0]),
        "values 2, -1, 0.5, 7, 3": torch.tensor([2.0, -1.0, 0.5, 7.0, 3.0]),
        "five times the same value": torch.full((5,), 0.75),
        "300 draws of the exponential law": waits,
        "the same, each with 50 added": waits + 50,
    }
    for case, values in cases.items():
        mean, error = parted(ask(values), "the mean", "the standard error")
        yield Seen(f"{case}: the mean", mean)
        yield Seen(f"{case}: the standard error", error)


WRONG = [
    Swap("spread-for-error", "with the spread of the values, which more draws do not make smaller",
         "the error with four times as many draws: it is half as large",
         "(values.std() / math.sqrt(len(values)))", "values.std()"),
    Swap("divided-by-n", "with a division by N, not by √N", "the variance of a mean: Var / N, and its root",
         "math.sqrt(len(values))", "len(values)"),
    Swap("variance", "with the variance of the mean, not its root", "the unit of the error: that of the values",
         "(values.std() / math.sqrt(len(values)))", "(values.var() / len(values))"),
    Swap("divisor-n", "with the divisor N in the spread, for N − 1", "`correction` of `torch.std`",
         "values.std()", "values.std(correction=0)"),
    Swap("of-the-sum", "with the standard error of the sum", "the place of √N: it divides",
         "values.std() / math", "values.std() * math"),
    Swap("median", "with the median for the mean", "the middle that is asked for: the mean",
         "values.mean()", "values.quantile(0.5)"),
]  # fmt: skip


@wrong(
    "when the squares are not centred, so that a large mean looks like a large spread",
    "the centre of the spread: the mean",
)
def not_centred(values: Tensor) -> tuple[float, float]:
    return values.mean().item(), math.sqrt((values**2).sum().item() / (len(values) - 1) / len(values))


@right
def by_statistics(values: Tensor) -> tuple[float, float]:
    numbers = values.tolist()
    return statistics.fmean(numbers), statistics.stdev(numbers) / len(numbers) ** 0.5


@right
def by_sums(values: Tensor) -> Tensor:
    values, count = values.double(), len(values)
    mean = values.sum() / count
    return torch.stack([mean, (((values - mean) ** 2).sum() / (count * (count - 1))).sqrt()])


@right
def running(values: Tensor) -> list[float]:
    """Welford's way, one value at a time."""
    mean = squares = 0.0
    for count, value in enumerate(values.tolist(), 1):
        step = value - mean
        mean += step / count
        squares += step * (value - mean)
    return [mean, math.sqrt(squares / (len(values) - 1) / len(values))]
