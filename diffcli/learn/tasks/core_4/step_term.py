"""Held to the package's term, which goes by the estimate of x0 alone and not by the two means."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion import bound
from diffcli.core.levels import Level
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def step_term(x_t: Tensor, x0: Tensor, estimate: Tensor, abar_t: float, abar_s: float, variance: float) -> Tensor:
    """The cost of one reverse step from t to an earlier s, KL(q(x_s | x_t, x0) || p(x_s | x_t)), in nats per item.

    q is the true posterior: its mean is of_x0 x0 + of_x_t x_t and its variance is β̃, with
    β = 1 − ᾱ_t/ᾱ_s, of_x0 = √ᾱ_s β/(1 − ᾱ_t), of_x_t = √(1 − β) (1 − ᾱ_s)/(1 − ᾱ_t), β̃ = β (1 − ᾱ_s)/(1 − ᾱ_t).
    p has the same mean but for the estimate in the place of x0, and a variance of its own. For s = t − 1 this is DDPM's
    L_{t−1}.

    x_t, x0, estimate: [B, ...]: the noisy item, the data, and what the model takes for the data
    abar_t, abar_s:    ᾱ at t and at s, numbers with 0 < abar_t < abar_s < 1
    variance:          of p, a number above 0

    Returns [B]: the sum over the numbers of each item.
    """
    beta = 1 - abar_t / abar_s
    of_x0 = abar_s**0.5 * beta / (1 - abar_t)
    of_x_t = (1 - beta) ** 0.5 * (1 - abar_s) / (1 - abar_t)
    true_variance = beta * (1 - abar_s) / (1 - abar_t)
    true_mean, mean = (of_x0 * guess + of_x_t * x_t for guess in (x0, estimate))
    ratio = true_variance / variance
    each = 0.5 * ((mean - true_mean) ** 2 / variance + ratio - 1 - math.log(ratio))
    return each.flatten(1).sum(1)


def truth(x_t: Tensor, x0: Tensor, estimate: Tensor, abar_t: float, abar_s: float, variance: float) -> Tensor:
    t, s = (Level.of(abar**0.5, (1 - abar) ** 0.5) for abar in (abar_t, abar_s))
    return bound.transition(x0, estimate, t, s, torch.tensor(variance).double()).flatten(1).sum(1)


def questions(ask: Ask) -> Iterator[Seen]:
    x_t, x0, estimate = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    small = (1 - 0.4 / 0.7) * (1 - 0.7) / (1 - 0.4)
    yield Seen("ᾱ_t = 0.4, ᾱ_s = 0.7, variance β̃", ask(x_t, x0, estimate, 0.4, 0.7, small))
    yield Seen("ᾱ_t = 0.4, ᾱ_s = 0.7, variance β", ask(x_t, x0, estimate, 0.4, 0.7, 1 - 0.4 / 0.7))
    yield Seen(
        "a perfect estimate, variance β: what the variance alone costs", ask(x_t, x0, x0, 0.4, 0.7, 1 - 0.4 / 0.7)
    )
    images = torch.randn(3, 3, 1, 4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    yield Seen("three images of 4 x 4, ᾱ_t = 0.08, ᾱ_s = 0.1, variance 0.3", ask(*images, 0.08, 0.1, 0.3))


WRONG = [
    Swap("beta-for-tilde", "with β for the variance of the true posterior",
         "the variance of q(x_s | x_t, x0): β̃, which knows x0",
         "true_variance = beta * (1 - abar_s) / (1 - abar_t)", "true_variance = beta"),
    Swap("root-of-t", "with √ᾱ_t in the factor of x0",
         "the factor of x0 in the posterior's mean: it has the ᾱ of the earlier step",
         "abar_s**0.5 * beta", "abar_t**0.5 * beta"),
    Swap("alpha-for-abar", "with 1 − ᾱ_t for β", "how β follows from two values of ᾱ",
         "beta = 1 - abar_t / abar_s", "beta = 1 - abar_t"),
    Swap("means-only", "with the distance of the means alone, which is enough for the variance β̃ only",
         "what two Gaussians of different width cost where their means are the same",
         " + ratio - 1 - math.log(ratio)", ""),
    Swap("gap-by-tilde", "with β̃ under the distance of the means, whatever the variance of p is",
         "the second law, whose width the distance is measured by: σ²",
         "(mean - true_mean) ** 2 / variance", "(mean - true_mean) ** 2 / true_variance"),
    Swap("constants-once", "with the price of the width counted once per item, and not for each of its numbers",
         "the sum: it is over all of the divergence of each number",
         "each = 0.5 * ((mean - true_mean) ** 2 / variance + ratio - 1 - math.log(ratio))\n"
         "    return each.flatten(1).sum(1)",
         "gap = ((mean - true_mean) ** 2).flatten(1).sum(1)\n"
         "    return 0.5 * (gap / variance + ratio - 1 - math.log(ratio))"),
    Swap("std-for-variance", "with the variance squared under the distance of the means",
         "what the distance is divided by: the variance as it is",
         "(mean - true_mean) ** 2 / variance", "(mean - true_mean) ** 2 / variance**2"),
    Swap("mean-for-sum", "with the mean over the numbers of an item", "the bound, which adds up nats of whole items",
         ".sum(1)", ".mean(1)"),
    Swap("no-half", "without the factor ½", "the divergence of two Gaussians", "0.5 * ((mean", "((mean"),
    Swap("estimates-compared", "with the error of the estimate in the place of the distance of the means",
         "how much of x0 there is in the posterior's mean", "(mean - true_mean) ** 2", "(estimate - x0) ** 2"),
    Swap("one-number", "with one number for the whole batch", "what is returned: [B], a number for each item",
         "each.flatten(1).sum(1)", "each.sum()"),
]  # fmt: skip


@wrong(
    "with the two laws exchanged, KL(p || q)", "whose variance the distance is measured by: that of p, the second law"
)
def exchanged(x_t: Tensor, x0: Tensor, estimate: Tensor, abar_t: float, abar_s: float, variance: float) -> Tensor:
    beta = 1 - abar_t / abar_s
    true_variance = beta * (1 - abar_s) / (1 - abar_t)
    gap = abar_s**0.5 * beta / (1 - abar_t) * (estimate - x0)
    ratio = variance / true_variance
    return (0.5 * (gap**2 / true_variance + ratio - 1 - math.log(ratio))).flatten(1).sum(1)


@wrong("with the variance squared everywhere, as if it were a standard deviation", "what `variance` is")
def squared_everywhere(
    x_t: Tensor, x0: Tensor, estimate: Tensor, abar_t: float, abar_s: float, variance: float
) -> Tensor:
    return step_term(x_t, x0, estimate, abar_t, abar_s, variance**2)


@right
def by_the_gap(x_t: Tensor, x0: Tensor, estimate: Tensor, abar_t: float, abar_s: float, variance: float) -> Tensor:
    """x_t is in both means alike."""
    forward = (abar_s - abar_t) / abar_s
    tilde = forward * (1 - abar_s) / (1 - abar_t)
    error = (estimate - x0).reshape(len(x0), -1).square().sum(1)
    numbers = x0[0].numel()
    gap = abar_s * (forward / (1 - abar_t)) ** 2 * error
    return gap / (2 * variance) + numbers / 2 * (tilde / variance - 1 + math.log(variance) - math.log(tilde))


@right
def by_torch(x_t: Tensor, x0: Tensor, estimate: Tensor, abar_t: float, abar_s: float, variance: float) -> Tensor:
    precision = 1 / (1 - abar_s) + (abar_t / abar_s) / (1 - abar_t / abar_s)  # Bayes' rule: precisions add up
    found = []
    for guess, spread in ((x0, precision**-0.5), (estimate, variance**0.5)):
        seen = (abar_t / abar_s) ** 0.5 / (1 - abar_t / abar_s) * x_t
        mean = (abar_s**0.5 / (1 - abar_s) * guess + seen) / precision
        found.append(torch.distributions.Normal(mean, torch.full_like(mean, spread)))
    return torch.distributions.kl_divergence(*found).flatten(1).sum(1)


@right
def by_items(x_t: Tensor, x0: Tensor, estimate: Tensor, abar_t: float, abar_s: float, variance: float) -> list[float]:
    found = []
    for noisy, data, guess in zip(x_t, x0, estimate, strict=True):
        total = 0.0
        for n, d, g in zip(noisy.flatten().tolist(), data.flatten().tolist(), guess.flatten().tolist(), strict=True):
            beta = 1 - abar_t / abar_s
            scale = math.sqrt(abar_t / abar_s) * (1 - abar_s) * n
            q = (math.sqrt(abar_s) * beta * d + scale) / (1 - abar_t)
            p = (math.sqrt(abar_s) * beta * g + scale) / (1 - abar_t)
            tilde = beta * (1 - abar_s) / (1 - abar_t)
            total += (q - p) ** 2 / (2 * variance) + tilde / (2 * variance) - 0.5 - 0.5 * math.log(tilde / variance)
        found.append(total)
    return found
