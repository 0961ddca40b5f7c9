"""Held to the package's bridge between two levels, and to two ends: at t = 1 it is x_0, and means go to means."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.levels import Level, bridge
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def posterior_mean(x: Tensor, x0: Tensor, alpha_bar: Tensor, t: int) -> Tensor:
    """The mean of q(x_(t-1) | x_t, x_0): a weight times x_0 plus a weight times x_t.

    of x_0: sqrt(alpha-bar_(t-1)) beta_t / (1 - alpha-bar_t)
    of x_t: sqrt(alpha_t) (1 - alpha-bar_(t-1)) / (1 - alpha-bar_t), with alpha_t = 1 - beta_t

    x:         [B, ...], x_t
    x0:        like x, the data or an estimate of them
    alpha_bar: [T + 1], entry t is alpha-bar_t; entry 0 is 1
    t:         from 1 to T

    Returns the mean, like x; x0 itself for t = 1.
    """
    before, now = alpha_bar[t - 1], alpha_bar[t]
    alpha, beta = now / before, 1 - now / before
    of_x0 = before.sqrt() * beta / (1 - now)
    of_x = alpha.sqrt() * (1 - before) / (1 - now)
    return of_x0 * x0 + of_x * x


def truth(x: Tensor, x0: Tensor, alpha_bar: Tensor, t: int) -> Tensor:
    levels = [Level.of(bar**0.5, (1 - bar) ** 0.5) for bar in alpha_bar.tolist()]
    step = bridge(levels[t], levels[t - 1])
    return step.of_x * x + step.of_x0 * x0


BARS = (1.0, 0.9, 0.72, 0.45, 0.2, 0.05)


def questions(ask: Ask) -> Iterator[Seen]:
    alpha_bar = torch.tensor(BARS)
    x = torch.tensor([[0.8, -0.4, 1.5], [0.1, 2.0, -0.9]])
    x0 = torch.tensor([[0.3, 1.0, -0.7], [0.9, -0.2, 0.5]])
    for t in (3, 5, 1):
        yield Seen(f"alpha-bar {list(BARS)}, t = {t}", ask(x, x0, alpha_bar, t))
    image = torch.linspace(-1, 1, 12).reshape(2, 1, 2, 3)
    yield Seen("two images of shape [1, 2, 3], t = 4", ask(0.2 - image, image, alpha_bar, 4))
    yield Seen(
        "x_t without noise, √ᾱ_t x_0, t = 2: what is wanted is √ᾱ_(t-1) x_0", ask(0.72**0.5 * x0, x0, alpha_bar, 2)
    )


WRONG = [
    Swap(
        "swapped",
        "with the two weights swapped",
        "which weight belongs to x_0: near the data it is nearly 1",
        "of_x0 * x0 + of_x * x",
        "of_x * x0 + of_x0 * x",
    ),
    Swap(
        "no-root-of-bar",
        "with ᾱ_(t-1) in the place of its root in the weight of x_0",
        "how much of x_0 is in x_(t-1): √ᾱ_(t-1)",
        "before.sqrt() * beta",
        "before * beta",
    ),
    Swap(
        "no-root-of-alpha",
        "with α_t in the place of its root in the weight of x_t",
        "the factor of x_(t-1) in x_t: √α_t",
        "alpha.sqrt() * (1 - before)",
        "alpha * (1 - before)",
    ),
    Swap(
        "bar-of-now",
        "with √ᾱ_t for √ᾱ_(t-1) in the weight of x_0",
        "how much of x_0 is in x_(t-1), not in x_t",
        "before.sqrt() * beta",
        "now.sqrt() * beta",
    ),
    Swap(
        "bar-for-alpha",
        "with √ᾱ_t for √α_t in the weight of x_t",
        "the bar: between t − 1 and t lies one step",
        "alpha.sqrt() * (1 - before)",
        "now.sqrt() * (1 - before)",
    ),
    Swap(
        "root-of-beta",
        "with √β_t for β_t",
        "the weights: β_t has no root there",
        "before.sqrt() * beta",
        "(before * beta).sqrt()",
    ),
    Swap(
        "not-divided",
        "without dividing the weights by 1 − ᾱ_t",
        "both denominators",
        "of_x0 * x0 + of_x * x",
        "(of_x0 * x0 + of_x * x) * (1 - now)",
    ),
    Swap(
        "off-by-one",
        "with the numbers of the time before",
        "entry 0 of `alpha_bar`: the index is t itself",
        "alpha_bar[t - 1], alpha_bar[t]",
        "alpha_bar[t - 2], alpha_bar[t - 1]",
    ),
]


@wrong("with the mean of q(x_(t-1) | x_0), which does not look at x_t", "x_t, which tells where the walk is")
def from_data_alone(x: Tensor, x0: Tensor, alpha_bar: Tensor, t: int) -> Tensor:
    return alpha_bar[t - 1].sqrt() * x0


@wrong("with the step of DDIM, which keeps the whole noise", "how much of the noise is kept: the mean has less of it")
def all_noise_kept(x: Tensor, x0: Tensor, alpha_bar: Tensor, t: int) -> Tensor:
    eps = (x - alpha_bar[t].sqrt() * x0) / (1 - alpha_bar[t]).sqrt()
    return alpha_bar[t - 1].sqrt() * x0 + (1 - alpha_bar[t - 1]).sqrt() * eps


@right
def by_precisions(x: Tensor, x0: Tensor, alpha_bar: Tensor, t: int) -> Tensor:
    if t == 1:
        return x0
    before, now = alpha_bar[t - 1].item(), alpha_bar[t].item()
    alpha = now / before
    from_x, from_x0 = alpha / (1 - alpha), 1 / (1 - before)
    return (from_x * (x / alpha**0.5) + from_x0 * (before**0.5 * x0)) / (from_x + from_x0)


@right
def by_a_regression(x: Tensor, x0: Tensor, alpha_bar: Tensor, t: int) -> Tensor:
    before, now = alpha_bar.double()[t - 1], alpha_bar.double()[t]
    slope = (now / before).sqrt() * (1 - before) / (1 - now)
    return before.sqrt() * x0 + slope * (x - now.sqrt() * x0)


@right
def by_kept_noise(x: Tensor, x0: Tensor, alpha_bar: Tensor, t: int) -> Tensor:
    before, now = alpha_bar[t - 1], alpha_bar[t]
    variance = (1 - before) / (1 - now) * (1 - now / before)
    kept = torch.sqrt(torch.clamp(1 - before - variance, min=0) / (1 - now))
    return torch.sqrt(before) * x0 + kept * (x - torch.sqrt(now) * x0)
