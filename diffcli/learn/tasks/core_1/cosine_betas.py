"""Held to the products: alpha-bar of these betas has to lie on the cosine. The truth is worked out in plain numbers."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def cosine_betas(steps: int, offset: float = 0.008, limit: float = 0.999) -> Tensor:
    """The betas of the cosine schedule, those for which alpha-bar_t = f(t / T) / f(0).

    f(u) is the square of the cosine of (u + s) / (1 + s) · π / 2, an angle in radians.

    steps:  T, at least 1
    offset: s, at least 0
    limit:  no beta is larger; those that would be are set to it

    Returns [steps]; entry i, counted from 0, is beta_(i + 1).
    """
    u = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    bar = torch.cos((u + offset) / (1 + offset) * math.pi / 2) ** 2
    return (1 - bar[1:] / bar[:-1]).clamp(max=limit)


def truth(steps: int, offset: float = 0.008, limit: float = 0.999) -> list[float]:
    def bar(t: int) -> float:
        return (1 + math.cos((t / steps + offset) / (1 + offset) * math.pi)) / 2

    return [min(limit, (bar(t - 1) - bar(t)) / bar(t - 1)) for t in range(1, steps + 1)]


def questions(ask: Ask) -> Iterator[Seen]:
    for steps, offset, limit in ((10, 0.008, 0.999), (1000, 0.008, 0.999), (4, 0.05, 0.8), (1, 0.1, 0.9)):
        yield Seen(f"T = {steps}, offset {offset:g}, limit {limit:g}", ask(steps, offset, limit))
    left = torch.cumprod(1 - torch.as_tensor(ask(50, 0.008, 0.999)), 0)[24]
    yield Seen("alpha-bar_25 of T = 50, multiplied up from the betas", left)


WRONG = [
    Swap(
        "no-limit",
        "without the limit",
        "the last beta, which would be 1: a step that leaves nothing",
        ".clamp(max=limit)",
        "",
    ),
    Swap(
        "no-square", "with the cosine, not its square: the betas are ratios of √ᾱ then", "f, which is cos²", " ** 2", ""
    ),
    Swap(
        "no-offset",
        "without the offset s, so that the first steps are nearly nothing",
        "f at t = 0",
        "(u + offset) / (1 + offset)",
        "u",
    ),
    Swap(
        "offset-not-divided",
        "without dividing by 1 + s, so that the cosine has crossed 0 before the end",
        "the angle at t = T: it is π/2",
        "(u + offset) / (1 + offset)",
        "(u + offset)",
    ),
    Swap(
        "from-the-start",
        "with 1 − ᾱ_t, all the noise so far, in the place of what this step adds",
        "β_t: it compares ᾱ_t with ᾱ_(t-1)",
        "bar[:-1]",
        "bar[0]",
    ),
    Swap(
        "difference",
        "with ᾱ_(t-1) − ᾱ_t, not divided by ᾱ_(t-1)",
        "β_t, which is the share of what was left",
        "1 - bar[1:] / bar[:-1]",
        "bar[:-1] - bar[1:]",
    ),
    Swap(
        "one-short",
        "with T values of f, which have T − 1 ratios",
        "the number of values of f that the T betas need: t = 0 ... T",
        "steps + 1,",
        "steps,",
    ),
    Swap("whole-turn", "with the angle running to π, not π/2", "the angle at t = T", "math.pi / 2", "math.pi"),
]


@wrong("with the times one step late: t + 1 for t", "the times of β_t: t / T and (t - 1) / T")
def late(steps: int, offset: float = 0.008, limit: float = 0.999) -> Tensor:
    u = torch.arange(1, steps + 2, dtype=torch.float64) / steps
    bar = torch.cos((u + offset) / (1 + offset) * math.pi / 2) ** 2
    return (1 - bar[1:] / bar[:-1]).clamp(max=limit)


@wrong("with the times 0 ... T − 1 alone: f(1) is missing", "the times of f that the T betas need: t = 0 ... T")
def without_the_end(steps: int, offset: float = 0.008, limit: float = 0.999) -> Tensor:
    u = torch.arange(steps, dtype=torch.float64) / steps
    bar = torch.cos((u + offset) / (1 + offset) * math.pi / 2) ** 2
    return (1 - bar[1:] / bar[:-1]).clamp(max=limit)


@right
def by_a_loop(steps: int, offset: float = 0.008, limit: float = 0.999) -> list[float]:
    found, before = [], math.cos(offset / (1 + offset) * math.pi / 2) ** 2
    for t in range(1, steps + 1):
        now = math.cos((t / steps + offset) / (1 + offset) * math.pi / 2) ** 2
        found.append(min(1 - now / before, limit))
        before = now
    return found


@right
def by_numpy(steps: int, offset: float = 0.008, limit: float = 0.999) -> NDArray[np.float64]:
    t = np.arange(steps + 1)
    bar = np.cos((t / steps + offset) / (1 + offset) * np.pi / 2) ** 2
    bar /= bar[0]
    return np.minimum((bar[:-1] - bar[1:]) / bar[:-1], limit)


@right
def by_roots(steps: int, offset: float = 0.008, limit: float = 0.999) -> Tensor:
    angle = (torch.arange(steps + 1).double() / steps + offset) * (math.pi / 2 / (1 + offset))
    cosines = angle.cos()
    ratio = cosines[1:] / cosines[:-1]
    return torch.clamp((1 - ratio) * (1 + ratio), max=limit)
