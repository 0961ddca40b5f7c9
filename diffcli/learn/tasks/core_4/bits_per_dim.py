"""Held to what the numbers mean: bits of one number on average, by powers of two."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def bits_per_dim(nats: Tensor, numbers: int, width: float) -> Tensor:
    """Bits per dimension of items from their nats.

    nats:    [B], −log p of each item, natural logarithm, of all of its numbers together
    numbers: in one item, D
    width:   1 where p is a probability of 8-bit values. Where p is a density, the width of the bin that one value
             stands for: the probability of an item is then p · width^D

    Returns [B].
    """
    return (nats / numbers - math.log(width)) / math.log(2)


def truth(nats: Tensor, numbers: int, width: float) -> Tensor:
    return torch.tensor([-math.log2(width) + value * math.log2(math.e) / numbers for value in nats.tolist()])


def questions(ask: Ask) -> Iterator[Seen]:
    eight = torch.tensor([784 * 8 * math.log(2), 784 * math.log(2)])
    yield Seen("an image of 784 pixels, all 256 values as likely, and one of a bit per pixel", ask(eight, 784, 1.0))
    nats = torch.tensor([1084.9, 624.873, 3.0], dtype=torch.float64)
    yield Seen("1084.9, 624.873 and 3 nats of 784 numbers, probabilities", ask(nats, 784, 1.0))
    yield Seen("the same nats of densities of data in [-1, 1], bins of 2/256", ask(nats, 784, 2 / 256))
    flat = torch.tensor([3072 * math.log(2.0)])
    yield Seen("a density that is even over [-1, 1], 3072 numbers, bins of 2/256: 8 bits", ask(flat, 3072, 2 / 256))
    yield Seen("a density of data in [0, 255], -50 and 20 nats of 12 numbers, bins of 1", ask(nats[:2] / -20, 12, 1.0))


WRONG = [
    Swap("nats", "with nats per dimension, not bits", "the base of the logarithm", " / math.log(2)", ""),
    Swap("times-log-2", "with a factor log 2 that should divide", "how many nats a bit has: log 2 = 0.693",
         " / math.log(2)", " * math.log(2)"),
    Swap("whole-items", "with the bits of the whole item", "the unit: bits per dimension, so divided by `numbers`",
         "nats / numbers", "nats"),
    Swap("width-ignored", "without the width of the bin, which a density needs to become a probability",
         "the docstring of `width`", " - math.log(width)", ""),
    Swap("width-added", "with the width on the wrong side",
         "the sign: a narrow bin has a small probability, and costs more", "- math.log(width)", "+ math.log(width)"),
    Swap("width-in-nats", "with nats and bits mixed: log₂ of p and the natural logarithm of the width",
         "both logarithms: they need the same base",
         "(nats / numbers - math.log(width)) / math.log(2)", "nats / numbers / math.log(2) - math.log(width)"),
    Swap("width-of-all", "with the bits of all D bins added to each dimension",
         "the division by D: it is of − log₂ of all of p · width^D",
         "(nats / numbers - math.log(width))", "(nats / numbers - numbers * math.log(width))"),
    Swap("width-once", "with the width of one bin for the whole item",
         "the power: width^D, one factor for each number",
         "(nats / numbers - math.log(width))", "(nats - math.log(width)) / numbers"),
]  # fmt: skip


@wrong("with one number for the whole batch", "what is returned: [B], a number for each item")
def one_number(nats: Tensor, numbers: int, width: float) -> Tensor:
    return bits_per_dim(nats, numbers, width).mean()


@right
def by_base_two(nats: Tensor, numbers: int, width: float) -> Tensor:
    return nats / (numbers * math.log(2)) - math.log2(width)


@right
def by_a_list(nats: Tensor, numbers: int, width: float) -> list[float]:
    return [(value - numbers * math.log(width)) / numbers * math.log2(math.e) for value in nats.tolist()]


@right
def by_whole_items(nats: Tensor, numbers: int, width: float) -> Tensor:
    log_probability = -nats.double() + numbers * torch.log(torch.tensor(width, dtype=torch.float64))
    return -log_probability.div(torch.log(torch.tensor(2.0, dtype=torch.float64))) / numbers
