"""Held to algorithm 2 by the package's bridge; the last question but one is the last step of a walk."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.levels import Level, bridge
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def ancestral_step(x: Tensor, eps: Tensor, alpha_bar: Tensor, t: int, variance: float, noise: Tensor) -> Tensor:
    """One step of ancestral sampling, from x_t to x_(t-1): the mean, and noise on it unless this is the last step.

    The mean is that of `mean_from_eps`, (x_t - beta_t / sqrt(1 - alpha-bar_t) eps) / sqrt(alpha_t).

    x:         [B, ...], x_t
    eps:       like x, what a network says the noise in x_t is
    alpha_bar: [T + 1], entry t is alpha-bar_t; entry 0 is 1
    t:         from 1 to T; the last step of a walk is that from t = 1 to the data, and adds no noise
    variance:  of the noise that the other steps add, beta_t or beta-tilde_t or what a caller likes
    noise:     like x, standard normal

    Returns x_(t-1), like x.
    """
    alpha = alpha_bar[t] / alpha_bar[t - 1]
    mean = (x - (1 - alpha) / (1 - alpha_bar[t]).sqrt() * eps) / alpha.sqrt()
    return mean + variance**0.5 * noise if t > 1 else mean


def truth(x: Tensor, eps: Tensor, alpha_bar: Tensor, t: int, variance: float, noise: Tensor) -> Tensor:
    now, before = (Level.of(bar**0.5, (1 - bar) ** 0.5) for bar in (alpha_bar[t].item(), alpha_bar[t - 1].item()))
    step = bridge(now, before)
    mean = step.of_x * x + step.of_x0 * (x - now.sigma * eps) / now.alpha
    return mean + (t > 1) * variance**0.5 * noise


BARS = (1.0, 0.9, 0.72, 0.45, 0.2, 0.05)


def questions(ask: Ask) -> Iterator[Seen]:
    alpha_bar = torch.tensor(BARS)
    x = torch.tensor([[0.8, -0.4, 1.5], [0.1, 2.0, -0.9]])
    eps = torch.tensor([[0.5, -1.0, 0.2], [1.2, 0.7, -0.3]])
    noise = torch.tensor([[-0.7, 0.4, 1.1], [0.9, -1.6, 0.3]])
    for t, variance in ((3, 0.3), (2, 0.06), (5, 0.7), (1, 0.1)):
        yield Seen(f"t = {t}, variance {variance:g}", ask(x, eps, alpha_bar, t, variance, noise))
    image = torch.linspace(-1, 1, 12).reshape(2, 1, 2, 3)
    yield Seen("two images of shape [1, 2, 3], t = 4", ask(0.2 - image, image, alpha_bar, 4, 0.5, image.flip(3)))


WRONG = [
    Swap(
        "noise-on-the-last",
        "with noise on the last step, too",
        "t = 1, after which nothing removes noise any more",
        " if t > 1 else mean",
        "",
    ),
    Swap(
        "variance-for-its-root",
        "with the variance in the place of its root in front of the noise",
        "what noise is multiplied by: a standard deviation",
        "variance**0.5 * noise",
        "variance * noise",
    ),
    Swap(
        "variance-and-noise-on-the-last",
        "with the variance in the place of its root, and with noise on the last step, too",
        "what noise is multiplied by, and at t = 1",
        "variance**0.5 * noise if t > 1 else mean",
        "variance * noise",
    ),
    Swap(
        "never-noise",
        "without any noise",
        "the steps before the last, which add some",
        "mean + variance**0.5 * noise if t > 1 else mean",
        "mean",
    ),
    Swap(
        "last-but-one",
        "with no noise on the step from t = 2 either",
        "which t the last step has: it goes from t = 1 to the data",
        "t > 1",
        "t > 2",
    ),
    Swap(
        "all-noise-removed",
        "with all the noise in x_t taken away before the fresh noise comes",
        "the factor of ε: β_t / √(1 − ᾱ_t)",
        "(1 - alpha) / (1 - alpha_bar[t]).sqrt()",
        "(1 - alpha_bar[t]).sqrt()",
    ),
    Swap(
        "not-divided",
        "without dividing by √α_t",
        "the shrinking in the forward step, which has to be undone",
        " / alpha.sqrt()",
        "",
    ),
    Swap(
        "bar-for-alpha",
        "with ᾱ_t for α_t",
        "the bar: α_t = ᾱ_t / ᾱ_(t-1) is one step",
        "alpha_bar[t] / alpha_bar[t - 1]",
        "alpha_bar[t]",
    ),
    Swap(
        "noise-divided-too",
        "with the fresh noise divided by √α_t, too",
        "the parentheses: the noise is added to the mean as it is",
        "mean + variance**0.5 * noise if",
        "mean + variance**0.5 * noise / alpha.sqrt() if",
    ),
]


@wrong("with noise drawn anew instead of the noise that is given", "the last argument")
def own_noise(x: Tensor, eps: Tensor, alpha_bar: Tensor, t: int, variance: float, noise: Tensor) -> Tensor:
    return ancestral_step(x, eps, alpha_bar, t, variance, torch.randn_like(x))


@wrong("with β_t as the variance, whatever is given", "`variance`, which the caller chooses")
def forward_variance(x: Tensor, eps: Tensor, alpha_bar: Tensor, t: int, variance: float, noise: Tensor) -> Tensor:
    return ancestral_step(x, eps, alpha_bar, t, float(1 - alpha_bar[t] / alpha_bar[t - 1]), noise)


@wrong("with β̃_t as the variance, whatever is given", "`variance`, which the caller chooses")
def small_variance(x: Tensor, eps: Tensor, alpha_bar: Tensor, t: int, variance: float, noise: Tensor) -> Tensor:
    share = (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t])
    return ancestral_step(x, eps, alpha_bar, t, float(share * (1 - alpha_bar[t] / alpha_bar[t - 1])), noise)


@right
def by_the_mean_of_x0(x: Tensor, eps: Tensor, alpha_bar: Tensor, t: int, variance: float, noise: Tensor) -> Tensor:
    before, now = alpha_bar[t - 1].double(), alpha_bar[t].double()
    x0 = (x - (1 - now).sqrt() * eps) / now.sqrt()
    mean = before.sqrt() * x0 + (now / before).sqrt() * (1 - before) / (1 - now) * (x - now.sqrt() * x0)
    return mean if t == 1 else mean + variance**0.5 * noise


@right
def with_zeros(x: Tensor, eps: Tensor, alpha_bar: Tensor, t: int, variance: float, noise: Tensor) -> Tensor:
    z = noise if t > 1 else torch.zeros_like(noise)
    beta = 1 - alpha_bar[t] / alpha_bar[t - 1]
    return (
        1 / torch.sqrt(1 - beta) * (x - beta / torch.sqrt(1 - alpha_bar[t]) * eps) + torch.tensor(variance).sqrt() * z
    )


@right
def item_by_item(x: Tensor, eps: Tensor, alpha_bar: Tensor, t: int, variance: float, noise: Tensor) -> list[Tensor]:
    before, now = (float(alpha_bar[time]) for time in (t - 1, t))
    grow, take = (before / now) ** 0.5, (before - now) / (before * now * (1 - now)) ** 0.5
    std = min(t - 1, 1) * variance**0.5
    return [grow * one - take * e + std * z for one, e, z in zip(x, eps, noise, strict=True)]
