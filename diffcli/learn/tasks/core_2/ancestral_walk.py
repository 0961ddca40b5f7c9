"""Held to the package's sampler with the large variance; a network that knows the one point there is must end in it."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from diffcli.core.diffusion.denoiser import Prediction
from diffcli.core.diffusion.samplers import ddpm
from diffcli.core.levels import Level
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, right, wrong

Eps = Callable[[Tensor, int], Tensor]


def ancestral_walk(
    predict_eps: Callable[[Tensor, int], Tensor], x: Tensor, alpha_bar: Tensor, noises: Tensor
) -> Tensor:
    """All of ancestral sampling, from x_T to x_0. Each step adds noise of variance beta_t, only that from t = 1 none.

    The mean of a step is (x_t - beta_t / sqrt(1 - alpha-bar_t) eps) / sqrt(alpha_t).

    predict_eps: (x_t [B, D], t, a whole number from 1 to T) -> the noise that is thought to be in x_t, [B, D]
    x:           [B, D], x_T
    alpha_bar:   [T + 1], entry t is alpha-bar_t; entry 0 is 1
    noises:      [T, B, D], standard normal; entry t - 1 is for the step from x_t to x_(t-1), so entry 0 is not used

    Returns x_0, [B, D].
    """
    for t in range(len(alpha_bar) - 1, 0, -1):
        alpha = alpha_bar[t] / alpha_bar[t - 1]
        x = (x - (1 - alpha) / (1 - alpha_bar[t]).sqrt() * predict_eps(x, t)) / alpha.sqrt()
        if t > 1:
            x = x + (1 - alpha).sqrt() * noises[t - 1]
    return x


def truth(predict_eps: Eps, x: Tensor, alpha_bar: Tensor, noises: Tensor) -> Tensor:
    last = len(alpha_bar) - 1
    levels = [Level.of(bar**0.5, (1 - bar) ** 0.5) for bar in alpha_bar.flip(0).tolist()]
    times = {level: last - place for place, level in enumerate(levels)}

    def denoise(x: Tensor, level: Level, **_: Any) -> Prediction:
        eps = predict_eps(x, times[level])
        return Prediction((x - level.sigma * eps) / level.alpha, eps)

    steps = ddpm(denoise, x, levels, noise=lambda step: noises[last - 1 - step], variance="large")
    return [step.x for step in steps][-1]


def whole(t: int | Tensor) -> int:
    if isinstance(t, Tensor) and t.numel() != 1:
        raise ValueError("t is one whole number for the whole batch")
    return int(t)


def questions(ask: Ask) -> Iterator[Seen]:
    numbers = torch.Generator().manual_seed(4)
    for bars, shape in (((1.0, 0.9, 0.72, 0.45, 0.2, 0.05), (2, 3)), ((1.0, 0.7, 0.3), (4, 1))):
        alpha_bar = torch.tensor(bars)
        x, noises = torch.randn(shape, generator=numbers), torch.randn(len(bars) - 1, *shape, generator=numbers)
        told: list[int] = []

        def made_up(x: Tensor, t: int, told: list[int] = told) -> Tensor:
            told.append(whole(t))
            return 0.4 * x + 0.1 * t * torch.sin(x)

        case = f"T = {len(bars) - 1}, x_T of shape {list(shape)}"
        end = ask(made_up, x, alpha_bar, noises)
        yield Seen(f"{case}: the times that predict_eps was asked for", list(told))
        yield Seen(f"{case}: x_0", end)

    bar = torch.cumprod(torch.tensor([1.0, *[0.8] * 10]), 0)

    def one_point(x: Tensor, t: int) -> Tensor:
        return (x - bar[whole(t)].sqrt() * 0.7) / (1 - bar[whole(t)] + 1e-12).sqrt()

    x, noises = torch.randn(3, 2, generator=numbers), torch.randn(10, 3, 2, generator=numbers)
    yield Seen("T = 10, a network that knows that all data are 0.7: x_0", ask(one_point, x, bar, noises))


@wrong("with noise on the last step, too", "t = 1, after which nothing removes noise any more")
def noise_on_the_last(predict_eps: Eps, x: Tensor, alpha_bar: Tensor, noises: Tensor) -> Tensor:
    for t in range(len(alpha_bar) - 1, 0, -1):
        x = _mean(x, predict_eps(x, t), alpha_bar, t) + _beta(alpha_bar, t).sqrt() * noises[t - 1]
    return x


@wrong("if the walk goes upwards, from t = 1 to T", "the order of the times: x is x_T")
def upwards(predict_eps: Eps, x: Tensor, alpha_bar: Tensor, noises: Tensor) -> Tensor:
    for t in range(1, len(alpha_bar)):
        x = _mean(x, predict_eps(x, t), alpha_bar, t) + (t > 1) * _beta(alpha_bar, t).sqrt() * noises[t - 1]
    return x


@wrong("if the walk stops at x_1", "the last step, from t = 1 to the data")
def one_step_short(predict_eps: Eps, x: Tensor, alpha_bar: Tensor, noises: Tensor) -> Tensor:
    for t in range(len(alpha_bar) - 1, 1, -1):
        x = _mean(x, predict_eps(x, t), alpha_bar, t) + _beta(alpha_bar, t).sqrt() * noises[t - 1]
    return x


@wrong(
    "if the network is told t − 1 in the place of t",
    "the second argument of predict_eps: the time of the x that it is shown",
)
def told_the_index(predict_eps: Eps, x: Tensor, alpha_bar: Tensor, noises: Tensor) -> Tensor:
    for t in range(len(alpha_bar) - 1, 0, -1):
        x = _mean(x, predict_eps(x, t - 1), alpha_bar, t) + (t > 1) * _beta(alpha_bar, t).sqrt() * noises[t - 1]
    return x


@wrong("with β̃_t as the variance", "the docstring: here the steps add noise of variance β_t")
def small_variance(predict_eps: Eps, x: Tensor, alpha_bar: Tensor, noises: Tensor) -> Tensor:
    for t in range(len(alpha_bar) - 1, 0, -1):
        variance = (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * _beta(alpha_bar, t)
        x = _mean(x, predict_eps(x, t), alpha_bar, t) + variance.sqrt() * noises[t - 1]
    return x


@wrong("with β_t in the place of its root in front of the noise", "what noise is multiplied by: a standard deviation")
def variance_for_its_root(predict_eps: Eps, x: Tensor, alpha_bar: Tensor, noises: Tensor) -> Tensor:
    for t in range(len(alpha_bar) - 1, 0, -1):
        x = _mean(x, predict_eps(x, t), alpha_bar, t) + (t > 1) * _beta(alpha_bar, t) * noises[t - 1]
    return x


@wrong("with the noises in the other order", "which entry of `noises` belongs to which step")
def noises_turned_round(predict_eps: Eps, x: Tensor, alpha_bar: Tensor, noises: Tensor) -> Tensor:
    last = len(alpha_bar) - 1
    for t in range(last, 0, -1):
        x = _mean(x, predict_eps(x, t), alpha_bar, t) + (t > 1) * _beta(alpha_bar, t).sqrt() * noises[last - t]
    return x


@wrong(
    "with noises[t - 2] for the step from t", "which entry of `noises` belongs to which step: t − 1 for that from x_t"
)
def next_noise(predict_eps: Eps, x: Tensor, alpha_bar: Tensor, noises: Tensor) -> Tensor:
    for t in range(len(alpha_bar) - 1, 0, -1):
        x = _mean(x, predict_eps(x, t), alpha_bar, t) + (t > 1) * _beta(alpha_bar, t).sqrt() * noises[t - 2]
    return x


@wrong("if x_T is shown to the network in every step", "what predict_eps is shown: the x of this step")
def always_the_start(predict_eps: Eps, x: Tensor, alpha_bar: Tensor, noises: Tensor) -> Tensor:
    start = x
    for t in range(len(alpha_bar) - 1, 0, -1):
        x = _mean(x, predict_eps(start, t), alpha_bar, t) + (t > 1) * _beta(alpha_bar, t).sqrt() * noises[t - 1]
    return x


@wrong("without any noise in the steps", "the steps before the last, which add some")
def never_noise(predict_eps: Eps, x: Tensor, alpha_bar: Tensor, noises: Tensor) -> Tensor:
    for t in range(len(alpha_bar) - 1, 0, -1):
        x = _mean(x, predict_eps(x, t), alpha_bar, t)
    return x


@right
def by_helpers(predict_eps: Eps, x: Tensor, alpha_bar: Tensor, noises: Tensor) -> Tensor:
    for t in reversed(range(2, len(alpha_bar))):
        x = _mean(x, predict_eps(x, t), alpha_bar, t) + torch.sqrt(_beta(alpha_bar, t)) * noises[t - 1]
    return _mean(x, predict_eps(x, 1), alpha_bar, 1)


@right
def by_the_clean_estimate(predict_eps: Eps, x: Tensor, alpha_bar: Tensor, noises: Tensor) -> Tensor:
    bars, t = alpha_bar.double(), len(alpha_bar) - 1
    while t:
        before, now = bars[t - 1], bars[t]
        x0 = (x - (1 - now).sqrt() * predict_eps(x, t)) / now.sqrt()
        x = before.sqrt() * x0 + (now / before).sqrt() * (1 - before) / (1 - now) * (x - now.sqrt() * x0)
        t -= 1
        x = x + (1 - now / before).sqrt() * noises[t] if t else x
    return x


@right
def in_double_and_in_place(predict_eps: Eps, x: Tensor, alpha_bar: Tensor, noises: Tensor) -> Tensor:
    x, noises = x.double().clone(), noises.double().clone()
    noises[0] = 0
    for t in torch.arange(len(alpha_bar) - 1, 0, -1).tolist():
        before, now = alpha_bar[t - 1 : t + 1].tolist()
        x -= (1 - now / before) / (1 - now) ** 0.5 * predict_eps(x, t)
        x *= (before / now) ** 0.5
        x += (1 - now / before) ** 0.5 * noises[t - 1]
    return x


def _beta(alpha_bar: Tensor, t: int) -> Tensor:
    return 1 - alpha_bar[t] / alpha_bar[t - 1]


def _mean(x: Tensor, eps: Tensor, alpha_bar: Tensor, t: int) -> Tensor:
    beta = _beta(alpha_bar, t)
    return (x - beta / (1 - alpha_bar[t]).sqrt() * eps) / (1 - beta).sqrt()
