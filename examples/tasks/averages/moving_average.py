"""The truth is the sum written out, with the weight of each value."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def moving_average(x: Tensor, decay: float) -> Tensor:
    """The exponential moving average at every place of a series; it begins at the first value.

    x:     [N], the series
    decay: from 0 to 1, the weight of the average before

    Returns [N].
    """
    found = [x[0]]
    for value in x[1:]:
        found.append(decay * found[-1] + (1 - decay) * value)
    return torch.stack(found)


def truth(x: Tensor, decay: float) -> Tensor:
    means = []
    for i in range(len(x)):
        weights = [decay**i, *((1 - decay) * decay ** (i - j) for j in range(1, i + 1))]
        means.append(sum(weight * float(value) for weight, value in zip(weights, x, strict=False)))
    return torch.tensor(means)


def questions(ask: Ask) -> Iterator[Seen]:
    for decay in (0.5, 0.9):
        yield Seen(f"1, 2, 5, -3 with decay {decay:g}", ask(torch.tensor([1.0, 2.0, 5.0, -3.0]), decay))
    yield Seen("a single value", ask(torch.tensor([4.0]), 0.5))


WRONG = [
    Swap("weights-swapped", "with the two weights swapped", "which of the two `decay` is the weight of",
         "decay * found[-1] + (1 - decay) * value", "(1 - decay) * found[-1] + decay * value"),
    Swap("begins-at-zero", "if the average begins at 0", "the first line of the equation",
         "found = [x[0]]", "found = [0 * x[0]]"),
]  # fmt: skip


@wrong("with the mean of everything so far", "what `decay` is for")
def plain_mean(x: Tensor, decay: float) -> Tensor:
    return x.cumsum(0) / torch.arange(1, len(x) + 1)


@right
def in_place(x: Tensor, decay: float) -> Tensor:
    found = x.clone()
    for i in range(1, len(found)):
        found[i] = found[i - 1] + (1 - decay) * (found[i] - found[i - 1])
    return found


@right
def by_numbers(x: Tensor, decay: float) -> list[float]:
    values = x.tolist()
    mean, found = values[0], []
    for value in values:
        mean = decay * mean + (1 - decay) * value
        found.append(mean)
    return found


@right
def yielded(x: Tensor, decay: float) -> Iterator[Tensor]:
    mean = x.double()[0]
    yield mean
    for value in x.double()[1:]:
        mean = torch.lerp(value, mean, decay)
        yield mean
