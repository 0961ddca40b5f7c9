"""Held to the package's term at the same level, which takes the general divergence."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion import bound
from diffcli.core.levels import Level
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def prior_term(x0: Tensor, abar: float) -> Tensor:
    """L_T = KL(q(x_T | x0) || N(0, I)) in nats per item, with q(x_T | x0) = N(√ᾱ_T x0, (1 − ᾱ_T) I).

    x0:   [B, ...], data
    abar: ᾱ_T, a number between 0 and 1: the product of all 1 − β_t, not its root

    Returns [B]: the sum over the numbers of each item.
    """
    variance = 1 - abar
    each = 0.5 * (abar * x0**2 + variance - 1 - math.log(variance))
    return each.flatten(1).sum(1)


def truth(x0: Tensor, abar: float) -> Tensor:
    return bound.prior(x0, Level.of(abar**0.5, (1 - abar) ** 0.5))


def questions(ask: Ask) -> Iterator[Seen]:
    x0 = torch.tensor([[0.5, -1.0, 0.0], [2.0, 0.1, -0.3]])
    for abar in (0.6, 0.2, 0.01):
        yield Seen(f"x0 = {x0.tolist()}, ᾱ_T = {abar:g}", ask(x0, abar))
    yield Seen("data that are all 0, ᾱ_T = 0.3", ask(torch.zeros(2, 5), 0.3))
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    yield Seen("three images of 28 x 28 at the end of DDPM's chain, ᾱ_T = 4e-5", ask(images, 4e-5))


WRONG = [
    Swap("root-forgotten", "with ᾱ x0 for the mean in the place of √ᾱ x0", "the mean of q(x_T | x0), and its square",
         "abar * x0**2", "abar**2 * x0**2"),
    Swap("std-for-variance", "with √(1 − ᾱ) for the variance", "what 1 − ᾱ is: a variance already",
         "variance = 1 - abar", "variance = (1 - abar) ** 0.5"),
    Swap("no-spread", "with the means alone, as if q(x_T | x0) had the variance 1",
         "the variance of q(x_T | x0), which is 1 − ᾱ", " + variance - 1 - math.log(variance)", ""),
    Swap("mean-for-sum", "with the mean over the numbers of an item", "the bound, which adds up nats of whole items",
         ".sum(1)", ".mean(1)"),
    Swap("no-half", "without the factor ½", "the divergence of two Gaussians", "0.5 * (abar", "(abar"),
    Swap("constants-once", "with the terms that do not hold x0 counted once per item, and not for each of its numbers",
         "the sum: it is over all of ½ [...], so − ᾱ_T − log(1 − ᾱ_T) comes as often as x0 has numbers",
         "each = 0.5 * (abar * x0**2 + variance - 1 - math.log(variance))\n    return each.flatten(1).sum(1)",
         "return 0.5 * (abar * (x0**2).flatten(1).sum(1) + variance - 1 - math.log(variance))"),
    Swap("one-number", "with one number for the whole batch", "what is returned: [B], a number for each item",
         "each.flatten(1).sum(1)", "each.sum()"),
]  # fmt: skip


@wrong("if ᾱ is taken for a root, so that ᾱ² stands in its place everywhere", "what `abar` is: a product, not its root")
def squared_everywhere(x0: Tensor, abar: float) -> Tensor:
    return prior_term(x0, abar**2)


@wrong("with the two laws exchanged, KL(N(0, I) || q)", "which law comes first: q, the one that the data make")
def exchanged(x0: Tensor, abar: float) -> Tensor:
    variance = 1 - abar
    each = 0.5 * ((1 + abar * x0**2) / variance - 1 + math.log(variance))
    return each.flatten(1).sum(1)


@wrong("with ᾱ and 1 − ᾱ exchanged", "which of the two belongs to the data, and that ᾱ_T is near 0")
def swapped_shares(x0: Tensor, abar: float) -> Tensor:
    return prior_term(x0, 1 - abar)


@right
def by_torch(x0: Tensor, abar: float) -> Tensor:
    q = torch.distributions.Normal(abar**0.5 * x0.double(), torch.full_like(x0, 1 - abar).double().sqrt())
    p = torch.distributions.Normal(torch.zeros_like(x0).double(), torch.ones_like(x0).double())
    return torch.distributions.kl_divergence(q, p).flatten(1).sum(1)


@right
def by_items(x0: Tensor, abar: float) -> list[float]:
    constant = -(abar + math.log1p(-abar)) / 2
    return [float(abar / 2 * (item.double() ** 2).sum()) + item.numel() * constant for item in x0]


@right
def by_a_general_divergence(x0: Tensor, abar: float) -> Tensor:
    mean = torch.tensor(abar).double().sqrt() * x0.double()
    log_variance = torch.full_like(mean, math.log(1 - abar))
    numbers = mean.square() + log_variance.exp() - 1 - log_variance
    return torch.einsum("bi->b", numbers.reshape(len(x0), -1)) / 2
