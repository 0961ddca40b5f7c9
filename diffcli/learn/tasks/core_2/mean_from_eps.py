"""Held to the two steps that it is made of, x_0 from ε and the mean between x_0 and x_t, by the package's bridge."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.levels import Level, bridge
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def mean_from_eps(x: Tensor, eps: Tensor, alpha_bar: Tensor, t: int) -> Tensor:
    """The mean of the reverse step, x_t to x_(t-1), from the noise that is thought to be in x_t.

    (x_t - beta_t / sqrt(1 - alpha-bar_t) eps) / sqrt(alpha_t), alpha_t = 1 - beta_t = alpha-bar_t / alpha-bar_(t-1)

    x:         [B, ...], x_t
    eps:       like x, what a network says the noise in x_t is
    alpha_bar: [T + 1], entry t is alpha-bar_t; entry 0 is 1
    t:         from 1 to T

    Returns the mean, like x.
    """
    alpha = alpha_bar[t] / alpha_bar[t - 1]
    beta = 1 - alpha
    return (x - beta / (1 - alpha_bar[t]).sqrt() * eps) / alpha.sqrt()


def truth(x: Tensor, eps: Tensor, alpha_bar: Tensor, t: int) -> Tensor:
    now, before = (Level.of(bar**0.5, (1 - bar) ** 0.5) for bar in (alpha_bar[t].item(), alpha_bar[t - 1].item()))
    step = bridge(now, before)
    return step.of_x * x + step.of_x0 * (x - now.sigma * eps) / now.alpha


BARS = (1.0, 0.9, 0.72, 0.45, 0.2, 0.05)


def questions(ask: Ask) -> Iterator[Seen]:
    alpha_bar = torch.tensor(BARS)
    x = torch.tensor([[0.8, -0.4, 1.5], [0.1, 2.0, -0.9]])
    eps = torch.tensor([[0.5, -1.0, 0.2], [1.2, 0.7, -0.3]])
    for t in (3, 5, 1):
        yield Seen(f"alpha-bar {list(BARS)}, t = {t}", ask(x, eps, alpha_bar, t))
    image = torch.linspace(-1, 1, 12).reshape(2, 1, 2, 3)
    yield Seen("two images of shape [1, 2, 3], t = 4", ask(0.2 - image, image, alpha_bar, 4))


WRONG = [
    Swap(
        "root-of-beta",
        "with √β_t for β_t in front of ε",
        "the factor of ε, whose numerator has no root",
        "beta / (1 - alpha_bar[t]).sqrt()",
        "beta.sqrt() / (1 - alpha_bar[t]).sqrt()",
    ),
    Swap(
        "no-root-below",
        "with 1 − ᾱ_t in the place of its root under β_t",
        "the factor of ε: β_t / √(1 − ᾱ_t)",
        "(1 - alpha_bar[t]).sqrt()",
        "(1 - alpha_bar[t])",
    ),
    Swap(
        "not-divided",
        "without dividing by √α_t",
        "the shrinking in the forward step, which has to be undone",
        " / alpha.sqrt()",
        "",
    ),
    Swap(
        "alpha-for-its-root",
        "with a division by α_t, not its root",
        "the factor of x_(t-1) in x_t",
        "/ alpha.sqrt()",
        "/ alpha",
    ),
    Swap(
        "bar-for-alpha",
        "with a division by √ᾱ_t: ᾱ is taken for α",
        "the bar: between t − 1 and t lies one step",
        "/ alpha.sqrt()",
        "/ alpha_bar[t].sqrt()",
    ),
    Swap(
        "all-noise-removed",
        "with all the noise in x_t taken away, √(1 − ᾱ_t) ε, in the place of one step's share of it",
        "the factor of ε: β_t / √(1 − ᾱ_t)",
        "beta / (1 - alpha_bar[t]).sqrt()",
        "(1 - alpha_bar[t]).sqrt()",
    ),
    Swap(
        "noise-of-before",
        "with ᾱ_(t-1) for ᾱ_t under β_t",
        "whose noise ε is: that of x_t",
        "(1 - alpha_bar[t]).sqrt()",
        "(1 - alpha_bar[t - 1] + 1e-20).sqrt()",
    ),
    Swap("plus", "with the noise added once more", "the sign of the noise", "x - beta", "x + beta"),
    Swap(
        "step-undone",
        "with √β_t ε taken away, as if ε were the noise of this one step",
        "what ε is: all the noise in x_t, not what the last step added",
        "beta / (1 - alpha_bar[t]).sqrt()",
        "beta.sqrt()",
    ),
]


@wrong("with the estimate of x_0, which goes all the way in one step", "where the step goes: to x_(t-1)")
def all_the_way(x: Tensor, eps: Tensor, alpha_bar: Tensor, t: int) -> Tensor:
    return (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()


@right
def by_two_steps(x: Tensor, eps: Tensor, alpha_bar: Tensor, t: int) -> Tensor:
    before, now = alpha_bar[t - 1].double(), alpha_bar[t].double()
    x0 = (x - (1 - now).sqrt() * eps) / now.sqrt()
    of_x0 = before.sqrt() * (1 - now / before) / (1 - now)
    of_x = (now / before).sqrt() * (1 - before) / (1 - now)
    return of_x0 * x0 + of_x * x


@right
def by_the_score(x: Tensor, eps: Tensor, alpha_bar: Tensor, t: int) -> Tensor:
    score = -eps / (1 - alpha_bar[t]) ** 0.5
    alpha = float(alpha_bar[t]) / float(alpha_bar[t - 1])
    return (x + (1 - alpha) * score) / alpha**0.5


@right
def item_by_item(x: Tensor, eps: Tensor, alpha_bar: Tensor, t: int) -> list[Tensor]:
    before, now = alpha_bar[t - 1 : t + 1].tolist()
    grow, take = (before / now) ** 0.5, (before - now) / (before * now * (1 - now)) ** 0.5
    return [grow * one - take * noise for one, noise in zip(x, eps, strict=True)]
