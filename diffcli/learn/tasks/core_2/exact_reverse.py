"""Held to what is known of x_0 first, by the package's exact denoiser, and the bridge from there, by total variance."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.core.diffusion.exact import Gaussian
from diffcli.core.levels import Level, bridge
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def exact_reverse(x: Tensor, mean: float, std: float, alpha_bar: Tensor, t: int) -> tuple[Tensor, float]:
    """The true reverse step where the data are normal numbers: the law of x_(t-1) given x_t, x_0 not being known.

    x:         [B], x_t
    mean, std: of the data, x_0 ~ N(mean, std²); std above 0
    alpha_bar: [T + 1], entry t is alpha-bar_t; entry 0 is 1
    t:         from 1 to T; also for t = 1 x_0 is not known, and the variance is not 0

    Returns (the mean for each x [B], the variance, one number for all of them).
    """
    before, now = alpha_bar[t - 1], alpha_bar[t]
    alpha = now / before
    spread_before = before * std**2 + 1 - before  # the variances of x_(t-1) and x_t
    spread = now * std**2 + 1 - now
    slope = alpha.sqrt() * spread_before / spread
    return before.sqrt() * mean + slope * (x - now.sqrt() * mean), float(spread_before * (1 - alpha) / spread)


def truth(x: Tensor, mean: float, std: float, alpha_bar: Tensor, t: int) -> tuple[Tensor, float]:
    now, before = (Level.of(bar**0.5, (1 - bar) ** 0.5) for bar in (alpha_bar[t].item(), alpha_bar[t - 1].item()))
    step = bridge(now, before)
    x0 = Gaussian(mean, std)(x, now).x0
    unknown = std**2 * now.sigma**2 / (now.alpha**2 * std**2 + now.sigma**2)  # the variance of x_0 given x_t
    return step.of_x * x + step.of_x0 * x0, (step.variance + step.of_x0**2 * unknown).item()


BARS = (1.0, 0.9, 0.72, 0.45, 0.2, 0.05)


def questions(ask: Ask) -> Iterator[Seen]:
    alpha_bar, x = torch.tensor(BARS), torch.tensor([-1.0, 0.2, 0.9, 2.5])
    for mean, std, t in ((0.7, 0.5, 3), (-0.4, 1.6, 5), (0.7, 0.5, 1)):
        centre, variance = ask(x, mean, std, alpha_bar, t)
        yield Seen(f"data N({mean:g}, {std:g}²), t = {t}: the mean", centre)
        yield Seen(f"data N({mean:g}, {std:g}²), t = {t}: the variance", variance)
    _, variance = ask(x, 0.7, 1.0, alpha_bar, 4)
    yield Seen("data N(0.7, 1²), t = 4: the variance, which is β_4 here", variance)
    _, variance = ask(x, 0.7, 1e-4, alpha_bar, 4)
    yield Seen("data N(0.7, 0.0001²), t = 4: the variance, which is β̃_4 all but exactly", variance)


WRONG = [
    Swap(
        "std-for-variance",
        "with the data's standard deviation where its square belongs",
        "std², in both variances",
        "before * std**2 + 1 - before  # the variances of x_(t-1) and x_t\n    spread = now * std**2",
        "before * std + 1 - before\n    spread = now * std",
    ),
    Swap(
        "mean-forgotten",
        "if the mean of the data is left out",
        "where x_(t-1) and x_t have their centres: √ᾱ times the mean of the data",
        "before.sqrt() * mean + slope * (x - now.sqrt() * mean)",
        "slope * x",
    ),
    Swap(
        "mean-not-shrunk",
        "with the data's mean as the centre at every t",
        "the factor √ᾱ of the mean",
        "before.sqrt() * mean + slope * (x - now.sqrt() * mean)",
        "mean + slope * (x - mean)",
    ),
    Swap(
        "forward-variance",
        "with β_t as the variance, which is right only for data of variance 1",
        "how wide x_(t-1) and x_t are",
        "float(spread_before * (1 - alpha) / spread)",
        "float(1 - alpha)",
    ),
    Swap(
        "marginal-variance",
        "with the variance of x_(t-1) when x_t is not known",
        "what x_t tells of x_(t-1)",
        "float(spread_before * (1 - alpha) / spread)",
        "float(spread_before)",
    ),
    Swap(
        "slope-without-root",
        "with α_t in the place of its root in the slope",
        "the covariance of x_(t-1) and x_t: √α_t times the variance of x_(t-1)",
        "alpha.sqrt() * spread_before",
        "alpha * spread_before",
    ),
    Swap(
        "standard-deviation",
        "with a standard deviation as the second result",
        "what is wanted: a variance",
        "float(spread_before * (1 - alpha) / spread)",
        "float(spread_before * (1 - alpha) / spread) ** 0.5",
    ),
]


@wrong("with β̃_t as the variance, as if x_0 were known", "what is not known of x_0 when only x_t is")
def known_data(x: Tensor, mean: float, std: float, alpha_bar: Tensor, t: int) -> tuple[Tensor, float]:
    centre, _ = exact_reverse(x, mean, std, alpha_bar, t)
    before, now = alpha_bar[t - 1], alpha_bar[t]
    return centre, float((1 - before) / (1 - now) * (1 - now / before))


@wrong("with the variance 0 for t = 1, as in algorithm 2", "t = 1: x_0 is not known there, either")
def nothing_on_the_last(x: Tensor, mean: float, std: float, alpha_bar: Tensor, t: int) -> tuple[Tensor, float]:
    centre, variance = exact_reverse(x, mean, std, alpha_bar, t)
    return centre, variance if t > 1 else 0.0


@wrong(
    "with the mean of the data in the place of x_0, whatever x_t says", "E[x_0 | x_t]: x_t says something of x_0, too"
)
def data_mean_for_x0(x: Tensor, mean: float, std: float, alpha_bar: Tensor, t: int) -> tuple[Tensor, float]:
    before, now = alpha_bar[t - 1], alpha_bar[t]
    slope = (now / before).sqrt() * (1 - before) / (1 - now)
    _, variance = exact_reverse(x, mean, std, alpha_bar, t)
    return before.sqrt() * mean + slope * (x - now.sqrt() * mean), variance


@right
def by_total_variance(x: Tensor, mean: float, std: float, alpha_bar: Tensor, t: int) -> tuple[Tensor, Tensor]:
    before, now = alpha_bar[t - 1].double(), alpha_bar[t].double()
    beta = 1 - now / before
    unknown = 1 / (1 / std**2 + now / (1 - now))
    x0 = unknown * (mean / std**2 + now.sqrt() / (1 - now) * x)
    of_x0, of_x = before.sqrt() * beta / (1 - now), (now / before).sqrt() * (1 - before) / (1 - now)
    return of_x0 * x0 + of_x * x, (1 - before) / (1 - now) * beta + of_x0**2 * unknown


@right
def by_a_product(x: Tensor, mean: float, std: float, alpha_bar: Tensor, t: int) -> tuple[Tensor, float]:
    before = float(alpha_bar[t - 1])
    alpha = float(alpha_bar[t]) / before
    prior = 1 / (before * std**2 + 1 - before)
    seen = alpha / (1 - alpha)
    centre = (prior * before**0.5 * mean + seen * x / alpha**0.5) / (prior + seen)
    return centre, 1 / (prior + seen)


@right
def by_a_covariance(x: Tensor, mean: float, std: float, alpha_bar: Tensor, t: int) -> list[Tensor]:
    bars = alpha_bar[[t - 1, t]].double()
    own = std**2 * bars + 1 - bars
    across = (bars[1] / bars[0]).sqrt() * own[0]
    centres = mean * bars.sqrt()
    return [centres[0] + across / own[1] * (x - centres[1]), own[0] - across**2 / own[1]]
