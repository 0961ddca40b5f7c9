"""Held to the package's law of bits, which is written with values of -1 and 1, in double precision."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from diffcli.core.processes.laws.pixels import Bits
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def bernoulli_log_likelihood(logits: Tensor, x: Tensor) -> Tensor:
    """log p(x | logits) of each item, in nats: a value of x is 1 with probability sigmoid(its logit), else 0.

    logits: [B, D] or [B, C, H, W], any numbers; some are as large as 200, and the result has to be right there too
    x:      of the same shape, each value 0.0 or 1.0; given the logits all values are independent

    Returns [B], the sum over all values of an item, never above 0. Gradients reach logits.
    """
    return (x * logits - F.softplus(logits)).flatten(1).sum(1)


def truth(logits: Tensor, x: Tensor) -> Tensor:
    return Bits().log_prob(logits.double(), 2 * x.double() - 1)


def questions(ask: Ask) -> Iterator[Seen]:
    logits, x = torch.tensor([[0.5, -2.0, 3.0], [1.5, 0.2, -0.7]]), torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    yield Seen(f"logits {logits.tolist()}, x {x.tolist()}", ask(logits, x))
    generator = torch.Generator().manual_seed(1)
    images = 2 * torch.randn(3, 1, 2, 4, generator=generator)
    bits = (torch.rand(3, 1, 2, 4, generator=generator) < 0.5).float()
    yield Seen("three images [3, 1, 2, 4]", ask(images, bits))
    large, their = torch.tensor([[200.0, -150.0], [-200.0, 90.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    yield Seen(f"logits {large.tolist()}, x {their.tolist()}", ask(large, their))
    logits = logits.requires_grad_(True)
    yield Seen("the gradients of the sum of the results by the logits", ask(logits, x, want="gradients"))


WRONG = [
    Swap("mean", "with the mean over the values of an item for their sum", "what independence does to probabilities",
         ".sum(1)", ".mean(1)"),
    Swap("some-dimensions", "with the sum over one dimension of an image", "the shapes: an item may be [C, H, W]",
         ".flatten(1).sum(1)", ".sum(1)"),
    Swap("whole-batch", "with one sum over the whole batch", "the shape [B]", ".flatten(1).sum(1)", ".sum()"),
    Swap("bits", "with the logarithm to base 2, in bits", "the unit", "return (x", f"return 1 / {math.log(2)} * (x"),
    Swap("ones-only", "when a value of 0 costs nothing", "what is said of a value that is 0",
         "x * logits - F.softplus(logits)", "x * F.logsigmoid(logits)"),
    Swap("overflow", "with exp(l) computed as it stands: exp(200) is infinite in 32 bits",
         "`F.softplus`: it is log(1 + exp(l)), and does not overflow",
         "F.softplus(logits)", "torch.log(1 + torch.exp(logits))"),
]  # fmt: skip


@wrong("with the sign of a loss", "the sign of a log-likelihood: the more likely, the larger")
def as_a_loss(logits: Tensor, x: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


@wrong(
    "when sigmoid comes first and the logarithm afterwards, so that log 0 is met",
    "the logarithms as functions of l itself: `F.logsigmoid` and `F.softplus` never meet log 0",
)
def naive(logits: Tensor, x: Tensor) -> Tensor:
    p = torch.sigmoid(logits)
    return (x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)


@wrong(
    "when probabilities are kept away from 0 and 1 by a small number, which changes what large logits say",
    "log sigmoid(l) as a function of l itself: nothing has to be clipped",
)
def clipped(logits: Tensor, x: Tensor) -> Tensor:
    p = torch.sigmoid(logits).clamp(1e-6, 1 - 1e-6)
    return (x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)


@wrong(
    "when probabilities are kept 1e-7 away from 0 and 1, which changes what large logits say",
    "log sigmoid(l) as a function of l itself: nothing has to be clipped",
)
def clipped_closer(logits: Tensor, x: Tensor) -> Tensor:
    p = torch.sigmoid(logits).clamp(1e-7, 1 - 1e-7)
    return (x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)


@wrong(
    "when a small number is added before the logarithm, which changes what large logits say",
    "log sigmoid(l) as a function of l itself: nothing has to be added",
)
def small_number_added(logits: Tensor, x: Tensor) -> Tensor:
    p = torch.sigmoid(logits)
    return (x * (p + 1e-8).log() + (1 - x) * (1 - p + 1e-8).log()).flatten(1).sum(1)


@wrong("with the sigmoid taken twice", "what the function you call does with logits: it takes the sigmoid itself")
def sigmoid_twice(logits: Tensor, x: Tensor) -> Tensor:
    return -F.binary_cross_entropy_with_logits(torch.sigmoid(logits), x, reduction="none").flatten(1).sum(1)


@right
def by_cross_entropy(logits: Tensor, x: Tensor) -> Tensor:
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").reshape(len(x), -1).sum(1)


@right
def by_torch(logits: Tensor, x: Tensor) -> Tensor:
    found: Tensor = torch.distributions.Bernoulli(logits=logits).log_prob(x)
    return found.flatten(1).sum(1)


@right
def one_item_after_the_other(logits: Tensor, x: Tensor) -> Tensor:
    found = []
    for row, bits in zip(logits, x, strict=True):
        found.append(F.logsigmoid(row[bits == 1]).sum() + F.logsigmoid(-row[bits == 0]).sum())
    return torch.stack(found)


@right
def in_double(logits: Tensor, x: Tensor) -> Tensor:
    logits = logits.double()
    return (x * logits - torch.logaddexp(torch.zeros_like(logits), logits)).flatten(1).sum(1)
