"""Held to the form of DDPM's code with its two quotients, and to a round trip: the jump there and this back."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.levels import Level
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def x0_from_eps(x: Tensor, eps: Tensor, alpha_bar: float) -> Tensor:
    """The data x_0 that x_t was made of, if the noise in it is eps.

    x:         [B, ...], x_t = sqrt(alpha-bar_t) x_0 + sqrt(1 - alpha-bar_t) eps
    eps:       like x
    alpha_bar: alpha-bar_t, a number above 0 and below 1

    Returns x_0, like x.
    """
    return (x - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5


def truth(x: Tensor, eps: Tensor, alpha_bar: float) -> Tensor:
    return x * (1 / alpha_bar) ** 0.5 - eps * (1 / alpha_bar - 1) ** 0.5


def questions(ask: Ask) -> Iterator[Seen]:
    x = torch.tensor([[0.8, -0.4, 1.5], [0.1, 2.0, -0.9]])
    eps = torch.tensor([[0.5, -1.0, 0.2], [1.2, 0.7, -0.3]])
    for alpha_bar in (0.6, 0.95, 0.04):
        yield Seen(f"alpha-bar {alpha_bar:g}", ask(x, eps, alpha_bar))
    x0 = torch.linspace(-1, 1, 12).reshape(2, 1, 2, 3)
    there = Level.of(0.3**0.5, 0.7**0.5).noised(x0, x0.flip(3) + 0.4)
    yield Seen("two images of shape [1, 2, 3] with noise on them: are they back?", ask(there, x0.flip(3) + 0.4, 0.3))


WRONG = [
    Swap(
        "not-divided", "without dividing by √ᾱ", "what is left when the noise is gone: √ᾱ x_0", " / alpha_bar**0.5", ""
    ),
    Swap(
        "divided-by-bar",
        "with a division by ᾱ, not its root",
        "the factor of x_0 in x_t",
        "/ alpha_bar**0.5",
        "/ alpha_bar",
    ),
    Swap("no-root", "with (1 − ᾱ) ε for √(1 − ᾱ) ε", "1 − ᾱ, a variance", "(1 - alpha_bar) ** 0.5", "(1 - alpha_bar)"),
    Swap("plus", "with the noise added once more", "the sign of the noise", "x - (1", "x + (1"),
    Swap(
        "eps-alone",
        "with ε itself taken away, not √(1 − ᾱ) ε",
        "the factor of ε",
        "(1 - alpha_bar) ** 0.5 * eps",
        "eps",
    ),
    Swap(
        "data-only-divided",
        "if only x is divided by √ᾱ and not the noise",
        "the parentheses",
        "(x - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5",
        "x / alpha_bar**0.5 - (1 - alpha_bar) ** 0.5 * eps",
    ),
]


@wrong("with no root at all", "which of the numbers are variances")
def no_roots(x: Tensor, eps: Tensor, alpha_bar: float) -> Tensor:
    return (x - (1 - alpha_bar) * eps) / alpha_bar


@right
def by_the_score(x: Tensor, eps: Tensor, alpha_bar: float) -> Tensor:
    variance = 1 - alpha_bar
    score = -eps / variance**0.5
    return (x + variance * score) / alpha_bar**0.5


@right
def item_by_item(x: Tensor, eps: Tensor, alpha_bar: float) -> list[Tensor]:
    alpha = torch.tensor(alpha_bar, dtype=torch.float64).sqrt()
    sigma = (1 - alpha**2).sqrt()
    return [(one.double() - sigma * noise) / alpha for one, noise in zip(x, eps, strict=True)]


@right
def in_place(x: Tensor, eps: Tensor, alpha_bar: float) -> Tensor:
    found = eps.clone()
    found *= -((1 - alpha_bar) ** 0.5)
    found += x
    return found.div_(alpha_bar**0.5)
