"""Held to the package's bridge between two levels."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.levels import Level, bridge
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def posterior_variance(alpha_bar: Tensor, t: int) -> float:
    """beta-tilde_t, the variance of q(x_(t-1) | x_t, x_0): what is not known of x_(t-1) when x_t and x_0 are.

    beta-tilde_t = (1 - alpha-bar_(t-1)) / (1 - alpha-bar_t) · beta_t,  beta_t = 1 - alpha-bar_t / alpha-bar_(t-1)

    alpha_bar: [T + 1], entry t is alpha-bar_t; entry 0 is 1
    t:         from 1 to T

    Returns a number, a variance; 0 for t = 1, as x_0 is known.
    """
    beta = 1 - alpha_bar[t] / alpha_bar[t - 1]
    return float((1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * beta)


def truth(alpha_bar: Tensor, t: int) -> float:
    levels = [Level.of(bar**0.5, (1 - bar) ** 0.5) for bar in alpha_bar.tolist()]
    return bridge(levels[t], levels[t - 1]).variance.item()


BARS = (1.0, 0.9, 0.72, 0.45, 0.2, 0.05)


def questions(ask: Ask) -> Iterator[Seen]:
    alpha_bar = torch.tensor(BARS, dtype=torch.float64)
    for t in (3, 2, 5, 1):
        yield Seen(f"alpha-bar {list(BARS)}, t = {t}", ask(alpha_bar, t))
    table = torch.cumprod(1 - torch.linspace(0, 0.6, 11, dtype=torch.float64) ** 1.5, 0)
    every = torch.tensor([float(ask(table, t)) for t in range(1, 11)])
    yield Seen("t = 1 ... 10 of a table of 10 steps", every)


WRONG = [
    Swap(
        "forward-variance",
        "with β_t, the variance of the forward step, in the place of β̃_t",
        "what is known: x_0, too, which leaves less to chance",
        "(1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * beta",
        "beta",
    ),
    Swap(
        "standard-deviation",
        "with the standard deviation",
        "what is wanted: a variance",
        "float((1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * beta)",
        "float((1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * beta) ** 0.5",
    ),
    Swap(
        "upside-down",
        "with the fraction turned round",
        "which of 1 − ᾱ_(t-1) and 1 − ᾱ_t is smaller: β̃ is never above β",
        "(1 - alpha_bar[t - 1]) / (1 - alpha_bar[t])",
        "(1 - alpha_bar[t]) / (1 - alpha_bar[t - 1])",
    ),
    Swap(
        "bars-without-noise",
        "with ᾱ in the places of 1 − ᾱ",
        "the fraction: it is one of noise variances",
        "(1 - alpha_bar[t - 1]) / (1 - alpha_bar[t])",
        "alpha_bar[t - 1] / alpha_bar[t]",
    ),
    Swap(
        "difference-for-beta",
        "with ᾱ_(t-1) − ᾱ_t for β_t",
        "β_t = 1 − ᾱ_t / ᾱ_(t-1)",
        "1 - alpha_bar[t] / alpha_bar[t - 1]",
        "alpha_bar[t - 1] - alpha_bar[t]",
    ),
    Swap(
        "bar-for-alpha",
        "with 1 − ᾱ_t for β_t: ᾱ is taken for α",
        "the bar: β_t is what one step adds",
        "1 - alpha_bar[t] / alpha_bar[t - 1]",
        "1 - alpha_bar[t]",
    ),
    Swap(
        "roots",
        "with ratios of standard deviations for ratios of variances",
        "the fraction: it has no roots",
        "(1 - alpha_bar[t - 1]) / (1 - alpha_bar[t])",
        "((1 - alpha_bar[t - 1]) / (1 - alpha_bar[t])) ** 0.5",
    ),
]


@wrong("with the numbers of the time before", "entry 0 of `alpha_bar`: the index is t itself")
def off_by_one(alpha_bar: Tensor, t: int) -> float:
    before, now = alpha_bar[t - 2], alpha_bar[t - 1]
    return float((1 - before) / (1 - now) * (1 - now / before))


@wrong("with α for ᾱ in the fraction", "the bar: all the noise up to t, and up to t − 1")
def alphas_without_bars(alpha_bar: Tensor, t: int) -> float:
    alphas = torch.cat([alpha_bar[:1], alpha_bar[1:] / alpha_bar[:-1]])
    return float((1 - alphas[t - 1]) / (1 - alphas[t]) * (1 - alphas[t]))


@right
def by_precisions(alpha_bar: Tensor, t: int) -> float:
    if t == 1:
        return 0.0
    alpha = alpha_bar[t] / alpha_bar[t - 1]
    from_x0, from_x = 1 / (1 - alpha_bar[t - 1]), alpha / (1 - alpha)
    return (1 / (from_x0 + from_x)).item()


@right
def by_a_regression(alpha_bar: Tensor, t: int) -> Tensor:
    before, now = 1 - alpha_bar[t - 1], 1 - alpha_bar[t]
    together = (alpha_bar[t] / alpha_bar[t - 1]) ** 0.5 * before  # the covariance of x_(t-1) and x_t, given x_0
    return before - together**2 / now


@right
def in_plain_numbers(alpha_bar: Tensor, t: int) -> float:
    bars = alpha_bar.tolist()
    return (1.0 - bars[t - 1]) * (bars[t - 1] - bars[t]) / (bars[t - 1] * (1.0 - bars[t]))
