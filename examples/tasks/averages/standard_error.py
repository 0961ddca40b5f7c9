"""The definition, on numbers that show whether n or n - 1 divides."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right


def standard_error(x: Tensor) -> float:
    """The standard error of the mean of a sample.

    x: [N], at least two independent draws

    Returns a number.
    """
    return float(x.std() / len(x) ** 0.5)


def questions(ask: Ask) -> Iterator[Seen]:
    yield Seen("1, 2, 4", ask(torch.tensor([1.0, 2.0, 4.0])))
    yield Seen("-1, 0, 0, 5, 7", ask(torch.tensor([-1.0, 0.0, 0.0, 5.0, 7.0])))
    draws = torch.randn(100, generator=torch.Generator().manual_seed(0))
    yield Seen("100 normal draws", ask(draws))


WRONG = [
    Swap("no-root", "if the deviation is divided by n, not by its root", "the root in the equation", " ** 0.5", ""),
    Swap("spread", "with the deviation of the draws, not that of their mean", "the division by √n",
         " / len(x) ** 0.5", ""),
    Swap("divided-by-n", "with n in the place of n - 1", "how s² is defined", "x.std()", "x.std(correction=0)"),
    Swap("variance", "with the variance of the mean", "the last root", "x.std() / len(x) ** 0.5", "x.var() / len(x)"),
]  # fmt: skip


@right
def by_sums(x: Tensor) -> float:
    n, total, squares = len(x), float(x.double().sum()), float((x.double() ** 2).sum())
    return math.sqrt((squares - total**2 / n) / (n - 1) / n)


@right
def a_tensor(x: Tensor) -> Tensor:
    return (x.var() / x.numel()).sqrt()


@right
def a_list(x: Tensor) -> list[float]:
    return [float(torch.sqrt(((x - x.mean()) ** 2).sum() / (len(x) * (len(x) - 1))))]
