"""Held to one item after the other; batches are as large as the last axis, where a wrong shape raises nothing."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.levels import Level
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def jump(x0: Tensor, t: Tensor, alpha_bar: Tensor, noise: Tensor) -> Tensor:
    """x_t without the steps in between: a draw of q(x_t | x_0), made of standard normal noise, each item at its own t.

    q(x_t | x_0) = N(sqrt(alpha-bar_t) x_0, (1 - alpha-bar_t) I), where the second place is a variance.

    x0:        [B, ...], data of any shape: [B, D] or [B, C, H, W] or another one
    t:         [B], whole numbers from 0 to T; item i of the batch goes to time t[i]
    alpha_bar: [T + 1], entry t is alpha-bar_t; entry 0 is 1
    noise:     like x0, standard normal

    Returns x_t, of the shape of x0.
    """
    bar = alpha_bar[t].reshape(-1, *[1] * (x0.dim() - 1))
    return bar.sqrt() * x0 + (1 - bar).sqrt() * noise


def truth(x0: Tensor, t: Tensor, alpha_bar: Tensor, noise: Tensor) -> Tensor:
    levels = [Level.of(bar**0.5, (1 - bar) ** 0.5) for bar in alpha_bar[t].tolist()]
    return torch.stack([level.noised(x, eps) for level, x, eps in zip(levels, x0, noise, strict=True)])


def questions(ask: Ask) -> Iterator[Seen]:
    numbers = torch.Generator().manual_seed(3)
    alpha_bar = torch.tensor([1.0, 0.9, 0.7, 0.4, 0.15, 0.02])
    for times, shape in (((2, 5, 1), (3, 3)), ((4, 2), (2, 2)), ((3, 1, 4, 2), (4, 2, 4, 4)), ((0, 3, 5), (3, 3))):
        x0, noise = torch.randn(2, *shape, generator=numbers)
        yield Seen(f"x0 of shape {list(shape)} at t = {list(times)}", ask(x0, torch.tensor(times), alpha_bar, noise))


WRONG = [
    Swap(
        "no-roots",
        "without the square roots",
        "which of the numbers are variances",
        "bar.sqrt() * x0 + (1 - bar).sqrt() * noise",
        "bar * x0 + (1 - bar) * noise",
    ),
    Swap(
        "noise-without-root",
        "with (1 − ᾱ) ε for √(1 − ᾱ) ε",
        "1 − ᾱ, which is the variance of the noise",
        "(1 - bar).sqrt()",
        "(1 - bar)",
    ),
    Swap(
        "data-without-root",
        "with ᾱ x0 for √ᾱ x0",
        "what is multiplied by ᾱ: the variance of the data",
        "bar.sqrt() * x0",
        "bar * x0",
    ),
    Swap(
        "difference-of-roots",
        "with 1 − √ᾱ as the factor of the noise",
        "whether the squares of the two factors add up to 1",
        "(1 - bar).sqrt()",
        "(1 - bar.sqrt())",
    ),
    Swap(
        "off-by-one",
        "with ᾱ of the time before",
        "entry 0 of `alpha_bar`: the index is t itself",
        "alpha_bar[t]",
        "alpha_bar[t - 1]",
    ),
    Swap(
        "one-time-for-all",
        "with the time of the first item for all items",
        "t, which has one number for each item",
        "alpha_bar[t]",
        "alpha_bar[t[0]]",
    ),
    Swap(
        "wrong-axis",
        "if the times run along the last axis of the data instead of the first",
        "the shape of alpha_bar[t] beside that of x0: broadcasting begins at the last axis",
        ".reshape(-1, *[1] * (x0.dim() - 1))",
        "",
    ),
    Swap(
        "swapped",
        "with the two factors swapped",
        "which is larger when t is small",
        "bar.sqrt() * x0 + (1 - bar).sqrt() * noise",
        "(1 - bar).sqrt() * x0 + bar.sqrt() * noise",
    ),
    Swap(
        "points-only",
        "with [B, 1] for data of any shape, which is right for points only",
        "how many axes x0 has: images need [B, 1, 1, 1]",
        "reshape(-1, *[1] * (x0.dim() - 1))",
        "reshape(-1, 1)",
    ),
    Swap(
        "images-only",
        "with [B, 1, 1, 1] for data of any shape, which is right for images only",
        "how many axes x0 has: points need [B, 1]",
        "reshape(-1, *[1] * (x0.dim() - 1))",
        "reshape(-1, 1, 1, 1)",
    ),
]


@wrong("with one step of the chain instead of all steps up to t", "the bar: the product of all steps so far")
def one_step(x0: Tensor, t: Tensor, alpha_bar: Tensor, noise: Tensor) -> Tensor:
    alpha = (alpha_bar[t] / alpha_bar[(t - 1).clamp(min=0)]).reshape(-1, *[1] * (x0.dim() - 1))
    return alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise


@right
def item_by_item(x0: Tensor, t: Tensor, alpha_bar: Tensor, noise: Tensor) -> list[Tensor]:
    found = []
    for x, e, time in zip(x0, noise, t.tolist(), strict=True):
        bar = float(alpha_bar[time])
        found.append(bar**0.5 * x + (1 - bar) ** 0.5 * e)
    return found


@right
def axis_moved(x0: Tensor, t: Tensor, alpha_bar: Tensor, noise: Tensor) -> Tensor:
    keep, add = alpha_bar.double().sqrt()[t], (1 - alpha_bar.double()).sqrt()[t]
    return (x0.movedim(0, -1) * keep + noise.movedim(0, -1) * add).movedim(-1, 0)


@right
def by_einsum(x0: Tensor, t: Tensor, alpha_bar: Tensor, noise: Tensor) -> Tensor:
    tables = torch.stack([alpha_bar.sqrt(), (1 - alpha_bar).sqrt()])
    return torch.einsum("sb,sb...->b...", tables[:, t], torch.stack([x0, noise]))
