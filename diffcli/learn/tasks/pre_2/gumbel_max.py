"""Held to the argmax of perturbed logits, in double, and to the probabilities themselves over many draws."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong

COUNT = 4000


def gumbel_max(logits: Tensor, u: Tensor) -> Tensor:
    """A class for each row, drawn with the probabilities softmax(logits), by the Gumbel-max trick.

    logits: [B, K], any numbers; a row plus a constant means the same probabilities
    u:      [B, K], uniform numbers in (0, 1), one for each class

    Returns [B], whole numbers from 0 to K - 1.
    """
    gumbel = -torch.log(-torch.log(u))
    return (logits + gumbel).argmax(1)


def truth(logits: Tensor, u: Tensor) -> Tensor:
    """The first of K clocks to ring, where clock k has the rate exp(logit): the same race, told the other way."""
    rates = (logits.double() - logits.double().amax(1, keepdim=True)).exp()
    return (-u.double().log() / rates).argmin(1)


def questions(ask: Ask) -> Iterator[Seen]:
    generator = torch.Generator().manual_seed(5)
    logits = torch.tensor([[0.0, 1.0, -1.0], [2.0, 2.5, 0.0], [-40.0, -41.0, -40.5], [300.0, 299.0, 301.0]])
    few, numbers = torch.tensor([[0.0, 1.0, -1.0], [2.0, 2.5, 0.0]]), torch.tensor([[0.9, 0.2, 0.5], [0.3, 0.4, 0.99]])
    yield Seen(f"logits {few.tolist()}, u = [[0.9, 0.2, 0.5], [0.3, 0.4, 0.99]]", ask(few, numbers))
    for number in range(3):
        u = torch.rand(4, 3, generator=generator)
        yield Seen(f"four rows of logits, the last around 300; uniform numbers, set {number + 1}", ask(logits, u))
    probabilities = torch.tensor([0.1, 0.6, 0.3])
    u = torch.rand(COUNT, 3, generator=generator)
    chosen = torch.as_tensor(ask(probabilities.log().expand(COUNT, 3).contiguous(), u)).long()
    shares = torch.bincount(chosen, minlength=3).double() / COUNT
    yield Seen(
        f"the shares of three classes with probabilities 0.1, 0.6, 0.3 among {COUNT} draws", shares, within=0.035
    )


WRONG = [
    Swap("no-noise", "with the likeliest class each time: with no noise, or with the same for all classes of a row",
         "the use of u: one number for each class",
         "(logits + gumbel)", "logits"),
    Swap("inner-sign", "with the noise turned round",
         "the two minus signs in −log(−log u): a Gumbel number is seldom low",
         "logits + gumbel", "logits - gumbel"),
    Swap("one-logarithm", "with one logarithm: log u for −log(−log u)", "the number of logarithms in the equation: two",
         "-torch.log(-torch.log(u))", "torch.log(u)"),
    Swap("minus-one-logarithm", "with −log u, an exponential number, for −log(−log u)",
         "the number of logarithms in the equation: two",
         "-torch.log(-torch.log(u))", "-torch.log(u)"),
    Swap("one-sign", "with the logarithm of a number below 0, which is nan: class 0 each time", "the sign of log u",
         "-torch.log(-torch.log(u))", "-torch.log(torch.log(u))"),
    Swap("uniform-noise", "with uniform noise", "the law of the noise: Gumbel's, by two logarithms",
         "-torch.log(-torch.log(u))", "u"),
    Swap("probabilities", "when the noise is added to the probabilities, not to their logarithms",
         "the numbers that the noise is added to: logits", "(logits + gumbel)", "(logits.softmax(1) + gumbel)"),
    Swap("least", "with the least for the largest", "the winner: the largest", ".argmax(1)", ".argmin(1)"),
]  # fmt: skip


@wrong(
    "with one uniform number for a row and the shares summed up: right in its law, but another map",
    "the name of the trick: every class gets a noise, and the largest wins",
)
def by_summed_shares(logits: Tensor, u: Tensor) -> Tensor:
    return (u[:, :1] > logits.softmax(1).cumsum(1)).sum(1)


@wrong("if exp of a logit is taken, which is infinite at 300: all clocks ring at 0", "−log of the time, without an exp")
def race_with_rates(logits: Tensor, u: Tensor) -> Tensor:
    return (-torch.log(u) / torch.exp(logits)).argmin(1)


@wrong("when classes are counted from 1", "the first class: number 0")
def from_one(logits: Tensor, u: Tensor) -> Tensor:
    return gumbel_max(logits, u) + 1


@right
def by_a_race(logits: Tensor, u: Tensor) -> Tensor:
    """Exponential waiting times."""
    return (torch.log(-torch.log(u)) - logits).argmin(dim=-1)


@right
def by_a_loop(logits: Tensor, u: Tensor) -> list[int]:
    found = []
    for row, numbers in zip(logits.tolist(), u.tolist(), strict=True):
        keys = [logit - math.log(-math.log(number)) for logit, number in zip(row, numbers, strict=True)]
        found.append(keys.index(max(keys)))
    return found


@right
def in_numpy(logits: Tensor, u: Tensor) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    log_p = torch.log_softmax(logits.double(), 1).numpy()
    return np.argmax(log_p - np.log(-np.log(u.double().numpy())), axis=1)
