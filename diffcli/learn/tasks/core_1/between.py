"""Held to the package's own step between levels, which goes by the bridge, and to variances that have to add up."""

import math
from collections.abc import Iterator

import torch

from diffcli.core.levels import Level, noising
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def between(alpha_s: float, sigma_s: float, alpha_t: float, sigma_t: float) -> tuple[float, float]:
    """The step from level s to the noisier level t: x_t = factor * x_s + std * ε, ε standard normal and new.

    A level is a pair (alpha, sigma), x = alpha * x0 + sigma * ε. Here alpha² + sigma² need not be 1.

    alpha_s, sigma_s: of the level that x_s is at; alpha_s above 0, sigma_s may be 0 (the data themselves)
    alpha_t, sigma_t: of the noisier one

    Returns (factor, std), two numbers; std is a standard deviation.
    """
    factor = alpha_t / alpha_s
    return factor, math.sqrt(sigma_t**2 - factor**2 * sigma_s**2)


def truth(alpha_s: float, sigma_s: float, alpha_t: float, sigma_t: float) -> tuple[float, float]:
    found = noising(Level.of(alpha_s, sigma_s), Level.of(alpha_t, sigma_t))
    return found.ratio.item(), found.std.item()


LEVELS = (
    ("on the straight line, from (0.7, 0.3) to (0.2, 0.8)", (0.7, 0.3, 0.2, 0.8)),
    ("variance-preserving, from (0.96, 0.28) to (0.6, 0.8)", (0.96, 0.28, 0.6, 0.8)),
    ("variance-exploding, from (1, 0.5) to (1, 1.3)", (1.0, 0.5, 1.0, 1.3)),
    ("from the data (1, 0) to (0.8, 0.6)", (1.0, 0.0, 0.8, 0.6)),
)


def questions(ask: Ask) -> Iterator[Seen]:
    for case, levels in LEVELS:
        yield Seen(case, ask(*levels))
    factor, std = (float(number) for number in ask(0.9, 0.2, 0.5, 0.7))
    yield Seen("from (0.9, 0.2) to (0.5, 0.7): all noise at t, which is to be 0.7", math.hypot(factor * 0.2, std))


WRONG = [
    Swap(
        "variance",
        "with a variance in the place of the standard deviation",
        "the second number that is wanted",
        "math.sqrt(sigma_t**2 - factor**2 * sigma_s**2)",
        "sigma_t**2 - factor**2 * sigma_s**2",
    ),
    Swap(
        "old-noise-not-shrunk",
        "if the old noise is not multiplied by the factor, too: √(σ_t² − σ_s²)",
        "what the step does to x_s: data and noise in it shrink together",
        "factor**2 * sigma_s**2",
        "sigma_s**2",
    ),
    Swap(
        "factor-not-squared",
        "with σ_s² times the factor, not its square",
        "what a factor does to a variance",
        "factor**2 *",
        "factor *",
    ),
    Swap(
        "difference-of-stds",
        "with a difference of standard deviations",
        "what adds up when independent noises are added",
        "math.sqrt(sigma_t**2 - factor**2 * sigma_s**2)",
        "sigma_t - factor * sigma_s",
    ),
    Swap(
        "all-noise",
        "with all the noise of level t, as if x_s had none",
        "the noise that is in x_s already",
        " - factor**2 * sigma_s**2",
        "",
    ),
    Swap(
        "root-of-the-ratio",
        "with √(α_t / α_s): α is taken for ᾱ",
        "what a level is made of: α is the factor of x0 already, √ᾱ",
        "alpha_t / alpha_s",
        "math.sqrt(alpha_t / alpha_s)",
    ),
]


@wrong(
    "with √(1 − factor²), which is right only where α² + σ² = 1 at both levels", "what level t says the noise is to be"
)
def preserving_only(alpha_s: float, sigma_s: float, alpha_t: float, sigma_t: float) -> tuple[float, float]:
    factor = alpha_t / alpha_s
    return factor, math.sqrt(max(0.0, 1 - factor**2))


@wrong("with α_t as the factor, as if x_s were the data", "how much of the data is in x_s: α_s, not 1")
def as_from_data(alpha_s: float, sigma_s: float, alpha_t: float, sigma_t: float) -> tuple[float, float]:
    return alpha_t, math.sqrt(sigma_t**2 - alpha_t**2 * sigma_s**2)


@right
def by_relative_noise(alpha_s: float, sigma_s: float, alpha_t: float, sigma_t: float) -> tuple[float, float]:
    before, after = sigma_s / alpha_s, sigma_t / alpha_t
    return alpha_t / alpha_s, alpha_t * (after**2 - before**2) ** 0.5


@right
def as_tensor(alpha_s: float, sigma_s: float, alpha_t: float, sigma_t: float) -> torch.Tensor:
    factor = torch.tensor(alpha_t) / alpha_s
    return torch.stack([factor, (torch.tensor(sigma_t) ** 2 - (factor * sigma_s) ** 2).sqrt()])


@right
def by_two_factors(alpha_s: float, sigma_s: float, alpha_t: float, sigma_t: float) -> list[float]:
    old = alpha_t * sigma_s / alpha_s
    return [alpha_t / alpha_s, math.sqrt((sigma_t - old) * (sigma_t + old))]
