"""Held to the package's own KL, which `verify` holds to quadrature, in three shapes and with gradients."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.processes.laws import gaussian
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def kl(mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor) -> Tensor:
    """KL(p || q) of p = N(mean, std²) from q = N(other_mean, other_std²), for each coordinate on its own, in nats.

    mean, std:             of p, any shape, standard deviations above 0
    other_mean, other_std: of q, the same shape

    Returns the same shape: nothing is summed.
    """
    ratio = (std / other_std) ** 2
    return 0.5 * ((mean - other_mean) ** 2 / other_std**2 + ratio - 1 - torch.log(ratio))


truth = gaussian.kl


def questions(ask: Ask) -> Iterator[Seen]:
    zero, one = torch.zeros(1), torch.ones(1)
    yield Seen("from N(2, 1) to N(0, 1), where only the means differ", ask(2 * one, one, zero, one))
    yield Seen("from N(0, 0.25) to N(0, 1), where only the spreads differ", ask(zero, 0.5 * one, zero, one))
    mean, std = torch.tensor([0.5, -1.0, 0.3]), torch.tensor([0.5, 1.2, 3.0])
    other_mean, other_std = torch.tensor([-0.4, 0.2, 1.0]), torch.tensor([1.0, 0.7, 2.0])
    yield Seen("three coordinates, p to q", ask(mean, std, other_mean, other_std))
    yield Seen("the same, q to p", ask(other_mean, other_std, mean, std))
    rows = [torch.stack([value, 2 * value]).double() for value in (mean, std, other_mean, other_std)]
    yield Seen("a batch [2, 3]", ask(*rows))
    yield Seen("a law to itself", ask(mean, std, mean, std))
    wanting = [value.clone().requires_grad_() for value in (mean, std, other_mean, other_std)]
    yield Seen("the gradients of the sum, for all four arguments", ask(*wanting, want="gradients"))


WRONG = [
    Swap("std-for-variance", "with the ratio of the standard deviations where that of the variances belongs",
         "what is squared", "(std / other_std) ** 2", "std / other_std"),
    Swap("log-not-squared", "with log(σ / σ_q), where log(σ² / σ_q²) belongs", "what is inside of the logarithm",
         "- torch.log(ratio)", "- torch.log(std / other_std)"),
    Swap("no-half", "without the ½ before it all", "where the ½ of log N(x; μ, σ²) has gone",
         "0.5 * ((mean", "((mean"),
    Swap("no-one", "without the −1, so that a law is not at distance 0 from itself",
         "the mean of (x − μ)² / σ² over p, which is 1",
         "ratio - 1 -", "ratio -"),
    Swap("sign-of-log", "with + log for − log of the ratio", "which of log σ and log σ_q is subtracted",
         "- torch.log(ratio)", "+ torch.log(ratio)"),
    Swap("own-variance", "when the distance of the means is measured in p's own spread",
         "the law in whose spread the distance is measured: q, since log q is averaged over p",
         "/ other_std**2 + ratio", "/ std**2 + ratio"),
    Swap("distance-over-std", "when the squared distance is divided by σ_q, which is not squared",
         "the unit: it has to be none", "/ other_std**2 + ratio", "/ other_std + ratio"),
    Swap("bits", "with bits for nats, a log to the base of 2", "the unit: nats, the natural logarithm",
         "torch.log(ratio))", "torch.log(ratio)) / math.log(2)"),
]  # fmt: skip


@wrong("with KL(q || p), the other way round", "which of the laws is averaged over: the first")
def backwards(mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor) -> Tensor:
    return gaussian.kl(other_mean, other_std, mean, std)


@wrong("when the coordinates are summed", "the shape that is to be returned")
def summed(mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor) -> Tensor:
    return gaussian.kl(mean, std, other_mean, other_std).sum()


@right
def by_torch(mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor) -> Tensor:
    normal = torch.distributions.Normal
    return torch.distributions.kl_divergence(normal(mean, std), normal(other_mean, other_std))


@right
def by_its_parts(mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor) -> Tensor:
    entropy = -std.log() - 0.5
    cross = -other_std.log() - (std**2 + (mean - other_mean) ** 2) / (2 * other_std**2)
    return entropy - cross


@right
def by_standardising(mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor) -> Tensor:
    """In units of q, where q is a standard normal law."""
    m, s = ((mean - other_mean) / other_std).double(), (std / other_std).double()
    return (m * m + s * s) / 2 - math.log(math.sqrt(math.e)) - torch.log(s)
